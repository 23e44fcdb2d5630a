"""Code books: a finite set of vectors that an encoder's output is rounded to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from vaekit.checks import check_number
from vaekit.parts.record import part


@part("codebook/moving-average", paper="van den Oord et al. 2017, appendix A.1; restarts: Dhariwal et al. 2020")
class MovingAverageCodebook(nn.Module):
    """Codes follow the mean of the vectors rounded to them; no gradient reaches them.

    N ← γN + (1 − γ)n, m ← γm + (1 − γ)Σ vectors, code = m / N. A code that is hardly used starts
    again at a vector of the current batch.

    Args:
        num_codes: number of codes.
        code_dim: length of each.
        decay: γ.
        restart_below: a code whose running count per batch falls below this starts again.

    Raises:
        ValueError: if an option is out of range.
    """

    embedding: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, num_codes: int, code_dim: int, decay: float = 0.99, restart_below: float = 0.1) -> None:
        super().__init__()
        _check_sizes(num_codes, code_dim)
        check_number("decay", decay, 0, below=1)
        check_number("restart_below", restart_below, 0)
        self.num_codes, self.code_dim = num_codes, code_dim
        self.decay, self.restart_below = decay, restart_below
        self.register_buffer("embedding", torch.randn(num_codes, code_dim))
        self.register_buffer("count", torch.zeros(num_codes))
        self.register_buffer("total", torch.zeros(num_codes, code_dim))

    @torch.no_grad()
    def update(self, vectors: Tensor, indices: Tensor) -> Tensor:
        """Move the codes towards ``vectors`` ``(batch, places, code_dim)`` (in training) and return no loss."""
        if self.training:
            flat = vectors.reshape(-1, self.code_dim).to(self.total.dtype)
            usage = one_hot(indices.reshape(-1), self.num_codes).to(flat.dtype)
            with torch.autocast(flat.device.type, enabled=False):
                sums = usage.T @ flat
            self.count.lerp_(usage.sum(0), 1 - self.decay)
            self.total.lerp_(sums, 1 - self.decay)
            idle = self.count < self.restart_below
            chosen = flat[torch.randint(len(flat), (self.num_codes,), device=flat.device)]
            self.count.copy_(torch.where(idle, torch.ones_like(self.count), self.count))
            self.total.copy_(torch.where(idle[:, None], chosen, self.total))
            # A new tensor: whoever holds the codes of this batch keeps them.
            self.embedding = self.total / self.count[:, None]
        return vectors.new_zeros(vectors.shape[0])


@part("codebook/gradient", paper="van den Oord et al. 2017, equation 3")
class GradientCodebook(nn.Module):
    """Codes are parameters, pulled by gradient to the vectors rounded to them: ‖sg[z_e] − e‖².

    Args:
        num_codes: number of codes.
        code_dim: length of each.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(self, num_codes: int, code_dim: int) -> None:
        super().__init__()
        _check_sizes(num_codes, code_dim)
        self.num_codes, self.code_dim = num_codes, code_dim
        self.embedding = nn.Parameter(torch.randn(num_codes, code_dim))

    def update(self, vectors: Tensor, indices: Tensor) -> Tensor:
        """The code book loss of ``vectors`` ``(batch, places, code_dim)``, shape ``(batch,)``."""
        return (vectors.detach() - self.embedding[indices]).square().sum((-2, -1))


def _check_sizes(num_codes: int, code_dim: int) -> None:
    """Range check of the sizes of a codebook.

    Raises:
        ValueError: if there are none.
    """
    if num_codes < 1 or code_dim < 1:
        raise ValueError(f"a code book needs at least one code of length 1, got {num_codes} of length {code_dim}")
