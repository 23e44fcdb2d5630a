"""Masked convolutions, which see only what comes before in reading order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from vaekit.networks.network import over_leading, size


class MaskedConvolution(nn.Conv2d):
    """A convolution whose kernel is zero after (and, if asked, at) its centre in reading order.

    Args:
        in_channels, out_channels: as of a convolution.
        kernel_size: odd.
        sees_centre: whether the place itself may be seen (mask "B"), or only those before it ("A").
    """

    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, sees_centre: bool) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        centre = kernel_size // 2
        mask = torch.zeros(kernel_size, kernel_size)
        mask[:centre] = 1
        mask[centre, : centre + sees_centre] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight * self.mask, self.bias, padding=self.padding)  # type: ignore[arg-type]

    def at(self, padded: Tensor, row: int, column: int) -> Tensor:
        """The output at one place, ``(batch, out_channels, 1, 1)``, from an input padded by half a kernel."""
        height, width = self.kernel_size
        patch = padded[..., row : row + height, column : column + width]
        return conv2d(patch, self.weight * self.mask, self.bias)


class MaskedLayers(nn.Module):
    """Features of each place of an image from the places before it: masked convolutions with residual connections.

    Args:
        in_channels: channels of the image, whose values lie in [0, 1].
        channels: width of the residual stream.
        num_layers: number of masked convolutions.
        kernel_size: odd; the features reach back num_layers · (kernel_size // 2) places.
    """

    def __init__(self, in_channels: int, channels: int, num_layers: int, kernel_size: int = 3) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        self.first = MaskedConvolution(in_channels, channels, kernel_size, sees_centre=False)
        self.rest = nn.ModuleList(
            MaskedConvolution(channels, channels, kernel_size, sees_centre=True) for _ in range(num_layers - 1)
        )

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Features ``(*leading, channels, height, width)`` of images whose leading axes broadcast with the context's.

        Args:
            x: ``(*leading, in_channels, height, width)``.
            context: what is known beforehand at each place, ``(*leading, channels, height, width)``.
        """
        h = over_leading(self.first, _centred(x), 3) + context
        for layer in self.rest:
            h = h + over_leading(layer, torch.relu(h), 3)
        return torch.relu(h)

    def growing(self, context: Tensor) -> Growing:
        """The same features, place after place; context ``(batch, channels, height, width)``."""
        return Growing(self, context)


class Growing:
    """The features of one place at a time. What a layer said of the places before is kept: nothing is computed twice.

    Args:
        layers: whose features.
        context: ``(batch, channels, height, width)``.
    """

    def __init__(self, layers: MaskedLayers, context: Tensor) -> None:
        self.layers = layers
        self.context = context
        self.margin = layers.first.kernel_size[0] // 2
        batch, _, height, width = context.shape
        margins = [self.margin] * 4
        self.seen = pad(context.new_zeros(batch, layers.first.in_channels, height, width), margins)
        self.hidden = [pad(torch.zeros_like(context), margins) for _ in layers.rest]

    def features(self, row: int, column: int) -> Tensor:
        """``(batch, channels, 1, 1)``; the places before must have been :meth:`put`, in reading order."""
        h = self.layers.first.at(self.seen, row, column) + self.context[..., row, column, None, None]
        for layer, hidden in zip(self.layers.rest, self.hidden, strict=True):
            self._write(hidden, row, column, torch.relu(h))
            h = h + layer.at(hidden, row, column)  # type: ignore[operator]
        return torch.relu(h)

    def put(self, row: int, column: int, x: Tensor) -> None:
        """The image's own values at a place, ``(batch, in_channels, 1, 1)``."""
        self._write(self.seen, row, column, _centred(x))

    def _write(self, padded: Tensor, row: int, column: int, value: Tensor) -> None:
        padded[..., row + self.margin, column + self.margin] = value[..., 0, 0]


def _centred(x: Tensor) -> Tensor:
    """Into [−1, 1], so that the zeros around an image are no black."""
    return 2 * x - 1


class AtPlaces(nn.Module):
    """Features on a grid of any size as a network whose heads look at one place each.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return x

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        maps = tuple(out_shape[:-2])
        return nn.Sequential(OverLeading(nn.Conv2d(self.channels, size(maps), kernel_size=1)), nn.Unflatten(-3, maps))


class OverLeading(nn.Module):
    """A layer for images with one batch axis, for any number of leading axes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return over_leading(self.layer, x, 3)
