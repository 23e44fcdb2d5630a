"""Grids of codes."""

from __future__ import annotations

import math

import torch

from vaekit.distributions.codes import Codes, UniformIndices, nearest_on_grid, on_grid
from vaekit.testing import assert_equal


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
