"""Unit Gaussian likelihood of grey levels as real numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.likelihoods.scale import make_scale
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/unit-gaussian", paper="Kingma & Welling 2013, section 5")
class UnitGaussian(nn.Module):
    """p(x|z) = Π_d N(x_d; 1 / (1 + exp(−a_d(z))), σ_d²): a Gaussian whose mean lies between 0 and 1.

    It is a density: its figures are not comparable with those of a likelihood of grey levels, and depend on the
    smallest σ where pixels are constant.

    Args:
        network: from latents to features.
        shape: shape of one example.
        scale: where σ comes from, as of :class:`Gaussian`.
        minimum_scale: smallest σ; 0.03 is about 8 of 256 levels.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.UnitGaussian(vk.networks.MLP(20), (1, 28, 20))(torch.zeros(5, 20))
    >>> bool((p.mean > 0).all() and (p.mean < 1).all())
    True
    """

    discrete = False

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        scale: float | str = "network",
        minimum_scale: float = 0.03,
    ) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.scale = make_scale(scale, shape, minimum_scale)
        self.head = self.network.head((1 + self.scale.maps, *shape))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        logit, *raw = self.head(self.network(z, condition)).unbind(-self.event_dims - 1)
        base = Normal(torch.sigmoid(logit), self.scale(raw), validate_args=False)
        return Independent(base, self.event_dims, validate_args=False)
