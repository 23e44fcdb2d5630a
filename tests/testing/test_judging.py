"""The judges themselves: they let the true pass and notice the false."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Laplace, MultivariateNormal, Normal

import vaekit as vk
from vaekit.testing import (
    assert_equal,
    assert_mean,
    assert_mean_at_most,
    check_density,
    check_gradient,
    check_mass,
    seeded,
)
from vaekit.testing.copies import precise
from vaekit.testing.density import rule_for
from vaekit.testing.finite import every_grid, grid_number
from vaekit.testing.statistics import allowed_errors


def test_mean_within_four_standard_errors() -> None:
    with seeded():
        samples = torch.randn(10_000).double()
    assert_mean(samples, 0.0, "the mean")
    for off in (0.045, -0.045):  # 4.5 standard errors
        with pytest.raises(AssertionError, match=r"the mean: off by .* standard errors"):
            assert_mean(samples - samples.mean() + off, 0.0, "the mean")
    assert_mean(samples - samples.mean() + 0.035, 0.0, "the mean")
    assert_mean(samples - samples.mean() + 0.045, 0.0, "the mean", expected_error=0.01)


def test_what_does_not_vary_is_judged_by_rounding() -> None:
    constant = torch.full((100,), 3.0, dtype=torch.float64)
    assert_mean(constant, 3.0, "a constant")
    assert_mean(constant + 1e-13, 3.0, "a constant with rounding")
    with pytest.raises(AssertionError):
        assert_mean(constant + 1e-6, 3.0, "a wrong constant")


@pytest.mark.filterwarnings("ignore:std")  # of a single draw
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_passes_for_nothing(bad: float) -> None:
    with seeded():
        samples = torch.randn(1000, 2).double()
    for spoilt in (torch.full_like(samples, bad), samples.index_fill(1, torch.tensor([1]), bad)):
        with pytest.raises(AssertionError, match="is not finite"):
            assert_mean(spoilt, 0.0, "spoilt")
        with pytest.raises(AssertionError, match="is not finite"):
            assert_mean_at_most(spoilt, bad, "spoilt")
    with pytest.raises(AssertionError, match="the standard error is not finite"):
        assert_mean(samples[:1], samples[0], "a single draw")


def test_a_density_that_is_no_number_somewhere_is_refused() -> None:
    """It is five nats off as well, and must not be let through because it is no number where few draws lie."""

    def log_prob(points: torch.Tensor) -> torch.Tensor:
        z = points.squeeze(-1)
        return (Normal(0.0, 1.0).log_prob(z) + 5).where(z.abs() < 6, math.nan)

    with seeded():
        samples = torch.randn(5000, 1)
    with pytest.raises(AssertionError, match=r"the integral of a density minus one: .* is not finite"):
        check_density(log_prob, samples, "a density")


def test_one_sided() -> None:
    with seeded():
        samples = torch.randn(10_000).double()
    assert_mean_at_most(samples - 5, 0.0, "far below")
    with pytest.raises(AssertionError, match="above is too large"):
        assert_mean_at_most(samples + 0.1, 0.0, "above")


def test_many_comparisons_are_allowed_more_but_not_much() -> None:
    assert allowed_errors(1) == pytest.approx(4.0)
    assert 4.9 < allowed_errors(100) < 5.0
    with seeded():
        samples = torch.randn(200, 1000).double()
    assert_mean(samples, torch.zeros(1000), "a thousand true means")
    samples[:, 7] += 0.6  # 8.5 standard errors, in one of a thousand
    with pytest.raises(AssertionError):
        assert_mean(samples, torch.zeros(1000), "a thousand means, one of them wrong")


@pytest.mark.parametrize("dims", [1, 2, 3, 5])
def test_rules_integrate(dims: int) -> None:
    torch.manual_seed(0)
    factor = torch.randn(dims, dims).double()
    p = MultivariateNormal(torch.randn(dims).double(), factor @ factor.T + 0.1 * torch.eye(dims))
    samples = p.sample(torch.Size([20_000]))
    check_density(p.log_prob, samples, "a Gaussian")
    rule = rule_for(samples, p.log_prob)
    _, error = rule.integrate(p.log_prob(rule.points).exp())
    assert error < 0.02, "the rule is too rough to say anything"
    for wrong in (lambda z: p.log_prob(z) + 0.1, lambda z: 0.9 * p.log_prob(z)):
        with pytest.raises(AssertionError, match="the integral of"):
            check_density(wrong, samples, "a wrong density")
    with pytest.raises(AssertionError, match="a Gaussian with other samples"):
        check_density(p.log_prob, 1.1 * samples, "a Gaussian with other samples")


def test_a_density_of_the_right_moments_and_the_wrong_shape_is_noticed() -> None:
    # Same mean and variance, other entropy.
    torch.manual_seed(0)
    samples = Laplace(0.0, 1 / math.sqrt(2)).sample(torch.Size([20_000, 1])).double()
    with pytest.raises(AssertionError, match="moments and entropy"):
        check_density(lambda z: Normal(0.0, 1.0).log_prob(z)[:, 0], samples, "a Gaussian and Laplace samples")


def test_masses() -> None:
    log_p = torch.tensor([0.5, 0.3, 0.2, 0.0]).double().log()
    with seeded():
        drawn = torch.multinomial(log_p.exp(), 10_000, replacement=True)
    log_p = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64).log()
    check_mass(log_p, drawn, "a die")
    with pytest.raises(AssertionError, match="the sum of"):
        check_mass(log_p - 0.01, drawn, "a die that is too light")
    with pytest.raises(AssertionError, match="frequencies of"):
        check_mass(log_p[[1, 0, 2, 3]], drawn, "another die")
    with pytest.raises(AssertionError, match="have values whose probability is 0"):
        check_mass(log_p, torch.cat([drawn, torch.tensor([3])]), "a die that fell on its edge")


def test_gradients() -> None:
    x = torch.tensor([0.3, -2.0], dtype=torch.float64, requires_grad=True)
    check_gradient(lambda: (x.sin() * x.exp()).sum(), [x], "a smooth function")
    with pytest.raises(AssertionError, match="finite differences say"):
        check_gradient(lambda: (x.detach().sin() * x.exp()).sum(), [x], "half a product rule")
    assert torch.equal(x, torch.tensor([0.3, -2.0], dtype=torch.float64)), "the parameters are put back"


def test_copies_leave_the_part_as_it_was() -> None:
    part = vk.networks.MLP(2, hidden=(3,)).train()
    copied = precise(part)
    assert copied.first.weight.dtype == torch.float64
    assert not copied.training
    assert part.first.weight.dtype == torch.float32
    assert part.training
    batch = precise(vk.Batch(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)))
    assert batch.x.dtype == torch.float64
    assert batch.label is not None
    assert batch.label.dtype == torch.int64


def test_checks_leave_the_part_and_the_random_numbers_as_they_were() -> None:
    prior = vk.priors.MixtureOfGaussians(2, num_components=3)
    before = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    vk.testing.check_prior(prior, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in prior.state_dict().items())
    assert all(parameter.grad is None for parameter in prior.parameters())


def test_grids_are_numbered_in_order() -> None:
    grids = every_grid(3, (2, 2))
    assert len(grids.unique(dim=0)) == 81
    assert torch.equal(grid_number(grids, 3), torch.arange(81))
    with pytest.raises(ValueError, match="test a smaller one"):
        every_grid(10, (3, 3))


def test_equality_is_to_rounding_of_the_type() -> None:
    assert_equal(torch.tensor(1.0), torch.tensor(1.0 + 1e-5), "float32")
    with pytest.raises(AssertionError):
        assert_equal(torch.tensor(1.0).double(), torch.tensor(1.0 + 1e-5).double(), "float64")


def test_a_part_of_ones_own_is_checked_like_the_others() -> None:
    @vk.part("prior/test-wide")
    class Wide(nn.Module):
        """N(0, 9 I)."""

        def __init__(self, latent_dim: int) -> None:
            super().__init__()
            self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

        def forward(self, condition: torch.Tensor | None = None) -> torch.distributions.Independent:
            zero: torch.Tensor = self.zero  # type: ignore[assignment]
            return torch.distributions.Independent(Normal(zero, 3 * torch.ones_like(zero)), 1)

    vk.testing.check_prior(Wide(2), 2)
