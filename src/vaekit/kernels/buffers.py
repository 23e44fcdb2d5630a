"""Buffers that a forward pass moves (code books, counters): snapshot and restore."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Places = Sequence[tuple[nn.Module, str]]
Snapshot = Sequence[tuple[nn.Module, str, Tensor]]


def persistent_buffers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Owner and name of every buffer that is saved; one that is not is a constant: nothing could resume it."""
    return [
        (module, name)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    ]


@torch.no_grad()
def snapshot(places: Places) -> Snapshot:
    """Buffers with copies of their values, for :func:`restore`."""
    return [(module, name, getattr(module, name).clone()) for module, name in places]


def restore(before: Snapshot) -> None:
    """Give buffers the values that they had, whether they were written to or replaced."""
    for module, name, value in before:
        setattr(module, name, value.clone())
