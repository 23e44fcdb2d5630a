"""Mixtures of discretised logistics for grey levels and colours."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.distributions import logistic
from vaekit.distributions.logistic import checked_levels
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/logistic-mixture", paper="Salimans et al. 2017, section 2")
class LogisticMixture(nn.Module):
    """p(x|z) = Π_d Σ_k π_dk(z) of logistics binned to grey levels, for x = k/(levels − 1), k = 0 … levels − 1.

    Images with several channels have one mixture for each place: its channels share the component, and the location
    of each moves linearly with those before it (red, then green, then blue), so that they are dependent given z.

    Args:
        network: from latents to features.
        shape: shape of one example; of three axes the first is that of the channels.
        levels: number of grey levels.
        num_components: logistics in each mixture.
        minimum_scale: smallest scale, in units of the range of the data.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.LogisticMixture(vk.networks.MLP(20), (3, 8, 8))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        levels: int = 256,
        num_components: int = 5,
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__()
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, got {num_components}")
        channels = shape[0] if len(shape) == 3 else 1
        # Channels with one location and one scale each, what joins them, and the weight of the component.
        self.split = (channels, channels, channels * (channels - 1) // 2, 1)
        places = shape[1:] if len(shape) == 3 else shape
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((num_components * sum(self.split), *places))
        self.place_dims = len(places)
        self.event_dims = len(shape)
        self.levels = checked_levels(levels)
        self.num_components = num_components
        self.elements_per_draw = num_components * math.prod(shape)
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        raw = self.head(self.network(z, condition))
        # (*leading, maps, *places, components)
        raw = raw.unflatten(-self.place_dims - 1, (-1, self.num_components)).movedim(-self.place_dims - 1, -1)
        loc, scale, coefficients, logits = raw.split(self.split, dim=-self.place_dims - 2)
        # At the start the components share the range of the data among them.
        middle = (torch.arange(self.num_components, dtype=raw.dtype, device=raw.device) + 0.5) / self.num_components
        loc = middle + loc
        scale = positive(scale) / self.num_components + self.minimum_scale
        channel_axis = -self.place_dims - 2
        if loc.shape[channel_axis] > 1:
            coefficients, logits = torch.tanh(coefficients), logits.squeeze(channel_axis)
            return logistic.ChannelMixture(logits, loc, scale, coefficients, self.levels, self.place_dims)
        if self.event_dims == self.place_dims:
            loc, scale, logits = (tensor.squeeze(channel_axis) for tensor in (loc, scale, logits))
        base = logistic.LogisticMixture(logits, loc, scale, self.levels)
        return Independent(base, self.event_dims, validate_args=False)
