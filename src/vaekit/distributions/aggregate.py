"""Aggregated posterior q(z) = (1/N) Σ_n q(z|x_n): its log-density from all rows or from a batch of them.

Each function takes ``log_q[…, i, j] = log q(z_i|x_j)`` in nats, z_i a draw for row i, and gives log q(z_i), ``(…, i)``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def from_all(log_q: Tensor) -> Tensor:
    """log (1/N) Σ_j q(z_i|x_j): exact where the columns are all rows."""
    return log_q.logsumexp(-1) - math.log(log_q.shape[-1])


def minibatch_weighted(log_q: Tensor, rows: int) -> Tensor:
    """log (1/NM) Σ_j q(z_i|x_j) over a batch of M (Chen et al. 2018, equation 3).

    Too small: by a factor M where the posteriors do not overlap, by N where they are all the same.

    Args:
        log_q: ``(…, M, M)``.
        rows: N.
    """
    return from_all(log_q) - math.log(rows)


def minibatch_stratified(log_q: Tensor, rows: int) -> Tensor:
    """log [(1/N) q(z_i|x_i) + (N−1)/N · mean_{j≠i} q(z_i|x_j)]: the own row for certain, the others by a sample.

    Its exponential is unbiased for q(z_i) over batches drawn without replacement (Chen et al. 2018, appendix C, whose
    unequal weights of the others have the same mean).

    Args:
        log_q: ``(…, M, M)``, M of at least 2.
        rows: N, at least M.
    """
    batch = log_q.shape[-1]
    own = torch.eye(batch, dtype=torch.bool, device=log_q.device)
    others = math.log((rows - 1) / (rows * (batch - 1)))
    weight = log_q.new_full((batch, batch), others).masked_fill(own, -math.log(rows))
    return (log_q + weight).logsumexp(-1)
