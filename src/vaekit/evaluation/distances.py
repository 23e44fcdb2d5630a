"""Distances between points in double precision, by matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

DISTANCES = 1 << 21  # computed at once


def euclidean(a: Tensor, b: Tensor, centre: Tensor, slack: float = 0.0) -> Tensor:
    """‖a_i − b_j‖ less ``slack`` times √(‖a_i‖² + ‖b_j‖²), ``(rows of a, rows of b)``, in float64.

    Args:
        a, b: ``(rows, values)``.
        centre: a point near both, ``(values,)`` in float64: no digits are lost to what they have in common.
        slack: by how much less.
    """
    a = a - centre
    size = max(1, DISTANCES // b.shape[1])
    result = a.new_empty(len(a), len(b))
    for start in range(0, len(b), size):
        wide = b[start : start + size] - centre
        sizes = a.square().sum(1, keepdim=True) + wide.square().sum(1)
        here = torch.addmm(sizes, a, wide.T, alpha=-2).clamp_min_(0).sqrt_()
        result[:, start : start + size] = here.sub_(sizes.sqrt_(), alpha=slack) if slack else here
    return result
