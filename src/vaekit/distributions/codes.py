"""Distributions over grids of code vectors, for a quantised latent."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class IndexDistribution(Protocol):
    """A distribution over index grids ``(*leading, height, width)``."""

    def log_prob(self, indices: Tensor) -> Tensor: ...

    def sample(self, count: int) -> Tensor: ...


class UniformIndices:
    """Every grid of indices is equally likely.

    Args:
        num_codes: number of codes.
        grid: ``(height, width)``.
        like: a tensor of the type and on the device of what is answered.
    """

    def __init__(self, num_codes: int, grid: tuple[int, int], like: Tensor) -> None:
        self.num_codes, self.grid, self.like = num_codes, grid, like

    def log_prob(self, indices: Tensor) -> Tensor:
        per_grid = -math.prod(self.grid) * math.log(self.num_codes)
        return self.like.new_full(indices.shape[:-2], per_grid)

    def sample(self, count: int) -> Tensor:
        return torch.randint(self.num_codes, (count, *self.grid), device=self.like.device)


class Codes(Distribution):
    """A distribution over indices, seen as one over grids of code vectors ``(code_dim, height, width)``.

    Its support is finite: ``log_prob`` is the log-probability of the indices of the nearest codes.

    Args:
        indices: the distribution over index grids.
        embedding: ``(num_codes, code_dim)``.
        grid: ``(height, width)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, indices: IndexDistribution, embedding: Tensor, grid: tuple[int, int]) -> None:
        self.indices = indices
        self.embedding = embedding
        self.grid = grid
        super().__init__(torch.Size(), torch.Size((embedding.shape[1], *grid)), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.indices.log_prob(nearest_on_grid(self.embedding, value.detach()))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            indices = self.indices.sample(math.prod(sample_shape))
            return on_grid(self.embedding[indices]).reshape(self._extended_shape(sample_shape))


class Rounded(Distribution):
    """The encoder's output rounded to the nearest codes: all mass on one grid of codes, so log q = 0.

    ``rsample`` is straight-through: its value is the code, its gradient goes to ``vectors`` as it
    is (van den Oord et al. 2017, section 3.2).

    Args:
        vectors: the encoder's output, ``(batch, code_dim, height, width)``.
        codes: the nearest codes, same shape.
        indices: their indices, ``(batch, height, width)``.
        penalty: what training subtracts from the bound, ``(batch,)``: commitment and code book loss.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real
    has_rsample = True

    def __init__(self, vectors: Tensor, codes: Tensor, indices: Tensor, penalty: Tensor) -> None:
        self.codes = codes
        self.indices = indices
        self.penalty = penalty
        self._straight_through = vectors + (codes - vectors).detach()
        super().__init__(codes.shape[:-3], codes.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.codes

    @property
    def stddev(self) -> Tensor:
        return torch.zeros_like(self.codes)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._straight_through.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return value.new_zeros(value.shape[:-3])


def nearest_on_grid(embedding: Tensor, vectors: Tensor) -> Tensor:
    """Index of the nearest code at each place.

    Args:
        embedding: ``(num_codes, code_dim)``.
        vectors: ``(*leading, code_dim, height, width)``.

    Returns:
        ``(*leading, height, width)``.
    """
    # From the midst of the codes: far from it the square distances would differ by less than they are rounded.
    midst = embedding.mean(0)
    centred, last = embedding - midst, vectors.movedim(-3, -1) - midst
    return (centred.square().sum(-1) - 2 * last @ centred.T).argmin(-1)


def on_grid(vectors: Tensor) -> Tensor:
    """``(*leading, height, width, code_dim)`` to ``(*leading, code_dim, height, width)``."""
    return vectors.movedim(-1, -3)
