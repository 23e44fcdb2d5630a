"""Memory that all processes of a machine see, and where they wait for each other."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from vaekit.errors import TrainingFailed

GONE = "another process of this training has ended; what it said stands above."
SHARED = Path("/dev/shm")  # files that are memory
LINE = 64  # bytes of the processor's cache that go together: a process marks one
PATIENT, NAP, LOOKS_EVERY = 2e-3, 1e-4, 0.5  # seconds of looking without rest, of rest, and between looks for the dead


class Board:
    """Bytes that all see.

    Args:
        memory: of :func:`size_of` so many; zero.
        rank, size: which process this is, of how many.
    """

    def __init__(self, memory: Tensor, rank: int, size: int) -> None:
        marks = memory[: LINE * size].view(torch.int64).view(size, -1).numpy()
        self._met, self._processes = marks[:, 0], marks[:, 1]
        self._processes[rank] = os.getpid()
        self.rank, self.size, self.bytes = rank, size, memory[LINE * size :]
        self._times = 0

    def meet(self) -> None:
        """Wait until all have come: at first by looking without rest, for they are rarely far apart.

        What each has written before, all see afterwards.

        Raises:
            TrainingFailed: if one of them is gone.
        """
        self._times += 1
        self._met[self.rank] = self._times
        begun = looked = time.monotonic()
        while self._met.min() < self._times:
            now = time.monotonic()
            if now - begun < PATIENT:
                os.sched_yield()
                continue
            time.sleep(NAP)
            if now - looked > LOOKS_EVERY:
                looked = now
                for process in self._processes.tolist():
                    try:
                        os.kill(process, 0)
                    except ProcessLookupError as gone:
                        raise TrainingFailed(GONE) from gone

    def part(self, numbers: int, element: int) -> tuple[int, int]:
        """First and end of what falls to this process of so many numbers of so many bytes: whole lines of the cache."""
        per_line = max(1, LINE // element)
        lines = -(-numbers // per_line)
        first, end = (lines * rank // self.size * per_line for rank in (self.rank, self.rank + 1))
        return min(first, numbers), min(end, numbers)


def size_of(num_bytes: int, size: int) -> int:
    """Bytes of memory for a board of so many bytes and ``size`` processes."""
    return LINE * size + num_bytes


def board(num_bytes: int, rank: int, size: int, hear: Callable[[str], list[str]]) -> Board | None:
    """A board of zeros for processes of one machine, or nothing where they cannot have one.

    It needs a processor whose writes become visible in the order in which they are made: x86. Every process calls it at
    the same time and comes to the same.

    Args:
        num_bytes: how many they want.
        rank, size: which process this is, of how many.
        hear: what each of them says, in order.
    """
    possible = platform.machine() in ("x86_64", "AMD64")
    path = hear(_new_file(size_of(num_bytes, size)) if rank == 0 and possible else "")[0]
    if not path:
        return None
    try:
        memory = torch.from_file(path, shared=True, size=size_of(num_bytes, size), dtype=torch.uint8)
        found: Board | None = Board(memory, rank, size)
    except RuntimeError:
        found = None
    all_have_it = all(hear("" if found is None else "here"))
    if rank == 0:
        os.unlink(path)  # the memory lasts as long as somebody has it
    return found if all_have_it else None


def _new_file(num_bytes: int) -> str:
    """A file of shared memory with room for so much, or nothing: a container may have little of it."""
    try:
        handle, path = tempfile.mkstemp(prefix="vaekit-", dir=SHARED)
    except OSError:
        return ""
    try:
        os.posix_fallocate(handle, 0, num_bytes)
    except (OSError, AttributeError):
        os.unlink(path)
        return ""
    finally:
        os.close(handle)
    return path
