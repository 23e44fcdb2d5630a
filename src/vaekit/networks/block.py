"""Residual blocks without normalisation: a row never depends on the others of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from vaekit.networks.network import Linear, over_leading


class Block(nn.Module):
    """GELU before every layer: Σ_i first_i(h_i), the layers between, and the last.

    Several inputs are added after the first layer, which equals joining their channels, but leaves each with its own
    leading axes until then.

    Args:
        first: a layer for each input.
        between: further layers.
        last: the last layer.
        event_dims: axes of one input.
    """

    def __init__(self, first: Sequence[nn.Module], between: Sequence[nn.Module], last: nn.Module, event_dims: int):
        super().__init__()
        self.first = nn.ModuleList(first)
        self.between = nn.ModuleList(between)
        self.last = last
        self.event_dims = event_dims

    def forward(self, *inputs: Tensor) -> Tensor:
        pairs = zip(self.first, inputs, strict=True)
        h, *others = (self._layer(layer, x) for layer, x in pairs)
        for other in others:
            h = h + other
        for layer in (*self.between, self.last):
            h = self._layer(layer, h)
        return h

    def _layer(self, layer: nn.Module, h: Tensor) -> Tensor:
        return over_leading(layer, gelu(h), self.event_dims)


def grid_block(inputs: int, width: int, out: int, kernel_size: int = 3, middle: int | None = None) -> Block:
    """1×1, two k×k and 1×1 convolutions with a narrow middle (by default a quarter of the width, at least 4)."""
    middle = middle or max(4, width // 4)
    first = [nn.Conv2d(width, middle, 1) for _ in range(inputs)]
    between = [nn.Conv2d(middle, middle, kernel_size, padding=kernel_size // 2) for _ in range(2)]
    return zero_biases(Block(first, between, nn.Conv2d(middle, out, 1), 3))


def dense_block(inputs: int, width: int, out: int) -> Block:
    """Two linear layers."""
    return zero_biases(Block([Linear(width, width) for _ in range(inputs)], [], Linear(width, out), 1))


@torch.no_grad()
def zero_biases(block: Block) -> Block:
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
    return block


@torch.no_grad()
def scaled(block: Block, factor: float) -> Block:
    """The block with its last layer's weights times a factor: 0 says nothing at first, 1/√N suits N blocks in a row."""
    block.last.weight.mul_(factor)  # type: ignore[operator,union-attr]
    return block
