"""Gaussian posterior whose covariance is a diagonal plus a few outer products."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.distributions import LowRankNormal
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/low-rank", paper="Rezende et al. 2014, section 4.3")
class LowRank(nn.Module):
    """q(z|x) = N(μ, diag σ² + W Wᵀ), W with ``rank`` columns; μ, σ and W from the network.

    Along ``rank`` directions z is less certain than the diagonal says. The density costs O(latent_dim rank²), by the
    small matrix I + Wᵀ diag σ⁻² W.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z; the head has latent_dim (rank + 2) outputs.
        rank: number of columns of W.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.LowRank(vk.networks.MLP(784), latent_dim=20, rank=3)(torch.zeros(5, 784))
    >>> q.rsample((3,)).shape, q.log_prob(q.mean).shape
    (torch.Size([3, 5, 20]), torch.Size([5]))
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, rank: int = 2, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank must be at least 1, got {rank}; the posterior 'diagonal' has none")
        self.network = as_network(network, self)
        self.head = self.network.head((rank + 2, latent_dim))
        self.rank = rank
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> LowRankNormal:
        loc, raw, columns = self.head(self.network(x, condition, **observed)).split([1, 1, self.rank], dim=-2)
        variance = positive(raw.squeeze(-2), self.minimum_scale).square()
        return LowRankNormal(loc.squeeze(-2), columns.mT, variance, validate_args=False)
