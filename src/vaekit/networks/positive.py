"""A positive number from any number."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def checked_minimum(minimum: float) -> float:
    """
    Raises:
        ValueError: if it is not between 0 and 1.
    """
    if not 0 < minimum < 1:
        raise ValueError(f"minimum_scale must be between 0 and 1, got {minimum}")
    return minimum


def positive(raw: Tensor, minimum: float = 1e-6) -> Tensor:
    """A smooth map to (minimum, ∞): 1 at raw = 0, linear above.

    Scales and rates grow linearly, not exponentially, with what the network says, which is what
    keeps the first steps of training finite.
    """
    return softplus(raw + math.log(math.expm1(1 - minimum))) + minimum


def raw_of(value: Tensor, minimum: float = 1e-6) -> Tensor:
    """The number that :func:`positive` maps to ``value``, or as near to it as the minimum allows."""
    above = (value - minimum).clamp_min(1e-12)
    # softplus⁻¹(a) = a + log(1 − e^−a)
    return above + torch.log(-torch.expm1(-above)) - math.log(math.expm1(1 - minimum))
