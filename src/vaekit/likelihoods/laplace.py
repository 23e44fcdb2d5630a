"""Real data with heavy tails: absolute instead of squared errors."""

from __future__ import annotations

from torch import Tensor, distributions, nn

from vaekit.config import part
from vaekit.likelihoods.scale import make_scale


@part("likelihood/laplace")
class Laplace(nn.Module):
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

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        scale: float | str = "learned",
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__()
        self.network = network
        self.scale = make_scale(scale, shape, minimum_scale)
        self.head = network.head((1 + self.scale.maps, *shape))  # type: ignore[operator]
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> distributions.Independent:
        loc, *raw = self.head(self.network(z, condition)).unbind(-self.event_dims - 1)
        base = distributions.Laplace(loc, self.scale(raw), validate_args=False)
        return distributions.Independent(base, self.event_dims, validate_args=False)
