"""Checks of constructor parameters when an estimator is fitted, with the sentence that scikit-learn has for them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

AUTO = "auto"


def whole(estimator: Any, name: str, least: int, *, auto: bool = False) -> int | None:
    """A whole number; ``None`` for ``auto`` where that is allowed.

    Raises:
        ValueError: if it is neither.
    """
    value = getattr(estimator, name)
    if auto and _is_auto(value):
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise refusal(estimator, name, f"{_or_auto(auto)}a whole number from {least}")
    return int(value)


def number(estimator: Any, name: str, low: float, high: float = math.inf, *, auto: bool = False) -> float | None:
    """A number in ``(low, high]``; ``None`` for ``auto`` where that is allowed.

    Raises:
        ValueError: if it is neither.
    """
    value = getattr(estimator, name)
    if auto and _is_auto(value):
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not low < float(value) <= high or value == math.inf:
        end = "" if high == math.inf else f" and at most {high:g}"
        raise refusal(estimator, name, f"{_or_auto(auto)}a number above {low:g}{end}")
    return float(value)


def share(estimator: Any, name: str) -> float:
    """A share in ``[0, 1)``.

    Raises:
        ValueError: if it is none.
    """
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise refusal(estimator, name, "a number from 0 and less than 1")
    return float(value)


def word(estimator: Any, name: str, known: tuple[str, ...] = ()) -> str | None:
    """A word, one of those that are known if any are; ``None`` for ``auto``.

    Raises:
        ValueError: if it is none.
    """
    value = getattr(estimator, name)
    if _is_auto(value):
        return None
    if not isinstance(value, str) or (known and value not in known):
        raise refusal(estimator, name, f"'auto' or one of {', '.join(known)}" if known else "a part specification")
    return value


def widths(estimator: Any, name: str) -> tuple[int, ...] | None:
    """Widths of layers; ``None`` for ``auto``.

    Raises:
        ValueError: if they are none.
    """
    value = getattr(estimator, name)
    if _is_auto(value):
        return None
    if not isinstance(value, (tuple, list)) or not all(map(_is_width, value)):
        raise refusal(estimator, name, "'auto' or a tuple of whole numbers from 1")
    return tuple(int(each) for each in value)


def refusal(estimator: Any, name: str, allowed: str) -> ValueError:
    """The error for a parameter that is out of range."""
    value = getattr(estimator, name)
    return ValueError(f"The {name!r} parameter of {type(estimator).__name__} must be {allowed}. Got {value!r} instead.")


def _is_width(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO


def _or_auto(auto: bool) -> str:
    return "'auto' or " if auto else ""
