"""Where processes sum what they have computed: on shared memory of one machine, or over the network."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as distributed
from torch import Tensor

SHARED = Path("/dev/shm")  # files that are memory
LEAD = 64  # bytes that a process marks: a line of the processor's cache
PATIENT, NAP, LOOKS_EVERY = 2e-3, 1e-4, 0.5  # seconds of looking without rest, of rest, and between looks for the dead


class Exchange(Protocol):
    """A place for numbers of one size and type; every process comes to it at the same time."""

    def sum(self, tensors: Sequence[Tensor]) -> Tensor:
        """The sum over the processes, the tensors one after the other ``(elements,)``: the same bits in all of them.

        What is returned is written to again by the next sum.
        """
        ...


class Network:
    """By ``torch.distributed``, whatever carries it.

    Args:
        like: ``(elements,)``; it is written to.
    """

    def __init__(self, like: Tensor) -> None:
        self._sum = like

    def sum(self, tensors: Sequence[Tensor]) -> Tensor:
        torch.cat([tensor.detach().flatten() for tensor in tensors], out=self._sum)
        distributed.all_reduce(self._sum)
        return self._sum


class SharedMemory:
    """Each process writes its own line of a table that all of them see, waits for the others, and sums the lines.

    The loopback network copies every number several times and wakes two threads for it; here it is written once and
    read once by each. There are two tables in turn: whoever has met the others over one of them knows that they have
    read the one before.

    Args:
        memory: bytes that all processes see, of :func:`size_of`; zero.
        rank, size: which process this is, of how many.
        like: ``(elements,)``; it is written to.
    """

    def __init__(self, memory: Tensor, rank: int, size: int, like: Tensor) -> None:
        self._tables = [table.unbind() for table in memory[LEAD * size :].view(like.dtype).view(2, size, -1)]
        marks = memory[: LEAD * size].view(torch.int64).view(size, -1).numpy()
        self._met, self._processes = marks[:, 0], marks[:, 1]
        self._processes[rank] = os.getpid()
        self._rank, self._sum, self._times = rank, like, 0

    def sum(self, tensors: Sequence[Tensor]) -> Tensor:
        lines = self._tables[0]
        self._tables.reverse()
        torch.cat([tensor.detach().flatten() for tensor in tensors], out=lines[self._rank])
        self._meet()
        torch.add(lines[0], lines[1], out=self._sum)
        for line in lines[2:]:
            self._sum += line
        return self._sum

    def _meet(self) -> None:
        """Wait until all have come: at first by looking without rest, for they are rarely far apart.

        Raises:
            RuntimeError: if one of them is gone.
        """
        self._times += 1
        self._met[self._rank] = self._times
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
                        raise RuntimeError(f"process {process} has ended") from gone


def size_of(like: Tensor, size: int) -> int:
    """Bytes that ``size`` processes need for numbers such as these."""
    return LEAD * size + 2 * size * like.numel() * like.element_size()


def exchange(like: Tensor, rank: int, size: int, *, together: bool, hear: Callable[[str], list[str]]) -> Exchange:
    """The fastest that there is; every process calls it at the same time and comes to the same.

    Shared memory needs a processor whose writes become visible in the order in which they are made: x86.

    Args:
        like: ``(elements,)``, of this process; it is written to.
        rank, size: which process this is, of how many.
        together: whether all of them are on this machine.
        hear: what each of them says, in order.
    """
    possible = together and like.device.type == "cpu" and platform.machine() in ("x86_64", "AMD64")
    path = hear(_new_file(size_of(like, size)) if rank == 0 and possible else "")[0]
    if not path:
        return Network(like)
    try:
        memory = torch.from_file(path, shared=True, size=size_of(like, size), dtype=torch.uint8)
        found: Exchange | None = SharedMemory(memory, rank, size, like)
    except RuntimeError:
        found = None
    all_have_it = all(hear("" if found is None else "here"))
    if rank == 0:
        os.unlink(path)  # the memory lasts as long as somebody has it
    return found if found is not None and all_have_it else Network(like)


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
