"""A network behind a fixed map of its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.config import part


@part("network/log-input")
class LogInput(nn.Module):
    """A network that reads log(1 + x): counts span decades, and the encoder should not.

    Args:
        network: the network behind it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.network(torch.log1p(x), condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)  # type: ignore[operator]
