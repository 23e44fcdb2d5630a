"""Precision, recall, density and coverage of samples, by balls that reach to the k-th nearest neighbour."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

DISTANCES = 1 << 21  # computed at once

# Of √(|a|² + |b|²): distances that differ by less are equal. Features are in single precision, and where data have few
# levels most distances would be.
SLACK = 5e-7


class Neighbourhoods(NamedTuple):
    """A point's ball reaches to the k-th nearest of the points of its own kind, border included.

    Attributes:
        precision: share of the samples in the ball of any row (Kynkäänniemi et al. 2019, equations 1 and 2).
        recall: share of the rows in the ball of any sample.
        density: in how many balls of rows a sample lies, in the mean and divided by k (Naeem et al. 2020,
            equation 3); about 1 where both have one distribution, and more where samples crowd among rows.
        coverage: share of the rows with a sample in their ball (their equation 4).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(
    rows: Tensor,
    samples: Tensor,
    k: int = 5,
    *,
    distances: int = DISTANCES,
    progress: Callable[[int], None] = lambda rows: None,
) -> Neighbourhoods:
    """All four figures, by every distance there is, in blocks.

    Args:
        rows, samples: ``(m, features)`` and ``(n, features)``, more than k of each.
        k: which neighbour a ball reaches to.
        distances: how many are computed at once.
        progress: told the number of rows finished.
    """
    # Seen from where the rows are, no digits are lost to a mean that is large beside the distances.
    centre = rows.mean(0, dtype=torch.float64)
    reach = torch.cat([_reach(samples, *block, k, centre) for block in _blocks(samples, len(samples), distances)])
    caught = torch.zeros(len(samples), dtype=torch.bool, device=samples.device)
    in_balls = recalled = covered = 0
    for start, some in _blocks(rows, max(len(rows), len(samples)), distances):
        apart = euclidean(some, samples, centre, SLACK)
        inside = apart <= _reach(rows, start, some, k, centre).unsqueeze(1)
        caught |= inside.any(0)
        in_balls += int(inside.sum())
        covered += int(inside.any(1).sum())
        recalled += int((apart <= reach).any(1).sum())
        progress(len(some))
    return Neighbourhoods(
        caught.double().mean().item(), recalled / len(rows), in_balls / (k * len(samples)), covered / len(rows)
    )


def _blocks(points: Tensor, others: int, distances: int) -> list[tuple[int, Tensor]]:
    """Points so many at a time that their distances to ``others`` fit, each block with the number of its first."""
    size = max(1, distances // others)
    return [(start, points[start : start + size]) for start in range(0, len(points), size)]


def _reach(points: Tensor, start: int, some: Tensor, k: int, centre: Tensor) -> Tensor:
    """Distance to the k-th nearest other point, of the points from number ``start`` on, ``(some,)``."""
    apart = euclidean(some, points, centre)
    own = torch.arange(len(some), device=some.device)
    apart[own, start + own] = torch.inf
    return apart.kthvalue(k, 1).values


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
