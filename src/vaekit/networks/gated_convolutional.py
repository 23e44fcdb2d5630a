"""Gated convolutions: the networks of the convolutional two-level VAE."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vaekit.networks.convolutional import GridHead, halvings
from vaekit.networks.mlp import GatedMLP
from vaekit.networks.network import FlatHead, Shape, initialize, of_condition, over_leading, side_by_side, size
from vaekit.parts.record import part

KERNELS = (7, 3, 5)


class GatedConvolution(nn.Module):
    """h ⊙ σ(g), both convolutions of the input."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        # Content and gate are the two halves of one convolution.
        self.both = nn.Conv2d(in_channels, 2 * out_channels, kernel_size, stride, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        content, gate = over_leading(self.both, x, 3).chunk(2, dim=-3)
        return content * torch.sigmoid(gate)


@part("network/gated-convolutional-encoder", paper="Tomczak & Welling 2018, section 5")
class GatedConvolutionalEncoder(nn.Module):
    """Gated convolutions with kernels 7, 3, 5, 3, 3 …, of which every second halves the image (rounding up).

    A condition goes through a gated layer as long as the features of x, and another joins the two: the branch of x and
    that of z₂ of the convolutional HVAE.

    Args:
        in_shape: ``(channels, height, width)`` of one image.
        channels: channels after each convolution.
        hidden: length of the features where there is a condition.
        condition_dim: length of the condition, 0 without one.

    >>> import torch
    >>> GatedConvolutionalEncoder((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 294])
    """

    images_only = True
    between = "gated-mlp:hidden=300/300"

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        channels: tuple[int, ...] = (32, 32, 64, 64, 6),
        hidden: int = 300,
        condition_dim: int = 0,
    ) -> None:
        super().__init__()
        kernels = [*KERNELS, *[3] * len(channels)]
        widths = pairwise((in_shape[0], *channels))
        self.layers = nn.ModuleList(
            GatedConvolution(a, b, kernels[index], stride=1 + index % 2) for index, (a, b) in enumerate(widths)
        )
        height, width = (halvings(length, len(channels) // 2)[-1] for length in in_shape[1:])
        flat = channels[-1] * height * width
        self.of_condition = GatedMLP(condition_dim, (flat,)) if condition_dim else None
        self.joint = GatedMLP(2 * flat, (hidden,)) if condition_dim else None
        self.features = hidden if condition_dim else flat

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = x
        for layer in self.layers:
            h = layer(h)
        h = h.flatten(-3)
        beside = of_condition(self.of_condition, condition)
        return h if beside is None or self.joint is None else self.joint(side_by_side([h, beside]))

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, "glorot")
        return head


@part("network/gated-convolutional-decoder", paper="Tomczak & Welling 2018, section 5")
class GatedConvolutionalDecoder(nn.Module):
    """A gated layer, a gated layer as long as the image, and gated 3×3 convolutions on it.

    Features are ``(channels[-1], height, width)``; heads are 1×1 convolutions.

    Args:
        in_shape: length of a latent vector.
        image_shape: ``(channels, height, width)`` of one image.
        channels: channels after each convolution.
        hidden: length of the first layer, and of one for the condition beside it.
        condition_dim: length of the condition, 0 without one.

    >>> import torch
    >>> decoder = GatedConvolutionalDecoder(80, (1, 28, 28))
    >>> decoder.head((1, 28, 28))(decoder(torch.zeros(2, 80))).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: Shape,
        image_shape: tuple[int, int, int],
        channels: tuple[int, ...] = (64, 64, 64, 64),
        hidden: int = 300,
        condition_dim: int = 0,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.first = GatedMLP(in_shape, (hidden,))
        self.of_condition = GatedMLP(condition_dim, (hidden,)) if condition_dim else None
        self.joint = GatedMLP(hidden * (2 if condition_dim else 1), (size(self.image_shape),))
        widths = pairwise((image_shape[0], *channels))
        self.layers = nn.ModuleList(GatedConvolution(a, b, kernel_size=3) for a, b in widths)
        self.channels = channels[-1]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.first(x)
        beside = of_condition(self.of_condition, condition)
        h = h if beside is None else side_by_side([h, beside])
        h = self.joint(h).unflatten(-1, self.image_shape)
        for layer in self.layers:
            h = layer(h)
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return GridHead(self.channels, out_shape, kernel_size=1)
