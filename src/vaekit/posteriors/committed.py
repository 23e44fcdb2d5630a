"""Gaussian posterior with a minimum rate (δ-VAE)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn.functional import softplus

from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/committed", paper="Razavi et al. 2019, section 2.2")
class Committed(nn.Module):
    """q(z|x) = N(μ(x), diag σ²(x)) with KL(q_j‖N(0, 1)) ≥ δ in every dimension j: a latent that cannot be ignored.

    σ lies between the two scales at which a mean of 0 has the divergence δ, and
    μ = √(2δ + 1 + ln σ² − σ² + softplus(m(x))), so that the divergence is δ + ½ softplus(m(x)). The paper has max(0, m)
    in its place, whose gradient ends at the floor. All means are positive. The floor holds for the standard normal
    prior and for no other.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z.
        rate: δ, in nats for each dimension.

    Raises:
        ValueError: if the rate is not between 0 and 10 nats.

    >>> import torch, vaekit as vk
    >>> from torch.distributions import kl_divergence
    >>> q = vk.posteriors.Committed(vk.networks.MLP(784), latent_dim=20, rate=0.1)(torch.zeros(5, 784))
    >>> bool((kl_divergence(q, vk.priors.StandardNormal(20)()) > 2).all())
    True
    """

    has_density = True

    def __init__(self, network: nn.Module, latent_dim: int, rate: float = 0.1) -> None:
        super().__init__()
        if not 0 < rate <= 10:
            raise ValueError(f"rate must be above 0 and at most 10 nats, got {rate}")
        self.network = as_network(network, self)
        self.head = self.network.head((2, latent_dim))
        self.rate = rate
        self.lowest, self.highest = scales_of(rate)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Independent:
        above, raw = self.head(self.network(x, condition, **observed)).unbind(-2)
        scale = self.lowest + (self.highest - self.lowest) * raw.sigmoid()
        # Of rounding, at either end, the square may be a hair below 0.
        square = (2 * self.rate + 1 + 2 * scale.log() - scale.square()).clamp_min(0) + softplus(above)
        return Independent(Normal(square.sqrt(), scale, validate_args=False), 1, validate_args=False)


def scales_of(rate: float) -> tuple[float, float]:
    """The two σ at which KL(N(0, σ²)‖N(0, 1)) = ½ (σ² − 1) − ln σ is the rate: one below 1, one above."""

    def nearest(inside: float, outside: float) -> float:
        for _ in range(100):
            middle = (inside + outside) / 2
            if 0.5 * (middle**2 - 1) - math.log(middle) < rate:
                inside = middle
            else:
                outside = middle
        return inside

    return nearest(1.0, math.exp(-rate - 1)), nearest(1.0, 2 + 2 * rate)
