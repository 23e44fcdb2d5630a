"""Probabilistic PCA (Tipping & Bishop 1999), in closed form and by EM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.classical.factors import Factors, Moments, check_latents, moments_of


class ProbabilisticPCA:
    """p(x|z) = N(Wz + μ, σ²I), p(z) = N(0, I): a linear VAE with its best encoder.

    Args:
        latent_dim: q.

    >>> import torch
    >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 1.0])
    >>> pca = ProbabilisticPCA(1).fit(x)
    >>> bool(pca.score(x).mean() >= ProbabilisticPCA(1).fit_em(x, steps=3).score(x).mean())
    True
    """

    factors: Factors

    def __init__(self, latent_dim: int) -> None:
        self.latent_dim = latent_dim
        self.course: list[float] = []

    def fit(self, x: Tensor | Moments) -> ProbabilisticPCA:
        """W = U_q (Λ_q − σ²I)^½ of the eigenvectors of the covariance, σ² the mean of the other eigenvalues.

        Args:
            x: ``(rows, …)``, or their moments.

        Raises:
            ValueError: if the data are too few, not finite, or in no more than ``latent_dim`` dimensions.
        """
        mean, covariance = moments_of(x)
        check_latents(self.latent_dim, len(mean))
        values, vectors = torch.linalg.eigh(covariance)
        values, vectors = values.flip(0), vectors.flip(1)
        variance = values[self.latent_dim :].mean()
        if variance <= 1e-12 * values[0]:
            raise ValueError(f"the data lie in {self.latent_dim} dimensions or fewer: nothing is left to be noise")
        loading = vectors[:, : self.latent_dim] * (values[: self.latent_dim] - variance).clamp_min(0).sqrt()
        self.factors = Factors(mean, loading, variance.expand(len(mean)))
        self.course = [self.factors.mean_log_prob(covariance).item()]
        return self

    def fit_em(
        self, x: Tensor | Moments, steps: int = 10_000, tolerance: float = 1e-12, seed: int = 0
    ) -> ProbabilisticPCA:
        """By EM with ⟨z⟩ = M⁻¹Wᵀ(x − μ), M = WᵀW + σ²I; ``course`` keeps the mean log-likelihood before each step.

        Args:
            x: ``(rows, …)``, or their moments.
            steps: at most so many.
            tolerance: stop when a step raises the log-likelihood by less than so small a part of it.
            seed: of the first W.
        """
        mean, covariance = moments_of(x)
        check_latents(self.latent_dim, len(mean))
        dims, identity = len(mean), torch.eye(self.latent_dim, dtype=mean.dtype)
        generator = torch.Generator().manual_seed(seed)
        variance = covariance.diagonal().mean()
        loading = torch.randn(dims, self.latent_dim, dtype=mean.dtype, generator=generator) * variance.sqrt()
        self.course = []
        for _ in range(steps):
            self.factors = Factors(mean, loading, variance.expand(dims))
            self.course.append(self.factors.mean_log_prob(covariance).item())
            if len(self.course) > 1 and self.course[-1] - self.course[-2] < tolerance * abs(self.course[-1]):
                break
            inverse = torch.linalg.inv(loading.T @ loading + variance * identity)
            seen = covariance @ loading
            loading = torch.linalg.solve(variance * identity + inverse @ (loading.T @ seen), seen, left=False)
            variance = (covariance.trace() - (seen @ inverse * loading).sum()) / dims
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
