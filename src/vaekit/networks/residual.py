"""Fully connected residual layers."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.config import part
from vaekit.networks.block import dense_block, scaled
from vaekit.networks.layer import Linear
from vaekit.networks.network import FlatHead, Shape, dimensions, of_condition, size


@part("network/residual-mlp", paper="He et al. 2016, Identity mappings in deep residual networks; Child 2021")
class ResidualMLP(nn.Module):
    """h_0 = a linear map of the input, h_l = h_{l−1} + block(h_{l−1}): deep and wide without losing the gradient.

    A block is GELU, linear, GELU, linear; it begins 1/√depth as large as it would be, so that the sum of all is as
    large as one.

    Args:
        in_shape: shape of one input; it is flattened.
        width: length of h.
        depth: number of blocks.
        condition_dim: length of the condition, 0 without one.

    Raises:
        ValueError: if width or depth is not positive.

    >>> import torch
    >>> ResidualMLP((1, 28, 28), width=64, depth=2)(torch.zeros(5, 2, 1, 28, 28)).shape
    torch.Size([5, 2, 64])
    """

    def __init__(self, in_shape: Shape, width: int = 512, depth: int = 2, condition_dim: int = 0) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
        self.event_dims = dimensions(in_shape)
        self.first = Linear(size(in_shape), width)
        self.first_condition = Linear(condition_dim, width, bias=False) if condition_dim else None
        self.blocks = nn.ModuleList(scaled(dense_block(1, width, width), depth**-0.5) for _ in range(depth))
        self.features = width

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.first(x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition)
        h = h if added is None else h + added
        for block in self.blocks:
            h = h + block(h)
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.GELU(), FlatHead(self.features, out_shape))
