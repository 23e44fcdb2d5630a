"""Bernoulli likelihoods that are never sure."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import vaekit as vk


def certain(minimum: float, logit: float) -> vk.likelihoods.Bernoulli:
    """A likelihood of three pixels whose network says the same logit for each."""
    likelihood = vk.likelihoods.Bernoulli(vk.networks.Affine(2), (3,), minimum)
    with torch.no_grad():
        likelihood.head.linear.weight.zero_()
        likelihood.head.linear.bias.fill_(logit)
    return likelihood.double()


@pytest.mark.parametrize("logit", [-1e3, -5.0, 0.0, 2.0, 1e3])
@pytest.mark.parametrize("minimum", [1e-5, 0.1])
def test_it_is_a_probability_and_no_pixel_costs_more_than_the_least(minimum: float, logit: float) -> None:
    p = certain(minimum, logit)(torch.zeros(2, dtype=torch.float64))
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    log_p = p.log_prob(every)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_p.min().item() >= 3 * math.log(minimum) - 1e-9
    assert minimum * (1 - 1e-9) <= p.mean.min().item() <= p.mean.max().item() <= 1 - minimum * (1 - 1e-9)


def test_within_the_limits_nothing_changes_and_beyond_them_nothing_pulls() -> None:
    z, x = torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    free, kept = certain(0.0, 3.0), certain(1e-3, 3.0)
    torch.testing.assert_close(kept(z).log_prob(x), free(z).log_prob(x))
    sure = certain(1e-3, 20.0)
    sure(z).log_prob(x).backward()
    assert sure.head.linear.bias.grad.abs().max() == 0


@pytest.mark.parametrize("minimum", [-0.1, 0.5, math.nan])
def test_what_is_no_least_probability(minimum: float) -> None:
    with pytest.raises(ValueError, match=r"from 0 to below 0\.5"):
        vk.likelihoods.Bernoulli(vk.networks.Affine(2), (3,), minimum)
