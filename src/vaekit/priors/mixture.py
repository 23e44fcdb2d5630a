"""A trainable mixture of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.config import part
from vaekit.distributions.mixture import Mixture
from vaekit.networks.positive import positive


@part("prior/mixture", paper="Tomczak & Welling 2018, section 4 (baseline)")
class MixtureOfGaussians(nn.Module):
    """p(z) = Σ_k π_k N(z; μ_k, diag σ_k²) with trained π, μ and σ.

    Starts near the standard normal: equal weights, σ = 1, means drawn from N(0, spread²).

    Args:
        latent_dim: length of z.
        num_components: number of components.
        spread: standard deviation of the means at the start.

    >>> import vaekit as vk
    >>> p = vk.priors.MixtureOfGaussians(20, num_components=10)()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    def __init__(self, latent_dim: int, num_components: int = 10, spread: float = 1.0) -> None:
        super().__init__()
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, got {num_components}")
        self.elements_per_draw = num_components
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.loc = nn.Parameter(spread * torch.randn(num_components, latent_dim))
        self.raw_scale = nn.Parameter(torch.zeros(num_components, latent_dim))

    def forward(self, condition: Tensor | None = None) -> Mixture:
        components = Normal(self.loc, positive(self.raw_scale, minimum=1e-4), validate_args=False)
        return Mixture(self.logits, Independent(components, 1, validate_args=False))
