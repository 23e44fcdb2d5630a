"""Heads of plain modules: linear layers that get their shape when features are known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.networks.network import Linear


class PlainHead(nn.Module):
    """A linear layer from features to ``(*leading, *out_shape)``, without a shape until these are known.

    Features on a grid that ``out_shape`` has too are mapped at each place, any others flattened.

    Args:
        out_shape: shape of one output.
    """

    def __init__(self, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.linear = _LazyLinear(math.prod(self.out_shape))
        self.feature_dims, self.at_places = 1, False

    def settle(self, feature_shape: tuple[int, ...]) -> None:
        """Make the parameters for features of this shape."""
        grid = feature_shape[1:]
        self.feature_dims = len(feature_shape)
        # Maps on an image or a volume; not the numbers of a vector that happen to be as many.
        self.at_places = 1 < len(grid) < len(self.out_shape) and self.out_shape[-len(grid) :] == grid
        if self.at_places:
            self.linear.out_features = math.prod(self.out_shape[: -len(grid)])
        features = feature_shape[0] if self.at_places else math.prod(feature_shape)
        like: Tensor = self.linear.weight
        self.linear(torch.zeros(1, features, dtype=like.dtype, device=like.device))

    def forward(self, h: Tensor) -> Tensor:
        if self.at_places:
            y = self.linear(h.movedim(-self.feature_dims, -1)).movedim(-1, -self.feature_dims)
            y = y.unflatten(-self.feature_dims, self.out_shape[: len(self.out_shape) - self.feature_dims + 1])
        else:
            flat = h.flatten(-self.feature_dims) if self.feature_dims else h.unsqueeze(-1)
            y = self.linear(flat).unflatten(-1, self.out_shape)
        return y.to(self.linear.weight.dtype)


class _LazyLinear(nn.LazyLinear):
    cls_to_become = Linear  # type: ignore[assignment]
