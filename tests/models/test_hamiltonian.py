"""Hamiltonian dynamics: volume, exactness where log p(x) is known, honest weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import part_cases
import pytest
import torch
from torch import nn

import vaekit as vk
from vaekit.distributions.flow import Leapfrog
from vaekit.models import Hamiltonian
from vaekit.testing import (
    assert_equal,
    assert_mean,
    assert_mean_at_most,
    check_gradient,
    check_model,
    enumerable,
    linear_gaussian,
    seeded,
)

BATCH = vk.Batch(torch.rand(3, *part_cases.SHAPE, generator=torch.Generator().manual_seed(0)).round())


def hamiltonian(
    prior: str = "standard-normal", posterior: str = "diagonal", likelihood: str = "bernoulli", **options: Any
) -> Hamiltonian:
    return Hamiltonian(
        part_cases.make("prior", prior),
        part_cases.make("posterior", posterior),
        part_cases.make("likelihood", likelihood),
        latent_dim=part_cases.LATENT_DIM,
        **options,
    )


def moved(oracle: linear_gaussian.LinearGaussian, **options: Any) -> Hamiltonian:
    model = oracle.model
    return Hamiltonian(model.prior, model.posterior, model.likelihood, oracle.weight.shape[1], **options).double()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "categorical", "poisson"])
@pytest.mark.parametrize("prior, posterior", [("standard-normal", "diagonal"), ("mixture", "cholesky")])
def test_laws(prior: str, posterior: str, likelihood: str) -> None:
    model = hamiltonian(prior, posterior, likelihood, tempering=posterior == "cholesky")
    with seeded(), torch.no_grad():
        x = model.eval().likelihood(torch.randn(3, part_cases.LATENT_DIM)).sample()
    check_model(model, vk.Batch(x))


def test_laws_under_a_condition_and_a_mask() -> None:
    model = Hamiltonian(
        part_cases.make("prior", "standard-normal"),
        part_cases.make("posterior", "diagonal", condition_dim=3),
        part_cases.make("likelihood", "bernoulli", condition_dim=3),
        latent_dim=2,
    )
    condition = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    check_model(model, BATCH._replace(condition=condition))
    plain = hamiltonian()
    hidden = BATCH._replace(mask=torch.zeros_like(BATCH.x, dtype=torch.bool))
    with seeded():
        draw = plain.draw(hidden, 5)
    assert_equal(draw.log_px, torch.zeros(5, 3), "log p of nothing observed")


def test_the_map_keeps_the_volume_but_for_the_cooling_and_can_be_undone() -> None:
    model = hamiltonian(steps=4, tempering=True).double()
    z, momentum = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).unbind()

    def energy(z: torch.Tensor) -> torch.Tensor:
        return -z.square().sum(-1).square() + z.sin().sum(-1)

    leapfrog = Leapfrog(energy, model.step_sizes.detach(), model.cooling.detach())
    after = leapfrog.forward(z, momentum)
    back = leapfrog.inverse(*after)
    assert_equal(back[0], z, "z there and back")
    assert_equal(back[1], momentum, "ρ there and back")

    def flat(pair: torch.Tensor) -> torch.Tensor:
        return torch.cat(leapfrog.forward(pair[None, :2], pair[None, 2:]), -1)[0]

    jacobian = torch.autograd.functional.jacobian(flat, torch.cat([z[0], momentum[0]]))
    cooled = 2 * model.cooling.log().sum().detach()
    assert_equal(torch.linalg.slogdet(jacobian)[1], cooled, "log|det| of the moves")
    assert model.raw_beta is not None
    assert_equal(model.cooling.prod().square(), model.raw_beta.sigmoid(), "the product of the cooling, squared")
    assert cooled < -0.05


@pytest.mark.parametrize("tempering", [False, True])
@pytest.mark.parametrize("make", [linear_gaussian.wrong, linear_gaussian.mean_field])
@pytest.mark.parametrize("steps", [1, 5])
def test_weights_are_unbiased_and_the_bound_is_one(make: Any, steps: int, tempering: bool) -> None:
    oracle = make(seed=4)
    x = oracle.sample(3)
    log_p = oracle.log_p(x)
    with seeded(), torch.no_grad():
        log_w = moved(oracle, steps=steps, step_size=0.15, tempering=tempering).draw(vk.Batch(x), 20_000).log_w
    assert_mean((log_w - log_p).exp(), 1.0, "the weight over p(x)")
    assert_mean_at_most(log_w, log_p, "the bound")


def test_steps_go_where_no_diagonal_posterior_can() -> None:
    """The mean-field gap is the least that a diagonal Gaussian leaves; a trained start with moves leaves less."""
    oracle = linear_gaussian.mean_field(latent_dim=4, data_dim=5, seed=4)
    x = oracle.sample(8)
    gaps = []
    for steps in (1, 5):
        model = moved(oracle, steps=steps, step_size=0.2, largest_step_size=1.0)
        model.likelihood.requires_grad_(False)
        optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], 0.05)
        with seeded():
            for _ in range(150):
                optimizer.zero_grad()
                (-model.draw(vk.Batch(x), 16).log_w.mean()).backward()
                optimizer.step()
            with torch.no_grad():
                gaps.append((oracle.log_p(x) - model.draw(vk.Batch(x), 5_000).log_w).mean().item())
    # The standard error of each is below 0.01.
    assert 0 < gaps[1] < gaps[0] - 0.05 < oracle.mean_field_gap - 0.1


@pytest.mark.parametrize("tempering", [False, True])
def test_small_steps_keep_the_energy_so_that_only_the_cooling_changes_the_weight(tempering: bool) -> None:
    oracle = linear_gaussian.wrong(seed=4)
    x = oracle.sample(3)
    with seeded(), torch.no_grad():
        model = moved(oracle, steps=40, step_size=0.001, tempering=tempering)
        moved_weight = model.draw(vk.Batch(x), 5).log_w
    with seeded(), torch.no_grad():
        plain = oracle.model.draw(vk.Batch(x), 5).log_w
    assert ((moved_weight - plain).abs() < 1e-3).all() != tempering


def test_with_tiny_steps_it_is_the_posterior_it_starts_from() -> None:
    oracle = linear_gaussian.wrong()
    x = oracle.sample(3)
    model = moved(oracle, step_size=1e-9, tempering=False)
    with seeded(), torch.no_grad():
        draw = model.draw(vk.Batch(x), 5)
    with seeded(), torch.no_grad():
        plain = oracle.model.draw(vk.Batch(x), 5)
    assert ((draw.log_w - plain.log_w).abs() < 1e-6).all()
    exact = linear_gaussian.exact()
    with seeded(), torch.no_grad():
        weight = moved(exact, step_size=1e-9, tempering=False).draw(vk.Batch(x), 5).log_w
    assert ((weight - exact.log_p(x)).abs() < 1e-6).all()


@pytest.mark.parametrize("tempering", [False, True])
def test_weights_are_unbiased_for_binary_data(tempering: bool) -> None:
    case = enumerable.binary_vae()
    plain: Any = case.model
    model = Hamiltonian(plain.prior, plain.posterior, plain.likelihood, 1, steps=2, step_size=0.3, tempering=tempering)
    enumerable.check_unbiased(dataclasses.replace(case, model=model.double().eval()), samples=5_000)


def test_gradients_go_through_the_dynamics() -> None:
    model = hamiltonian(steps=2, tempering=True).double()
    batch = vk.Batch(BATCH.x.double())

    def value() -> torch.Tensor:
        with seeded(), torch.enable_grad():
            return model.draw(batch, 2).log_w.mean()

    parameters = list(model.parameters())
    assert all(gradient is not None for gradient in torch.autograd.grad(value(), parameters))
    check_gradient(value, parameters, "log w of a Hamiltonian draw")


def test_the_mean_is_that_of_draws() -> None:
    oracle = linear_gaussian.mean_field(seed=4)
    q = moved(oracle).encode(oracle.sample(3))
    with seeded(), torch.no_grad():
        z = q.rsample(torch.Size([20_000]))
    assert_mean(z, q.mean.detach(), "the mean by fixed points: exact where the dynamics are linear")
    with pytest.raises(NotImplementedError):
        q.log_prob(z)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1"):
        hamiltonian(steps=0)
    with pytest.raises(ValueError, match="step_size must be between 0 and largest_step_size"):
        hamiltonian(step_size=0.7)
    with pytest.raises(ValueError, match="must have a density"):
        hamiltonian(posterior="point")
    with pytest.raises(vk.UserError, match="the posterior is over unit vectors"):
        hamiltonian(posterior="von-mises-fisher").draw(BATCH)
    chain = Hamiltonian(
        part_cases.make("prior", "chain"), part_cases.make("posterior", "chain"), nn.Identity(), latent_dim=2
    )
    with pytest.raises(vk.UserError, match="chain of several"):
        chain.draw(BATCH)
