"""State of the random number generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def same_noise_after(device: torch.device) -> Iterator[None]:
    """Random numbers that are drawn inside are drawn again after it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
