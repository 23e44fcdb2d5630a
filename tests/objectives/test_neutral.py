"""A neutral hyper-parameter gives the parent: the same value and the same gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

import vaekit as vk
from vaekit.objectives import ELBO, IWAE, FreeBits
from vaekit.schedules import Cosine, Cyclic, Linear, Step, Steps
from vaekit.testing import assert_equal, enumerable, linear_gaussian, seeded

CASE = enumerable.binary_vae()
BATCH = vk.Batch(CASE.every_x[::3])
PARAMETERS = list(CASE.model.parameters())


def by_hand(beta: float = 1.0, samples: int = 1) -> Tensor:
    """E_q log p(x|z) − β KL(q‖N(0, I)), written out."""
    model = CASE.model
    q = model.posterior(BATCH.x)
    z = q.rsample(torch.Size([samples]))
    return model.likelihood(z).log_prob(BATCH.x).mean(0) - beta * kl_divergence(
        q.base_dist, model.prior().base_dist
    ).sum(-1)


def value(objective: object, step: Step = Step()) -> Callable[[], Tensor]:  # noqa: B008 - a constant
    return lambda: objective(CASE.model, BATCH, step).objective  # type: ignore[operator]


def monte_carlo() -> Tensor:
    return CASE.model.draw(BATCH).log_w.mean(0)


PAIRS = {
    "β = 1 is the evidence lower bound": (value(ELBO(beta=1.0)), by_hand),
    "β = 4": (value(ELBO(beta=4.0)), lambda: by_hand(beta=4.0)),
    "several draws": (value(ELBO(samples=5)), lambda: by_hand(samples=5)),
    "IWAE(1) is the Monte Carlo bound": (value(IWAE(1)), monte_carlo),
    "no free bits": (value(FreeBits(0.0)), value(ELBO())),
    "a warm-up that is over": (value(ELBO(Linear(0, 2, epochs=3)), Step(epoch=3)), value(ELBO(2.0))),
    "a warm-up long over": (value(ELBO(Linear(0, 2, epochs=3)), Step(epoch=30)), value(ELBO(2.0))),
    "a warm-up half-way": (value(ELBO(Linear(0, 2, epochs=3)), Step(epoch=1.5)), value(ELBO(1.0))),
    "a constant line": (value(ELBO(Linear(1, 1, epochs=3)), Step(epoch=1)), value(ELBO())),
    "a cycle at its top": (value(ELBO(Cyclic(0, 1, epochs=4)), Step(epoch=6.5)), value(ELBO())),
    "a cosine at its end": (value(ELBO(Cosine(3, 0.5)), Step(epoch=9, epochs=9)), value(ELBO(0.5))),
    "steps before the first": (value(ELBO(Steps(1, 0.1, epochs=2)), Step(epoch=1.9)), value(ELBO())),
}


@pytest.mark.parametrize("name", PAIRS)
def test_same_value_and_same_gradient(name: str) -> None:
    results = []
    for function in PAIRS[name]:
        with seeded():
            objective = function()
        results.append((objective, *torch.autograd.grad(objective.sum(), PARAMETERS)))
    for one, other in zip(*results, strict=True):
        assert_equal(one, other, name)


def test_free_bits_that_are_never_reached_hold_the_kl_at_its_floor() -> None:
    with seeded():
        result = FreeBits(nats=50.0)(CASE.model, BATCH, Step())
    with seeded():
        log_px = CASE.model.draw(BATCH).log_px.mean(0)
    assert_equal(result.objective, log_px - 50.0, "log p(x|z) − λ")
    assert_equal(result.terms["kl_floored"], torch.full((len(BATCH.x),), 50.0), "the floored KL")


def test_free_bits_floor_the_batch_mean_of_each_dimension() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    batch = vk.Batch(oracle.sample(6))
    kl_dims = oracle.model.draw(batch).latents["z"].kl_dims
    assert kl_dims is not None
    means = kl_dims[0].mean(0)
    floor = means.mean().item()  # one dimension above, the other below
    assert means.min() < floor < means.max()
    result = FreeBits(floor)(oracle.model, batch, Step())
    assert_equal(result.terms["kl_floored"].mean(), means.clamp_min(floor).sum(), "Σ_j max(λ, mean KL_j)")


def test_importance_weighted_bound_by_hand() -> None:
    with seeded():
        result = IWAE(4)(CASE.model, BATCH, Step()).objective
    with seeded():
        weight = CASE.model.draw(BATCH, 4).log_w.exp()
    assert_equal(result, (weight.sum(0) / 4).log(), "log (1/K) Σ w")


def test_gradient_of_the_importance_weighted_bound_is_the_weighted_sum() -> None:
    def log_w() -> Tensor:
        with seeded():
            return CASE.model.draw(BATCH, 6).log_w

    with seeded():
        direct = torch.autograd.grad(IWAE(6)(CASE.model, BATCH, Step()).objective.sum(), PARAMETERS)
    weights = log_w().softmax(0).detach()
    assert weights.max() > 0.2, "all weights alike: the test would not tell"
    formula = torch.autograd.grad((weights * log_w()).sum(), PARAMETERS)
    for one, other in zip(direct, formula, strict=True):
        assert_equal(one, other, "Σ softmax(log w) ∇ log w")


def test_iwae_takes_the_logarithm_of_k() -> None:
    # With the exact posterior all weights are equal: without log K the bound would be off by it.
    oracle = linear_gaussian.exact()
    x = oracle.sample(2)
    for samples in (1, 2, 50):
        assert_equal(IWAE(samples)(oracle.model, vk.Batch(x), Step()).objective, oracle.log_p(x), "the bound")
    assert math.log(50) > 1
