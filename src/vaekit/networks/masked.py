"""Convolutions that see only what comes before in reading order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


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
