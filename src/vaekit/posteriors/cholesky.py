"""Gaussian posterior with full covariance by its Cholesky factor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.full_covariance import CholeskyNormal
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/cholesky", paper="Kingma & Welling 2019, algorithm 2")
class Cholesky(nn.Module):
    """q(z|x) = N(μ(x), L(x) L(x)ᵀ), L = diag σ(x) plus a strictly lower triangle, all from the network.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z; the head has latent_dim (latent_dim + 2) outputs.
        minimum_scale: smallest diagonal element of L.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.Cholesky(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784))
    >>> q.rsample((3,)).shape, q.log_prob(q.mean).shape
    (torch.Size([3, 5, 20]), torch.Size([5]))
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        self.network = as_network(network, self)
        self.head = self.network.head((latent_dim + 2, latent_dim))
        self.latent_dim = latent_dim
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> CholeskyNormal:
        loc, raw, below = self.head(self.network(x, condition, **observed)).split([1, 1, self.latent_dim], dim=-2)
        scale_tril = below.tril(-1) + torch.diag_embed(positive(raw.squeeze(-2), self.minimum_scale))
        return CholeskyNormal(loc.squeeze(-2), scale_tril)
