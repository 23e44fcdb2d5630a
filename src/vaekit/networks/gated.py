"""Gated fully connected layers."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import glu

from vaekit.config import part
from vaekit.networks.layer import Linear
from vaekit.networks.network import FlatHead, Shape, dimensions, initialize, of_condition, size


@part("network/gated-mlp", paper="Dauphin et al. 2017; Tomczak & Welling 2018, section 5")
class GatedMLP(nn.Module):
    """Fully connected layers h ⊙ σ(g), both linear in the layer's input.

    Args:
        in_shape: shape of one input; it is flattened.
        hidden: widths of the layers.
        condition_dim: length of the condition, 0 without one.
        initialization: ``torch``, ``glorot``, ``he`` or ``small``.

    >>> import torch
    >>> GatedMLP(40, hidden=(300, 300))(torch.zeros(2, 40)).shape
    torch.Size([2, 300])
    """

    def __init__(
        self,
        in_shape: Shape,
        hidden: tuple[int, ...] = (300, 300),
        condition_dim: int = 0,
        initialization: str = "he",
    ) -> None:
        super().__init__()
        widths = (size(in_shape), *hidden)
        self.event_dims = dimensions(in_shape)
        # Content and gate are the two halves of one matrix product, as glu takes them: h ⊙ σ(g).
        self.layers = nn.ModuleList(Linear(a, 2 * b) for a, b in pairwise(widths))
        self.first_condition = Linear(condition_dim, 2 * hidden[0], bias=False) if condition_dim else None
        self.features = hidden[-1]
        self.initialization = initialization
        initialize(self, initialization)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.layers[0](x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition)
        h = h if added is None else h + added
        h = glu(h)
        for layer in self.layers[1:]:
            h = glu(layer(h))
        return h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        head = FlatHead(self.features, out_shape)
        initialize(head, "glorot")
        return head
