"""A neutral hyper-parameter gives the parent: the same value and the same gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

import vaekit as vk
from vaekit.objectives import (
    CIWAE,
    ELBO,
    IWAE,
    MIWAE,
    PIWAE,
    WAE,
    FreeBits,
    InfoVAE,
    Renyi,
    ReweightedWakeSleep,
    SlicedWasserstein,
    VRMax,
    WakeSleep,
)
from vaekit.schedules import Cosine, Cyclic, Linear, Step, Steps
from vaekit.testing import assert_equal, enumerable, linear_gaussian, seeded
from vaekit.testing.copies import precise

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


def monte_carlo(samples: int = 1) -> Tensor:
    return CASE.model.draw(BATCH, samples).log_w.mean(0)


PAIRS = {
    "β = 1 is the evidence lower bound": (value(ELBO(beta=1.0)), by_hand),
    "β = 4": (value(ELBO(beta=4.0)), lambda: by_hand(beta=4.0)),
    "several draws": (value(ELBO(samples=5)), lambda: by_hand(samples=5)),
    "IWAE(1) is the Monte Carlo bound": (value(IWAE(1)), monte_carlo),
    "no free bits": (value(FreeBits(0.0)), value(ELBO())),
    "no free bits of levels": (value(FreeBits(0.0, per="level")), value(ELBO())),
    "no free bits of groups": (value(FreeBits(0.0, per=2)), value(ELBO())),
    "Rényi at α = 1": (value(Renyi(1.0, samples=5)), lambda: monte_carlo(5)),
    "Rényi at α = 0": (value(Renyi(0.0, samples=5)), value(IWAE(5))),
    "Rényi of one draw": (value(Renyi(0.3, samples=1)), monte_carlo),
    "the largest of one": (value(VRMax(1)), monte_carlo),
    "the largest of five": (value(VRMax(5)), lambda: CASE.model.draw(BATCH, 5).log_w.max(0).values),
    "MIWAE of one draw each": (value(MIWAE(6, 1)), lambda: monte_carlo(6)),
    "MIWAE of one group": (value(MIWAE(1, 6)), value(IWAE(6))),
    "MIWAE by hand": (
        value(MIWAE(2, 3)),
        lambda: torch.stack([w.logsumexp(0) for w in CASE.model.draw(BATCH, 6).log_w.split(3)]).mean(0) - math.log(3),
    ),
    "CIWAE at β = 1": (value(CIWAE(1.0, 4)), value(ELBO(samples=4))),
    "CIWAE at β = 0": (value(CIWAE(0.0, 4)), value(IWAE(4))),
    "PIWAE for the model": (value(PIWAE(2, 3)), value(IWAE(6))),
    "PIWAE for the inference": (lambda: PIWAE(2, 3).infer(CASE.model, BATCH, Step()).objective, value(MIWAE(2, 3))),
    "wake": (value(WakeSleep()), value(ELBO())),
    "reweighted wake": (value(ReweightedWakeSleep(4)), value(IWAE(4))),
    "InfoVAE at α = 0 and λ = 1": (value(InfoVAE(0.0, 1.0)), value(ELBO())),
    "WAE without weight": (value(WAE(0.0)), value(ELBO(0.0))),
    "sliced Wasserstein without weight": (value(SlicedWasserstein(0.0)), value(ELBO(0.0))),
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


def test_free_bits_floor_levels_and_groups_of_dimensions() -> None:
    oracle = linear_gaussian.wrong(latent_dim=3, data_dim=4, diagonal=True)
    batch = vk.Batch(oracle.sample(6))
    kl_dims = oracle.model.draw(batch).latents["z"].kl_dims
    assert kl_dims is not None
    means = kl_dims[0].mean(0)
    pairs = torch.stack([means[:2].sum(), means[2]])
    floor = pairs.mean().item()
    result = FreeBits(floor, per=2)(oracle.model, batch, Step())
    assert_equal(result.terms["kl_floored"].mean(), pairs.clamp_min(floor).sum(), "groups of two dimensions")
    for floor in (0.9 * means.sum().item(), 1.1 * means.sum().item()):
        result = FreeBits(floor, per="level")(oracle.model, batch, Step())
        assert_equal(result.terms["kl_floored"].mean(), max(floor, means.sum().item()), "the whole latent")
    for wrong in (0, "unit", 1.5):
        with pytest.raises(ValueError, match="per must be 'dimension', 'level' or a number of dimensions from 1"):
            FreeBits(per=wrong)  # type: ignore[arg-type]


def test_renyi_is_between_the_bounds_and_falls_with_alpha() -> None:
    values = []
    for alpha in (-2.0, -0.5, 0.0, 0.5, 0.999, 1.0, 1.001, 2.0):
        with seeded():
            values.append(Renyi(alpha, samples=8)(CASE.model, BATCH, Step()).objective)
    curve = torch.stack(values)
    assert (curve.diff(dim=0) < 0).all(), "the bound falls with α"
    assert (curve[4] - curve[6]).abs().max() < 1e-2, "α = 1 is no jump"
    with seeded():
        highest = VRMax(8)(CASE.model, BATCH, Step()).objective
    assert (curve < highest).all()


@pytest.mark.parametrize("off", [1e-4, 1e-6, -1e-7])
def test_renyi_near_one_in_single_precision(off: float) -> None:
    """Values and gradients are those of α = 1."""
    model = precise(CASE.model).float()
    batch = vk.Batch(BATCH.x.float())
    both = []
    for alpha in (1 - off, 1.0):
        with seeded():
            bound = Renyi(alpha, samples=8)(model, batch, Step()).objective
        both.append((bound, *torch.autograd.grad(bound.sum(), list(model.parameters()))))
    for near, at_one in zip(*both, strict=True):
        torch.testing.assert_close(near, at_one, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("label", [None, [2, -1, 0, 1]])
def test_renyi_where_a_label_is_summed_out(label: list[int] | None) -> None:
    case = enumerable.m2()
    batch = vk.Batch(case.every_x[:4], None if label is None else torch.tensor(label))
    with seeded():
        draw = case.model.draw(batch, 5)
    log_w, weight = draw.log_w_given_branch, draw.log_branch.exp()  # type: ignore[union-attr]
    for alpha in (1.0, 0.0, 0.5, -1.0):
        with seeded():
            value = Renyi(alpha, 5)(case.model, batch, Step()).objective
        power = 1 - alpha
        by_hand = (weight * log_w).sum(1).mean(0) if alpha == 1 else (weight * (power * log_w).exp()).sum(1).mean(0)
        assert_equal(value, by_hand if alpha == 1 else by_hand.log() / power, f"α = {alpha}")
    assert_equal((weight * log_w.exp()).sum(1).log(), draw.log_w, "the importance weight")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Renyi(math.inf), "alpha must be a finite number, got inf"),
        (lambda: Renyi(samples=0), "samples must be a number from 1, got 0"),
        (lambda: CIWAE(1.5), "beta must be between 0 and 1, got 1.5"),
        (lambda: MIWAE(0), "groups must be a number from 1, got 0"),
        (lambda: WAE(kernel="gauss"), "the kernel must be one of rbf, imq, got 'gauss'"),
        (lambda: WAE(-1.0), "weight must be a number from 0, got -1.0"),
        (lambda: InfoVAE(1.5), "alpha must be at most 1, got 1.5"),
        (lambda: InfoVAE(0.0, 0.5), "strength must be a number from 1.0, got 0.5"),
        (lambda: SlicedWasserstein(directions=0), "directions must be a number from 1, got 0"),
    ],
)
def test_bad_arguments(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


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
