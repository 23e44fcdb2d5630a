"""Likelihoods of counts: Poisson, negative binomial, zero-inflated."""

from __future__ import annotations

import torch
from torch import Tensor, distributions, nn

from vaekit.distributions import counts as large
from vaekit.distributions.counts import ZeroInflated
from vaekit.networks.network import positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/poisson")
class Poisson(nn.Module):
    """p(x|z) = Π_d Poisson(x_d; λ_d(z)), for x = 0, 1, 2 …

    Args:
        network: from latents to features.
        shape: shape of one example.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Poisson(vk.networks.MLP(20), (7,))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((1, *shape))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> distributions.Independent:
        rate = positive(self.head(self.network(z, condition)).squeeze(-self.event_dims - 1))
        base = large.Poisson(rate, validate_args=False)
        return distributions.Independent(base, self.event_dims, validate_args=False)


@part("likelihood/negative-binomial", paper="Lopez et al. 2018 (scVI)")
class NegativeBinomial(nn.Module):
    """p(x|z) = Π_d NB(x_d; mean μ_d(z), inverse dispersion r_d): variance μ + μ²/r, r learned per dimension.

    Args:
        network: from latents to features.
        shape: shape of one example.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.NegativeBinomial(vk.networks.MLP(20), (7,))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((1, *shape))
        self.raw_inverse_dispersion = nn.Parameter(torch.zeros(shape))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> distributions.Independent:
        mean = positive(self.head(self.network(z, condition)).squeeze(-self.event_dims - 1))
        base = _negative_binomial(mean, positive(self.raw_inverse_dispersion))
        return distributions.Independent(base, self.event_dims, validate_args=False)


@part("likelihood/zero-inflated-negative-binomial", paper="Lopez et al. 2018 (scVI)")
class ZeroInflatedNegativeBinomial(nn.Module):
    """p(x|z) = Π_d of π_d(z) [x_d = 0] + (1 − π_d(z)) NB(x_d; μ_d(z), r_d): counts that are lost at times.

    Both μ and π come from the network; r is learned per dimension, as in :class:`NegativeBinomial`.

    Args:
        network: from latents to features.
        shape: shape of one example.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.ZeroInflatedNegativeBinomial(vk.networks.MLP(20), (7,))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((2, *shape))
        self.raw_inverse_dispersion = nn.Parameter(torch.zeros(shape))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> distributions.Independent:
        raw, gate = self.head(self.network(z, condition)).unbind(-self.event_dims - 1)
        counts = _negative_binomial(positive(raw), positive(self.raw_inverse_dispersion))
        return distributions.Independent(ZeroInflated(gate, counts), self.event_dims, validate_args=False)


def _negative_binomial(mean: Tensor, inverse_dispersion: Tensor) -> large.NegativeBinomial:
    logits = mean.log() - inverse_dispersion.log()
    return large.NegativeBinomial(inverse_dispersion, logits)
