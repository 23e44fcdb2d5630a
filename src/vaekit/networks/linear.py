"""No layers at all: features are the flat input, so that every head is an affine map."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.config import part
from vaekit.networks.network import FlatHead, Shape, dimensions, needed, size


@part("network/linear")
class Affine(nn.Module):
    """Features are the flattened input (and the condition beside it): the linear model.

    Args:
        in_shape: shape of one input.
        condition_dim: length of the condition, 0 without one.

    >>> import torch
    >>> Affine((1, 4, 4))(torch.zeros(3, 1, 4, 4)).shape
    torch.Size([3, 16])
    """

    def __init__(self, in_shape: Shape, condition_dim: int = 0) -> None:
        super().__init__()
        self.event_dims = dimensions(in_shape)
        self.features = size(in_shape) + condition_dim
        self.condition_dim = condition_dim

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        flat = x.flatten(-self.event_dims)
        if condition is None:
            return flat
        needed(self if self.condition_dim else None)
        leading = np.broadcast_shapes(flat.shape[:-1], condition.shape[:-1])
        return torch.cat([flat.expand(*leading, -1), condition.expand(*leading, -1)], dim=-1)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return FlatHead(self.features, out_shape)
