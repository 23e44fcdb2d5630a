"""No layers at all: features are the flat input, so that every head is an affine map."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.config import part
from vaekit.networks.concatenate import side_by_side
from vaekit.networks.network import FlatHead, Shape, dimensions, of_condition, size


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
        self.of_condition = nn.Identity() if condition_dim else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        flat = x.flatten(-self.event_dims)
        beside = of_condition(self.of_condition, condition)
        return flat if beside is None else side_by_side([flat, beside])

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return FlatHead(self.features, out_shape)
