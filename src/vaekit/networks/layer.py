"""Layers of torch, computed by the fastest route of the machine: the same weights, the same values to rounding."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.kernels import Shape, linear, transposed


class Linear(nn.Linear):
    """``torch.nn.Linear``, computed as :mod:`vaekit.kernels` chooses.

    >>> import torch
    >>> Linear(784, 300)(torch.zeros(5, 2, 784)).shape
    torch.Size([5, 2, 300])
    """

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d``, computed as :mod:`vaekit.kernels.convolution` does it.

    >>> import torch
    >>> ConvTranspose2d(32, 1, kernel_size=3, padding=1)(torch.zeros(5, 32, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if {*self.dilation, self.groups} != {1} or output_size:
            return super().forward(input, output_size)
        return transposed(input, self.weight, self.bias, self._shape())

    def rectified(self, input: Tensor, crop: int = 0) -> Tensor:
        """relu of the layer, ``crop`` rows and columns left out at the end."""
        return transposed(input, self.weight, self.bias, self._shape()._replace(crop=crop, rectified=True))

    def _shape(self) -> Shape:
        return Shape(self.stride, self.padding, self.output_padding)  # type: ignore[arg-type]


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``; to one channel it is the transposed one with the mirrored kernel, which is faster.

    >>> import torch
    >>> Conv2d(32, 1, kernel_size=3, padding=1)(torch.zeros(5, 32, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.out_channels > 1 or {*self.stride, *self.dilation, self.groups} != {1} or self.padding_mode != "zeros":
            return super().forward(input)
        if isinstance(self.padding, str):
            return super().forward(input)
        mirrored = self.weight.flip(-2, -1).transpose(0, 1)
        padding = tuple(k - 1 - p for k, p in zip(self.kernel_size, self.padding, strict=True))
        if min(padding) < 0:
            return super().forward(input)
        return transposed(input, mirrored, self.bias, Shape(padding=padding))  # type: ignore[arg-type]
