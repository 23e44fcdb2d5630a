"""log p_k(z) of many values under each of many distributions: the inside of a mixture."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vaekit.distributions.cholesky_normal import CholeskyNormal

Formula = Callable[[Distribution, Tensor], Tensor | None]
F = TypeVar("F", bound=Formula)

PIECE = 1 << 22  # elements of one piece where every value meets every component in every dimension

_FORMULAS: dict[type, Formula] = {}


def register_each(kind: type) -> Callable[[F], F]:
    """Enter a formula for the densities of all values under all components of one class of distributions.

    It is called with the components, batch shape ``(*batch, components)``, and values ``(*batch, values, latent)``,
    and returns ``(*batch, values, components)`` in nats, or ``None`` where it does not apply.
    """

    def enter(formula: F) -> F:
        _FORMULAS[kind] = formula
        return formula

    return enter


def log_prob_each(components: Distribution, value: Tensor) -> Tensor:
    """log p_k(value) for every component k.

    Args:
        components: the p_k, batch shape ``(*batch, components)``, events of one axis.
        value: ``(*leading, *batch, latent)``.

    Returns:
        ``(*leading, *batch, components)``.
    """
    axes = len(components.batch_shape) - 1
    batch = components.batch_shape[:axes]
    # Axes before the batch become one axis after it, so that each place of the batch is one matrix product.
    value = value.expand(*value.shape[: -1 - axes], *batch, value.shape[-1]) if axes else value
    leading = value.shape[: value.dim() - 1 - axes]
    values = value.reshape(-1, *batch, value.shape[-1]).movedim(0, -2)
    formula = _FORMULAS.get(type(components), _one_by_one)
    log_p = formula(components, values)
    log_p = _one_by_one(components, values) if log_p is None else log_p
    return log_p.movedim(-2, 0).reshape(*leading, *batch, -1)


def _one_by_one(components: Distribution, values: Tensor) -> Tensor:
    """By the distribution's own density, some values at a time."""
    at_once = max(1, PIECE // max(1, components.batch_shape.numel() * values.shape[-1]))
    pieces = [components.log_prob(piece.unsqueeze(-2).movedim(-3, 0)) for piece in values.split(at_once, -2)]
    return torch.cat(pieces).movedim(0, -2)


@register_each(Independent)
def _diagonal(components: Distribution, values: Tensor) -> Tensor | None:
    """Σ_d log N(z_d; μ_kd, σ_kd²) = [−½ z², z] · [1/σ², μ/σ²] − a number for each k: one matrix product.

    The terms are of the size z²/σ², their sum may be small, and so they are computed in double precision: that is
    quicker than the differences one by one, and exact for σ down to the smallest in use.
    """
    assert isinstance(components, Independent)
    base = components.base_dist
    if type(base) is not Normal or components.reinterpreted_batch_ndims != 1 or values.device.type == "mps":
        return None
    loc, scale, z = (each.double() for each in (cast(Tensor, base.loc), cast(Tensor, base.scale), values))
    inverse = scale.reciprocal()
    ratio = loc * inverse
    own = (0.5 * ratio.square() + scale.log()).sum(-1) + 0.5 * loc.shape[-1] * math.log(2 * math.pi)
    products = torch.cat([-0.5 * z.square(), z], -1) @ torch.cat([inverse.square(), ratio * inverse], -1).mT
    return (products - own.unsqueeze(-2)).to(values.dtype)


@register_each(CholeskyNormal)
def _full(components: Distribution, values: Tensor) -> Tensor:
    """log N(L⁻¹(z − μ); 0, I) − Σ log Lᵢᵢ with each L inverted once: a matrix product for each component."""
    assert isinstance(components, CholeskyNormal)
    identity = torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
    inverse = torch.linalg.solve_triangular(components.scale_tril, identity, upper=False)
    own = components.log_det_scale + 0.5 * values.shape[-1] * math.log(2 * math.pi)
    at_once = max(1, PIECE // max(1, components.loc.numel()))
    pieces = []
    for piece in values.split(at_once, -2):
        centred = piece.unsqueeze(-3) - components.loc.unsqueeze(-2)  # (*batch, components, values, latent)
        pieces.append((centred @ inverse.mT).square().sum(-1))
    return (-0.5 * torch.cat(pieces, -1) - own.unsqueeze(-1)).mT
