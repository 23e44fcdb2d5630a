"""Finite supports, written out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions.codes import Codes

MOST_VALUES = 65_536


def every_grid(num_codes: int, grid: tuple[int, int]) -> Tensor:
    """All grids of indices, ``(num_codes ** places, height, width)``.

    >>> every_grid(2, (2, 2)).shape
    torch.Size([16, 2, 2])
    """
    places = grid[0] * grid[1]
    if num_codes**places > MOST_VALUES:
        raise ValueError(f"{num_codes} codes at {places} places make more than {MOST_VALUES} grids; test a smaller one")
    return torch.cartesian_prod(*[torch.arange(num_codes)] * places).reshape(-1, *grid)


def every_binary(dims: int) -> Tensor:
    """All vectors of zeros and ones in float64, ``(2 ** dims, dims)``.

    >>> every_binary(2).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    return every_grid(2, (1, dims)).reshape(-1, dims).double()


def grid_number(indices: Tensor, num_codes: int) -> Tensor:
    """Which of :func:`every_grid` each grid ``(*leading, height, width)`` is, ``(*leading,)``."""
    places = indices.flatten(-2)
    powers = num_codes ** torch.arange(places.shape[-1] - 1, -1, -1)
    return (places * powers).sum(-1)


def code_vectors(codes: Codes, indices: Tensor) -> Tensor:
    """The grids of code vectors of index grids ``(*leading, height, width)``."""
    return codes.embedding[indices].movedim(-1, -3).detach()


def support_of(element: Distribution) -> Tensor | None:
    """All values of one element of a discrete distribution, ``(values, *ones, *event)``; ``None`` for a density.

    Counts go up to where nothing is left: mean + 60 standard deviations, and at least 100.
    """
    if element.has_enumerate_support:
        return element.enumerate_support(expand=False)
    if element.support is constraints.nonnegative_integer:
        most = 100 + (element.mean + 60 * element.stddev).max().ceil().item()
        values = torch.arange(int(most) + 1, dtype=element.mean.dtype)
        return values.reshape(-1, *[1] * len(element.batch_shape))
    return None
