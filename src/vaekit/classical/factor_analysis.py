"""Factor analysis by EM (Rubin & Thayer 1982)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.classical.factors import Factors, Moments, check_latents, moments_of
from vaekit.classical.pca import ProbabilisticPCA

SMALLEST = 1e-6


class FactorAnalysis:
    """p(x|z) = N(Wz + μ, Ψ) with a variance of its own for each value; p(z) = N(0, I).

    It starts from probabilistic PCA, so its likelihood is at least that of PCA if the noise of PCA is above the
    smallest.

    Args:
        latent_dim: number of factors.
        minimum_noise: smallest variance of the noise: without one the likelihood has no end where a value is constant.
            If not given, a millionth of the mean variance of the values.

    >>> import torch
    >>> x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 0.5, 2.0])
    >>> len(FactorAnalysis(1).fit(x).score(x))
    200
    """

    factors: Factors

    def __init__(self, latent_dim: int, minimum_noise: float | None = None) -> None:
        if minimum_noise is not None and minimum_noise <= 0:
            raise ValueError(f"minimum_noise must be above 0, got {minimum_noise}")
        self.latent_dim = latent_dim
        self.minimum_noise = minimum_noise
        self.course: list[float] = []

    def fit(self, x: Tensor | Moments, steps: int = 1000, tolerance: float = 1e-10) -> FactorAnalysis:
        """With β = Wᵀ(WWᵀ + Ψ)⁻¹: W = Sβᵀ(I − βW + βSβᵀ)⁻¹, Ψ = diag(S − WβS).

        Args:
            x: ``(rows, …)``, or their moments.
            steps: at most so many.
            tolerance: stop when a step raises the log-likelihood by less than so small a part of it.
        """
        mean, covariance = moments_of(x)
        check_latents(self.latent_dim, len(mean))
        _, loading, noise = ProbabilisticPCA(self.latent_dim).fit(Moments(mean, covariance)).factors
        smallest = SMALLEST * covariance.diagonal().mean().item() if self.minimum_noise is None else self.minimum_noise
        identity = torch.eye(self.latent_dim, dtype=mean.dtype)
        self.course = []
        for _ in range(steps):
            self.factors = Factors(mean, loading, noise.clamp_min(smallest))
            self.course.append(self.factors.mean_log_prob(covariance).item())
            if len(self.course) > 1 and self.course[-1] - self.course[-2] < tolerance * abs(self.course[-1]):
                break
            scaled = self.factors.loading / self.factors.noise.unsqueeze(-1)
            beta = torch.linalg.solve(self.factors.precision, scaled.T)
            cross = covariance @ beta.T
            second = identity - beta @ self.factors.loading + beta @ cross
            loading = torch.linalg.solve(second, cross, left=False)
            noise = covariance.diagonal() - (loading * cross).sum(-1)
        return self

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``(rows,)``."""
        return self.factors.log_prob(x.flatten(1).double())

    def encode(self, x: Tensor) -> MultivariateNormal:
        """p(z|x), batch shape ``(rows,)``."""
        return self.factors.encode(x.flatten(1).double())

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """``count`` rows, ``(count, data)``."""
        return self.factors.sample(count, torch.Generator().manual_seed(seed))
