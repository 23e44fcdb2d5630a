"""Comparison of distributions: KL divergence, the space that both are over, log p of the observed part of a value."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, Independent, Normal, constraints, kl_divergence

from vaekit.distributions.normal import UnitNormal
from vaekit.errors import UserError


class UnitNormalDivergence(torch.autograd.Function):
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1) − log σ for each element, in nats (Kingma & Welling 2013, appendix B).

    The general formula takes half as many operations again, forwards and backwards. Its gradient cannot be
    differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(loc, scale)
        return scale.square().addcmul_(loc, loc).sub_(1).mul_(0.5).sub_(scale.log())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        loc, scale = ctx.saved_tensors
        return grad * loc, grad * (scale - scale.reciprocal())


class NormalDivergence(torch.autograd.Function):
    """KL(N(μ, σ²) ‖ N(m, s²)) for each element, in nats; the shapes broadcast.

    torch's formula takes ten operations forwards and fifteen backwards; with a latent of a few dimensions the calls
    cost more than the sums, and this is called in every step. Its gradient cannot be differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, other_loc: Tensor, other_scale: Tensor) -> Tensor:
        ctx.save_for_backward(loc, scale, other_loc, other_scale)
        ratio, shift = scale / other_scale, (loc - other_loc) / other_scale
        return torch.addcmul(shift * shift, ratio, ratio).sub_(1).mul_(0.5).sub_(ratio.log_())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        loc, scale, other_loc, other_scale = ctx.saved_tensors
        precision = other_scale.square().reciprocal()
        by_loc = grad * ((loc - other_loc) * precision)
        by_scale = grad * (scale * precision - scale.reciprocal())
        for_other = None
        if ctx.needs_input_grad[3]:
            squares = (scale.square() + (loc - other_loc).square()) * precision
            for_other = (grad * (1 - squares) / other_scale).sum_to_size(other_scale.shape)
        return (
            by_loc.sum_to_size(loc.shape),
            by_scale.sum_to_size(scale.shape),
            -by_loc.sum_to_size(other_loc.shape) if ctx.needs_input_grad[2] else None,
            for_other,
        )


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


def support_of_one(distribution: Distribution) -> Any:
    """The support of one independent element of a distribution or of its mixture; ``None`` if it does not say.

    Draws that can be differentiated are taken to be real numbers where nothing is said (zuko's flows).
    """
    try:
        support: Any = distribution.support
    except NotImplementedError:
        return constraints.real if distribution.has_rsample else None
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support


def space_of(distribution: Distribution) -> tuple[Any, ...] | None:
    """What values a distribution is over, as something to compare: two are over one space if these are equal.

    All intervals of real numbers are one space, because their densities are with respect to the same volume. ``None``
    if the distribution does not say.
    """
    support = support_of_one(distribution)
    if support is None:
        return None
    kind = ("real vectors",) if _real(support) else (type(support).__name__, *sorted(vars(support).items()))
    return (*kind, tuple(distribution.event_shape))


def in_words(distribution: Distribution) -> str:
    """The space of a distribution as a person would say it."""
    support, shape = support_of_one(distribution), tuple(distribution.event_shape)
    length = f"length {shape[0]}" if len(shape) == 1 else f"shape {shape}"
    return f"{'real vectors' if _real(support) else getattr(support, 'words', str(support))} of {length}"


def _real(support: Any) -> bool:
    return support.event_dim == 0 and not support.is_discrete


@functools.cache
def _takes_mask(kind: type[Distribution]) -> bool:
    """Whether a distribution answers ``log_prob(x, mask)`` itself: a sequence, an autoregressive image."""
    return "mask" in inspect.signature(kind.log_prob).parameters


def log_prob(distribution: Distribution, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """log p(value) in nats, shape ``(*batch,)``; with a mask, of its observed elements only.

    Args:
        distribution: p, with event shape ``(*event)``.
        value: ``(batch, *event)``; unobserved elements may hold any finite number.
        mask: true where observed, ``(batch, *event)`` or without the last axis of a one-hot event.

    Raises:
        UserError: if the value has another shape than an event, or a mask is given that does not fit or for a
            distribution that does not factorise over elements.
    """
    if distribution.event_shape != value.shape[1:]:
        raise UserError(
            f"p(x|z) is over values of shape {tuple(distribution.event_shape)}, and a row of x has the shape "
            f"{tuple(value.shape[1:])}.",
            hint="make the likelihood for that shape; torch's Independent(…, number of axes) makes a batch of elements "
            "one event.",
        )
    if mask is None:
        return distribution.log_prob(value)
    if _takes_mask(type(distribution)):
        return distribution.log_prob(value, mask)  # type: ignore[call-arg]
    if not isinstance(distribution, Independent):
        raise UserError(
            "missing values need a likelihood that factorises over elements, or answers log_prob(x, mask) itself; "
            f"{type(distribution).__name__} does not."
        )
    per_element = distribution.base_dist.log_prob(value)
    event = per_element.dim() - distribution.reinterpreted_batch_ndims
    if mask.shape != per_element.shape[event - 1 :] or mask.dtype != torch.bool:
        raise UserError(
            f"a mask of shape {tuple(mask.shape)} and type {mask.dtype} does not fit elements of shape "
            f"{tuple(per_element.shape)}: it is true or false for each element of each row (the axis of a one-hot "
            "category has none)."
        )
    observed = torch.where(mask, per_element, torch.zeros_like(per_element))
    return observed.reshape(*observed.shape[:event], -1).sum(-1)
