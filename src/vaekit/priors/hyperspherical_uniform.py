"""Uniform prior on the hypersphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.von_mises_fisher import HypersphericalUniform as Uniform
from vaekit.parts.record import part


@part("prior/hyperspherical-uniform", paper="Davidson et al. 2018, section 3")
class HypersphericalUniform(nn.Module):
    """p(z) = 1 / area of the unit sphere in R^latent_dim; goes with the posterior ``von-mises-fisher``.

    Args:
        latent_dim: length of z, at least 2.

    >>> import vaekit as vk
    >>> vk.priors.HypersphericalUniform(3)().sample((5,)).norm(dim=-1).round(decimals=4)
    tensor([1., 1., 1., 1., 1.])
    """

    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"latent_dim must be at least 2, got {latent_dim}: unit vectors of length 1 are signs")
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self, condition: Tensor | None = None) -> Uniform:
        return Uniform(self.zero)
