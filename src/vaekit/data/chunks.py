"""Large arrays in memory-sized chunks."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator

import numpy as np

from vaekit.errors import UserError

KEEP_MAPPED_BYTES = 2 << 30  # a mapped array larger than this is never copied into memory
CHUNK_BYTES = 4 << 20

Array = np.ndarray


def is_mapped(array: Array) -> bool:
    """Whether an array is a file on disk that is too large to be copied."""
    return isinstance(array, np.memmap) and array.nbytes > KEEP_MAPPED_BYTES


def chunks(array: Array) -> Iterator[tuple[int, Array]]:
    """Consecutive rows in pieces that fit into a processor's cache as doubles, with the number of the first row.

    Mapped files are thus read in their order.
    """
    rows = max(1, CHUNK_BYTES // (8 * max(1, array[0].size)))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]
        release(array)


def mapping(array: Array) -> mmap.mmap | None:
    """What an array or the whole that it is a view of is mapped by."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def release(array: Array) -> None:
    """Let go of the pages of a mapped file that were read: they would count as memory in use."""
    mapped = mapping(array)
    # What was written to a copy on write is in these pages and nowhere else.
    if mapped is not None and getattr(array, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def find(array: Array, bad: Callable[[Array], Array]) -> tuple[int, ...] | None:
    """Index of the first value that is bad; the rest is not read."""
    for start, chunk in chunks(array):
        if chunk.dtype == np.bool_:
            return None
        mask = bad(chunk)
        if mask.any():
            index = np.unravel_index(int(mask.argmax()), mask.shape)
            return (start + int(index[0]), *(int(place) for place in index[1:]))
    return None


def refuse(
    array: Array,
    name: str,
    bad: Callable[[Array], Array],
    what: str,
    hint: str = "",
    columns: tuple[str, ...] = (),
) -> None:
    """Refuse an array that holds bad values.

    Args:
        array: ``(rows, …)``.
        name: what the error calls it.
        bad: from a chunk of rows to where its values are bad.
        what: what bad values are.
        hint: what to do; leaving the rows out, if nothing else is said.
        columns: names of the columns, if they have any.

    Raises:
        UserError: if there is a bad value, saying how many and where the first is.
    """
    index = find(array, bad)
    if index is None:
        return
    count = sum(int(bad(chunk).sum()) for _, chunk in chunks(array))
    if len(index) == 2:
        place = f"column '{columns[index[1]]}'" if columns else f"column {index[1]}"
    else:
        place = f"position {index[1:]}"
    raise UserError(
        f"{name} holds {what} ({count} of {array.size}); the first is {array[index].item()} "
        f"at row {index[0]}, {place} (counted from 0).",
        hint or "leave these rows out or fill in the values first.",
    )
