"""Gradients that are not the derivative of the value: against formulas, and in the mean against those that are."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import part_cases
import pytest
import torch
from torch import Tensor, nn

import vaekit as vk
from vaekit.objectives import ELBO, IWAE, DReG, StickingTheLanding, StickingTheLandingIWAE
from vaekit.objectives.objective import sides
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, assert_same, enumerable, linear_gaussian, seeded

K = 4


def perturbed(model: vk.VAE, size: float = 0.15) -> vk.VAE:
    """The same with other parameters, so that the posterior is not exact."""
    model = copy.deepcopy(model)
    with seeded(5), torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return model


def three_levels() -> vk.VAE:
    """a → b → c, each with networks of its own; b is drawn given a, and c given both."""

    def level(in_shape: int, condition_dim: int = 0) -> vk.posteriors.Diagonal:
        network = vk.networks.MLP(in_shape, hidden=(6,), activation="tanh", condition_dim=condition_dim)
        return vk.posteriors.Diagonal(network, 2)

    with seeded():
        return vk.VAE(
            vk.priors.Chain({"a": vk.priors.StandardNormal(2), "b": level(2), "c": level(4)}),
            vk.posteriors.Chain({"a": level(3), "b": level(3, 2), "c": level(3, 4)}),
            vk.likelihoods.Gaussian(vk.networks.Concatenate(vk.networks.MLP(6, hidden=(6,))), (3,)),
        ).double()


def cases() -> dict[str, tuple[vk.VAE, Tensor]]:
    one, top_down, bottom_up = linear_gaussian.wrong(), linear_gaussian.hierarchy(), linear_gaussian.hierarchy(True)
    diagonal = linear_gaussian.wrong(diagonal=True)
    return {
        "one latent": (one.model, one.sample(3)),
        "independent dimensions": (diagonal.model, diagonal.sample(3)),
        "two latents, from the top": (perturbed(top_down.model), top_down.sample(3)),
        "two latents, from the bottom": (perturbed(bottom_up.model), bottom_up.sample(3)),
        "three latents": (perturbed(three_levels(), 0.5), one.sample(3)),
    }


def gradient(objective: Any, model: nn.Module, batch: vk.Batch, of: Sequence[Tensor], seed: int = 0) -> list[Tensor]:
    with seeded(seed):
        value = objective(model, batch, Step()).objective.sum()
    found = torch.autograd.grad(value, of, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(of, found, strict=True)]


def by_formula(model: vk.VAE, x: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Σ_k weigh(v)_k ∂ log w_k/∂z_k · ∂z_k/∂φ and Σ_k v_k ∂ log w_k/∂θ, written out with leaves."""
    infers, generates = sides(model)
    still = copy.deepcopy(model.posterior).requires_grad_(False)
    with seeded():
        drawn = model.posterior(x).rsample(torch.Size([K]))
    drawn = drawn if isinstance(drawn, dict) else {"z": drawn}
    leaves = {name: z.detach().requires_grad_() for name, z in drawn.items()}
    given = leaves if len(leaves) > 1 else leaves["z"]
    ordered = {name: leaves[name] for name in model.prior.levels} if len(leaves) > 1 else given
    log_w = model.likelihood(ordered).log_prob(x) + model.prior().log_prob(given) - still(x).log_prob(given)
    v = log_w.softmax(0).detach()
    towards = torch.autograd.grad(log_w.sum(), list(leaves.values()), retain_graph=True)
    outputs = [weigh(v).unsqueeze(-1) * slope for slope in towards]
    of_q = torch.autograd.grad(list(drawn.values()), infers, outputs)
    of_p = torch.autograd.grad((v * log_w).sum(), generates, allow_unused=True)
    return list(of_q), [torch.zeros_like(p) if g is None else g for p, g in zip(generates, of_p, strict=True)]


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize(
    "objective, weigh",
    [
        (DReG(K), torch.square),
        (StickingTheLandingIWAE(K), lambda v: v),
        (StickingTheLanding(samples=K), lambda v: torch.full_like(v, 1 / K)),
    ],
    ids=["dreg", "iwae-stl", "elbo-stl"],
)
def test_gradients_are_those_of_the_formula(name: str, objective: Any, weigh: Callable[[Tensor], Tensor]) -> None:
    model, x = cases()[name]
    infers, generates = sides(model)
    of_q, of_p = by_formula(model, x, weigh)
    assert max(g.abs().max() for g in of_q) > 0.1, "no gradient to speak of: the test would not tell"
    for expected, got in zip(of_q, gradient(objective, model, vk.Batch(x), infers), strict=True):
        assert_equal(got, expected, f"{name}: the gradient of q")
    if not isinstance(objective, StickingTheLanding):
        for expected, got in zip(of_p, gradient(objective, model, vk.Batch(x), generates), strict=True):
            assert_equal(got, expected, f"{name}: the gradient of the model")


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("objective", [DReG(K), StickingTheLandingIWAE(K), StickingTheLanding(samples=K)])
def test_values_are_those_of_the_bounds(name: str, objective: Any) -> None:
    model, x = cases()[name]
    with seeded():
        value = objective(model, vk.Batch(x), Step()).objective
    with seeded():
        log_w = model.draw(vk.Batch(x), K).log_w
    plain = log_w.mean(0) if isinstance(objective, StickingTheLanding) else log_w.logsumexp(0) - math.log(K)
    assert_equal(value, plain, "the value")


def repeated(objective: Any, model: nn.Module, batch: vk.Batch, of: Sequence[Tensor], times: int) -> Tensor:
    """Gradients of independent repetitions side by side, ``(times, parameters)``, each of 20 copies of the rows."""
    many = vk.Batch(batch.x.repeat(20, 1), None if batch.label is None else batch.label.repeat(20))
    rows = []
    for seed in range(times):
        found = gradient(objective, model, many, of, seed)
        rows.append(torch.cat([g.flatten() for g in found]) / 20)
    return torch.stack(rows)


def assert_same_mean(one: Tensor, other: Tensor, what: str) -> None:
    assert_mean(one, other.mean(0), what, other.std(0) / len(other) ** 0.5)


@pytest.mark.parametrize("name", cases())
def test_dreg_and_sticking_the_landing_are_unbiased(name: str) -> None:
    model, x = cases()[name]
    batch = vk.Batch(x)
    of = list(model.parameters())
    plain = repeated(IWAE(K), model, batch, of, 150)
    assert_same_mean(repeated(DReG(K), model, batch, of, 150), plain, f"{name}: DReG against the derivative of IWAE")
    plain = repeated(ELBO(), model, batch, of, 150)
    path = repeated(StickingTheLanding(), model, batch, of, 150)
    assert_same_mean(path, plain, f"{name}: sticking the landing against the derivative of the bound")


def test_weighting_once_would_be_noticed() -> None:
    """The bias of IWAE with the path derivative alone (Tucker et al. 2019): what the test above is able to see."""
    model, x = cases()["one latent"]
    infers = list(model.posterior.parameters())
    plain = repeated(IWAE(K), model, vk.Batch(x), infers, 150)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_same_mean(repeated(StickingTheLandingIWAE(K), model, vk.Batch(x), infers, 150), plain, "weighted once")


@pytest.mark.parametrize("label", [None, [0, -1, 2]])
def test_dreg_is_unbiased_where_a_label_is_summed_out(label: list[int] | None) -> None:
    case = enumerable.m2()
    batch = vk.Batch(case.every_x[[0, 5, 9]], None if label is None else torch.tensor(label))
    of = list(case.model.parameters())
    plain = repeated(IWAE(3), case.model, batch, of, 100)
    assert_same_mean(repeated(DReG(3), case.model, batch, of, 100), plain, "DReG against the derivative of IWAE")
    plain = repeated(ELBO(), case.model, batch, of, 100)
    assert_same_mean(repeated(StickingTheLanding(), case.model, batch, of, 100), plain, "sticking the landing")


class SharedPrior(nn.Module):
    """p(z) = q(z|u), the smallest VampPrior."""

    def __init__(self, posterior: nn.Module, like: Tensor) -> None:
        super().__init__()
        self.posterior = posterior
        self.pseudo_input = nn.Parameter(like.clone())

    def forward(self, condition: Tensor | None = None) -> Any:
        return self.posterior(self.pseudo_input)


def test_a_prior_that_shares_the_encoder_keeps_its_gradient() -> None:
    oracle = linear_gaussian.wrong()
    posterior = oracle.model.posterior
    model = vk.VAE(SharedPrior(posterior, oracle.sample(1, seed=3)[0]).double(), posterior, oracle.model.likelihood)
    batch = vk.Batch(oracle.sample(3))
    of = list(model.parameters())
    assert {id(p) for p in sides(model)[0]} == {id(p) for p in posterior.parameters()}, "what is shared infers"
    for path, plain in [(StickingTheLanding(), ELBO()), (DReG(3), IWAE(3))]:
        expected = repeated(plain, model, batch, of, 100)
        assert_same_mean(repeated(path, model, batch, of, 100), expected, type(path).__name__)


@pytest.mark.parametrize(
    "oracle",
    [linear_gaussian.exact(), linear_gaussian.hierarchy(), linear_gaussian.hierarchy(bottom_up=True)],
    ids=["one latent", "from the top", "from the bottom"],
)
def test_no_gradient_is_left_where_the_posterior_is_exact(oracle: linear_gaussian.LinearGaussian) -> None:
    batch = vk.Batch(oracle.sample(4))
    infers = list(oracle.model.posterior.parameters())

    def largest(objective: Any) -> float:
        return max(g.abs().max().item() for g in gradient(objective, oracle.model, batch, infers))

    for objective in (StickingTheLanding(samples=3), StickingTheLandingIWAE(3), DReG(3)):
        assert largest(objective) < 1e-9
    assert largest(IWAE(3)) > 1e-2, "the plain gradient varies there"


GOES_WITH = {"chain": "chain", "von-mises-fisher": "hyperspherical-uniform", "categorical": "uniform-categorical"}


def test_a_frozen_draw_has_the_same_numbers_and_no_gradient_but_through_z() -> None:
    for text in [*part_cases.VECTOR_POSTERIORS, "chain"]:
        with seeded():
            q = part_cases.make("posterior", text).double()
            p = part_cases.make("prior", GOES_WITH.get(text, "standard-normal")).double()
        if not q.has_density:
            continue
        x = torch.randn(5, *part_cases.SHAPE).double()
        with seeded():
            plain, _ = vk.models.draw_latents(q(x), p(), 3)
        with seeded():
            frozen, _ = vk.models.draw_latents(q(x), p(), 3, frozen_q=True)
        for name, latent in frozen.items():
            assert_same(latent.value, plain[name].value, f"{text}: the latent {name}")
            assert_equal(latent.log_qz, plain[name].log_qz, f"{text}: log q of {name}")
            assert_equal(latent.kl, plain[name].log_qz - plain[name].log_pz, f"{text}: no formula for {name}")
        total = sum(latent.log_qz.sum() for latent in frozen.values())
        through = torch.autograd.grad(total, [z.value for z in frozen.values()], retain_graph=True)
        # What reaches q comes from its samples: nothing is left if they are held.
        expected = torch.autograd.grad(
            [z.value for z in frozen.values()], list(q.parameters()), through, retain_graph=True
        )
        got = torch.autograd.grad(total, list(q.parameters()))
        for one, other in zip(got, expected, strict=True):
            assert_equal(one, other, f"{text}: the gradient of log q")


def test_without_gradients_a_frozen_draw_is_a_draw() -> None:
    oracle = linear_gaussian.hierarchy()
    with torch.no_grad():
        draw = oracle.model.draw(vk.Batch(oracle.sample(3)), 2, frozen_q=True)
        assert_equal(draw.log_w, oracle.log_p(oracle.sample(3)).expand(2, 3), "log w of the exact posterior")
    assert not draw.log_w.requires_grad
