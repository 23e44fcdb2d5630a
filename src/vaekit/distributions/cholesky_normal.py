"""A Gaussian with full covariance, its density read off the Jacobian of the sampling map."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, constraints, register_kl


class CholeskyNormal(Distribution):
    """N(loc, L Lᵀ) with ``L = scale_tril`` lower triangular, positive on the diagonal.

    Sampling is z = loc + L ε with ε ~ N(0, I); so log q(z) = log N(ε; 0, I) − Σᵢ log Lᵢᵢ, where the
    last sum is log|det ∂z/∂ε| (Kingma & Welling 2019, section 2.5.1). For the z that was just
    drawn ε is at hand and no triangular system is solved.

    Args:
        loc: ``(*batch, latent)``.
        scale_tril: ``(*batch, latent, latent)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        self.loc = loc
        self.scale_tril = scale_tril
        self._drawn: tuple[Tensor, Tensor] | None = None
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)

    @property
    def log_det_scale(self) -> Tensor:
        """Σᵢ log Lᵢᵢ, shape ``(*batch,)``."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        value = self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        self._drawn = (value, noise)
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        if self._drawn is not None and self._drawn[0] is value:
            noise = self._drawn[1]
        else:
            centred = (value - self.loc).unsqueeze(-1)
            noise = torch.linalg.solve_triangular(self.scale_tril, centred, upper=False).squeeze(-1)
        log_normal = -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))
        return log_normal - self.log_det_scale

    def entropy(self) -> Tensor:
        return 0.5 * self.loc.shape[-1] * (1 + math.log(2 * math.pi)) + self.log_det_scale


@register_kl(CholeskyNormal, Independent)
def _kl_cholesky_diagonal(q: CholeskyNormal, p: Independent) -> Tensor:
    """½ [tr(S⁻¹Σ) + (m − μ)ᵀS⁻¹(m − μ) − D + log|S| − log|Σ|] for a diagonal Gaussian N(m, S)."""
    base = p.base_dist
    if not isinstance(base, Normal) or p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    precision = cast(Tensor, base.scale).pow(-2)
    quadratic = (precision * (q.variance + (q.loc - base.loc).square())).sum(-1)
    log_det_p = 2 * cast(Tensor, base.scale).log().sum(-1)
    return 0.5 * (quadratic - q.loc.shape[-1] + log_det_p) - q.log_det_scale


@register_kl(CholeskyNormal, CholeskyNormal)
def _kl_cholesky_cholesky(q: CholeskyNormal, p: CholeskyNormal) -> Tensor:
    """½ [‖Lp⁻¹Lq‖² + ‖Lp⁻¹(μp − μq)‖² − D] + log|Lp| − log|Lq|."""
    ratio = torch.linalg.solve_triangular(p.scale_tril, q.scale_tril, upper=False).square().sum((-2, -1))
    shift = torch.linalg.solve_triangular(p.scale_tril, (p.loc - q.loc).unsqueeze(-1), upper=False)
    return 0.5 * (ratio + shift.square().sum((-2, -1)) - q.loc.shape[-1]) + p.log_det_scale - q.log_det_scale
