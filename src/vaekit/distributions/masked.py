"""log p of the observed part of a value."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaekit.errors import UserError


def log_prob(distribution: Distribution, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """log p(value) in nats, shape ``(*batch,)``; with a mask, of its observed elements only.

    Args:
        distribution: p, with event shape ``(*event)``.
        value: ``(batch, *event)``; unobserved elements may hold any finite number.
        mask: true where observed, ``(batch, *event)`` or without the last axis of a one-hot event.

    Raises:
        UserError: if a mask is given and the distribution does not factorise over elements.
    """
    if mask is None:
        return distribution.log_prob(value)
    if not isinstance(distribution, Independent):
        raise UserError(
            f"missing values need a likelihood that factorises over elements; {type(distribution).__name__} does not."
        )
    per_element = distribution.base_dist.log_prob(value)
    if mask.shape != per_element.shape[per_element.dim() - mask.dim() :]:
        raise UserError(
            f"a mask of shape {tuple(mask.shape)} does not fit elements of shape {tuple(per_element.shape)}: "
            "it has one entry for each element (none for the axis of a one-hot category)."
        )
    observed = torch.where(mask, per_element, torch.zeros_like(per_element))
    event = observed.dim() - distribution.reinterpreted_batch_ndims
    return observed.reshape(*observed.shape[:event], -1).sum(-1)
