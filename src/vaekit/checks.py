"""Range checks of numbers given by a person."""

from __future__ import annotations

import math


def check_whole(name: str, value: object, least: int) -> None:
    """Range check of a whole number.

    Raises:
        ValueError: if it is not a whole number from ``least`` that fits into 64 bits.
    """
    if type(value) is not int or not least <= value < 2**63:
        end = " to 2^63 − 1" if type(value) is int and value >= least else ""
        raise ValueError(f"{name} must be a whole number from {least}{end}, got {value!r}")


def check_number(name: str, value: object, least: float, below: float = math.inf) -> None:
    """Range check of a number.

    Raises:
        ValueError: if it is not a number from ``least`` and less than ``below``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < below:
        end = "" if below == math.inf else f" and less than {below}"
        raise ValueError(f"{name} must be a number from {least}{end}, got {value!r}")
