"""Grey levels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Independent

from vaekit import distributions
from vaekit.config import part
from vaekit.likelihoods.scale import make_scale


@part("likelihood/discretized-logistic", paper="Kingma et al. 2016; Salimans et al. 2017")
class DiscretizedLogistic(nn.Module):
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
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.network = network
        self.scale = make_scale(scale, shape, minimum_scale)
        self.head = network.head((1 + self.scale.maps, *shape))  # type: ignore[operator]
        self.levels = levels
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        loc, *raw = self.head(self.network(z, condition)).unbind(-self.event_dims - 1)
        base = distributions.DiscretizedLogistic(loc, self.scale(raw), self.levels)
        return Independent(base, self.event_dims, validate_args=False)
