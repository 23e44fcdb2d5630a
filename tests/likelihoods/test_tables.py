"""Student-t, ordinal and zero-inflated likelihoods against what they are by definition."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.distributions import DiscretizedLogistic, Ordinal, ZeroInflated
from vaekit.distributions import counts as large
from vaekit.testing import assert_equal, assert_mean, seeded


def test_student_t_of_many_degrees_is_a_gaussian() -> None:
    torch.manual_seed(0)
    heavy = vk.likelihoods.StudentT(vk.networks.Affine(2), (3,), degrees=1e6).double()
    plain = vk.likelihoods.Gaussian(vk.networks.Affine(2), (3,)).double()
    plain.load_state_dict(heavy.state_dict())
    z, x = torch.randn(4, 2).double(), torch.randn(4, 3).double()
    assert (heavy(z).log_prob(x) - plain(z).log_prob(x)).abs().max() < 1e-4


@pytest.mark.parametrize("degrees", [1e4, 1e6])
def test_student_t_of_many_degrees_in_single_precision(degrees: float) -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.StudentT(vk.networks.Affine(2), (100,), degrees=degrees)
    z, x = torch.randn(4, 2), torch.randn(4, 100)
    single = likelihood(z).log_prob(x)
    assert (single - likelihood.double()(z.double()).log_prob(x.double())).abs().max() < 1e-3


@pytest.mark.parametrize(
    "p",
    [
        large.StudentT(torch.tensor(4.0), torch.zeros(3), torch.tensor(0.5)),
        large.NegativeBinomial(torch.tensor(4.0), torch.zeros(3)),
    ],
)
def test_they_expand(p: torch.distributions.Distribution) -> None:
    assert_equal(p.expand(torch.Size([2, 3])).log_prob(torch.ones(3)), p.log_prob(torch.ones(3)).expand(2, 3), "log p")


@pytest.mark.parametrize("mean", [1e2, 1e4, 1e6])
def test_large_counts_in_single_precision(mean: float) -> None:
    """Values and gradients, against float64."""
    rate = mean * torch.tensor([0.9, 1.0, 1.1])
    x = torch.round(mean * torch.tensor([0.9, 1.001, 1.05]))
    dispersion = torch.tensor([0.5, 2.0, 1e4])
    for name, make in {
        "Poisson": lambda mean, _: large.Poisson(mean, validate_args=False),
        "negative binomial": lambda mean, r: large.NegativeBinomial(r, (mean / r).log()),
    }.items():
        values, slopes = [], []
        for dtype in (torch.float32, torch.float64):
            given = [rate.to(dtype).requires_grad_(), dispersion.to(dtype).requires_grad_()]
            values.append(make(*given).log_prob(x.to(dtype)))
            slopes.append(torch.autograd.grad(values[-1].sum(), given, allow_unused=True, materialize_grads=True))
        assert values[0].dtype == torch.float32
        torch.testing.assert_close(values[0].double(), values[1], rtol=1e-6, atol=2e-3, msg=name)
        for single, double in zip(*slopes, strict=True):
            torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-6)


def test_student_t_by_its_formula() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.StudentT(vk.networks.Affine(2), (3,), scale=0.5, degrees=4).double()
    z, x = torch.randn(4, 2).double(), torch.randn(4, 3).double()
    error = (x - likelihood(z).mean) / 0.5
    # Γ(5/2) / (√(4π) Γ(2)) = 3/8
    by_hand = 0.375 / 0.5 * (1 + error.square() / 4) ** -2.5
    assert_equal(likelihood(z).log_prob(x), by_hand.log().sum(1), "log p")


def test_degrees_start_at_ten_and_stay_above_two() -> None:
    likelihood = vk.likelihoods.StudentT(part_cases.decoder(), (3,), degrees="per-dimension")
    assert_equal(likelihood.degrees(), torch.full((3,), 10.0), "ν at the start")
    with torch.no_grad():
        likelihood.degrees.raw.fill_(-100)
    assert (likelihood.degrees() >= 2).all()
    for wrong in (1.0, 0, "network"):
        with pytest.raises(ValueError, match="degrees must be a number above 1, 'learned' or 'per-dimension'"):
            vk.likelihoods.StudentT(part_cases.decoder(), (3,), degrees=wrong)


def test_ordinal_is_the_difference_of_cumulative_logits() -> None:
    torch.manual_seed(0)
    thresholds = torch.tensor([-1.0, 0.5, 0.7]).double()
    location = torch.randn(6).double()
    p = Ordinal(location, thresholds)
    cumulative = torch.sigmoid(thresholds - location[:, None])  # P(x ≤ k)
    for level in range(3):
        below = p.log_prob(p.enumerate_support())[: level + 1].exp().sum(0)
        assert_equal(below, cumulative[:, level], f"P(x ≤ {level})")
    assert_equal(p.mean, (1 - cumulative).sum(1) / 3, "Σ_k P(x > k) / (levels − 1)")


def test_ordinal_with_even_thresholds_is_the_discretised_logistic() -> None:
    location = torch.linspace(-1, 2, 7).double()
    middles = (torch.arange(4).double() + 0.5) / 4
    p, q = (
        Ordinal(location / 0.3, middles / 0.3),
        DiscretizedLogistic(location, torch.tensor(0.3, dtype=torch.float64), 5),
    )
    assert_equal(p.log_prob(p.enumerate_support()), q.log_prob(q.enumerate_support()), "log P of every level")


def test_ordinal_starts_even_and_its_thresholds_stay_in_order() -> None:
    likelihood = vk.likelihoods.Ordinal(part_cases.decoder(), (2, 3), levels=6)
    even = Ordinal(torch.zeros(2, 3), likelihood.thresholds).log_probs.exp()
    assert_equal(even, torch.full((2, 3, 6), 1 / 6), "P of each level where η = 0")
    with torch.no_grad():
        likelihood.raw_steps.normal_(std=10)
    assert (likelihood.thresholds.diff(dim=-1) > 0).all()


def test_ordinal_far_out_is_finite() -> None:
    location = torch.tensor([-1e4, 0.0, 1e4]).requires_grad_()
    log_p = Ordinal(location, torch.tensor([-1.0, -1.0 + 1e-6, 3.0])).log_probs
    assert log_p.isfinite().all()
    assert torch.autograd.grad(log_p.sum(), location)[0].isfinite().all()


def test_zero_inflated_counts() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.ZeroInflatedNegativeBinomial(vk.networks.Affine(2), (3,)).double()
    torch.nn.init.normal_(likelihood.raw_inverse_dispersion)
    z = torch.randn(4, 2).double()
    p = likelihood(z)
    element: ZeroInflated = p.base_dist
    lost, counts = torch.sigmoid(element.gate), element.counts
    x = torch.tensor([0.0, 1.0, 7.0]).double()
    by_hand = (lost * (x == 0) + (1 - lost) * counts.log_prob(x).exp()).log()
    assert_equal(element.log_prob(x), by_hand, "log [π [x = 0] + (1 − π) NB(x)]")
    with seeded():
        drawn = p.sample(torch.Size([20_000]))
    assert_mean(drawn, p.mean, "samples")
    assert_mean((drawn - p.mean).square(), p.variance, "squared deviations of samples")
    assert_mean((drawn == 0).double(), element.log_prob(torch.zeros(3).double()).exp(), "zeros among samples")


def test_nothing_lost_is_the_negative_binomial() -> None:
    torch.manual_seed(0)
    inflated = vk.likelihoods.ZeroInflatedNegativeBinomial(vk.networks.Affine(2), (3,)).double()
    plain = vk.likelihoods.NegativeBinomial(vk.networks.Affine(2), (3,)).double()
    with torch.no_grad():
        inflated.head.linear.weight[3:] = 0
        inflated.head.linear.bias[3:] = -200.0
        plain.head.linear.weight.copy_(inflated.head.linear.weight[:3])
        plain.head.linear.bias.copy_(inflated.head.linear.bias[:3])
    z, x = torch.randn(4, 2).double(), torch.tensor([[0.0, 2.0, 9.0]]).double().expand(4, 3)
    assert_equal(inflated(z).log_prob(x), plain(z).log_prob(x), "log p")
