"""Point-mass posterior: the encoder of a plain autoencoder."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.distributions.point_mass import PointMass
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/point")
class Point(nn.Module):
    """All mass at f(x). It has no density: models with it claim no bound on log p(x).

    Args:
        network: from ``x`` to features.
        latent_dim: length of z.

    >>> import torch, vaekit as vk
    >>> vk.posteriors.Point(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784)).mean.shape
    torch.Size([5, 20])
    """

    has_density = False

    def __init__(self, network: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.network = as_network(network, self)
        self.head = self.network.head((latent_dim,))

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> PointMass:
        return PointMass(self.head(self.network(x, condition, **observed)))
