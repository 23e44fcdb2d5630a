"""A Gaussian whose precision is a diagonal plus one outer product: full covariance at linear cost."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl


class RankOneNormal(Distribution):
    """N(μ, C) with C⁻¹ = D + u uᵀ, D diagonal and positive; everything costs O(latent).

    With s = uᵀD⁻¹u and η = 1 / (1 + s) (Rezende et al. 2014, section 4.3 and appendix): C = D⁻¹ − η D⁻¹u uᵀD⁻¹,
    log|C| = log η − log|D|, and z = μ + R ε has the covariance R Rᵀ = C for
    R = D^(−½) − (1 − √η)/s · D⁻¹u uᵀD^(−½). The fraction is computed as η / (1 + √η), which is the same and finite
    where u = 0.

    Args:
        loc: μ, ``(*batch, latent)``.
        precision_diag: the diagonal of D, ``(*batch, latent)``.
        direction: u, ``(*batch, latent)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, precision_diag: Tensor, direction: Tensor) -> None:
        self.loc, self.precision_diag, self.direction = loc, precision_diag, direction
        self._shrunk = direction / precision_diag  # D⁻¹u
        self._log_one_plus_s = torch.log1p((direction * self._shrunk).sum(-1))  # −log η
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Of each dimension: the diagonal of C, 1/D_i · (1 + Σ_{j≠i} s_j) / (1 + s) with shares s_j = u_j²/D_j of s.

        With positive terms only, it is exact in single precision for any u.
        """
        shares = self.direction * self._shrunk
        others = _sum_before(shares) + _sum_before(shares.flip(-1)).flip(-1)
        return self._eta * (1 + others) / self.precision_diag

    @property
    def log_det_covariance(self) -> Tensor:
        """log|C| = log η − log|D|, ``(*batch,)``."""
        return -self._log_one_plus_s - self.precision_diag.log().sum(-1)

    @property
    def _eta(self) -> Tensor:
        return (-self._log_one_plus_s).exp().unsqueeze(-1)

    def covariance_times(self, vector: Tensor) -> Tensor:
        """C v, ``(*batch, latent)``."""
        return vector / self.precision_diag - self._eta * self._shrunk * (self._shrunk * vector).sum(-1, keepdim=True)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        scaled = noise * self.precision_diag.rsqrt()
        along = (self.direction * scaled).sum(-1, keepdim=True)
        return self.loc + scaled - self._eta / (1 + self._eta.sqrt()) * along * self._shrunk

    def log_prob(self, value: Tensor) -> Tensor:
        centred = value - self.loc
        along = (self.direction * centred).sum(-1)
        distance = (self.precision_diag * centred.square()).sum(-1) + along.square()
        return -0.5 * (distance + self.loc.shape[-1] * math.log(2 * math.pi) + self.log_det_covariance)

    def entropy(self) -> Tensor:
        return 0.5 * (self.loc.shape[-1] * (1 + math.log(2 * math.pi)) + self.log_det_covariance)


def _sum_before(values: Tensor) -> Tensor:
    """Σ_{j<i} v_j for each i of the last axis."""
    return torch.nn.functional.pad(values[..., :-1].cumsum(-1), (1, 0))


@register_kl(RankOneNormal, RankOneNormal)
def _kl_rank_one_rank_one(q: RankOneNormal, p: RankOneNormal) -> Tensor:
    """½ [tr(P Σ) + (m − μ)ᵀP(m − μ) − K + log|P⁻¹| − log|Σ|] with P = D + u uᵀ the precision of p."""
    shift = p.loc - q.loc
    trace = (p.precision_diag * q.variance).sum(-1) + (p.direction * q.covariance_times(p.direction)).sum(-1)
    distance = (p.precision_diag * shift.square()).sum(-1) + (p.direction * shift).sum(-1).square()
    return 0.5 * (trace + distance - q.loc.shape[-1] + p.log_det_covariance - q.log_det_covariance)
