"""Supports: what values a distribution is over, whether two are over the same ones, and how a person would say it."""

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


class OneHotVectors(constraints.Constraint):
    """One-hot vectors of the same length side by side on the last axis.

    Args:
        categories: length of each.
    """

    is_discrete = True
    event_dim = 1

    def __init__(self, categories: int) -> None:
        self.categories = categories
        self.words = f"one-hot vectors of {categories} categories, side by side,"

    def check(self, value: Tensor) -> Tensor:
        each = value.unflatten(-1, (-1, self.categories))
        return (((each == 0) | (each == 1)).all(-1) & (each.sum(-1) == 1)).all(-1)


unit_vectors = UnitVectors()


def support_of_one(distribution: Distribution) -> Any:
    """The support of one independent element of a distribution or of its mixture; ``None`` if it does not say.

    Draws that can be differentiated are taken to be real numbers where nothing is said (zuko's flows).
    """
    try:
        support: Any = distribution.support
    except NotImplementedError:
        return constraints.real if distribution.has_rsample else None
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support


def space_of(distribution: Distribution) -> tuple[Any, ...] | None:
    """What values a distribution is over, as something to compare: two are over one space if these are equal.

    All intervals of real numbers are one space, because their densities are with respect to the same volume. ``None``
    if the distribution does not say.
    """
    support = support_of_one(distribution)
    if support is None:
        return None
    kind = ("real vectors",) if _real(support) else (type(support).__name__, *sorted(vars(support).items()))
    return (*kind, tuple(distribution.event_shape))


def in_words(distribution: Distribution) -> str:
    """The space of a distribution as a person would say it."""
    support, shape = support_of_one(distribution), tuple(distribution.event_shape)
    length = f"length {shape[0]}" if len(shape) == 1 else f"shape {shape}"
    return f"{'real vectors' if _real(support) else getattr(support, 'words', str(support))} of {length}"


def _real(support: Any) -> bool:
    return support.event_dim == 0 and not support.is_discrete
