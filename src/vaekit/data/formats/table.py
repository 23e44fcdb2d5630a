"""Names, labels and whole numbers in tables of any format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.data.chunks import Array, chunks
from vaekit.data.download import say
from vaekit.data.formats.content import Content
from vaekit.errors import UserError, unknown

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
MOST_WHOLE = 2**53  # up to here doubles hold whole numbers exactly


def label_place(label: Any, columns: Sequence[str], width: int, name: str) -> int | None:
    """Which column is the label: by its name, or by its number from 1 where columns have no names.

    Raises:
        UserError: if there is no such column.
    """
    if label is None:
        return None
    text = "/".join(map(str, label)) if isinstance(label, tuple) else f"{label}"
    if columns:
        if text not in columns:
            raise unknown(f"column of {name}", text, columns)
        place = list(columns).index(text)
    elif text.isdecimal() and 1 <= int(text) <= width:
        place = int(text) - 1
    else:
        raise UserError(f"the columns of {name} have no names: label must be a number from 1 to {width}, got {text}.")
    if width == 1:
        raise UserError(f"{name} has one column, and it is the label: nothing is left to model.")
    return place


def missing_words(missing: Any) -> frozenset[str]:
    """What stands in a cell that was not observed, in lower case; nothing without the option.

    Args:
        missing: the option: words or numbers with ``/`` between them. An empty cell and ``nan`` are always among them.
    """
    if missing is None:
        return frozenset()
    items = missing if isinstance(missing, tuple) else f"{missing}".split("/")
    words = {f"{item}".strip().lower() for item in items} | {"", "nan"}
    # With its own stroke it cannot be named.
    return frozenset(words | {"n/a"} if "na" in words else words)


def as_labels(cells: Sequence[str], missing: frozenset[str] = MISSING) -> Array:
    """Labels as whole numbers if they all are, −1 where there is none; else as numbers or words."""
    words = [cell.strip() for cell in cells]
    present = [word.lower() not in missing for word in words]
    try:
        numbers = np.array([float(word) if there else -1.0 for word, there in zip(words, present, strict=True)])
    except ValueError:
        return np.array([word if there else "" for word, there in zip(words, present, strict=True)])
    whole = np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all() and (np.abs(numbers) < MOST_WHOLE).all()
    return numbers.astype(np.int64) if whole else numbers


def content(x: Array, columns: tuple[str, ...], labels: Array | None, name: str, mask: Array | None = None) -> Content:
    """A table that was read: without the numbers of its rows, and integers if all its values are whole and ≥ 0.

    Args:
        x: ``(rows, columns)`` doubles, finite, 0 where nothing is observed; it may be overwritten.
        columns: their names, empty for a column without a name; or none at all.
        labels: ``(rows,)`` or ``None``.
        name: what lines for people call it.
        mask: ``(rows, columns)``, true where observed; ``None`` if all of it is.
    """
    complete = mask is None or bool(mask[:, 0].all())
    if columns and not columns[0] and len(columns) > 1 and complete and _counts_rows(x[:, 0]):
        say(f"the first column of {name} has no name and numbers the rows: it is left out")
        x, columns, mask = x[:, 1:], columns[1:], None if mask is None else mask[:, 1:]
    columns = tuple(column or f"column {place}" for place, column in enumerate(columns, start=1))
    return Content(_whole(x), labels, columns, mask=mask)


def quoted(columns: Sequence[str], place: int) -> str:
    """How an error calls a column: by its name, or by its number from 1."""
    return f"'{columns[place]}'" if columns and columns[place] else f"{place + 1}"


def _counts_rows(column: Array) -> bool:
    return bool((column == np.rint(column)).all()) and len(np.unique(column)) == len(column)


def _whole(x: Array) -> Array:
    """Integers in the same memory, if all values are whole and not negative."""
    for _, chunk in chunks(x):
        if ((chunk < 0) | (chunk >= MOST_WHOLE) | (chunk != np.rint(chunk))).any():
            return x
    integers = x.view(np.int64)
    for start, chunk in chunks(x):
        integers[start : start + len(chunk)] = chunk.astype(np.int64)
    return integers
