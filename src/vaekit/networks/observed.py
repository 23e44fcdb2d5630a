"""Masks and lengths: what networks ask for beside x and its condition."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

NAMES = frozenset({"mask", "length"})


@functools.lru_cache(maxsize=1024)
def parameters_of(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Which of ``mask`` and ``length`` a function has a parameter for, and whether it hands on any by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a compiled function nothing is known
        return frozenset(), False
    return NAMES & {each.name for each in parameters}, any(each.kind is each.VAR_KEYWORD for each in parameters)


def asks(module: nn.Module) -> frozenset[str]:
    """Which of ``mask`` and ``length`` the ``forward`` of a module asks for.

    One that hands on what it is given by name (``**observed``: posteriors, wrappers) asks for what its parts ask for.

    >>> import torch, vaekit as vk
    >>> class Mean(torch.nn.Module):
    ...     def forward(self, x, condition=None, mask=None):
    ...         return x.mean(1) if mask is None else (x * mask).sum(1) / mask.sum(1)
    >>> sorted(asks(vk.posteriors.Diagonal(Mean(), 2))), sorted(asks(vk.networks.MLP(3)))
    (['mask'], [])
    """
    names, hands_on = parameters_of(type(module).forward)
    return names.union(*(asks(each) for each in _parts(module))) if hands_on else names


def observed(module: nn.Module, mask: Tensor | None, length: Tensor | None) -> dict[str, Tensor]:
    """What a module is given by name of mask and length: what it asks for and there is."""
    if mask is None and length is None:
        return {}
    asked = asks(module)
    there = {"mask": mask, "length": length}
    return {name: each for name, each in there.items() if each is not None and name in asked}


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleDict | nn.ModuleList):
            yield from child.children()
        else:
            yield child
