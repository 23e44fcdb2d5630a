"""Log-probabilities of what is observed."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Independent

import vaekit as vk
from vaekit.distributions import log_prob


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
