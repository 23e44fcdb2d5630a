"""Discretised logistic likelihood of grey levels."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.distributions import logistic
from vaekit.distributions.logistic import checked_levels
from vaekit.likelihoods.location_scale import LocationScale
from vaekit.parts.record import part


@part("likelihood/discretized-logistic", paper="Kingma et al. 2016; Salimans et al. 2017")
class DiscretizedLogistic(LocationScale):
    """p(x|z) = Π_d of a logistic binned to grey levels, for x = k/(levels − 1), k = 0 … levels − 1.

    Args:
        network: from latents to features.
        shape: shape of one example.
        levels: number of grey levels.
        scale: where the logistic's scale comes from: a number, ``learned``, ``per-dimension`` or ``network``.
        minimum_scale: smallest scale, in units of the range of the data.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.DiscretizedLogistic(vk.networks.MLP(20), (1, 8, 8))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        levels: int = 256,
        scale: float | str = "network",
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__(network, shape, scale, minimum_scale)
        self.levels = checked_levels(levels)

    def element(self, loc: Tensor, scale: Tensor) -> logistic.DiscretizedLogistic:
        return logistic.DiscretizedLogistic(loc, scale, self.levels)
