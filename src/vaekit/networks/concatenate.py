"""Several latents into one network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.config import part
from vaekit.errors import UserError


@part("network/concatenate")
class Concatenate(nn.Module):
    """A network that reads the vectors of several latents side by side, in the order of the prior.

    Args:
        network: the network behind it; its input is as long as the latents together.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Mapping[str, Tensor], condition: Tensor | None = None) -> Tensor:
        return self.network(side_by_side(list(by_name(z).values())), condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)  # type: ignore[operator]


def by_name(z: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """
    Raises:
        UserError: if several latents are given as one tensor.
    """
    if isinstance(z, Mapping):
        return z
    raise UserError(
        f"a network of several latents takes a map of them by name, and was given one of shape {tuple(z.shape)}.",
        hint="model.decode({'z2': …, 'z1': …}), as model.sample_latents gives them.",
    )


def side_by_side(values: list[Tensor]) -> Tensor:
    """Vectors on one last axis, their leading axes broadcast; at least one."""
    leading = np.broadcast_shapes(*(value.shape[:-1] for value in values))
    return torch.cat([value.expand(*leading, value.shape[-1]) for value in values], dim=-1)
