"""Ladder of grids, from coarse to fine: its rungs, and the bottom-up path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from vaekit.networks.block import Block, grid_block, scaled
from vaekit.networks.convolutional import GridHead
from vaekit.networks.network import Linear, of_condition, over_leading
from vaekit.parts.record import part

Size = tuple[int, int]


def kernel_size(grid: Size) -> int:
    """3, and 1 where the grid is so small that a wider kernel would see mostly its padding."""
    return 3 if min(grid) > 2 else 1


def enlarge(h: Tensor, grid: Size) -> Tensor:
    """Every place of the grid as its nearest of ``h`` ``(*leading, width, height, width)``."""
    return over_leading(lambda h: interpolate(h, grid), h, 3) if h.shape[-2:] != grid else h


def reduce(h: Tensor, grid: Size) -> Tensor:
    """Means over the parts of ``h`` that become one place of the grid."""
    return over_leading(lambda h: adaptive_avg_pool2d(h, grid), h, 3) if h.shape[-2:] != grid else h


@part("rung/grid", paper="Child 2021")
class GridRung(nn.Module):
    """One level on a grid, by 1×1 and 3×3 convolutions; otherwise as :class:`DenseRung`.

    The latent is a vector, ``latent_channels`` at every place. Where the grid is finer than that of the rung above, h
    is enlarged and a trained bias for every place is added.

    Args:
        grid: ``(height, width)``.
        width: channels of h.
        latent_channels: of the latent at every place.
        above: the grid of the rung above, ``None`` for the top.
        scale: of the weights at which a rung adds to h at the start; 1/√N for N rungs.
    """

    def __init__(
        self, grid: Size, width: int, latent_channels: int, above: Size | None = None, scale: float = 1.0
    ) -> None:
        super().__init__()
        grid = (grid[0], grid[1])
        self.grid, self.width, self.kernel_size = grid, width, kernel_size(grid)
        self.shape = (width, *grid)
        self.latent_shape = (latent_channels, *grid)
        self.latent_dim = latent_channels * grid[0] * grid[1]
        self.place_bias = nn.Parameter(torch.zeros(self.shape)) if above not in (None, grid) else None
        self.prior = scaled(grid_block(1, width, 2 * latent_channels + width, self.kernel_size), 0.0)
        self.projection = nn.Conv2d(latent_channels, width, 1)
        self.residual = scaled(grid_block(1, width, width, self.kernel_size), scale)
        with torch.no_grad():
            self.projection.weight.mul_(scale)
            nn.init.zeros_(self.projection.bias)  # type: ignore[arg-type]

    def enter(self, h: Tensor) -> Tensor:
        """h as it comes from the rung above, on this rung's grid."""
        return h if self.place_bias is None else enlarge(h, self.grid) + self.place_bias

    def look(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and raw scale of p(z|h), ``(*leading, 2, latent)``, and h as it goes on."""
        parameters, correction = self.prior(h).split([2 * self.latent_shape[0], self.width], dim=-3)
        return parameters.unflatten(-3, (2, -1)).flatten(-3), h + correction

    def take(self, onward: Tensor, z: Tensor) -> Tensor:
        """h for the rung below."""
        h = onward + over_leading(self.projection, z.unflatten(-1, self.latent_shape), 3)
        return h + self.residual(h)

    def gaussian_head(self, inputs: int) -> nn.Module:
        """A module from so many inputs like h to ``(*leading, 2, latent)``: the parameters of a posterior."""
        return GridGaussianHead(grid_block(inputs, self.width, 2 * self.latent_shape[0], self.kernel_size))

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        """A block on the grid of ``out_shape``, ``(…, height, width)``, and a convolution."""
        return GridLadderHead(self.width, out_shape)


class GridGaussianHead(nn.Module):
    """A block whose output is two vectors."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.block(*inputs).unflatten(-3, (2, -1)).flatten(-3)


class GridLadderHead(nn.Module):
    """h on the grid of the image, a residual block, and a convolution."""

    def __init__(self, width: int, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.grid = (out_shape[-2], out_shape[-1])
        self.residual = grid_block(1, width, width)
        self.last = GridHead(width, out_shape, kernel_size=3)

    def forward(self, h: Tensor) -> Tensor:
        h = enlarge(h, self.grid)
        return self.last(nn.functional.gelu(h + self.residual(h)))


@part("bottom-up/grid", paper="Child 2021")
class GridBottomUp(nn.Module):
    """A convolution, and residual blocks on ever coarser grids: features for every level, from the top.

    All levels on one grid see the same features, those after its last block.

    Args:
        in_shape: ``(channels, height, width)`` of one image.
        grids: of the levels, from the top.
        width: channels.
        condition_dim: length of the condition, 0 without one.

    >>> import torch
    >>> [d.shape for d in GridBottomUp((1, 8, 8), grids=((4, 4), (8, 8)), width=8)(torch.zeros(5, 1, 8, 8))]
    [torch.Size([5, 8, 4, 4]), torch.Size([5, 8, 8, 8])]
    """

    def __init__(
        self, in_shape: tuple[int, int, int], grids: Sequence[Size], width: int, condition_dim: int = 0
    ) -> None:
        super().__init__()
        self.grids = [(grid[0], grid[1]) for grid in grids][::-1]
        self.first = nn.Conv2d(in_shape[0], width, 3, padding=1)
        self.first_condition = Linear(condition_dim, width, bias=False) if condition_dim else None
        factor = (len(grids) + 1) ** -0.5
        self.full = scaled(grid_block(1, width, width), factor)
        self.blocks = nn.ModuleList(
            scaled(grid_block(1, width, width, kernel_size(grid)), factor) for grid in self.grids
        )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Sequence[Tensor]:
        h = over_leading(self.first, x, 3)
        added = of_condition(self.first_condition, condition)
        h = h if added is None else h + added[..., None, None]
        h = h + self.full(h)
        after: dict[Size, Tensor] = {}
        for grid, block in zip(self.grids, self.blocks, strict=True):
            h = reduce(h, grid)
            h = h + block(h)
            after[grid] = h
        return [after[grid] for grid in self.grids[::-1]]


def check_grids(grids: Sequence[Size], image: Size) -> None:
    """Check of the sizes of the grids of a ladder.

    Raises:
        ValueError: if they do not grow from the top, or outgrow the image.
    """
    for above, below in pairwise([*grids, image]):
        if above[0] > below[0] or above[1] > below[1]:
            raise ValueError(f"grids must grow from the top and end within the image {image}, got {tuple(grids)}")
