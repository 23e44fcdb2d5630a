"""Rank-one posterior: full covariance at linear cost."""

from __future__ import annotations

import math

from torch import Tensor, nn

from vaekit.distributions.full_covariance import RankOneNormal
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/rank-one", paper="Rezende et al. 2014, section 4.3")
class RankOne(nn.Module):
    """q(z|x) = N(μ, C) with C⁻¹ = D + u uᵀ; D = diag σ⁻² and u = v / (σ √latent_dim), with μ, σ and v from the network.

    Along one direction z is known better than the diagonal says: by the factor 1 + uᵀD⁻¹u = 1 + mean v², which for
    an untrained network does not grow with latent_dim. The head has 3 latent_dim outputs, and nothing costs more than
    that.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.RankOne(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784))
    >>> q.rsample((3,)).shape, q.log_prob(q.mean).shape
    (torch.Size([3, 5, 20]), torch.Size([5]))
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        self.network = as_network(network, self)
        self.head = self.network.head((3, latent_dim))
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> RankOneNormal:
        loc, raw, direction = self.head(self.network(x, condition, **observed)).unbind(-2)
        precision = positive(raw, self.minimum_scale).reciprocal()
        return RankOneNormal(loc, precision.square(), direction * precision / math.sqrt(direction.shape[-1]))
