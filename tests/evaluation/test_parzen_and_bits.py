"""The window is a mixture of normals, and bits of grey levels are a bound on those of their probability."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import vaekit as vk
from vaekit.evaluation.bits import bits_per_dimension, dequantized
from vaekit.evaluation.likelihood import evaluating, log_likelihood
from vaekit.evaluation.parzen import parzen_window
from vaekit.testing import linear_gaussian, seeded
from vaekit.testing.statistics import assert_equal, assert_mean_at_most


def test_a_window_is_a_mixture_of_normals_on_samples() -> None:
    oracle = linear_gaussian.wrong()
    x, other = oracle.sample(7), oracle.sample(40, seed=1)
    result = parzen_window(oracle.model, [vk.Batch(x[:3]), vk.Batch(x[3:])], [vk.Batch(other)], 600, seed=5)
    with evaluating(oracle.model, 5):
        centres = torch.cat([oracle.model.generate(500).mean, oracle.model.generate(100).mean])

    def mixture(width: float) -> MixtureSameFamily:
        return MixtureSameFamily(Categorical(torch.ones(600).double()), Independent(Normal(centres, width), 1))

    assert_equal(result.log_p, mixture(result.width).log_prob(x), "the window")
    best = mixture(result.width).log_prob(other).mean()
    for factor in (10 ** (1 / 8), 10 ** (-1 / 8)):
        assert mixture(result.width * factor).log_prob(other).mean() <= best, "the width is the best of those tried"
    # Few samples in three dimensions, and means without the noise: far below the truth on average.
    assert_mean_at_most(result.log_p - oracle.log_p(x), 0.0, "the window against log p(x)")


@pytest.mark.parametrize(("scale", "offset"), [(1e3, 1e6), (1e-3, 0.0)])
def test_a_window_in_any_units(scale: float, offset: float) -> None:
    """Single precision, far from 0: the width is the best there is, and no digits are lost."""
    with seeded():
        samples, known, x = (scale * torch.randn(rows, 20) + offset for rows in (300, 40, 10))

    class Fixed(nn.Module):
        def generate(self, count: int, condition: None) -> Normal:
            return Normal(samples, 1.0)

    result = parzen_window(Fixed(), [vk.Batch(x)], [vk.Batch(known)], 300)

    def window(width: float, rows: torch.Tensor) -> torch.Tensor:
        components = Independent(Normal(samples.double(), width), 1)
        return MixtureSameFamily(Categorical(torch.ones(300).double()), components).log_prob(rows.double())

    assert_equal(result.log_p, window(result.width, x), "the window")
    widths = [scale * 10 ** (index / 8) for index in range(-24, 25)]
    assert window(result.width, known).mean() >= max(window(width, known).mean() for width in widths) - 0.05


def test_bits() -> None:
    assert bits_per_dimension(math.log(256), 1) == pytest.approx(8)


def test_dequantised_density_is_a_bound_on_the_probability_of_levels() -> None:
    """Of a normal density over two levels, P(k) is the integral over the cell of the level."""
    oracle = linear_gaussian.exact()
    levels = 4
    x = torch.tensor([[0.0, 1 / 3, 1.0]]).double()
    batches = [vk.Batch(x.expand(4000, -1))]
    with evaluating(oracle.model, 0):
        noisy = next(dequantized(batches, levels)).x
        assert ((noisy - x).abs() <= 0.5 / (levels - 1)).all()
        bound = oracle.log_p(noisy) - 3 * math.log(levels - 1)
    cells = torch.linspace(-0.5, 0.5, 41).double() / (levels - 1)
    inside = (cells[1:] + cells[:-1]) / 2
    grid = x + torch.cartesian_prod(inside, inside, inside)
    log_probability = oracle.log_p(grid).logsumexp(0) + 3 * math.log((cells[1] - cells[0]).item())
    assert_mean_at_most(bound, log_probability, "the mean of the dequantised density")
    assert log_probability - bound.mean() < 0.5
    result = log_likelihood(oracle.model, dequantized(batches, levels), 2)
    assert_mean_at_most(result.log_p - 3 * math.log(levels - 1), log_probability, "with the model's estimate")
