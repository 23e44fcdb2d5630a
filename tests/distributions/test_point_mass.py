"""The point mass."""

from __future__ import annotations

import pytest
import torch

from vaekit.distributions import PointMass


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
