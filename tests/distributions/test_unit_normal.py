"""KL to N(0, 1) against torch's formula, its gradient and quadrature."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

import vaekit as vk
from vaekit.distributions.kl import UnitNormalDivergence, divergence
from vaekit.distributions.normal import UnitNormal

LOC = torch.tensor([[-2.0, 0.0, 0.3], [5.0, -1e-3, 1.0]], dtype=torch.float64)
SCALE = torch.tensor([[0.5, 1.0, 1e-4], [2.0, 0.9, 30.0]], dtype=torch.float64)


def test_it_is_the_general_formula() -> None:
    general = kl_divergence(Normal(LOC, SCALE), Normal(torch.zeros_like(LOC), torch.ones_like(LOC)))
    torch.testing.assert_close(UnitNormalDivergence.apply(LOC, SCALE), general)


def test_it_is_the_integral() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    q, p = Normal(zero + 0.7, one * 0.4), UnitNormal(zero, one)
    integral = torch.trapezoid((q.log_prob(z) - p.log_prob(z)) * q.log_prob(z).exp(), z)
    exact = UnitNormalDivergence.apply(q.loc, q.scale)
    assert exact.item() == pytest.approx(integral.item(), abs=1e-9)
    assert exact.item() == pytest.approx(0.5 * (0.49 + 0.16 - 1) - math.log(0.4))


def test_its_gradient() -> None:
    parameters = LOC.clone().requires_grad_(), SCALE.clone().requires_grad_()
    assert torch.autograd.gradcheck(UnitNormalDivergence.apply, parameters)


def test_draws_are_those_of_torch() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    torch.manual_seed(0)
    ours = UnitNormal(zero, one).sample(torch.Size([5, 2]))
    torch.manual_seed(0)
    torch.testing.assert_close(ours, Normal(zero, one).sample(torch.Size([5, 2])))


def test_the_standard_normal_prior_uses_it() -> None:
    p, q = vk.priors.StandardNormal(3).double()(), Independent(Normal(LOC.clone().requires_grad_(), SCALE), 1)
    total, each = divergence(q, p) or (None, None)
    assert each is not None
    assert "UnitNormalDivergence" in type(each.grad_fn).__name__
    torch.testing.assert_close((total, each), divergence(q, Independent(Normal(p.mean, p.stddev), 1)))
