"""The networks of TensorFlow's tutorial "Convolutional Variational Autoencoder", layer for layer."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import relu

from vaekit.networks.network import ConvTranspose2d, FlatHead, initialize, of_condition, over_leading
from vaekit.parts.record import part


@part("network/tutorial-encoder", paper="TensorFlow tutorial: Convolutional Variational Autoencoder")
class TutorialEncoder(nn.Module):
    """Two 3 × 3 convolutions of stride 2 without padding, 32 and 64 channels, relu; flat; heads are dense.

    All weights are Glorot-uniform and all biases zero, as Keras begins. It takes no condition.

    Args:
        in_shape: ``(channels, height, width)`` of one image, at least 7 × 7.

    Raises:
        ValueError: if the image is too small.

    >>> import torch
    >>> TutorialEncoder((1, 28, 28))(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 2304])
    """

    images_only = True

    def __init__(self, in_shape: tuple[int, int, int]) -> None:
        super().__init__()
        if min(in_shape[1:]) < 7:
            raise ValueError(f"the image must have at least 7 × 7 pixels, got {in_shape[1]} × {in_shape[2]}")
        self.layers = nn.ModuleList(
            [nn.Conv2d(in_shape[0], 32, kernel_size=3, stride=2), nn.Conv2d(32, 64, kernel_size=3, stride=2)]
        )
        self.features = 64 * math.prod(((side - 1) // 2 - 1) // 2 for side in in_shape[1:])
        initialize(self, "glorot")

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        of_condition(None, condition)
        h = x
        for layer in self.layers:
            h = relu(over_leading(layer, h, 3))
        return h.flatten(-3)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, "glorot")
        return head


@part("network/tutorial-decoder", paper="TensorFlow tutorial: Convolutional Variational Autoencoder")
class TutorialDecoder(nn.Module):
    """Dense to 32 channels on a grid of a quarter of the image, transposed convolutions 64 and 32 of stride 2, relu.

    Heads are transposed convolutions of stride 1. Padding is Keras' ``same``. All weights are Glorot-uniform and
    all biases zero. It takes no condition.

    Args:
        in_shape: length of a latent vector.
        image_shape: ``(channels, height, width)`` of one image; height and width are multiples of 4.

    Raises:
        ValueError: if the sides of the image are no multiples of 4.

    >>> import torch
    >>> decoder = TutorialDecoder(2, (1, 28, 28))
    >>> decoder.head((1, 28, 28))(decoder(torch.zeros(5, 2))).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(self, in_shape: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        if any(side % 4 for side in image_shape[1:]):
            raise ValueError(f"the sides of the image must be multiples of 4, got {image_shape[1]} × {image_shape[2]}")
        self.first = FlatHead(in_shape, (32, image_shape[1] // 4, image_shape[2] // 4))
        self.layers = nn.ModuleList(
            [ConvTranspose2d(32, 64, kernel_size=3, stride=2), ConvTranspose2d(64, 32, kernel_size=3, stride=2)]
        )
        initialize(self, "glorot")

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        of_condition(None, condition)
        h = relu(self.first(x))
        layer: Any
        for layer in self.layers:
            # From n to 2n + 1; Keras' "same" leaves the last row and column out.
            h = over_leading(partial(layer.rectified, crop=1), h, 3)
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = _Output(out_shape)
        initialize(head, "glorot")
        return head


class _Output(nn.Module):
    """A transposed convolution of stride 1 from 32 channels to ``(*leading, *out_shape)`` on the same grid."""

    def __init__(self, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.convolution = ConvTranspose2d(32, math.prod(self.out_shape[:-2]), kernel_size=3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        y = over_leading(self.convolution, h, 3).to(self.convolution.weight.dtype)
        return y.reshape(*y.shape[:-3], *self.out_shape)
