"""Discrete latents: in evaluation the numbers are those of the discrete model, whose p(x) is a sum."""

from __future__ import annotations

import math

import pytest
import torch

import vaekit as vk
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, assert_mean_at_most, assert_same, check_model, seeded
from vaekit.testing.enumerable import Enumerable, check_unbiased
from vaekit.testing.finite import every_binary

DIMS, LATENT_DIM, CATEGORIES = 4, 6, 3


def tiny(**options: object) -> Enumerable:
    """Two variables of three categories and four binary elements: p(x) = Σ_z p(z) p(x|z) over nine z."""
    with seeded():
        model = vk.VAE(
            vk.priors.UniformCategorical(LATENT_DIM, CATEGORIES),
            vk.posteriors.Categorical(vk.networks.MLP(DIMS, hidden=(8,)), LATENT_DIM, CATEGORIES, **options),
            vk.likelihoods.Bernoulli(vk.networks.MLP(LATENT_DIM, hidden=(8,)), (DIMS,)),
        )
        with torch.no_grad():
            for parameter in model.likelihood.parameters():
                parameter.mul_(3)
    model = model.double().eval()

    def log_p(x: torch.Tensor) -> torch.Tensor:
        prior = model.prior()
        z = prior.enumerate_support()
        return (prior.log_prob(z)[:, None] + model.likelihood(z[:, None]).log_prob(x)).logsumexp(0)

    return Enumerable(model, every_binary(DIMS), log_p)


def test_the_importance_weight_is_unbiased_for_the_sum_over_all_latents() -> None:
    check_unbiased(tiny(temperature=5.0))


def test_the_bound_in_evaluation_is_that_of_the_discrete_model() -> None:
    case = tiny()
    model: vk.VAE = case.model  # type: ignore[assignment]
    x = case.every_x
    with torch.no_grad():
        q, p = model.encode(x), model.prior()
        z = q.enumerate_support()
        exact = (q.log_prob(z).exp() * (model.likelihood(z).log_prob(x) + p.log_prob(z) - q.log_prob(z))).sum(0)
        with seeded():
            draw = model.draw(vk.Batch(x), 20_000)
    assert_mean(draw.elbo, exact, "the bound against its sum over all latents")
    with torch.no_grad():
        weight = (model.likelihood(z).log_prob(x) + p.log_prob(z) - q.log_prob(z)).exp()
    assert_equal((q.log_prob(z).exp() * weight).sum(0).log(), case.log_p(x), "E w, by its sum over all latents")
    assert (exact < case.log_p(x)).all()
    few = vk.evaluation.log_likelihood(model, [vk.Batch(x)], samples=2000).log_p
    assert ((few - case.log_p(x)).abs() < 0.1).all()


@pytest.mark.parametrize("straight_through", [False, True])
def test_what_is_drawn_in_training(straight_through: bool) -> None:
    model: vk.VAE = tiny(straight_through=straight_through).model.train()  # type: ignore[assignment]
    x = every_binary(DIMS)
    draw = model.draw(vk.Batch(x), 3)
    z = draw.latents["z"].value
    assert bool(model.encode(x).support.check(z).all()) == straight_through
    assert_equal(draw.kl[0], (model.encode(x).entropy() * -1 + 2 * math.log(3)), "the divergence of discrete variables")
    value = vk.objectives.ELBO()(model, vk.Batch(x), Step())
    gradients = torch.autograd.grad(value.objective.sum(), list(model.posterior.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_relaxed_gradients_are_near_the_exact_one_at_a_low_temperature() -> None:
    """The gradient of the bound by a sum over all latents, and the mean of those of relaxed draws."""
    errors = []
    for temperature in (1.0, 0.1):
        case = tiny(temperature=temperature, minimum_temperature=temperature)
        model: vk.VAE = case.model.train()  # type: ignore[assignment]
        x = case.every_x[5:6]
        bias = model.posterior.head.linear.bias  # type: ignore[union-attr]
        q = model.encode(x)
        z = q.enumerate_support()
        exact = (q.log_prob(z).exp() * model.likelihood(z).log_prob(x)).sum()
        (expected,) = torch.autograd.grad(exact, bias)
        with seeded():
            draw = model.draw(vk.Batch(x), 20_000)
        (seen,) = torch.autograd.grad(draw.log_px.mean(), bias)
        errors.append(((seen - expected).norm() / expected.norm()).item())
    assert errors[1] < 0.25
    assert errors[1] < errors[0]


def test_temperature_falls_with_training_steps_only_and_is_kept() -> None:
    make = lambda: vk.posteriors.Categorical(vk.networks.MLP(4), 6, 3, rate=0.5, minimum_temperature=0.3)  # noqa: E731
    posterior, x = make(), torch.ones(2, 4)
    seen = []
    for _ in range(4):
        seen.append(posterior(x).temperature.item())
        posterior.eval()(x)
        posterior.train()
    expected = [max(0.3, math.exp(-0.5 * step)) for step in range(4)]
    assert_equal(torch.tensor(seen), torch.tensor(expected), "the temperature")
    again = make()
    again.load_state_dict(posterior.state_dict())
    assert_same(again.temperature, posterior.temperature, "the temperature of one that was loaded")
    still = vk.posteriors.Categorical(vk.networks.MLP(4), 6, 3, temperature=0.2)
    assert {still(x).temperature.item() for _ in range(3)} == {torch.tensor(0.2).item()}


def test_laws_of_a_model() -> None:
    case = tiny()
    check_model(case.model, vk.Batch(case.every_x[:5]))
    with seeded(), torch.no_grad():
        iwae = [vk.objectives.IWAE(k)(case.model, vk.Batch(case.every_x), Step()).objective for k in (1, 50)]
    assert_mean_at_most(iwae[0] - iwae[1], 0.0, "the bound of one draw minus that of fifty")


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"rate": -1.0}, {"minimum_temperature": -1.0}])
def test_wrong_temperatures_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="temperatures must be positive"):
        vk.posteriors.Categorical(vk.networks.MLP(4), 6, 3, **options)
