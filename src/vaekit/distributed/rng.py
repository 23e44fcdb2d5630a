"""RNG streams: random numbers of each microbatch, whichever process computes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from vaekit.distributed.context import DistributedContext

Numbers = dict[str, Tensor]


def _now() -> Numbers:
    """Where the generators are, by device."""
    cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _go_to(numbers: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(numbers["cpu"])
    if torch.cuda.is_available() and "cuda" in numbers:
        torch.cuda.set_rng_state(numbers["cuda"])


class RNGStreams:
    """A stream of random numbers for each microbatch that this process computes.

    A process with one microbatch has torch's own stream; with several it takes up the stream of a microbatch before it
    computes it, and puts it down afterwards.

    Args:
        world: the processes.
        microbatches: of all processes together; each has as many as the others.
    """

    def __init__(self, world: DistributedContext | None = None, microbatches: int = 1) -> None:
        self.world = world or DistributedContext()
        self.microbatches = microbatches
        self.own = microbatches // self.world.size
        self._numbers: list[Numbers] = [_now() for _ in range(self.own)]

    def begin(self) -> None:
        """Seed each microbatch from the stream that is common to all; one microbatch goes on with that."""
        if self.microbatches == 1:
            return
        seeds = torch.randint(2**62, (self.microbatches,)).tolist()
        for index in range(self.own):
            torch.manual_seed(seeds[self.world.rank * self.own + index])
            self._numbers[index] = _now()

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        """The stream of a microbatch of this process, counted from its first."""
        if self.own == 1:
            yield
            return
        _go_to(self._numbers[index])
        try:
            yield
        finally:
            self._numbers[index] = _now()

    def saved(self) -> dict[str, Tensor]:
        """Where all streams of all processes are, by device; of several ``(microbatches, …)``."""
        numbers = [_now()] if self.own == 1 else self._numbers
        if self.microbatches == 1:
            return numbers[0]
        return {key: torch.cat(self.world.gather(torch.stack([each[key] for each in numbers]))) for key in numbers[0]}

    def restore(self, numbers: Mapping[str, Tensor]) -> None:
        """Go on where :meth:`saved` was.

        Raises:
            LookupError: if that were fewer streams.
        """
        if self.microbatches == 1:
            _go_to(numbers)
            return
        first = self.world.rank * self.own
        for index in range(self.own):
            self._numbers[index] = {key: each[first + index].clone() for key, each in numbers.items()}
        if self.own == 1:
            _go_to(self._numbers[0])
