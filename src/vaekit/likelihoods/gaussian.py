"""Gaussian likelihood of real data."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaekit.checks import check_number
from vaekit.distributions.normal import OptimalNormal
from vaekit.likelihoods.location_scale import LocationScale
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/gaussian", paper="Kingma & Welling 2013, appendix C.2")
class Gaussian(LocationScale):
    """p(x|z) = Π_d N(x_d; μ_d(z), σ_d²).

    Args:
        network: from latents to features.
        shape: shape of one example.
        scale: where σ comes from: a number (fixed), ``learned`` (one scalar), ``per-dimension`` (a
            parameter each) or ``network`` (a function of z). For the closed-form optimum see
            :class:`OptimalGaussian`.
        minimum_scale: smallest σ; keeps the density of constant columns finite.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Gaussian(vk.networks.MLP(20), (7,), scale="network")(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = False

    def element(self, loc: Tensor, scale: Tensor) -> Normal:
        return Normal(loc, scale, validate_args=False)


@part("likelihood/optimal-gaussian", paper="Rybkin et al. 2021, section 4.2")
class OptimalGaussian(nn.Module):
    """p(x|z) = N(μ(z), σ²I) with the σ² that maximises the likelihood of each training batch.

    In training the bound is −D/2 (1 + log 2πσ*²) with σ*² the batch's mean squared error. A running
    mean of σ*² is kept and used, fixed, in evaluation, where it is an ordinary Gaussian.

    Args:
        network: from latents to features.
        shape: shape of one example.
        momentum: weight of the newest batch in the running mean, from 0 (the plain mean of all batches) and below 1.

    Raises:
        ValueError: if ``momentum`` is out of range.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.OptimalGaussian(vk.networks.MLP(20), (7,))(torch.zeros(5, 20))
    >>> p.log_prob(torch.zeros(5, 7)).shape
    torch.Size([5])
    """

    discrete = False
    variance: Tensor
    batches: Tensor

    def __init__(self, network: nn.Module, shape: tuple[int, ...], momentum: float = 0.01) -> None:
        super().__init__()
        check_number("momentum", momentum, 0, below=1)
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((1, *shape))
        self.event_dims = len(shape)
        self.momentum = momentum
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def _remember(self, variance: Tensor) -> None:
        self.batches += 1
        # A plain mean at first, so that the starting value is forgotten at once.
        self.variance.lerp_(variance.to(self.variance.dtype), (1 / self.batches).clamp_min(self.momentum))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        loc = self.head(self.network(z, condition)).squeeze(-self.event_dims - 1)
        if self.training:
            return OptimalNormal(loc, self.event_dims, self._remember)
        return Independent(Normal(loc, self.variance.sqrt(), validate_args=False), self.event_dims, validate_args=False)
