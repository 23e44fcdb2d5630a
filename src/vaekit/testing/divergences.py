"""Registered KL divergences beside Monte Carlo."""

from __future__ import annotations

import torch
from torch.distributions import Distribution, Independent, Normal, constraints

from vaekit.distributions.comparison import divergence, space_of, support_of_one
from vaekit.testing.statistics import assert_equal, assert_mean, seeded

DRAWS = 20_000


def _gaussians(like: Distribution, event_dims: int) -> list[Distribution]:
    """The standard Gaussian and one of other means and scales; none for a distribution over another space."""
    zero = torch.zeros(like.event_shape, dtype=torch.float64)
    if space_of(like) != space_of(Independent(Normal(zero, 1.0), event_dims)):
        return []
    ramp = torch.linspace(0.5, 1.5, max(1, zero.numel()), dtype=zero.dtype).reshape(like.event_shape)
    pairs = ((zero, zero + 1), (ramp - 1, 2 * ramp))
    return [Independent(Normal(loc, scale), event_dims) for loc, scale in pairs]


def _check_formula(q: Distribution, p: Distribution, name: str) -> None:
    formula = divergence(q, p)
    if formula is None:
        return
    with seeded():
        z = q.rsample(torch.Size([DRAWS]))
    assert_mean(q.log_prob(z) - p.log_prob(z), formula[0], f"{name}: KL(q‖p) by Monte Carlo against its formula")
    if formula[1] is not None:
        assert_equal(formula[1].sum(-1), formula[0], f"{name}: the KL's split over dimensions, summed")


@torch.no_grad()
def check_divergences_from(q: Distribution, event_dims: int, name: str) -> None:
    """KL(q‖q) = 0, and each registered KL(q‖p) to a Gaussian p is what draws say.

    Raises:
        AssertionError: if one is not.
    """
    itself = divergence(q, q)
    if itself is not None:
        assert_equal(itself[0], torch.zeros_like(itself[0]), f"{name}: KL(q‖q)")
    for p in _gaussians(q, event_dims):
        _check_formula(q, p, name)


@torch.no_grad()
def check_divergences_to(p: Distribution, event_dims: int, name: str) -> None:
    """Each registered KL(q‖p) of a Gaussian q is what draws say; of a p on an interval there is none.

    Raises:
        AssertionError: if one is not.
    """
    for q in _gaussians(p, event_dims) if support_of_one(p) is constraints.real else []:
        _check_formula(q, p, name)
