"""Random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def same_noise_after(device: torch.device) -> Iterator[None]:
    """Random numbers that are drawn inside are drawn again after it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def uniform_like(x: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), as many as in ``x``; of float32 each is a multiple of 2⁻²⁴, as torch's are.

    On a processor torch makes them one by one, and a word of 63 bits in the time of one: it gives two numbers.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return torch.rand_like(x)
    count = x.numel()
    words = torch.empty((count + 1) // 2, dtype=torch.int64).random_()
    halves = words.view(torch.int32)[:count].view(x.shape)
    return (halves & 0xFFFFFF).to(torch.float32) * 2**-24
