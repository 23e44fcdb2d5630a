"""Distributed context: rank, world size and collectives of ``torch.distributed``, started by ``torchrun``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor

from vaekit.distributed.device import choose_device
from vaekit.errors import TrainingFailed, UserError

GONE = "another process of this training has ended; what it said stands above."
STARTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
LONGEST = 4096  # bytes of what one process tells the others


@dataclass(frozen=True)
class DistributedContext:
    """How many processes train together, and which of them this is.

    All of them hold the same weights, optimisers, figures and counters and take the same steps; they differ in the
    rows that they see and in their random numbers. The first alone writes, and speaks.

    Every method but :meth:`device` must be called by all of them at the same place. Alone it does nothing.

    Gradients are summed by one call for all parameters of a player, after the backward pass. That is the arithmetic of
    ``DistributedDataParallel``, which does not fit here: it wraps one module that is called by its ``forward``, and
    here a player's value calls whatever it likes of model and objective, and every player has parameters of its own.

    Args:
        rank: which one this is, from 0.
        size: how many there are.
        local_rank: which one on its machine: the GPU it has.
        local_size: how many there are on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def here(cls) -> DistributedContext:
        """The processes that ``torchrun`` has started, or this one alone."""
        if not all(name in os.environ for name in STARTED):
            return cls()
        numbers = (os.environ.get(name, 1) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        return cls(*map(int, numbers))

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device of that name for this process; of several GPUs each process has its own.

        Raises:
            UserError: if it is not there.
        """
        device = choose_device(name)
        if self.size == 1 or device.type != "cuda" or device.index is not None:
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise UserError(
                f"process {self.local_rank + 1} of this machine has no GPU of its own: there are "
                f"{torch.cuda.device_count()}.",
                "start as many processes as there are GPUs: torchrun --nproc-per-node.",
            )
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        return device

    def join(self, device: torch.device) -> None:
        """Meet the others; processes that have met already stay together."""
        if self.size > 1 and not distributed.is_initialized():
            with _others():
                distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
            atexit.register(distributed.destroy_process_group)

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor's sum over the processes, by one ``all_reduce`` of all of them; shapes and types as they were."""
        if self.size == 1:
            return list(tensors)
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        with _others():
            distributed.all_reduce(flat)
        pieces = flat.split([tensor.numel() for tensor in tensors])
        return [piece.view(own.shape).to(own.dtype) for piece, own in zip(pieces, tensors, strict=True)]

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the first one's values, in place."""
        if self.size > 1:
            with _others(), torch.no_grad():
                for tensor in tensors:
                    told = tensor.detach().contiguous()
                    distributed.broadcast(told, 0)
                    tensor.copy_(told)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """What each process has, in order; the same shape ``(…)`` in all of them."""
        if self.size == 1:
            return [tensor]
        all_of_them = [torch.empty_like(tensor) for _ in range(self.size)]
        with _others():
            distributed.all_gather(all_of_them, tensor)
        return all_of_them

    def all_gather_text(self, words: str) -> list[str]:
        """What each process says, in order; at most 4096 bytes."""
        said = words.encode()[:LONGEST]
        line = torch.zeros(LONGEST, dtype=torch.uint8)
        line[: len(said)] = torch.tensor(list(said), dtype=torch.uint8)
        return [bytes(each.tolist()).rstrip(b"\0").decode(errors="ignore") for each in self.gather(line)]


@contextmanager
def _others() -> Iterator[None]:
    """Context of a wait for the other processes.

    Raises:
        TrainingFailed: if another process is gone while this one waits for it.
    """
    try:
        yield
    except RuntimeError as error:
        raise TrainingFailed(GONE) from error
