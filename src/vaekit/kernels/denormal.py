"""Numbers too small for a processor to be quick with are zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def without_denormals() -> Iterator[None]:
    """While it lasts, what is below 1.2 · 10⁻³⁸ in float32 counts as nothing (as it does on GPUs and in JAX).

    The averages that Adam keeps of a gradient that has become zero (a unit of a relu that is dead) shrink by a tenth
    every step and, after some 700, are numbers that processors handle by a slow path of their own, for good: rounding
    keeps them from ever being zero. A step of a small VAE took a quarter to a half longer.
    """
    before = _flushes()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushes() -> bool:
    """Whether it is so already."""
    return bool(torch.tensor(torch.finfo(torch.float32).tiny) / 2 == 0)
