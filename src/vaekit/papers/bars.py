"""The bars: images that are sums of a few horizontal and vertical bars (Földiák 1990)."""

from __future__ import annotations

import torch
from torch import Tensor

FOUND = 0.9


def bars(size: int = 5) -> Tensor:
    """Each bar as a column, ``(size², 2 size)``: rows first.

    >>> bars(2).T.tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    lines = torch.eye(size, dtype=torch.float64)
    across = lines.unsqueeze(-1).expand(-1, -1, size)
    return torch.cat([across, across.transpose(1, 2)]).flatten(1).T.contiguous()


def found(weight: Tensor, truth: Tensor) -> int:
    """How many columns of the truth have a column of W of their own that points their way, up to sign.

    >>> found(torch.eye(3)[:, [2, 0]], torch.eye(3))
    2
    """
    one, other = (matrix.double() / matrix.norm(dim=0).clamp_min(1e-12) for matrix in (truth, weight))
    alike = (one.T @ other).abs()
    best = alike.argmax(1)
    good = alike.max(1).values > FOUND
    return len(set(best[good].tolist()))
