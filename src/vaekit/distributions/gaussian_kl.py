"""KL from any Gaussian to one with independent dimensions, by its mean, its variances and its entropy."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor
from torch.distributions import Distribution, Independent, LowRankMultivariateNormal, Normal, register_kl

from vaekit.distributions.householder_normal import HouseholderNormal
from vaekit.distributions.rank_one_normal import RankOneNormal


@register_kl(RankOneNormal, Independent)
@register_kl(HouseholderNormal, Independent)
@register_kl(LowRankMultivariateNormal, Independent)
def kl_to_diagonal(q: Distribution, p: Independent) -> Tensor:
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
