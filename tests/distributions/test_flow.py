"""Flows: the determinant against autograd's Jacobian, the inverse, the mean without a formula."""

from __future__ import annotations

import math

import part_cases
import pytest
import torch
from torch.distributions import Distribution, Independent, Normal

from vaekit.distributions import Flow, moments
from vaekit.networks.flow_steps import AutoregressiveStep, CouplingStep
from vaekit.testing import assert_equal, assert_same, check_gradient, seeded
from vaekit.testing.statistics import assert_within

FLOWS = ["inverse-autoregressive", "coupling"]


def flow(name: str, latent_dim: int = 3, rows: int = 4) -> tuple[torch.nn.Module, Flow]:
    """A flow that bends: its weights are larger than those of the start."""
    posterior = part_cases.make("posterior", name, latent_dim=latent_dim, length=3).double()
    with seeded(1), torch.no_grad():
        for parameter in posterior.parameters():
            parameter.mul_(1.5)
        return posterior, posterior(torch.rand(rows, *part_cases.SHAPE).double())


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("latent_dim", [2, 3, 5])
def test_log_q_is_that_of_the_jacobian(name: str, latent_dim: int) -> None:
    _, q = flow(name, latent_dim, rows=1)
    with seeded():
        noise = torch.randn(1, latent_dim).double()
    jacobian = torch.autograd.functional.jacobian(lambda e: q._forward(e.unsqueeze(0))[0][0], noise[0])
    z, log_det = q._forward(noise)
    assert_equal(log_det[0], torch.linalg.slogdet(jacobian)[1], "log|det ∂z/∂ε|")
    expected = Independent(Normal(0.0, torch.ones(latent_dim).double()), 1).log_prob(noise) - log_det
    assert_equal(q.log_prob(z), expected, "log q(z) by way of the inverse")


@pytest.mark.parametrize("name", FLOWS)
def test_the_inverse_is_one(name: str) -> None:
    _, q = flow(name)
    with seeded():
        noise = torch.randn(6, 4, 3).double()
    z, log_det = q._forward(noise)
    back, again = q._inverse(z)
    assert_equal(back, noise, "ε taken there and back")
    assert_equal(again, log_det, "the determinant of the inverse")


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_of_what_was_just_drawn_needs_no_inverse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, q = flow(name)
    z = q.rsample(torch.Size([6]))
    expected = q.log_prob(z.clone())
    monkeypatch.setattr(q, "_inverse", None)
    assert_equal(q.log_prob(z), expected, "log q of a z just drawn")


@pytest.mark.parametrize("name", FLOWS)
def test_gradients(name: str) -> None:
    posterior, _ = flow(name)
    with seeded(2):
        x, z = torch.rand(2, *part_cases.SHAPE).double(), torch.randn(2, 3).double()

    def value() -> torch.Tensor:
        q: Distribution = posterior(x)
        with seeded():
            drawn = q.rsample(torch.Size([2]))
        return (drawn.sin().sum() + q.log_prob(drawn).sum()) / 5 + q.log_prob(z).sum() / 5

    check_gradient(value, list(posterior.parameters()), f"log q of the posterior {name}")


def test_masks_let_nothing_through_from_later_dimensions() -> None:
    with seeded():
        step = AutoregressiveStep(4, context_dim=2, hidden=3).double()
        z, context = torch.randn(4).double(), torch.randn(2).double()
    jacobian = torch.autograd.functional.jacobian(lambda z: step(z, context)[0], z)
    assert_same(jacobian.triu(1), torch.zeros(4, 4).double(), "the Jacobian above its diagonal")
    assert (jacobian.tril(-1)[torch.tril_indices(4, 4, -1).unbind()] != 0).all()
    of_context = torch.autograd.functional.jacobian(lambda c: step(z, c)[0], context)
    assert (of_context != 0).all()


def test_every_dimension_of_a_coupling_flow_moves() -> None:
    with seeded():
        steps = [CouplingStep(5, context_dim=2, hidden=3).double() for _ in range(2)]
        z, context = torch.randn(5).double(), torch.randn(2).double()
    once = steps[0](z, context)[0]
    assert_same(once[:2], z[:2], "the half that is kept")
    assert (once[2:] != z[2:]).all()


def test_mean_and_variance_without_a_formula() -> None:
    loc, scale = torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[0.5, 2.0]]).double()
    log_det = scale.log().sum(-1)
    q = Flow(loc, lambda e: (loc + scale * e, log_det), lambda z: ((z - loc) / scale, log_det))
    assert_equal(q.mean, loc, "the mean of a straight flow")
    assert_equal(q.stddev, scale, "the standard deviation of a straight flow")
    assert_same(q.mean, q.mean, "the mean, asked for twice")
    # ε + a cosh ε has the mean a √e: points in pairs alone would not tell.
    bent = Flow(loc[:, :1], lambda e: (e + 0.3 * e.cosh(), e[..., 0]), lambda z: (z, z[..., 0]))
    assert abs(bent.mean.item() - 0.3 * math.exp(0.5)) < 0.02


@pytest.mark.parametrize("name", FLOWS)
def test_mean_is_near_that_of_many_draws(name: str) -> None:
    _, q = flow(name)
    mean, scale = moments(q)
    with seeded():
        z = q.rsample(torch.Size([20_000]))
    assert_within((z.mean(0) - mean) / scale, torch.full_like(mean, 0.02), "the mean by fixed points, in σ")
    assert_within((z.std(0) / scale).log(), torch.full_like(mean, 0.04), "the logarithm of the scale by fixed points")
