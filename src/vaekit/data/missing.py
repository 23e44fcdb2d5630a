"""Missing cells: how they are marked, what stands in their place, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vaekit.data.chunks import Array, chunks, is_mapped
from vaekit.errors import UserError

Arrays = dict[str, Array]

NAN_HINT = "say missing=nan if these cells were not observed, else leave the rows out."


def check_nan(missing: Any, name: str) -> bool:
    """Whether NaN marks what is missing.

    Raises:
        UserError: if something else is to mark it, which only text files can hold.
    """
    if missing is None:
        return False
    if f"{missing}".lower() != "nan":
        raise UserError(f"missing cells of {name} are those that hold no number: write missing=nan, not {missing}.")
    return True


def mark(x: Array, missing: Any, name: str) -> tuple[Array, Array | None]:
    """An array with 0 in place of NaN, and where it is observed; ``None`` for all of it.

    Raises:
        UserError: as of :func:`check_nan`, or if the array is too large to be copied.
    """
    if not check_nan(missing, name) or x.dtype.kind != "f":
        return x, None
    if is_mapped(x):
        raise UserError(
            f"{name} is too large for missing cells to be marked in memory.",
            hint="cut it into files under 2 GiB, or leave the rows with missing cells out.",
        )
    mask = ~np.isnan(x)
    return (x, None) if mask.all() else (np.where(mask, x, x.dtype.type(0)), mask)


def observed(arrays: Arrays, given: Any, missing: Any, titles: dict[str, str]) -> tuple[Arrays, Arrays]:
    """Arrays with 0 where nothing is observed, and their masks by part; no masks if everything is observed.

    Args:
        arrays: ``(rows, …)`` by part.
        given: masks of their shapes, true where observed: one array, or a map of parts; ``None`` without.
        missing: ``nan`` if NaN is missing too.
        titles: what errors call each array.

    Raises:
        UserError: if a mask does not fit its array, or a row has nothing observed.
    """
    wanted = dict(given) if isinstance(given, Mapping) else {} if given is None else {"train": given}
    if strangers := wanted.keys() - arrays.keys():
        raise UserError(f"a mask is given for {', '.join(sorted(strangers))}, which is no part of the data.")
    result, masks = {}, {}
    for part, array in arrays.items():
        x, by_nan = mark(array, missing, titles[part])
        mask = _mask(wanted[part], array, titles[part]) if part in wanted else None
        if mask is not None and not mask.all():
            x = np.where(mask, x, x.dtype.type(0))
            by_nan = mask if by_nan is None else mask & by_nan
        result[part] = x
        if by_nan is not None:
            _refuse_empty_rows(by_nan, titles[part])
            masks[part] = by_nan
    if masks:
        masks = {part: masks.get(part, np.ones(array.shape, bool)) for part, array in arrays.items()}
    return result, masks


def _mask(given: Any, x: Array, name: str) -> Array:
    mask = np.asarray(given)
    mask = mask[:, None] if mask.ndim == 1 else mask
    if mask.shape != x.shape:
        raise UserError(f"the mask of {name} has the shape {mask.shape}, and its values {x.shape}: they must be equal.")
    if mask.dtype != np.bool_ and not (mask.dtype.kind in "iu" and bool(((mask == 0) | (mask == 1)).all())):
        raise UserError(f"the mask of {name} must be true or false (or 1 and 0), and has type {mask.dtype}.")
    if is_mapped(x):
        raise UserError(f"{name} is too large for missing cells to be marked in memory.")
    return mask.astype(bool)


def _refuse_empty_rows(mask: Array, name: str) -> None:
    empty = np.flatnonzero(~mask.reshape(len(mask), -1).any(1))
    if len(empty):
        more = f" and {len(empty) - 3:,} more" if len(empty) > 3 else ""
        raise UserError(
            f"{name} has rows in which nothing is observed: {', '.join(map(str, empty[:3]))}{more} (counted from 0).",
            hint="leave these rows out.",
        )


def refuse_empty_columns(mask: Array | None, columns: tuple[str, ...], name: str) -> None:
    """Check that every column of a table was observed somewhere.

    Args:
        mask: of the training rows.
        columns: names of the columns of a table.
        name: what errors call the data.

    Raises:
        UserError: if a column of a table has no observed cell: nothing can be learned of it.
    """
    if mask is None or mask.ndim != 2:
        return
    empty = np.flatnonzero(~mask.any(0))
    if len(empty):
        names = [f"'{columns[place]}'" if columns else f"{place}" for place in empty[:3]]
        more = f" and {len(empty) - 3:,} more" if len(empty) > 3 else ""
        raise UserError(
            f"column{'s' * (len(empty) > 1)} {', '.join(names)}{more} of {name} "
            f"{'have' if len(empty) > 1 else 'has'} no observed cell in the training rows.",
            hint="leave what is never observed out.",
        )


def fill(x: Array, mask: Array, value: Any) -> Array:
    """A copy with a value where nothing is observed, in a type that can hold it.

    Args:
        x: ``(rows, …)``.
        mask: of the same shape, true where observed.
        value: a number, or one for each column (the last axis).
    """
    value = np.asarray(value)
    if x.dtype.kind != "f" and not np.array_equal(value, value.astype(x.dtype)):
        x = x.astype(np.float64 if value.dtype.kind == "f" else np.int64)
    return np.where(mask, x, value.astype(x.dtype))


def sum_observed(mask: Array, numbers: float | tuple[float, ...]) -> float:
    """Σ over the observed cells of a number (or one for each column), mean over the rows."""
    per_cell = np.asarray(numbers, np.float64)
    return math.fsum((chunk * per_cell).sum() for _, chunk in chunks(mask)) / len(mask)
