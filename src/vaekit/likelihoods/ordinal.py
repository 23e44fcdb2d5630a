"""Ordinal likelihood: ordered levels without distances between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent

from vaekit.distributions import categorical
from vaekit.distributions.logistic import checked_levels
from vaekit.networks.network import positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/ordinal", paper="McCullagh 1980")
class Ordinal(nn.Module):
    """p(x|z) = Π_d of a logistic variable of location η_d(z) cut at learned thresholds, for x = k/(levels − 1).

    P(x_d ≤ k/(levels − 1)) = σ(θ_dk − η_d(z)): which levels lie close together is learned for each dimension.

    Args:
        network: from latents to features.
        shape: shape of one example.
        levels: number of levels.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Ordinal(vk.networks.MLP(20), (7,), levels=5)(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...], levels: int = 5) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((1, *shape))
        # At the start of equal probability where η = 0: θ_k = logit((k + 1) / levels).
        start = torch.logit(torch.arange(1, checked_levels(levels)) / levels)
        self.first_threshold = nn.Parameter(start[:1].expand(*shape, 1).clone())
        self.raw_steps = nn.Parameter(torch.zeros(*shape, levels - 2))
        self.register_buffer("first_steps", start.diff(), persistent=False)
        self.event_dims = len(shape)

    @property
    def thresholds(self) -> Tensor:
        """θ, ``(*shape, levels − 1)``, increasing along the last axis."""
        steps = self.first_steps * positive(self.raw_steps)  # type: ignore[operator]
        return torch.cat([self.first_threshold, steps], dim=-1).cumsum(-1)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        location = self.head(self.network(z, condition)).squeeze(-self.event_dims - 1)
        base = categorical.Ordinal(location, self.thresholds)
        return Independent(base, self.event_dims, validate_args=False)
