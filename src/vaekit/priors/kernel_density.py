"""Kernel-density prior: a Gaussian around each of many encodings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.data.batch import Batch
from vaekit.distributions.mixture import Mixture
from vaekit.errors import UserError
from vaekit.parts.record import part

WIDTHS = torch.logspace(-2, 0.3, 24)  # of the spread of the encodings


@part("prior/kernel-density", paper="Parzen 1962")
class KernelDensity(nn.Module):
    """p(z) = (1/N) Σ_i N(z; z_i, h² diag s²), z_i encodings of training rows and s their spread in each dimension.

    Nothing in it is trained: it is fitted to the encodings of a model that is (``vaekit fit-prior``).

    Args:
        latent_dim: length of z.
        num_points: N.

    Raises:
        ValueError: if there are fewer than two points.

    >>> import torch, vaekit as vk
    >>> prior = vk.priors.KernelDensity(2, num_points=50)
    >>> prior.fit(torch.randn(60, 2), torch.randn(20, 2))
    >>> prior().log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(self, latent_dim: int, num_points: int = 5000) -> None:
        super().__init__()
        if num_points < 2:
            raise ValueError(f"num_points must be at least 2, got {num_points}")
        self.elements_per_draw = num_points
        self.points = nn.Parameter(torch.randn(num_points, latent_dim), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(latent_dim), requires_grad=False)

    def initialize_from_data(self, model: nn.Module, rows: Callable[[int], Batch]) -> None:
        """Refusal: a kernel density has nothing to be trained.

        Raises:
            UserError: always: no step of a training would move it.
        """
        raise UserError(
            "the prior kernel-density is not trained: its points are encodings of a model that is.",
            hint="train with another prior, and then: vaekit fit-prior RUN --prior kernel-density.",
        )

    @torch.no_grad()
    def fit(self, z: Tensor, held_out: Tensor) -> None:
        """Take the points from encodings ``(rows, latent_dim)``, and the h under which others are most likely.

        Fewer encodings than points are taken several times.
        """
        self.points.copy_(z[torch.arange(len(self.points)) % len(z)])
        spread = z.std(0).clamp_min(1e-6)
        widths = WIDTHS.to(z)
        log_p = torch.stack([self._mixture(width * spread).log_prob(held_out).mean() for width in widths])
        self.scale.copy_(widths[log_p.argmax()] * spread)

    def _mixture(self, scale: Tensor) -> Mixture:
        kernels = Normal(self.points, scale.expand_as(self.points), validate_args=False)
        return Mixture(torch.zeros_like(self.points[:, 0]), Independent(kernels, 1, validate_args=False))

    def forward(self, condition: Tensor | None = None) -> Mixture:
        return self._mixture(self.scale)
