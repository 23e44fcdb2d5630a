"""Von Mises–Fisher posterior: a direction."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from vaekit.distributions.von_mises_fisher import VonMisesFisher as Direction
from vaekit.networks.network import positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/von-mises-fisher", paper="Davidson et al. 2018, section 3")
class VonMisesFisher(nn.Module):
    """q(z|x) ∝ exp(κ(x) μ(x)ᵀz) on the unit sphere; goes with the prior ``hyperspherical-uniform``.

    A sphere has no middle that pulls the latents together, and none collapses by itself: κ tells the certainty of all
    of z at once. It starts at the length of z, where the divergence is of order 1.

    Args:
        network: from ``x`` to features.
        latent_dim: length of the unit vector z, at least 2 (a circle).

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.VonMisesFisher(vk.networks.MLP(784), latent_dim=3)(torch.zeros(5, 784))
    >>> q.sample((2,)).norm(dim=-1).round(decimals=4)
    tensor([[1., 1., 1., 1., 1.],
            [1., 1., 1., 1., 1.]])
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"latent_dim must be at least 2, got {latent_dim}: unit vectors of length 1 are signs")
        self.network, self.latent_dim = as_network(network, self), latent_dim
        self.head = self.network.head((latent_dim + 1,))

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Direction:
        direction, raw = self.head(self.network(x, condition, **observed)).split([self.latent_dim, 1], dim=-1)
        return Direction(normalize(direction, dim=-1), self.latent_dim * positive(raw.squeeze(-1)))
