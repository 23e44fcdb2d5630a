"""A Gaussian whose covariance is a diagonal plus a few outer products, its density without a cancellation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal


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
