"""Location and scale: what Gaussian, Laplace, Student-t and discretised logistic likelihoods share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.likelihoods.scale import make_scale
from vaekit.networks.plain import as_network


class LocationScale(nn.Module):
    """Base of p(x|z) = Π_d p(x_d; μ_d(z), s_d): a likelihood says with :meth:`element` what p is.

    Args:
        network: from latents to features.
        shape: shape of one example.
        scale: where s comes from: a number (fixed), ``learned`` (one scalar), ``per-dimension`` (a
            parameter each) or ``network`` (a function of z).
        minimum_scale: smallest s; keeps the density of constant columns finite.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        scale: float | str = "learned",
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.scale = make_scale(scale, shape, minimum_scale)
        self.head = self.network.head((1 + self.scale.maps, *shape))
        self.event_dims = len(shape)

    def element(self, loc: Tensor, scale: Tensor) -> Distribution:
        """The distribution of each element, batch shape that of ``loc``."""
        raise TypeError(f"{type(self).__name__} must define element")

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        loc, *raw = self.head(self.network(z, condition)).unbind(-self.event_dims - 1)
        return Independent(self.element(loc, self.scale(raw)), self.event_dims, validate_args=False)
