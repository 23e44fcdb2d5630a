"""Point masses, grids of codes, and masks."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal

import vaekit as vk
from vaekit.distributions import OptimalNormal, PointMass, log_prob
from vaekit.distributions.codes import Codes, UniformIndices, nearest_on_grid, on_grid
from vaekit.testing import assert_equal


def test_point_mass_draws_its_point_and_has_no_density() -> None:
    value = torch.randn(4, 3, requires_grad=True)
    q = PointMass(value)
    drawn = q.rsample(torch.Size([5]))
    assert torch.equal(drawn, value.expand(5, 4, 3))
    drawn.sum().backward()
    assert value.grad is not None
    assert torch.equal(value.grad, torch.full((4, 3), 5.0))
    assert torch.equal(q.stddev, torch.zeros(4, 3))
    with pytest.raises(NotImplementedError):
        q.log_prob(drawn)


def test_nearest_code_is_the_nearest() -> None:
    torch.manual_seed(0)
    embedding, vectors = torch.randn(7, 3).double(), torch.randn(2, 5, 3, 2, 4).double()
    indices = nearest_on_grid(embedding, vectors)
    distance = torch.cdist(vectors.movedim(-3, -1).reshape(-1, 3), embedding)
    assert torch.equal(indices, distance.argmin(1).reshape(2, 5, 2, 4))
    assert torch.equal(on_grid(embedding[indices])[1, 2, :, 0, 3], embedding[indices[1, 2, 0, 3]])


def test_codes_far_from_zero_are_told_apart() -> None:
    torch.manual_seed(0)
    embedding = 1e4 + torch.randn(64, 8)
    expected = torch.randint(64, (5, 3, 3))
    assert torch.equal(nearest_on_grid(embedding, on_grid(embedding[expected])), expected)


def test_codes_are_found_again_in_their_samples() -> None:
    torch.manual_seed(0)
    embedding = torch.randn(5, 3).double()
    p = Codes(UniformIndices(5, (2, 3), embedding), embedding, (2, 3))
    drawn = p.sample(torch.Size([4, 6]))
    assert drawn.shape == (4, 6, 3, 2, 3)
    assert p.sample().shape == (3, 2, 3)
    log_p = p.log_prob(drawn)
    assert log_p.dtype == torch.float64
    assert_equal(log_p, torch.full((4, 6), -6 * math.log(5), dtype=torch.float64), "log p of a uniform grid")


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


def test_mask_leaves_out_what_is_not_observed() -> None:
    torch.manual_seed(0)
    p = Independent(Bernoulli(logits=torch.randn(3, 4, 2, 5)), 2)
    x = torch.rand(4, 2, 5).round()
    mask = torch.rand(4, 2, 5) < 0.5
    expected = (p.base_dist.log_prob(x) * mask).sum((-2, -1))
    torch.testing.assert_close(log_prob(p, x, mask), expected)
    assert torch.equal(log_prob(p, x), p.log_prob(x))
    assert torch.equal(log_prob(p, x, torch.zeros_like(mask)), torch.zeros(3, 4))


def test_mask_needs_a_distribution_that_factorises() -> None:
    q = vk.distributions.CholeskyNormal(torch.zeros(4, 3), torch.eye(3).expand(4, 3, 3))
    with pytest.raises(vk.UserError, match="CholeskyNormal does not"):
        log_prob(q, torch.zeros(4, 3), torch.ones(4, 3, dtype=torch.bool))
