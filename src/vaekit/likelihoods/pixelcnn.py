"""PixelCNN likelihood: places of an image that depend on each other given z."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import constraints

from vaekit.distributions.autoregressive import Autoregressive, Choose, Places
from vaekit.distributions.logistic import Levels
from vaekit.likelihoods.bernoulli import Bernoulli
from vaekit.likelihoods.logistic_mixture import LogisticMixture
from vaekit.networks.masked import AtPlaces, MaskedLayers
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


class PixelDecoder(nn.Module):
    """Base of p(x|z) = Π_i p(x_i | x_<i, z), places in reading order, by masked convolutions.

    A few maps that the network makes of z are added to what the first convolution makes of x, at every place.

    Args:
        network: from latents to features.
        shape: shape of one example: ``(channels, height, width)``, or fewer axes with the first ones left out.
        channels: width of the masked convolutions.
        num_layers: number of masked convolutions of 3 × 3.
        context_maps: maps that z becomes.
    """

    discrete = True
    place: nn.Module  # from the features of a place to p(x_i | x_<i, z); a subclass makes it
    support: constraints.Constraint
    levels: int

    def __init__(
        self, network: nn.Module, shape: tuple[int, ...], channels: int, num_layers: int, context_maps: int
    ) -> None:
        super().__init__()
        if len(shape) > 3:
            raise ValueError(f"a PixelCNN reads images (channels, height, width), got the shape {tuple(shape)}")
        self.shape = tuple(shape)
        self.grid = (1,) * (3 - len(shape)) + self.shape
        self.network = as_network(network, self, latents=True)
        self.maps = self.network.head((context_maps, *self.grid[1:]))
        self.context = AtPlaces(context_maps).head((channels, *self.grid[1:]))
        self.layers = MaskedLayers(self.grid[0], channels, num_layers)
        self.elements_per_draw = channels * self.grid[1] * self.grid[2]

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Autoregressive:
        context = self.context(self.maps(self.network(z, condition)))

        def grow(sample_shape: torch.Size, choose: Choose) -> Tensor:
            every = context.expand(*sample_shape, *context.shape)
            growing = self.layers.growing(every.flatten(0, -4) if every.dim() > 3 else every.unsqueeze(0))
            kept = []
            for row in range(self.grid[1]):
                for column in range(self.grid[2]):
                    seen, value = choose(self.place(growing.features(row, column)))
                    growing.put(row, column, seen)
                    kept.append(value)
            return torch.cat(kept, dim=-1).reshape(*every.shape[:-3], *self.grid)

        places = Places(lambda x: self.place(self.layers(x, context)), grow)
        return Autoregressive(places, context.shape[:-3], self.grid, self.shape, self.levels, self.support)


@part("likelihood/pixelcnn", paper="van den Oord et al. 2016 (PixelCNN); Tomczak & Welling 2018, section 4 (PixelHVAE)")
class PixelCNN(PixelDecoder):
    """p(x|z) = Π_i Bernoulli(x_i; σ(logit_i(x_<i, z))) for binary images, places in reading order.

    The density is one pass; a sample is one small step for each place. What the places before i explain, z need not:
    a PixelCNN that sees far leaves z little to say.

    Args:
        network: from latents to features.
        shape: shape of one example: ``(channels, height, width)``, or fewer axes with the first ones left out.
        channels: width of the masked convolutions.
        num_layers: number of masked convolutions of 3 × 3, each reaching one place further.
        context_maps: maps that z becomes; they are seen at every place.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.PixelCNN(vk.networks.MLP(20), (1, 8, 8), channels=16, num_layers=3)(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    support = constraints.boolean
    levels = 2

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        channels: int = 64,
        num_layers: int = 8,
        context_maps: int = 4,
    ) -> None:
        super().__init__(network, shape, channels, num_layers, context_maps)
        self.place = Bernoulli(AtPlaces(channels), self.grid)


@part("likelihood/pixelcnn-levels", paper="van den Oord et al. 2016 (PixelCNN); Salimans et al. 2017")
class PixelCNNLevels(PixelDecoder):
    """p(x|z) = Π_i p(x_i | x_<i, z) for grey levels and colours: a mixture of logistics at each place.

    Args:
        network: from latents to features.
        shape: shape of one example: ``(channels, height, width)``, or fewer axes with the first ones left out.
        levels: number of grey levels.
        num_components: logistics at each place; the channels of a place depend on each other as in
            :class:`LogisticMixture`.
        channels: width of the masked convolutions.
        num_layers: number of masked convolutions of 3 × 3, each reaching one place further.
        context_maps: maps that z becomes; they are seen at every place.
        minimum_scale: smallest scale, in units of the range of the data.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.PixelCNNLevels(vk.networks.MLP(20), (3, 4, 4), channels=16)(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        levels: int = 256,
        num_components: int = 5,
        channels: int = 64,
        num_layers: int = 8,
        context_maps: int = 4,
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__(network, shape, channels, num_layers, context_maps)
        self.place = LogisticMixture(AtPlaces(channels), self.grid, levels, num_components, minimum_scale)
        self.levels, self.support = levels, Levels(levels)
