"""Uniform prior over categories."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.categorical import OneHots, variables_of
from vaekit.parts.record import part


@part("prior/uniform-categorical", paper="Jang et al. 2017, section 4.2")
class UniformCategorical(nn.Module):
    """log p(z) = −N log K for N = latent_dim / K one-hot vectors; goes with the posterior ``categorical``.

    Args:
        latent_dim: length of z, N K.
        categories: K.

    >>> import vaekit as vk
    >>> vk.priors.UniformCategorical(latent_dim=6, categories=3)().sample((5,)).sum(-1)
    tensor([2., 2., 2., 2., 2.])
    """

    zero: Tensor

    def __init__(self, latent_dim: int, categories: int = 2) -> None:
        super().__init__()
        zero = torch.zeros(variables_of(latent_dim, categories), categories)
        self.register_buffer("zero", zero, persistent=False)

    def forward(self, condition: Tensor | None = None) -> OneHots:
        return OneHots(self.zero)
