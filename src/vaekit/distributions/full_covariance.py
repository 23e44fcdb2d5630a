"""Gaussians with full covariance: Cholesky factor, Householder reflections, low rank, rank one."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, LowRankMultivariateNormal, Normal, constraints, register_kl


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


class LowRankNormal(LowRankMultivariateNormal):
    """N(μ, C) with C = D + W Wᵀ, D diagonal and positive; torch's own but for the density.

    With c = z − μ, torch takes cᵀC⁻¹c as a difference, cᵀD⁻¹c less what W accounts for, of which single precision
    leaves little where D is small. It is also the least of ‖D^(−½)(c − W a)‖² + ‖a‖², at
    a = (I + WᵀD⁻¹W)⁻¹ WᵀD⁻¹c: a sum, to which an error of a is of the second order.

    Args:
        loc: μ, ``(*batch, latent)``.
        cov_factor: W, ``(*batch, latent, rank)``.
        cov_diag: the diagonal of D, ``(*batch, latent)``.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        centred = (value - self.loc).unsqueeze(-1)
        scaled_factor = self.cov_factor / self.cov_diag.unsqueeze(-1)
        lower = self._capacitance_tril
        half = torch.linalg.solve_triangular(lower, scaled_factor.mT @ centred, upper=False)
        along = torch.linalg.solve_triangular(lower.mT, half, upper=True)
        across = (centred - self.cov_factor @ along).squeeze(-1)
        distance = (across.square() / self.cov_diag).sum(-1) + along.square().sum((-2, -1))
        # The entropy is that of N(0, I) and half the log-determinant of C.
        return 0.5 * (self.event_shape[0] - distance) - self.entropy()


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


@register_kl(RankOneNormal, Independent)
@register_kl(HouseholderNormal, Independent)
@register_kl(LowRankMultivariateNormal, Independent)
def _kl_to_diagonal(q: Distribution, p: Independent) -> Tensor:
    """−H(q) + ½ Σ_d [log 2π s_d² + (σ_d² + (μ_d − m_d)²) / s_d²] for p = N(m, diag s²).

    The cross entropy needs no more of q than mean and variances.

    Raises:
        NotImplementedError: if p is no diagonal Gaussian.
    """
    base = p.base_dist
    if not isinstance(base, Normal) or p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    scale = cast(Tensor, base.scale)
    distance = (q.variance + (q.mean - base.loc).square()) / scale.square()
    return (0.5 * (distance + math.log(2 * math.pi)) + scale.log()).sum(-1) - q.entropy()
