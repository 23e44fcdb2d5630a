"""KL(q‖p): analytic where torch has a formula, Monte Carlo elsewhere."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from vaekit.distributions.normal_divergence import NormalDivergence
from vaekit.distributions.unit_normal import UnitNormal, UnitNormalDivergence


def divergence(q: Distribution, p: Distribution) -> tuple[Tensor, Tensor | None] | None:
    """KL(q‖p) in nats by a registered formula, or ``None`` where there is none.

    Returns:
        The divergence, shape ``(*batch,)``, and its split over dimensions, shape ``(*batch,
        latent)``, where both factorise over the same axes (else ``None``).
    """
    try:
        if (
            isinstance(q, Independent)
            and isinstance(p, Independent)
            and q.reinterpreted_batch_ndims == p.reinterpreted_batch_ndims
        ):
            per_dimension = _of_factors(q.base_dist, p.base_dist).flatten(-q.reinterpreted_batch_ndims)
            return per_dimension.sum(-1), per_dimension
        return kl_divergence(q, p), None
    except NotImplementedError:
        return None


def _of_factors(q: Distribution, p: Distribution) -> Tensor:
    if type(q) is Normal and type(p) is UnitNormal:
        return UnitNormalDivergence.apply(q.loc, q.scale)  # type: ignore[return-value]
    if isinstance(q, Normal) and isinstance(p, Normal):
        return NormalDivergence.apply(q.loc, q.scale, p.loc, p.scale)  # type: ignore[return-value]
    return kl_divergence(q, p)
