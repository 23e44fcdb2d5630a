"""Log-probability of the observed part of a value."""

from __future__ import annotations

import functools
import inspect

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaekit.errors import UserError


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
