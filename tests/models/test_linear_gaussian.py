"""Where log p(x) is known in closed form."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

import vaekit as vk
from vaekit.objectives import ELBO, IWAE, FreeBits
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, assert_mean_at_most, check_bound, linear_gaussian, seeded
from vaekit.testing.linear_gaussian import LinearGaussian

REPEATS = 10_000


def repeated(oracle: LinearGaussian, x: torch.Tensor, objective: object) -> torch.Tensor:
    """Independent values for each row, ``(REPEATS, rows)``."""
    with seeded(), torch.no_grad():
        value = objective(oracle.model, vk.Batch(x.repeat(REPEATS, 1)), Step())  # type: ignore[operator]
    return value.objective.reshape(REPEATS, len(x))


def without_formula(oracle: LinearGaussian) -> LinearGaussian:
    """The same model with a prior for which no KL is registered: a mixture of one component, N(0, I)."""
    latent_dim = oracle.weight.shape[1]
    prior = vk.priors.MixtureOfGaussians(latent_dim, num_components=1, spread=0.0).double()
    model = vk.VAE(prior, oracle.model.posterior, oracle.model.likelihood)
    return LinearGaussian(model, oracle.weight, oracle.bias, oracle.scale, oracle.posterior)


EXACT = {
    "flat": linear_gaussian.exact,
    "one dimension": lambda: linear_gaussian.exact(latent_dim=1, data_dim=1),
    "more latents than data": lambda: linear_gaussian.exact(latent_dim=4, data_dim=2),
    "two levels from the top": linear_gaussian.hierarchy,
    "two levels from the bottom": lambda: linear_gaussian.hierarchy(bottom_up=True),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_exact_posterior_the_importance_weight_is_p_to_rounding(name: str, samples: int) -> None:
    oracle = EXACT[name]()
    x = oracle.sample(5)
    with seeded(), torch.no_grad():
        draw = oracle.model.draw(vk.Batch(x), samples)
        value = IWAE(samples)(oracle.model, vk.Batch(x), Step())
    assert_equal(draw.log_w, oracle.log_p(x).expand(samples, -1), "log w")
    assert_equal(value.objective, oracle.log_p(x), "the importance-weighted bound")


@pytest.mark.parametrize("objective", [ELBO(), ELBO(samples=3), FreeBits(nats=0.0), IWAE(1), IWAE(5)])
def test_without_an_analytic_kl_every_bound_is_log_p_to_rounding(objective: object) -> None:
    oracle = without_formula(linear_gaussian.exact())
    x = oracle.sample(5)
    value = objective(oracle.model, vk.Batch(x), Step())  # type: ignore[operator]
    assert_equal(value.objective, oracle.log_p(x), type(objective).__name__)


@pytest.mark.parametrize("name", EXACT)
def test_estimate_of_log_p_is_log_p_to_rounding(name: str) -> None:
    oracle = EXACT[name]()
    x = oracle.sample(5)
    result = vk.evaluation.log_likelihood(oracle.model, [vk.Batch(x)], samples=9)
    assert_equal(result.log_p, oracle.log_p(x), "the estimate of log p(x)")
    assert_equal(result.effective_samples, torch.full((5,), 9.0), "the effective number of samples")


@pytest.mark.parametrize("name", EXACT)
def test_with_the_exact_posterior_the_elbo_is_log_p_in_the_mean(name: str) -> None:
    oracle = EXACT[name]()
    x = oracle.sample(3)
    assert_mean(repeated(oracle, x, ELBO()), oracle.log_p(x), "the evidence lower bound")


@pytest.mark.parametrize("objective", [ELBO(), ELBO(samples=2), IWAE(1), IWAE(5), FreeBits(0.0)])
def test_tight_bounds(objective: object) -> None:
    check_bound(objective)


@pytest.mark.parametrize("objective", [ELBO(beta=2.0), FreeBits(0.5), ELBO(beta=vk.schedules.Linear(3, 2, epochs=1))])
def test_loose_bounds(objective: object) -> None:
    check_bound(objective, tight=False)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("analytic", [False, True])
def test_with_a_wrong_posterior_the_elbo_is_below_log_p_by_the_divergence(diagonal: bool, analytic: bool) -> None:
    oracle = linear_gaussian.wrong(seed=4, diagonal=diagonal)
    x = oracle.sample(3)
    gap = oracle.gap(x)
    assert gap.min() > 0.5
    model = oracle if analytic else without_formula(oracle)
    assert_mean(repeated(model, x, ELBO()), oracle.log_p(x) - gap, "the evidence lower bound")


def test_mean_field_gap() -> None:
    oracle = linear_gaussian.mean_field(latent_dim=3, data_dim=4, seed=4)
    x = oracle.sample(3)
    assert oracle.mean_field_gap > 0.05
    assert_equal(oracle.gap(x), torch.full((3,), oracle.mean_field_gap, dtype=torch.float64), "½ [Σ log Λ_ii − log|Λ|]")
    elbo = repeated(oracle, x, ELBO())
    assert_mean(elbo, oracle.log_p(x) - oracle.mean_field_gap, "the evidence lower bound")
    # The best of the diagonal posteriors: any other scale is worse.
    for factor in (0.8, 1.25):
        assert oracle.posterior is not None
        other = linear_gaussian.with_posterior(
            oracle.weight,
            oracle.bias,
            oracle.scale,
            oracle.posterior._replace(covariance=factor * oracle.posterior.covariance),
            diagonal=True,
        )
        assert (other.gap(x) > oracle.mean_field_gap).all()


@pytest.mark.parametrize("make", [linear_gaussian.wrong, lambda: linear_gaussian.mean_field(seed=4)])
def test_iwae_does_not_fall_with_the_samples_and_stays_below_log_p(make) -> None:
    oracle = make()
    x = oracle.sample(3)
    with seeded(), torch.no_grad():
        log_w = oracle.model.draw(vk.Batch(x), 64 * 1000).log_w
    # (repetitions, estimates, rows): the same draws taken k at a time.
    taken = {k: log_w.reshape(1000, -1, k, 3).logsumexp(2) - math.log(k) for k in (1, 2, 8, 64)}
    bounds = [estimates.mean(1) for estimates in taken.values()]
    for fewer, more in pairwise(bounds):
        assert_mean_at_most(fewer - more, 0.0, "the bound with fewer samples minus that with more")
    for bound in bounds:
        assert_mean_at_most(bound, oracle.log_p(x), "the importance-weighted bound")
    assert (bounds[-1].mean(0) > bounds[0].mean(0)).all()


def test_float32_scale_must_be_exact() -> None:
    with pytest.raises(ValueError, match="float32"):
        linear_gaussian.exact(scale=0.7)


def test_change_of_units_shifts_every_bound_by_the_jacobian() -> None:
    # x → 2x: weights, offset and σ double, the posterior reads x/2.
    oracle = linear_gaussian.wrong()
    assert oracle.posterior is not None
    doubled = linear_gaussian.with_posterior(
        2 * oracle.weight,
        2 * oracle.bias,
        2 * oracle.scale,
        oracle.posterior._replace(matrix=oracle.posterior.matrix / 2),
    )
    x = oracle.sample(4)
    for objective in (ELBO(), ELBO(beta=3.0), IWAE(5), FreeBits(1.0)):
        with seeded():
            before = objective(oracle.model, vk.Batch(x), Step()).objective
        with seeded():
            after = objective(doubled.model, vk.Batch(2 * x), Step()).objective
        assert_equal(after, before - 3 * math.log(2), f"{objective} in other units")
