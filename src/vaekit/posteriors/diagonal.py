"""Gaussian posterior with independent dimensions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/diagonal", paper="Kingma & Welling 2013, appendix C.2")
class Diagonal(nn.Module):
    """q(z|x) = N(μ(x), diag σ²(x)); also the conditional p(z|u) of a chain's lower level.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.Diagonal(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784))
    >>> q.rsample((3,)).shape, q.log_prob(q.mean).shape
    (torch.Size([3, 5, 20]), torch.Size([5]))
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        self.network = as_network(network, self)
        self.head = self.network.head((2, latent_dim))
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Independent:
        loc, raw = self.head(self.network(x, condition, **observed)).unbind(-2)
        scale = positive(raw, self.minimum_scale)
        return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)
