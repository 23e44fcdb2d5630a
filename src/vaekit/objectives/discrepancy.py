"""Discrepancy of two samples: maximum mean discrepancy and sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

# Of a squared distance; in (0, 1].
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": lambda apart: torch.exp(-apart),
    "imq": lambda apart: 1 / (1 + apart),
}


def checked_kernel(name: str) -> str:
    """Name of a kernel, if there is one.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in KERNELS:
        raise ValueError(f"the kernel must be one of {', '.join(KERNELS)}, got '{name}'")
    return name


def gram(a: Tensor, b: Tensor, kernel: str) -> Tensor:
    """k(a_i, b_j), ``(rows of a, rows of b)``, of points ``(rows, dims)``; wide and narrow kernels together.

    ``rbf`` is exp(−‖a − b‖² / sC) and ``imq`` sC / (sC + ‖a − b‖²), in the mean over s from 0.1 to 10. C = 2 dims is
    what two draws of a standard normal are apart in the mean.
    """
    apart = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1) / (2 * a.shape[-1])
    k = KERNELS[kernel]
    return sum((k(apart / scale) for scale in SCALES), start=torch.zeros_like(apart)) / len(SCALES)


def u_statistic(within_a: Tensor, within_b: Tensor, between: Tensor) -> Tensor:
    """MMD² without bias: Σ_{i≠j} k(a_i, a_j) / n(n − 1) + Σ_{i≠j} k(b_i, b_j) / n(n − 1) − 2 Σ_ij k(a_i, b_j) / n².

    It may be negative; of a single row nothing can be said, and it is 0.

    Args:
        within_a, within_b, between: ``(n, n)``.
    """
    rows = len(between)
    if rows < 2:
        return 0 * between.sum()

    def off_diagonal(k: Tensor) -> Tensor:
        return (k.sum() - k.diagonal().sum()) / (rows * (rows - 1))

    return off_diagonal(within_a) + off_diagonal(within_b) - 2 * between.mean()


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int) -> Tensor:
    """E over random directions u of W₂² between u·a and u·b: the mean squared difference once both are sorted.

    Args:
        a, b: ``(rows, dims)``, as many rows.
        directions: how many.
    """
    u = torch.randn(a.shape[-1], directions, dtype=a.dtype, device=a.device)
    u = u / u.norm(dim=0)
    return ((a @ u).sort(dim=0).values - (b @ u).sort(dim=0).values).square().mean()
