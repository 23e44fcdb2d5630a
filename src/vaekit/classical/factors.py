"""x = Wz + μ + ε with z ~ N(0, I) and independent noise: what PCA and factor analysis fit."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal


class Factors(NamedTuple):
    """p(x) = N(μ, WWᵀ + Ψ), Ψ diagonal; q factors cost D q² and not D³.

    Attributes:
        mean: μ, ``(data,)``.
        loading: W, ``(data, latent)``.
        noise: the diagonal of Ψ, variances, ``(data,)``.
    """

    mean: Tensor
    loading: Tensor
    noise: Tensor

    @property
    def precision(self) -> Tensor:
        """I + Wᵀ Ψ⁻¹ W, that of z given x, ``(latent, latent)``."""
        scaled = self.loading / self.noise.unsqueeze(-1)
        return torch.eye(self.loading.shape[1], dtype=self.mean.dtype) + self.loading.T @ scaled

    def encode(self, x: Tensor) -> MultivariateNormal:
        """p(z|x), batch shape ``(batch,)``."""
        lower = torch.linalg.cholesky(self.precision)
        right = (x - self.mean) / self.noise @ self.loading
        mean = torch.cholesky_solve(right.T, lower).T
        return MultivariateNormal(mean, precision_matrix=self.precision)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``(batch,)``."""
        centred = x - self.mean
        lower = torch.linalg.cholesky(self.precision)
        right = centred / self.noise @ self.loading
        explained = torch.linalg.solve_triangular(lower, right.T, upper=False).square().sum(0)
        squared = (centred.square() / self.noise).sum(-1) - explained
        return -0.5 * (squared + self._log_determinant(lower) + len(self.mean) * math.log(2 * math.pi))

    def mean_log_prob(self, covariance: Tensor) -> Tensor:
        """−½ (D log 2π + log|C| + tr C⁻¹S): the mean of log p(x) over rows of mean μ and covariance S."""
        lower = torch.linalg.cholesky(self.precision)
        scaled = self.loading / self.noise.unsqueeze(-1)
        explained = torch.cholesky_solve(scaled.T @ covariance @ scaled, lower).trace()
        trace = (covariance.diagonal() / self.noise).sum() - explained
        return -0.5 * (trace + self._log_determinant(lower) + len(self.mean) * math.log(2 * math.pi))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` rows, ``(count, data)``."""
        dims, units = self.loading.shape
        z = torch.randn(count, units, dtype=self.mean.dtype, generator=generator)
        noise = torch.randn(count, dims, dtype=self.mean.dtype, generator=generator)
        return z @ self.loading.T + self.mean + noise * self.noise.sqrt()

    def _log_determinant(self, lower: Tensor) -> Tensor:
        """log|WWᵀ + Ψ| = log|I + WᵀΨ⁻¹W| + log|Ψ|."""
        return 2 * lower.diagonal().log().sum() + self.noise.log().sum()


class Moments(NamedTuple):
    """All that a Gaussian needs to know of rows: computed once, they fit many models.

    Attributes:
        mean: ``(data,)``.
        covariance: divided by the number of rows, ``(data, data)``.
    """

    mean: Tensor
    covariance: Tensor


def moments_of(x: Tensor | Moments) -> Moments:
    """Mean and covariance of rows ``(rows, …)``, in float64.

    Raises:
        ValueError: if there are fewer than two rows, or values that are not finite.
    """
    if isinstance(x, Moments):
        return x
    if x.dim() < 2 or len(x) < 2:
        raise ValueError(f"at least two rows of data are needed, got the shape {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise ValueError("the data have values that are not finite")
    x = x.flatten(1).double()
    mean = x.mean(0)
    # In parts, so that centred rows are not all kept.
    covariance = x.new_zeros(x.shape[1], x.shape[1])
    for some in x.split(10_000):
        centred = some - mean
        covariance += centred.T @ centred
    return Moments(mean, covariance / len(x))


def check_latents(latent_dim: int, dims: int) -> None:
    """Range check of the number of latents.

    Raises:
        ValueError: if there are none, or as many as values.
    """
    if not 1 <= latent_dim < dims:
        raise ValueError(f"latent_dim must be from 1 to {dims - 1} for rows of {dims} values, got {latent_dim}")
