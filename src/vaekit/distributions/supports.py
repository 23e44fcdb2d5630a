"""Spaces that latents live in beside real vectors, and whether two distributions are over the same one."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributions import Distribution, constraints


class UnitVectors(constraints.Constraint):
    """Vectors of length 1 on the last axis; densities are with respect to the area of the sphere."""

    event_dim = 1
    words = "unit vectors"

    def check(self, value: Tensor) -> Tensor:
        return (value.norm(dim=-1) - 1).abs() < 1e-3


class OneHots(constraints.Constraint):
    """One-hot vectors of the same length side by side on the last axis.

    Args:
        categories: length of each.
    """

    is_discrete = True
    event_dim = 1

    def __init__(self, categories: int) -> None:
        self.categories = categories
        self.words = f"one-hot vectors of {categories} categories side by side"

    def check(self, value: Tensor) -> Tensor:
        each = value.unflatten(-1, (-1, self.categories))
        return (((each == 0) | (each == 1)).all(-1) & (each.sum(-1) == 1)).all(-1)


unit_vectors = UnitVectors()


def space_of(distribution: Distribution) -> tuple[Any, ...] | None:
    """What values a distribution is over, as something to compare: two are over one space if these are equal.

    Independent dimensions and mixtures are looked through, and all open sets of real numbers are one space, because
    their densities are with respect to the same volume. ``None`` if it does not say.
    """
    try:
        support: Any = distribution.support
    except NotImplementedError:
        return None
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    if support is None:
        return None
    kind = (type(support).__name__, *sorted(vars(support).items()))
    elementwise = support.event_dim == 0 and not support.is_discrete
    return ("real numbers" if elementwise else kind, tuple(distribution.event_shape))


def in_words(distribution: Distribution) -> str:
    """The space of a distribution as a person would say it."""
    support: Any = distribution.support
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    shape = tuple(distribution.event_shape)
    length = f"length {shape[0]}" if len(shape) == 1 else f"shape {shape}"
    elementwise = support.event_dim == 0 and not support.is_discrete
    words = "real vectors" if elementwise else getattr(support, "words", str(support))
    return f"{words}, of {length}"
