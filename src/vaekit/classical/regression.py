"""Linear regression as a density of y: by maximum likelihood, and by the mode of the posterior (ridge)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal


def _log_normal(y: Tensor, mean: Tensor, variance: Tensor | float) -> Tensor:
    variance = torch.as_tensor(variance, dtype=y.dtype)
    return -0.5 * ((y - mean).square() / variance + (2 * math.pi * variance).log())


def _check(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.dim() != 2 or y.dim() != 1 or len(x) != len(y):
        raise ValueError(f"x must be (rows, columns) and y (rows,), got {tuple(x.shape)} and {tuple(y.shape)}")
    return x.double(), y.double()


class LeastSquares:
    """p(y|x) = N(wᵀx, σ²) by maximum likelihood: w = (XᵀX)⁻¹Xᵀy, σ² the mean squared residual.

    There is no intercept: give x a column of ones. Where columns depend on each other w is the shortest solution.

    >>> import torch
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> LeastSquares().fit(x, torch.tensor([1.0, 3.0, 5.0])).weight.round(decimals=6)
    tensor([1., 2.], dtype=torch.float64)
    """

    weight: Tensor
    variance: Tensor

    def fit(self, x: Tensor, y: Tensor) -> LeastSquares:
        """Fit to rows, in closed form.

        Args:
            x: ``(rows, columns)``.
            y: ``(rows,)``.
        """
        x, y = _check(x, y)
        self.weight = torch.linalg.lstsq(x, y.unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
        self.variance = (y - x @ self.weight).square().mean()
        return self

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(y|x) in nats, ``(rows,)``."""
        x, y = _check(x, y)
        return _log_normal(y, x @ self.weight, self.variance)

    def sample(self, x: Tensor, seed: int = 0) -> Tensor:
        """One y for each row."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(x), dtype=torch.float64, generator=generator)
        return x.double() @ self.weight + noise * self.variance.sqrt()


class Ridge:
    """p(y|x, w) = N(wᵀx, σ²) with p(w) = N(0, τ²I): the mode of p(w|X, y) is ridge regression with λ = σ²/τ².

    w = (XᵀX + λI)⁻¹Xᵀy, the minimum of ‖y − Xw‖² + λ‖w‖²; the posterior is N(w, σ²(XᵀX + λI)⁻¹).

    Args:
        noise: σ.
        prior: τ.

    >>> import torch
    >>> Ridge(noise=1.0, prior=1.0).fit(torch.ones(3, 1), torch.ones(3)).weight
    tensor([0.7500], dtype=torch.float64)
    """

    posterior: MultivariateNormal

    def __init__(self, noise: float, prior: float) -> None:
        if noise <= 0 or prior <= 0:
            raise ValueError(f"noise and prior are standard deviations and above 0, got {noise} and {prior}")
        self.noise, self.prior = noise, prior

    @property
    def penalty(self) -> float:
        """λ = σ²/τ²."""
        return (self.noise / self.prior) ** 2

    @property
    def weight(self) -> Tensor:
        """The mode of p(w|X, y), ``(columns,)``."""
        return self.posterior.mean

    def fit(self, x: Tensor, y: Tensor) -> Ridge:
        """Fit to rows, in closed form.

        Args:
            x: ``(rows, columns)``.
            y: ``(rows,)``.
        """
        x, y = _check(x, y)
        precision = x.T @ x + self.penalty * torch.eye(x.shape[1], dtype=x.dtype)
        weight = torch.cholesky_solve((x.T @ y).unsqueeze(-1), torch.linalg.cholesky(precision)).squeeze(-1)
        self.posterior = MultivariateNormal(weight, precision_matrix=precision / self.noise**2)
        return self

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(y|x, X, Y) in nats with w integrated out, each row by itself, ``(rows,)``."""
        x, y = _check(x, y)
        spread = (x @ self.posterior.covariance_matrix * x).sum(-1)
        return _log_normal(y, x @ self.weight, spread + self.noise**2)

    def sample(self, x: Tensor, seed: int = 0) -> Tensor:
        """One y for each row, all of one w from the posterior."""
        generator = torch.Generator().manual_seed(seed)
        lower = torch.linalg.cholesky(self.posterior.covariance_matrix)
        weight = self.weight + lower @ torch.randn(len(self.weight), dtype=torch.float64, generator=generator)
        noise = torch.randn(len(x), dtype=torch.float64, generator=generator)
        return x.double() @ weight + noise * self.noise
