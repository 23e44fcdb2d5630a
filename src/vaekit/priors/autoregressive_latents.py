"""Autoregressive prior of a vector of latents."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from vaekit.distributions.autoregressive import AutoregressiveMixture
from vaekit.networks.network import positive
from vaekit.parts.record import part
from vaekit.priors.flow import zuko


@part("prior/autoregressive", paper="Uria et al. 2013; masks: Germain et al. 2015")
class Autoregressive(nn.Module):
    """p(z) = Π_d p(z_d|z_<d), each a mixture of Gaussians, all from one masked network.

    A density costs one pass of the network, a draw one for each dimension.

    Args:
        latent_dim: length of z.
        num_components: Gaussians in each dimension.
        hidden: widths of the masked network.
        condition_dim: length of the condition, which every dimension sees; 0 without one.

    Raises:
        ValueError: if an option is out of range.

    >>> import vaekit as vk
    >>> p = vk.priors.Autoregressive(3, num_components=2, hidden=(16,))()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    zero: Tensor

    def __init__(
        self,
        latent_dim: int,
        num_components: int = 5,
        hidden: tuple[int, ...] = (128, 128),
        condition_dim: int = 0,
    ) -> None:
        super().__init__()
        if num_components < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"num_components and hidden must be at least 1, got {num_components} and {hidden}")
        numbers = 3 * num_components
        # Which output may look at which input: those of a dimension at the dimensions before it, all at the condition
        # and at a one, so that the first dimension has something to look at.
        before = torch.ones(latent_dim, latent_dim).tril(-1).repeat_interleave(numbers, 0)
        looks = torch.cat([before, torch.ones(latent_dim * numbers, 1 + condition_dim)], -1).bool()
        self.network = zuko().nn.MaskedMLP(looks, hidden)
        self.num_components = num_components
        # Means that are all alike would stay so.
        self.spread = nn.Parameter(torch.randn(latent_dim, num_components))
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)
        self.elements_per_draw = max(*hidden, latent_dim * numbers)

    def _conditionals(self, condition: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        given = [torch.ones_like(z[..., :1])]
        given += [] if condition is None else [condition.expand(*z.shape[:-1], -1)]
        seen = torch.cat([z, *given], -1)
        numbers = self.network(seen).unflatten(-1, (z.shape[-1], 3, self.num_components))
        logits, loc, raw_scale = numbers.unbind(-2)
        return logits, loc + self.spread, positive(raw_scale, minimum=1e-4)

    def forward(self, condition: Tensor | None = None) -> AutoregressiveMixture:
        like = self.zero if condition is None else self.zero.expand(*condition.shape[:-1], -1)
        return AutoregressiveMixture(partial(self._conditionals, condition), like)
