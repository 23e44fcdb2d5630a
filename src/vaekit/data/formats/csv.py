"""``.csv`` and ``.tsv``: numbers in columns, with or without names, separated by comma, semicolon or tab."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from vaekit.data.arrays import check_names
from vaekit.data.chunks import Array
from vaekit.data.download import say
from vaekit.data.formats.content import Content
from vaekit.data.formats.table import MISSING, as_labels, content, label_place, missing_words, quoted
from vaekit.errors import UserError

DELIMITERS = "\t;,"  # a comma may be part of a number or a word, so it is thought of last
HEAD_CHARACTERS = 4 << 20
HEAD_LINES = 64
BLOCK_ROWS = 4096

Row = list[str]


class Layout(NamedTuple):
    """How a file is written.

    Attributes:
        delimiter: what separates cells.
        width: cells in a row.
        columns: their names, or none.
        first_line: the line of the first row, names included.
        missing: what stands in cells that were not observed, in lower case.
    """

    delimiter: str
    width: int
    columns: tuple[str, ...]
    first_line: int
    missing: frozenset[str] = frozenset()


def read(path: Path, *, label: Any = None, header: bool | None = None, missing: Any = None) -> Content:
    """A table of numbers.

    Args:
        path: the file, UTF-8.
        label: the column that is the label, by its name, or by its number from 1 where there are no names.
        header: whether the first line holds names; by default it does if words stand where numbers follow.
        missing: what stands in cells that were not observed: ``nan``, ``NA``, ``NA/?`` …; an empty cell does then too.

    Raises:
        UserError: if rows differ in length, cells are empty, not finite or not numbers (where, how many), …
    """
    try:
        layout = layout_of(path, header, missing_words(missing))
        place = label_place(label, layout.columns, layout.width, f"{path}")
        parsed = _parse(path, layout, place)
        if parsed is None:
            _explain(path, layout, place)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not a text in UTF-8: it holds the byte 0x{error.object[error.start]:02x}.",
            hint="save it again with the encoding UTF-8.",
        ) from error
    except csv.Error as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    x, labels = parsed
    if not len(x):
        raise UserError(f"{path} has a line of names and no rows.")
    mask = ~np.isnan(x) if layout.missing else None
    if mask is not None:
        x[~mask] = 0
    columns = tuple(name for index, name in enumerate(layout.columns) if index != place)
    words = None if place is None else as_labels(labels, MISSING | layout.missing)
    return content(x, columns, words, f"{path}", None if mask is None or mask.all() else mask)


@contextmanager
def rows_of(path: Path, delimiter: str) -> Iterator[Any]:
    """The rows of the file; ``line_num`` of the reader is the line of the last one."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield csv.reader(file, delimiter=delimiter, skipinitialspace=True)


def is_blank(row: Row) -> bool:
    """Whether a line holds nothing."""
    return not row or (len(row) == 1 and not row[0].strip())


def layout_of(path: Path, header: bool | None, missing: frozenset[str] = frozenset()) -> Layout:
    """How a file is written.

    Raises:
        UserError: if it is empty, two columns have one name, or ``header`` is no truth value.
    """
    if header not in (None, True, False):
        raise UserError(f"header must be true or false, got {header}.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        head = file.read(HEAD_CHARACTERS)
    lines = list(islice(io.StringIO(head, newline=""), HEAD_LINES + 1))
    # The last line may be cut off.
    delimiter, rows = _sniff(lines[:-1] if len(lines) > HEAD_LINES or len(head) == HEAD_CHARACTERS else lines)
    if not rows:
        raise UserError(f"{path} is empty.")
    first = [cell.strip() for cell in rows[0]]
    columns = tuple(first) if _is_header(first, rows[1:], header, MISSING | missing, f"{path}") else ()
    check_names(tuple(name for name in columns if name), f"{path}")
    with rows_of(path, delimiter) as reader:
        next(row for row in reader if not is_blank(row))
        return Layout(delimiter, len(first), columns, reader.line_num, missing)


def _sniff(lines: list[str]) -> tuple[str, list[Row]]:
    """The delimiter that cuts all rows into equally many cells, or else the usual row into the most; and the rows."""
    best = (0, 0)
    chosen: tuple[str, list[Row]] = (",", [])
    for delimiter in DELIMITERS:
        rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if not is_blank(row)]
        widths = [len(row) for row in rows]
        usual = max(widths, key=widths.count, default=0)
        if rows and len(set(widths)) == 1 and usual > 1:
            return delimiter, rows
        if (score := (usual, max(widths, default=0))) > best:
            best, chosen = score, (delimiter, rows)
    return chosen


def _is_header(first: Row, others: list[Row], given: bool | None, gaps: frozenset[str], name: str) -> bool:
    """Whether a first row holds names: words above numbers, or the numbers 0, 1, 2 … that some programs write."""
    if given is not None:
        return given
    words = [place for place, cell in enumerate(first) if not _is_number(cell) and cell.lower() not in gaps]
    numbers = [cell for cell in first if _is_number(cell)]
    if len(numbers) >= 4 and any(numbers == [f"{i + start}" for i in range(len(numbers))] for start in (0, 1)):
        if not words:
            counted = ", ".join(numbers[:2])
            say(f"the first line of {name} counts {counted}, … and is taken for names (header=false if it is data)")
        return True
    if not words or len(words) <= len(numbers):
        return False
    above_numbers = any(place < len(row) and _is_number(row[place]) for row in others for place in words)
    return above_numbers or not numbers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in MISSING


def _parse(path: Path, layout: Layout, place: int | None) -> tuple[Array, Row] | None:
    """The numbers and the labels, or ``None`` if something is wrong with a cell."""
    table = _Table(layout.width - (place is not None))
    labels: Row = []
    with rows_of(path, layout.delimiter) as reader:
        rows = (row for row in reader if not is_blank(row))
        if layout.columns:
            next(rows)
        while block := list(islice(rows, BLOCK_ROWS)):
            if any(len(row) != layout.width for row in block):
                return None
            if place is not None:
                labels += [row.pop(place) for row in block]
            try:
                values = _numbers(chain.from_iterable(block), layout.missing)
            except ValueError:
                return None
            if not (np.isfinite(values) | np.isnan(values) if layout.missing else np.isfinite(values)).all():
                return None
            table.append(values.reshape(len(block), -1))
    return table.rows(), labels


def _numbers(cells: Iterable[str], missing: frozenset[str]) -> Array:
    """NaN where nothing was observed.

    Raises:
        ValueError: if a cell holds no number.
    """
    if not missing:
        return np.fromiter(map(float, cells), np.float64)
    return np.fromiter((math.nan if is_gap(cell, missing) else float(cell) for cell in cells), np.float64)


def is_gap(cell: str, missing: frozenset[str]) -> bool:
    """Whether a cell was not observed."""
    return cell.strip().lower() in missing


class _Table:
    """Rows that are appended in place: the memory grows, and nothing is copied at the end."""

    def __init__(self, width: int) -> None:
        self._array = np.empty((BLOCK_ROWS, width))
        self._rows = 0

    def append(self, block: Array) -> None:
        stop = self._rows + len(block)
        if stop > len(self._array):
            self._array.resize((max(stop, len(self._array) * 3 // 2), self._array.shape[1]), refcheck=False)
        self._array[self._rows : stop] = block
        self._rows = stop

    def rows(self) -> Array:
        self._array.resize((self._rows, self._array.shape[1]), refcheck=False)
        return self._array


def _explain(path: Path, layout: Layout, place: int | None) -> NoReturn:
    """Go through the file cell by cell and say what is wrong.

    Raises:
        UserError: always.
    """
    texts: list[tuple[int, int, str]] = []  # the first of them, with line and column
    gaps: list[tuple[int, int, str]] = []
    num_texts = num_gaps = 0
    with rows_of(path, layout.delimiter) as reader:
        rows = (row for row in reader if not is_blank(row))
        if layout.columns:
            next(rows)
        for row in rows:
            if len(row) != layout.width:
                raise UserError(
                    f"line {reader.line_num} of {path} has {len(row)} cell{'s' * (len(row) != 1)}, but "
                    f"{layout.width} {'is' if layout.width == 1 else 'are'} expected, as in line {layout.first_line}."
                )
            if place is None and _all_finite(row):
                continue
            for column, cell in enumerate(row):
                if column == place or is_gap(cell, layout.missing):
                    continue
                if _is_number(cell) and math.isfinite(float(cell)):
                    continue
                found = (reader.line_num, column, cell.strip())
                if _is_number(cell) or cell.strip().lower() in MISSING:
                    num_gaps += 1
                    gaps = gaps or [found]
                else:
                    num_texts += 1
                    texts = texts or [found]
    if texts:
        line, column, cell = texts[0]
        raise UserError(
            f"{path} holds text in a column of numbers: line {line}, column {quoted(layout.columns, column)}, is "
            f"{cell[:40]!r} ({num_texts:,} such cell{'s' * (num_texts != 1)}).",
            hint=_text_hint(path, layout, column, cell),
        )
    line, column, cell = gaps[0]
    raise UserError(
        f"{path} holds {num_gaps:,} cell{'s' * (num_gaps != 1)} without a finite number; the first is in line {line}, "
        f"column {quoted(layout.columns, column)}: {cell or 'empty'}.",
        hint=_gap_hint(layout, cell),
    )


def _gap_hint(layout: Layout, cell: str) -> str:
    if cell.lower() not in MISSING:
        return "leave these rows out or fill in the values first."
    words = sorted(layout.missing - {"", "nan"} | ({cell} if cell else {"nan"}))
    return f"say missing={'/'.join(words)} if these cells were not observed, else leave the rows out."


def _all_finite(row: Row) -> bool:
    try:
        return all(map(math.isfinite, map(float, row)))
    except ValueError:
        return False


def _text_hint(path: Path, layout: Layout, column: int, cell: str) -> str:
    if _is_number(cell.replace(",", ".")):
        return "write decimals with a point, not with a comma."
    if layout.width == 1:
        return "separate the cells with commas, semicolons or tabs."
    return (
        f"if this column is the label, say so: {path}:label={layout.columns[column] if layout.columns else column + 1}"
    )
