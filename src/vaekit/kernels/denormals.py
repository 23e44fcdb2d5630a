"""Denormal numbers flushed to zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALL = 1e-30


def _flushed() -> bool:
    return bool(torch.tensor(_SMALL) * 1e-10 == 0)


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Numbers below the smallest normal one (1e-38 in float32) are zeros inside.

    Adam's running means of a weight whose gradient has become zero for good (a pixel that is never on, a unit that is
    dead) decay into that range and stay there, where some processors need a hundred times as long for a sum: an
    optimizer's step of 0.36 ms was seen to take 4.5 ms. Threads take this over from the thread that starts them, so it
    does not reach those that are there already: a program enters it before its first sum.
    """
    before = _flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
