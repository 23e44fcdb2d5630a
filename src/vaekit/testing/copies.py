"""Checks work on copies in float64, so that a part comes out of them as it went in."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


def precise(value: T) -> T:
    """A copy in float64 and evaluation mode of a part; of a tensor or a tuple of tensors, in float64; else the value."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).double().eval()
    if isinstance(value, Tensor):
        return value.detach().double() if value.is_floating_point() else value  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: precise(item) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(precise(item) for item in value))
    return value


def flat(value: Tensor | dict[str, Tensor], event_dims: int = 1) -> Tensor:
    """Latents as vectors: the levels of a chain side by side, any other event flattened."""
    if isinstance(value, dict):
        return torch.cat(list(value.values()), dim=-1)
    return value.flatten(-event_dims) if event_dims else value.unsqueeze(-1)


def unflat(vectors: Tensor, like: Tensor | dict[str, Tensor], event_shape: torch.Size) -> Tensor | dict[str, Tensor]:
    """The inverse of :func:`flat` for vectors with any leading axes."""
    if not isinstance(like, dict):
        return vectors.reshape(*vectors.shape[:-1], *event_shape)
    pieces = vectors.split([value.shape[-1] for value in like.values()], dim=-1)
    return dict(zip(like, pieces, strict=True))
