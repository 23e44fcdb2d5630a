"""Normal distributions of special form."""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal

from vaekit.distributions import OptimalNormal
from vaekit.distributions.normal import UnitNormal
from vaekit.testing import assert_equal


def test_draws_are_those_of_torch() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    torch.manual_seed(0)
    ours = UnitNormal(zero, one).sample(torch.Size([5, 2]))
    torch.manual_seed(0)
    torch.testing.assert_close(ours, Normal(zero, one).sample(torch.Size([5, 2])))


def test_optimal_normal_reports_the_variance_that_it_uses() -> None:
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    loc, x = torch.randn(2, 4, 3).double(), torch.randn(4, 3).double()
    log_p = OptimalNormal(loc, 1, seen.append).log_prob(x)
    assert log_p.shape == (2, 4)
    variance = (x - loc).square().mean()
    assert_equal(seen[0], variance, "σ²")
    assert_equal(log_p, Normal(loc, variance.sqrt()).log_prob(x).sum(-1), "log N(x; μ, σ²)")
    assert_equal(log_p.mean(), -1.5 * (1 + (2 * math.pi * variance).log()), "−D/2 (1 + log 2πσ²)")
