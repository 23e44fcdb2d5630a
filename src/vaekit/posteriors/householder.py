"""Householder posterior: a diagonal Gaussian turned by reflections."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.full_covariance import HouseholderNormal
from vaekit.networks.network import Linear, checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/householder", paper="Tomczak & Welling 2016")
class Householder(nn.Module):
    """q(z|x): μ + σ ε reflected ``length`` times; the first vector from the network, each other one linear in the last.

    Volume is preserved, so that log q(z|x) is that of the diagonal Gaussian before; the covariance is full.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z, at least 2: a number cannot be turned.
        length: T, number of reflections; latent_dim of them reach every rotation.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.Householder(vk.networks.MLP(784), latent_dim=20, length=5)(torch.zeros(5, 784))
    >>> q.rsample((3,)).shape, q.log_prob(q.mean).shape
    (torch.Size([3, 5, 20]), torch.Size([5]))
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, length: int = 4, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"latent_dim must be at least 2, got {latent_dim}: a number cannot be turned")
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}; the posterior 'diagonal' has no reflection")
        self.network = as_network(network, self)
        self.head = self.network.head((3, latent_dim))
        self.next = nn.ModuleList(Linear(latent_dim, latent_dim) for _ in range(length - 1))
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> HouseholderNormal:
        loc, raw, vector = self.head(self.network(x, condition, **observed)).unbind(-2)
        vectors = [vector]
        for layer in self.next:
            vectors.append(layer(vectors[-1]))
        return HouseholderNormal(loc, positive(raw, self.minimum_scale), torch.stack(vectors, dim=-2))
