"""Layers of torch, computed by the fastest route of the machine: the same weights, the same values to rounding."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from vaekit.kernels import linear


class Linear(nn.Linear):
    """``torch.nn.Linear``, computed as :mod:`vaekit.kernels` chooses.

    >>> import torch
    >>> Linear(784, 300)(torch.zeros(5, 2, 784)).shape
    torch.Size([5, 2, 300])
    """

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d``; with stride 1 it is a convolution with the mirrored kernel, and is computed as one.

    torch has no fast path for the transposed form with few output channels.

    >>> import torch
    >>> ConvTranspose2d(32, 1, kernel_size=3, padding=1)(torch.zeros(5, 32, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if {*self.stride, *self.dilation, self.groups} != {1} or set(self.output_padding) != {0} or output_size:
            return super().forward(input, output_size)
        mirrored = self.weight.flip(-2, -1).transpose(0, 1)
        padding = [k - 1 - int(p) for k, p in zip(self.kernel_size, self.padding, strict=True)]
        return functional.conv2d(input, mirrored, self.bias, padding=padding)
