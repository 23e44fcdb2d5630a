"""Laplace likelihood of real data: absolute instead of squared errors."""

from __future__ import annotations

from torch import Tensor, distributions

from vaekit.likelihoods.location_scale import LocationScale
from vaekit.parts.record import part


@part("likelihood/laplace")
class Laplace(LocationScale):
    """p(x|z) = Π_d Laplace(x_d; μ_d(z), b_d).

    Args:
        network: from latents to features.
        shape: shape of one example.
        scale: where b comes from: a number, ``learned``, ``per-dimension`` or ``network``.
        minimum_scale: smallest b.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Laplace(vk.networks.MLP(20), (7,))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = False

    def element(self, loc: Tensor, scale: Tensor) -> distributions.Laplace:
        return distributions.Laplace(loc, scale, validate_args=False)
