"""Fully connected layers."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from vaekit.config import part
from vaekit.networks.layer import Linear
from vaekit.networks.network import FlatHead, Shape, activation_of, dimensions, initialize, of_condition, size


@part("network/mlp")
class MLP(nn.Module):
    """Fully connected layers with one activation.

    Args:
        in_shape: shape of one input; it is flattened.
        hidden: widths of the layers.
        activation: ``relu``, ``tanh``, ``softplus``, ``silu``, ``elu`` or ``leaky-relu``.
        condition_dim: length of the condition, 0 without one.
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
        condition_dim: int = 0,
        initialization: str = "torch",
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must be widths from 1, got {hidden}; the network 'linear' has no hidden layer")
        self.event_dims = dimensions(in_shape)
        self.first = Linear(size(in_shape), hidden[0])
        self.first_condition = Linear(condition_dim, hidden[0], bias=False) if condition_dim else None
        self.rest = nn.ModuleList(Linear(a, b) for a, b in pairwise(hidden))
        self.activation = activation_of(activation)
        self.features = hidden[-1]
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.first(x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition)
        h = h if added is None else h + added
        h = self.activation(h)
        for layer in self.rest:
            h = self.activation(layer(h))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, self.initialization)
        return head
