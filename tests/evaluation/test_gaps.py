"""Where the best diagonal posterior is known, both gaps are."""

from __future__ import annotations

import pytest
import torch

import vaekit as vk
from vaekit.errors import UserError
from vaekit.evaluation.gaps import gaps
from vaekit.testing import enumerable, linear_gaussian
from vaekit.testing.statistics import assert_mean, assert_mean_at_most, mean_and_error


def test_gaps_of_a_linear_gaussian_model() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(60)
    result = gaps(oracle.model, [vk.Batch(x[:40]), vk.Batch(x[40:])], steps=300, samples=2000)
    # The form loses ½ [Σ log Λ_ii − log|Λ|], the encoder the rest of its gap.
    assert_mean(result.log_p - oracle.log_p(x), 0.0, "log p(x)", 0.005)
    assert_mean(result.approximation, oracle.mean_field_gap, "the approximation gap", 0.005)
    left = oracle.gap(x).mean().item() - oracle.mean_field_gap
    assert_mean(result.amortization, left, "the amortisation gap", 0.005)
    assert left > 0.1, "there is a gap to be found"


def test_an_encoder_that_is_best_leaves_no_amortization_gap() -> None:
    oracle = linear_gaussian.mean_field()
    result = gaps(oracle.model, [vk.Batch(oracle.sample(40))], steps=100, samples=1000)
    mean, error = mean_and_error(result.amortization)
    assert abs(mean) < 0.01 + 4 * error


def test_a_richer_posterior_has_a_negative_one() -> None:
    oracle = linear_gaussian.exact()
    result = gaps(oracle.model, [vk.Batch(oracle.sample(30))], steps=200, samples=1000)
    assert_mean(result.amortization, -oracle.mean_field_gap, "the amortisation gap", 0.005)


def test_several_levels_and_small_chunks() -> None:
    oracle = linear_gaussian.hierarchy()
    x = oracle.sample(6)
    result = gaps(oracle.model, [vk.Batch(x)], steps=150, samples=400, budget=60)
    assert_mean_at_most(result.elbo_free - oracle.log_p(x), 0.0, "a bound")
    assert (result.log_p - oracle.log_p(x)).abs().max() < 0.2


def test_discrete_latents_are_refused() -> None:
    case = enumerable.m2()
    with pytest.raises(UserError, match="the latent y is discrete"):
        gaps(case.model, [vk.Batch(case.every_x[:2])])


def test_parameters_keep_no_gradient() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    gaps(oracle.model, [vk.Batch(oracle.sample(2))], steps=2, samples=10)
    assert all(parameter.grad is None for parameter in oracle.model.parameters())
    assert torch.is_grad_enabled()


def over_confident(factor: float) -> linear_gaussian.LinearGaussian:
    """The encoder's means are off by 1.5 standard deviations of the best diagonal posterior, its scales by a factor."""
    weight, bias, scale = (getattr(linear_gaussian.wrong(), name) for name in ("weight", "bias", "scale"))
    matrix, offset, covariance = linear_gaussian.exact_conditional(weight, bias, scale)
    variance = 1 / torch.linalg.inv(covariance).diagonal()
    q = linear_gaussian.Conditional(matrix, offset + 1.5 * variance.sqrt(), torch.diag(factor**2 * variance))
    return linear_gaussian.with_posterior(weight, bias, scale, q, diagonal=True)


def test_a_poor_encoder_does_not_lower_log_p() -> None:
    oracle = over_confident(0.3)
    x = oracle.sample(20)
    result = gaps(oracle.model, [vk.Batch(x)], steps=300, samples=1000)
    assert_mean(result.log_p - oracle.log_p(x), 0.0, "log p(x)", 0.01)


@pytest.mark.parametrize("factor", [0.1, 0.01])
def test_the_fit_leaves_an_over_confident_encoder(factor: float) -> None:
    oracle = over_confident(factor)
    x = oracle.sample(20)
    result = gaps(oracle.model, [vk.Batch(x)], samples=1000)
    assert_mean(result.approximation, oracle.mean_field_gap, "the approximation gap", 0.01)
    left = oracle.gap(x).mean().item() - oracle.mean_field_gap
    assert_mean(result.amortization, left, "the amortisation gap", 0.02)
