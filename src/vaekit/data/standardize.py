"""Standardisation by the training rows, and warnings about rows and columns without information."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vaekit.data.chunks import Array, chunks, is_mapped
from vaekit.data.download import say
from vaekit.data.kinds import Real

MOST_ROWS = 1_000_000  # more are not searched for duplicates


def standardized(x: Array, columns: tuple[str, ...], name: str, mask: Array | None = None) -> Real:
    """The kind that gives training rows mean 0 and scale 1, as :func:`scaled_kind`.

    A line on stderr says which columns hold one value only.
    """
    kind, constant = scaled_kind(x, columns, mask)
    if constant.any():
        _say_constant(np.flatnonzero(constant), constant.size, columns, name)
    return kind


def scaled_kind(x: Array, columns: tuple[str, ...], mask: Array | None = None) -> tuple[Real, Array]:
    """Mean and scale over the cells that are observed, and which of them hold one value only: these keep the scale 1.

    The rows of a table ``(rows, columns)`` are standardised column by column, anything else by one mean and scale.
    """
    axes = (0,) if x.ndim == 2 else tuple(range(x.ndim))
    low, high = _range(x, axes, mask)
    mean, scale = _moments(x, axes, low, high, mask)
    constant = (low == high) | (scale < np.finfo(np.float64).tiny)
    scale = np.where(constant, 1.0, scale)
    if x.ndim == 2:
        return Real(tuple(mean.tolist()), tuple(scale.tolist()), columns), constant
    return Real(float(mean), float(scale)), constant


def _pieces(x: Array, mask: Array | None) -> Iterator[tuple[Array, Array | None]]:
    """Consecutive rows, and where they are observed."""
    for start, chunk in chunks(x):
        yield chunk, None if mask is None else mask[start : start + len(chunk)]


def _range(x: Array, axes: tuple[int, ...], mask: Array | None) -> tuple[Array, Array]:
    extremes = []
    for chunk, seen in _pieces(x, mask):
        if seen is None:
            extremes.append((chunk.min(axes), chunk.max(axes)))
        else:
            low, high = (np.where(seen, chunk, end) for end in (np.inf, -np.inf))
            extremes.append((low.min(axes), high.max(axes)))
    lows, highs = (np.asarray(values, np.float64) for values in zip(*extremes, strict=True))
    return lows.min(0), highs.max(0)


def _moments(x: Array, axes: tuple[int, ...], low: Array, high: Array, mask: Array | None) -> tuple[Array, Array]:
    """Mean and standard deviation in one pass, of values brought to −1 … 1 first: neither overflow nor cancellation."""
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    unit = np.where(half > 0, half, 1.0)
    first, second = np.zeros_like(middle), np.zeros_like(middle)
    for chunk, seen in _pieces(x, mask):
        u = (chunk - middle) / unit
        u = u if seen is None else np.where(seen, u, 0.0)
        first += u.sum(axes)
        second += np.square(u).sum(axes)
    count = x.size / middle.size if mask is None else mask.sum(axes)
    variance = np.maximum(second / count - np.square(first / count), 0)
    return middle + unit * (first / count), unit * np.sqrt(variance)


def _say_constant(places: Array, total: int, columns: tuple[str, ...], name: str) -> None:
    names = [f"'{columns[place]}'" if columns else f"{place}" for place in places[:3]]
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    word, verb = "columns", "hold one value only; they are"
    if len(names) == 1:
        word, verb = "column", "holds one value only; it is"
    say(f"{word} {', '.join(names)}{more} of the {total} of {name} {verb} kept with scale 1")


def warn_of_duplicates(x: Array, name: str) -> None:
    """A line on stderr if more than a tenth of the rows stand there before: such rows are in several splits.

    Files that stay on disk and more than a million rows are not searched, nor discrete values so few that
    rows must repeat.
    """
    if is_mapped(x) or len(x) > MOST_ROWS or (x.dtype.kind in "bui" and x[0].size < 16):
        return
    distinct = len({hash(row.tobytes()) for _, chunk in chunks(x) for row in chunk})
    repeated = len(x) - distinct
    if repeated > len(x) / 10:
        say(
            f"{repeated:,} of the {len(x):,} rows of {name} repeat another one: the same rows are in training, "
            "validation and test, which makes results look better than they are"
        )
