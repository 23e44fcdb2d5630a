"""Ladder of vectors: its rungs, and the bottom-up path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.networks.block import Block, dense_block, scaled
from vaekit.networks.network import FlatHead, Linear, Shape, dimensions, of_condition, size
from vaekit.parts.record import part


@part("rung/dense", paper="Sønderby et al. 2016; Child 2021")
class DenseRung(nn.Module):
    """One level: p(z|h) and a correction of h from a block; then h + G z, and a residual block.

    Args:
        latent_dim: length of its latent.
        width: length of h.
        scale: of the weights at which a rung adds to h at the start; 1/√N for N rungs.
    """

    def __init__(self, latent_dim: int, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.shape = (width,)
        self.latent_dim = latent_dim
        self.prior = scaled(dense_block(1, width, 2 * latent_dim + width), 0.0)
        self.projection = Linear(latent_dim, width)
        self.residual = scaled(dense_block(1, width, width), scale)
        with torch.no_grad():
            self.projection.weight.mul_(scale)
            self.projection.bias.zero_()

    def enter(self, h: Tensor) -> Tensor:
        """h as it comes from the rung above."""
        return h

    def look(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and raw scale of p(z|h), ``(*leading, 2, latent)``, and h as it goes on."""
        parameters, correction = self.prior(h).split([2 * self.latent_dim, self.shape[0]], dim=-1)
        return parameters.unflatten(-1, (2, self.latent_dim)), h + correction

    def take(self, onward: Tensor, z: Tensor) -> Tensor:
        """h for the rung below."""
        h = onward + self.projection(z)
        return h + self.residual(h)

    def gaussian_head(self, inputs: int) -> nn.Module:
        """A module from so many inputs like h to ``(*leading, 2, latent)``: the parameters of a posterior."""
        return DenseGaussianHead(dense_block(inputs, self.shape[0], 2 * self.latent_dim), self.latent_dim)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.GELU(), FlatHead(self.shape[0], out_shape))


class DenseGaussianHead(nn.Module):
    """A block whose output is two vectors."""

    def __init__(self, block: Block, latent_dim: int) -> None:
        super().__init__()
        self.block, self.latent_dim = block, latent_dim

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.block(*inputs).unflatten(-1, (2, self.latent_dim))


@part("bottom-up/dense", paper="Sønderby et al. 2016, section 2")
class DenseBottomUp(nn.Module):
    """d_1 = a linear map of x, d_l = d_{l−1} + block(d_{l−1}): features for every level, from the top.

    Args:
        in_shape: shape of one example; it is flattened.
        num_levels: number of levels.
        width: length of the features.
        condition_dim: length of the condition, 0 without one.

    >>> import torch
    >>> [d.shape for d in DenseBottomUp(9, num_levels=2, width=8)(torch.zeros(5, 9))]
    [torch.Size([5, 8]), torch.Size([5, 8])]
    """

    def __init__(self, in_shape: Shape, num_levels: int, width: int, condition_dim: int = 0) -> None:
        super().__init__()
        self.event_dims = dimensions(in_shape)
        self.first = Linear(size(in_shape), width)
        self.first_condition = Linear(condition_dim, width, bias=False) if condition_dim else None
        self.blocks = nn.ModuleList(scaled(dense_block(1, width, width), num_levels**-0.5) for _ in range(num_levels))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Sequence[Tensor]:
        h = self.first(x.flatten(-self.event_dims))
        added = of_condition(self.first_condition, condition)
        h = h if added is None else h + added
        features = []
        for block in self.blocks:
            h = h + block(h)
            features.append(h)
        return features[::-1]
