"""Copies of parts on the CPU in float64, on which checks work."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


def precise(value: T) -> T:
    """A part copied into float64 and evaluation mode; tensors, alone or in a tuple or dict, in float64."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).cpu().double().eval()
    if isinstance(value, Tensor):
        return value.detach().cpu().double() if value.is_floating_point() else value.cpu()  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: precise(item) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(precise(item) for item in value))
    return value


def another(condition: Tensor) -> Tensor:
    """Other conditions of the same sort: a one-hot one stays one."""
    rolled = condition.roll(1, -1)
    return condition + 1 if torch.equal(rolled, condition) else rolled


def own_parameters(part: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters of a prior or posterior by name, without those of what it shares with others: code book, ladder."""
    modules = [getattr(part, name) for name in ("codebook", "ladder") if hasattr(part, name)]
    shared = {id(parameter) for module in modules for parameter in module.parameters()}
    return [(name, parameter) for name, parameter in part.named_parameters() if id(parameter) not in shared]


def flat(value: Any, event_dims: int = 1) -> Tensor:
    """Latents as vectors: the levels of a chain side by side, any other event flattened."""
    if isinstance(value, dict):
        return torch.cat(list(value.values()), dim=-1)
    return value.flatten(-event_dims) if event_dims else value.unsqueeze(-1)


def unflat(vectors: Tensor, like: Any, event_shape: torch.Size) -> Any:
    """The inverse of :func:`flat` for vectors with any leading axes."""
    if not isinstance(like, dict):
        return vectors.reshape(*vectors.shape[:-1], *event_shape)
    pieces = vectors.split([value.shape[-1] for value in like.values()], dim=-1)
    return dict(zip(like, pieces, strict=True))
