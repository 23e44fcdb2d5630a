"""How far the distribution of samples is from that of rows: Fréchet distance of two Gaussians, and kernel distance."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

AT_ONCE = 1 << 20  # numbers in double precision
BLOCK = 1000  # rows, at most, of a block of the kernel distance (Bińkowski et al. 2018)
BLOCKS = 10  # at least, so that their spread tells an error


class Moments(NamedTuple):
    """Of rows of features, in float64.

    Attributes:
        mean: ``(features,)``.
        covariance: ``(features, features)``, the sum of squares divided by rows − 1.
    """

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor, at_once: int = AT_ONCE) -> Moments:
    """Mean and covariance in one pass, chunk by chunk.

    With S the sums of squares about the mean of a chunk, S = S_a + S_b + (m_b − m_a)(m_b − m_a)ᵀ n_a n_b / (n_a + n_b):
    a mean that is large beside the spread costs no digits.

    Args:
        features: ``(rows, features)``, two rows or more.
        at_once: numbers that are taken in double precision at a time.
    """
    rows, dims = features.shape
    mean = features.new_zeros(dims, dtype=torch.float64)
    squares = features.new_zeros(dims, dims, dtype=torch.float64)
    seen = 0
    for chunk in features.split(max(1, at_once // dims)):
        wide = chunk.double()
        here = wide.mean(0)
        apart = here - mean
        wide = wide - here
        squares.addmm_(wide.T, wide)
        squares.addr_(apart, apart, alpha=seen * len(chunk) / (seen + len(chunk)))
        seen += len(chunk)
        mean += apart * (len(chunk) / seen)
    return Moments(mean, squares / (rows - 1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """‖m_a − m_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½): W₂² of two Gaussians (Heusel et al. 2017, equation 6).

    For any factors Σ = S Sᵀ the trace of the last root is the sum of the singular values of S_aᵀ S_b. The factors are
    symmetric eigenvectors times √λ, without the directions in which nothing varies: covariances may be singular.
    """
    within = a.covariance.trace() + b.covariance.trace()
    cross = torch.linalg.svdvals(_factor(a.covariance).T @ _factor(b.covariance)).sum()
    # What is 0 may come out below it by rounding.
    return ((a.mean - b.mean).square().sum() + within - 2 * cross).clamp_min(0).item()


def _factor(covariance: Tensor) -> Tensor:
    """S with S Sᵀ = Σ, ``(features, rank)``."""
    values, vectors = torch.linalg.eigh(covariance)
    there = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, there] * values[there].sqrt()


class KernelDistance(NamedTuple):
    """
    Attributes:
        value: MMD², the mean over blocks; it has no bias and may be negative.
        error: its standard error over the blocks; ``None`` of a single one.
    """

    value: float
    error: float | None


def kernel_distance(rows: Tensor, samples: Tensor, at_once: int = AT_ONCE) -> KernelDistance:
    """MMD² for k(x, y) = (xᵀy / features + 1)³, of Inception features called KID (Bińkowski et al. 2018, section 4).

    Rows and samples are cut into as many blocks, at least 10 where there are enough, of at most 1,000 of the fewer of
    the two. In a block Σ_{i≠j} k(x_i, x_j) / m(m − 1) + Σ_{i≠j} k(y_i, y_j) / n(n − 1) − 2 Σ_ij k(x_i, y_j) / mn.

    Args:
        rows, samples: ``(m, features)`` and ``(n, features)`` in random order, two or more of each.
        at_once: values of the kernel that are computed at a time.
    """
    fewer = min(len(rows), len(samples))
    blocks = min(max(BLOCKS, math.ceil(fewer / BLOCK)), fewer // 2)
    each = []
    for x, y in zip(rows.tensor_split(blocks), samples.tensor_split(blocks), strict=True):
        within = _mean_kernel(x, x, at_once, apart=True) + _mean_kernel(y, y, at_once, apart=True)
        each.append(within - 2 * _mean_kernel(x, y, at_once))
    values = torch.stack(each)
    return KernelDistance(values.mean().item(), (values.std() / blocks**0.5).item() if blocks > 1 else None)


def _mean_kernel(x: Tensor, y: Tensor, at_once: int, apart: bool = False) -> Tensor:
    """The mean of k(x_i, y_j) over all pairs; ``apart``: y is x, and only pairs of two different rows count."""
    dims = x.shape[1]
    total = x.new_zeros((), dtype=torch.float64)
    y = y.double()
    for some in x.split(max(1, at_once // max(len(y), dims))):
        wide = some.double()
        total += (wide @ y.T / dims + 1).pow(3).sum()
        if apart:
            total -= (wide.square().sum(1) / dims + 1).pow(3).sum()
    return total / (len(x) * (len(y) - apart))
