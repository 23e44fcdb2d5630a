"""Mean and scale of the training rows, and words about rows and columns that carry no information."""

from __future__ import annotations

import numpy as np

from vaekit.data.chunks import Array, chunks, is_mapped
from vaekit.data.download import say
from vaekit.data.kinds import Real

MOST_ROWS = 1_000_000  # more are not searched for duplicates


def standardized(x: Array, columns: tuple[str, ...], name: str) -> Real:
    """The kind that gives training rows mean 0 and scale 1.

    The rows of a table ``(rows, columns)`` are standardised column by column, anything else by one mean and scale.
    What holds one value only keeps the scale 1, and a line on stderr says which columns do.
    """
    axes = (0,) if x.ndim == 2 else tuple(range(x.ndim))
    low, high = _range(x, axes)
    mean, scale = _moments(x, axes, low, high)
    constant = (low == high) | (scale < np.finfo(np.float64).tiny)
    scale = np.where(constant, 1.0, scale)
    if constant.any():
        _say_constant(np.flatnonzero(constant), low.size, columns, name)
    if x.ndim == 2:
        return Real(tuple(mean.tolist()), tuple(scale.tolist()), columns)
    return Real(float(mean), float(scale))


def _range(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    extremes = [(chunk.min(axes), chunk.max(axes)) for _, chunk in chunks(x)]
    lows, highs = (np.asarray(values, np.float64) for values in zip(*extremes, strict=True))
    return lows.min(0), highs.max(0)


def _moments(x: Array, axes: tuple[int, ...], low: Array, high: Array) -> tuple[Array, Array]:
    """Mean and standard deviation in one pass, of values brought to −1 … 1 first: neither overflow nor cancellation."""
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    unit = np.where(half > 0, half, 1.0)
    first, second = np.zeros_like(middle), np.zeros_like(middle)
    for _, chunk in chunks(x):
        u = (chunk - middle) / unit
        first += u.sum(axes)
        second += np.square(u).sum(axes)
    count = x.size / middle.size
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
