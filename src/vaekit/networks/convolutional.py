"""Convolutional encoder and decoder for images of any size and number of channels."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vaekit.networks.network import (
    Conv2d,
    ConvTranspose2d,
    FlatHead,
    Linear,
    Shape,
    activation_of,
    initialize,
    of_condition,
    over_leading,
    size,
)
from vaekit.parts.record import part


def halvings(length: int, times: int) -> list[int]:
    """``length`` halved ``times`` times, rounding up: [length, ⌈length/2⌉, …]."""
    sizes = [length]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


@part("network/convolutional-encoder")
class ConvolutionalEncoder(nn.Module):
    """Convolutions of stride 2, each halving the image (rounding up).

    Features are ``(channels[-1], height, width)``. A head for a flat shape flattens them; a head for
    a shape ``(…, height, width)`` of the same height and width is a convolution (codes on a grid).

    Args:
        in_shape: ``(channels, height, width)`` of one image.
        channels: channels after each convolution.
        activation: ``relu``, ``tanh``, ``softplus``, ``silu``, ``elu`` or ``leaky-relu``.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.
        initialization: ``torch``, ``glorot``, ``he`` or ``small``.

    >>> import torch
    >>> ConvolutionalEncoder((3, 27, 31), channels=(8, 16))(torch.zeros(2, 3, 27, 31)).shape
    torch.Size([2, 16, 7, 8])
    """

    images_only = True

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        channels: tuple[int, ...] = (32, 64),
        activation: str = "relu",
        condition_dim: Shape = 0,
        initialization: str = "torch",
    ) -> None:
        super().__init__()
        depth = len(channels)
        widths = (in_shape[0], *channels)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, kernel_size=3, stride=2, padding=1) for a, b in pairwise(widths))
        self.condition_shape = condition_dim
        self.first_condition = Linear(size(condition_dim), channels[0], bias=False) if condition_dim else None
        self.feature_shape = (channels[-1], halvings(in_shape[1], depth)[-1], halvings(in_shape[2], depth)[-1])
        self.activation = activation_of(activation)
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = over_leading(self.layers[0], x, 3)
        added = of_condition(self.first_condition, condition, self.condition_shape)
        h = h if added is None else h + added[..., None, None]
        h = self.activation(h)
        for layer in self.layers[1:]:
            h = self.activation(over_leading(layer, h, 3))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        on_grid = len(out_shape) >= 3 and out_shape[-2:] == self.feature_shape[1:]
        head = (
            GridHead(self.feature_shape[0], out_shape, kernel_size=1)
            if on_grid
            else nn.Sequential(nn.Flatten(-3), FlatHead(size(self.feature_shape), out_shape))
        )
        initialize(head, self.initialization)
        return head


@part("network/convolutional-decoder")
class ConvolutionalDecoder(nn.Module):
    """A linear layer (or a convolution, for codes on a grid) and transposed convolutions of stride 2.

    Features are ``(channels[-1], height, width)``; heads are convolutions to ``(…, height, width)``.

    Args:
        in_shape: length of a latent vector, or ``(channels, h, w)`` of a grid of codes, where h and w
            are height and width halved once for each entry of ``channels`` (rounding up).
        image_shape: ``(channels, height, width)`` of one image.
        channels: as of the encoder that it mirrors, from the image inwards; the first is that of the features.
        activation: ``relu``, ``tanh``, ``softplus``, ``silu``, ``elu`` or ``leaky-relu``.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.
        initialization: ``torch``, ``glorot``, ``he`` or ``small``.

    Raises:
        ValueError: if a grid of codes does not fit the image.

    >>> import torch
    >>> decoder = ConvolutionalDecoder(10, (3, 27, 31))
    >>> decoder.head((2, 3, 27, 31))(decoder(torch.zeros(5, 2, 10))).shape
    torch.Size([5, 2, 2, 3, 27, 31])
    """

    def __init__(
        self,
        in_shape: Shape,
        image_shape: tuple[int, int, int],
        channels: tuple[int, ...] = (32, 64),
        activation: str = "relu",
        condition_dim: Shape = 0,
        initialization: str = "torch",
    ) -> None:
        super().__init__()
        heights, widths = (halvings(length, len(channels))[::-1] for length in image_shape[1:])
        channels = channels[::-1]
        grid = (channels[0], heights[0], widths[0])
        self.first: nn.Module
        if isinstance(in_shape, int):
            self.first = FlatHead(in_shape, grid)
            self.event_dims = 1
        else:
            if tuple(in_shape[1:]) != grid[1:]:
                raise ValueError(f"codes on a {in_shape[1:]} grid do not fit: the image {image_shape} needs {grid[1:]}")
            self.first = nn.Conv2d(in_shape[0], channels[0], kernel_size=3, padding=1)
            self.event_dims = 3
        self.condition_shape = condition_dim
        self.first_condition = Linear(size(condition_dim), channels[0], bias=False) if condition_dim else None
        ends = (*channels[1:], channels[-1])
        # From n to 2n − 1 or 2n: the output padding makes up for odd sizes.
        self.layers = nn.ModuleList(
            ConvTranspose2d(a, b, kernel_size=3, stride=2, padding=1, output_padding=(1 - h % 2, 1 - w % 2))
            for a, b, h, w in zip(channels, ends, heights[1:], widths[1:], strict=True)
        )
        self.feature_channels = channels[-1]
        self.activation = activation_of(activation)
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = over_leading(self.first, x, self.event_dims)
        added = of_condition(self.first_condition, condition, self.condition_shape)
        h = h if added is None else h + added[..., None, None]
        h = self.activation(h)
        for layer in self.layers:
            h = self.activation(over_leading(layer, h, 3))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = GridHead(self.feature_channels, out_shape, kernel_size=3)
        initialize(head, self.initialization)
        return head


class GridHead(nn.Module):
    """A convolution from features on a grid to ``(*leading, *out_shape)`` on the same grid."""

    def __init__(self, channels: int, out_shape: tuple[int, ...], kernel_size: int) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.convolution = Conv2d(channels, size(self.out_shape[:-2]), kernel_size, padding=kernel_size // 2)

    def forward(self, h: Tensor) -> Tensor:
        y = over_leading(self.convolution, h, 3).to(self.convolution.weight.dtype)
        return y.reshape(*torch.Size(y.shape[:-3]), *self.out_shape)
