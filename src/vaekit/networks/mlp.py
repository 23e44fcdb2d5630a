"""Fully connected networks: plain, gated, residual, and none at all."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import glu

from vaekit.networks.block import dense_block, scaled
from vaekit.networks.network import (
    FlatHead,
    Linear,
    Shape,
    activation_of,
    dimensions,
    initialize,
    of_condition,
    side_by_side,
    size,
)
from vaekit.parts.record import part


@part("network/mlp")
class MLP(nn.Module):
    """Fully connected layers with one activation.

    Args:
        in_shape: shape of one input; it is flattened.
        hidden: widths of the layers.
        activation: ``relu``, ``tanh``, ``softplus``, ``silu``, ``elu`` or ``leaky-relu``.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.
        initialization: ``torch``, ``glorot``, ``he`` or ``small``.

    >>> import torch
    >>> MLP((1, 28, 28), hidden=(300, 200))(torch.zeros(5, 2, 1, 28, 28)).shape
    torch.Size([5, 2, 200])
    """

    def __init__(
        self,
        in_shape: Shape,
        hidden: tuple[int, ...] = (300, 300),
        activation: str = "relu",
        condition_dim: Shape = 0,
        initialization: str = "torch",
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must be widths from 1, got {hidden}; the network 'linear' has no hidden layer")
        self.event_dims, self.condition_shape = dimensions(in_shape), condition_dim
        self.first = Linear(size(in_shape), hidden[0])
        self.first_condition = Linear(size(condition_dim), hidden[0], bias=False) if condition_dim else None
        self.rest = nn.ModuleList(Linear(a, b) for a, b in pairwise(hidden))
        self.activation = activation_of(activation)
        self.features = hidden[-1]
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.first(x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition, self.condition_shape)
        h = h if added is None else h + added
        h = self.activation(h)
        for layer in self.rest:
            h = self.activation(layer(h))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, self.initialization)
        return head


@part("network/gated-mlp", paper="Dauphin et al. 2017; Tomczak & Welling 2018, section 5")
class GatedMLP(nn.Module):
    """Fully connected layers h ⊙ σ(g), both linear in the layer's input.

    Args:
        in_shape: shape of one input; it is flattened.
        hidden: widths of the layers.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.
        initialization: ``torch``, ``glorot``, ``he`` or ``small``.

    >>> import torch
    >>> GatedMLP(40, hidden=(300, 300))(torch.zeros(2, 40)).shape
    torch.Size([2, 300])
    """

    def __init__(
        self,
        in_shape: Shape,
        hidden: tuple[int, ...] = (300, 300),
        condition_dim: Shape = 0,
        initialization: str = "he",
    ) -> None:
        super().__init__()
        widths = (size(in_shape), *hidden)
        self.event_dims, self.condition_shape = dimensions(in_shape), condition_dim
        # Content and gate are the two halves of one matrix product, as glu takes them: h ⊙ σ(g).
        self.layers = nn.ModuleList(Linear(a, 2 * b) for a, b in pairwise(widths))
        self.first_condition = Linear(size(condition_dim), 2 * hidden[0], bias=False) if condition_dim else None
        self.features = hidden[-1]
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.layers[0](x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition, self.condition_shape)
        h = h if added is None else h + added
        h = glu(h)
        for layer in self.layers[1:]:
            h = glu(layer(h))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, "glorot")
        return head


@part("network/residual-mlp", paper="He et al. 2016, Identity mappings in deep residual networks; Child 2021")
class ResidualMLP(nn.Module):
    """h_0 = a linear map of the input, h_l = h_{l−1} + block(h_{l−1}): deep and wide without losing the gradient.

    A block is GELU, linear, GELU, linear; it begins 1/√depth as large as it would be, so that the sum of all is as
    large as one.

    Args:
        in_shape: shape of one input; it is flattened.
        width: length of h.
        depth: number of blocks.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.

    Raises:
        ValueError: if width or depth is not positive.

    >>> import torch
    >>> ResidualMLP((1, 28, 28), width=64, depth=2)(torch.zeros(5, 2, 1, 28, 28)).shape
    torch.Size([5, 2, 64])
    """

    def __init__(self, in_shape: Shape, width: int = 512, depth: int = 2, condition_dim: Shape = 0) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
        self.event_dims, self.condition_shape = dimensions(in_shape), condition_dim
        self.first = Linear(size(in_shape), width)
        self.first_condition = Linear(size(condition_dim), width, bias=False) if condition_dim else None
        self.blocks = nn.ModuleList(scaled(dense_block(1, width, width), depth**-0.5) for _ in range(depth))
        self.features = width

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.first(x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition, self.condition_shape)
        h = h if added is None else h + added
        for block in self.blocks:
            h = h + block(h)
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.GELU(), FlatHead(self.features, out_shape))


@part("network/linear")
class Affine(nn.Module):
    """Features are the flattened input (and the condition beside it): the linear model.

    Args:
        in_shape: shape of one input.
        condition_dim: length of the condition, or its shape (it is flattened); 0 without one.

    >>> import torch
    >>> Affine((1, 4, 4))(torch.zeros(3, 1, 4, 4)).shape
    torch.Size([3, 16])
    """

    def __init__(self, in_shape: Shape, condition_dim: Shape = 0) -> None:
        super().__init__()
        self.event_dims, self.condition_shape = dimensions(in_shape), condition_dim
        self.features = size(in_shape) + size(condition_dim)
        self.of_condition = nn.Identity() if condition_dim else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        flat = x.flatten(-self.event_dims)
        beside = of_condition(self.of_condition, condition, self.condition_shape)
        return flat if beside is None else side_by_side([flat, beside])

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return FlatHead(self.features, out_shape)
