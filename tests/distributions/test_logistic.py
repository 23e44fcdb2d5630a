"""The binned logistic, against the density that it bins."""

from __future__ import annotations

import pytest
import torch

from vaekit.distributions import DiscretizedLogistic
from vaekit.testing import assert_equal, check_mass

LOCS = [-50.0, -1.0, 0.0, 0.3, 0.5, 1.0, 2.0, 50.0]
SCALES = [1e-3, 0.02, 0.3, 5.0, 1e4]


def levels_of(levels: int) -> torch.Tensor:
    return torch.arange(levels, dtype=torch.float64) / (levels - 1)


def exactly(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def distribution(loc: float, scale: float, levels: int) -> DiscretizedLogistic:
    return DiscretizedLogistic(exactly(loc), exactly(scale), levels)


@pytest.mark.parametrize("levels", [2, 5, 256])
@pytest.mark.parametrize("loc", LOCS)
@pytest.mark.parametrize("scale", SCALES)
def test_sums_to_one_and_is_finite(levels: int, loc: float, scale: float) -> None:
    log_p = distribution(loc, scale, levels).log_prob(levels_of(levels))
    assert log_p.isfinite().all()
    assert log_p.max() <= 0
    assert_equal(log_p.exp().sum(), 1.0, "the sum over levels")


@pytest.mark.parametrize("loc, scale", [(0.3, 0.02), (0.5, 0.3), (1.2, 0.1), (-0.4, 1.0)])
def test_is_the_integral_of_the_density_over_each_bin(loc: float, scale: float) -> None:
    levels = 9
    half = 0.5 / (levels - 1)
    grid = torch.linspace(-half, half, 2001, dtype=torch.float64)
    t = (levels_of(levels)[:, None] + grid - loc) / scale
    density = torch.exp(-t) / (scale * (1 + torch.exp(-t)).square())
    expected = torch.trapezoid(density, grid, dim=1)
    probability = distribution(loc, scale, levels).log_prob(levels_of(levels)).exp()
    # Simpson from two trapezia; its error is below 1e-12 here.
    simpson = (4 * expected - torch.trapezoid(density[:, ::2], grid[::2], dim=1)) / 3
    assert_equal(probability[1:-1], simpson[1:-1], "the mass of inner bins")
    assert_equal(probability[0], torch.sigmoid(exactly((half - loc) / scale)), "the first bin with its tail")
    assert_equal(probability[-1], torch.sigmoid(exactly((loc - 1 + half) / scale)), "the last bin with its tail")


def test_far_from_the_data_it_falls_with_the_slope_of_the_density() -> None:
    # Where the difference of two sigmoids is 0 in float64: log p ≈ −|x − μ|/s + log(2 sinh(h/s)).
    scale, levels = 1e-3, 256
    p = distribution(50.0, scale, levels)
    half = 0.5 / (levels - 1)
    x = levels_of(levels)[100]
    expected = (x - 50) / scale + torch.log(2 * torch.sinh(exactly(half / scale)))
    assert_equal(p.log_prob(x), expected, "log p in the tail")


@pytest.mark.parametrize("loc", LOCS)
@pytest.mark.parametrize("scale", SCALES)
def test_gradients_are_finite(loc: float, scale: float) -> None:
    for dtype in (torch.float32, torch.float64):
        parameters = [torch.full((256,), value, dtype=dtype, requires_grad=True) for value in (loc, scale)]
        DiscretizedLogistic(*parameters).log_prob(levels_of(256).to(dtype)).sum().backward()
        for parameter in parameters:
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("loc, scale", [(0.3, 0.02), (0.5, 0.3), (1.2, 0.1)])
def test_samples_follow_it(loc: float, scale: float) -> None:
    torch.manual_seed(0)
    p = distribution(loc, scale, 9)
    drawn = p.sample(torch.Size([20_000]))
    check_mass(p.log_prob(levels_of(9)), (drawn * 8).round().long(), "DiscretizedLogistic")


def test_levels_in_float32_meet_their_own_bins() -> None:
    x = torch.arange(256, dtype=torch.float32) / 255
    single = DiscretizedLogistic(torch.tensor(0.4), torch.tensor(0.05)).log_prob(x)
    expected = distribution(0.4, 0.05, 256).log_prob(levels_of(256))
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


def test_support_is_all_levels() -> None:
    p = DiscretizedLogistic(torch.zeros(2, 3), torch.ones(2, 3), levels=4)
    assert p.enumerate_support().shape == (4, 2, 3)
    assert torch.equal(p.enumerate_support(expand=False)[:, 0, 0], torch.arange(4) / 3)


@pytest.mark.parametrize("levels", [2, 17, 256, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mean_is_the_sum_over_levels(levels: int, dtype: torch.dtype) -> None:
    loc = torch.cat([torch.tensor(LOCS), torch.linspace(-0.2, 1.2, 701)]).to(dtype)
    scale = torch.logspace(-4, 2, 40).to(dtype).unsqueeze(1)
    p = DiscretizedLogistic(loc, scale, levels)
    wide = DiscretizedLogistic(loc.double(), scale.double(), levels)
    exact = (wide.log_prob(levels_of(levels).reshape(-1, 1, 1)).exp() * levels_of(levels).reshape(-1, 1, 1)).sum(0)
    off = (p.mean - exact).abs().max().item()
    rounding = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
    assert off < rounding + (0.01 / (levels - 1) if levels > 17 else 0), off
