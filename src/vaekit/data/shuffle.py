"""Shuffling: the order of an epoch as a function of seed and epoch, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

BLOCKS = 512  # in a window, where rows are not so few or so large that each is a block


def shuffled(count: int, window: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """The places 0 … ``count`` − 1, each once, in windows of about ``window`` places.

    What fits into one window is in uniformly random order. What does not is dealt out in blocks of consecutive
    places: the blocks are shuffled, a window is 512 of them, and it is shuffled in itself. A file is so read in
    pieces of some length, and any two places still meet in a batch in some epoch; two of one block do so more
    often. If all rows of a block are alike (a file sorted by class), the share p of a class in a window has a
    standard deviation of √(p(1 − p)/512) about that of the file: half of what chance gives a batch of 128.

    Args:
        count: how many places.
        window: how many are in memory together.
        seed, epoch: what the order depends on.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) & 0x7FFF_FFFF_FFFF_FFFF)
    if count <= window:
        yield torch.randperm(count, generator=generator)
        return
    block = max(1, window // BLOCKS)
    blocks = torch.randperm(-(-count // block), generator=generator)
    for some in blocks.split(max(1, window // block)):
        places = (some[:, None] * block + torch.arange(block)).flatten()
        places = places[places < count]
        yield places[torch.randperm(len(places), generator=generator)]


def in_order(count: int, window: int) -> Iterator[Tensor]:
    """The places 0 … ``count`` − 1 in windows."""
    for start in range(0, count, window):
        yield torch.arange(start, min(start + window, count))


def in_batches(windows: Iterable[Tensor], size: int, start: int = 0) -> Iterator[Tensor]:
    """The same places in the same order, in windows that end where a batch ends.

    Args:
        windows: places.
        size: of a batch; only the last one may be smaller.
        start: how many batches are left out at the beginning.
    """
    left_out = start * size
    rest = torch.empty(0, dtype=torch.long)
    for window in windows:
        places = torch.cat([rest, window])
        whole = len(places) // size * size
        rest = places[whole:]
        if left_out < whole:
            yield places[left_out:whole]
        left_out = max(0, left_out - whole)
    if left_out < len(rest):
        yield rest
