"""A diagonal Gaussian turned by a product of reflections."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, constraints


class HouseholderNormal(Distribution):
    """z = H_T … H_1 (μ + σ ε) with H_t = I − 2 v_t v_tᵀ / ‖v_t‖²: full covariance, and a Jacobian of determinant ±1.

    The product U of reflections is orthogonal, so that z ~ N(Uμ, U diag σ² Uᵀ) (Tomczak & Welling 2016);
    its entropy is that of the Gaussian before it, and its density costs O(T · latent).

    Args:
        loc: μ, ``(*batch, latent)``.
        scale: σ, ``(*batch, latent)``.
        vectors: v_1 … v_T, in the order in which they are applied, ``(*batch, T, latent)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, vectors: Tensor) -> None:
        self.before = Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)
        self.vectors = torch.nn.functional.normalize(vectors, dim=-1).unbind(-2)
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._turned(self.before.mean)

    @property
    def variance(self) -> Tensor:
        """Of each dimension: the diagonal of U diag σ² Uᵀ."""
        columns = torch.diag_embed(self.before.stddev).movedim(-1, 0)  # column of U diag σ, batch, latent
        return self._turned(columns).square().sum(0)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self._turned(self.before.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        for vector in reversed(self.vectors):
            value = reflected(value, vector)
        return self.before.log_prob(value)

    def entropy(self) -> Tensor:
        return self.before.entropy()

    def _turned(self, value: Tensor) -> Tensor:
        for vector in self.vectors:
            value = reflected(value, vector)
        return value


def reflected(value: Tensor, vector: Tensor) -> Tensor:
    """(I − 2 v vᵀ) value for unit vectors v, both ``(*leading, latent)``."""
    return value - 2 * (vector * value).sum(-1, keepdim=True) * vector
