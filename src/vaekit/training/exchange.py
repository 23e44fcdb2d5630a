"""Where processes sum what they have computed: on shared memory of one machine, or over the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.distributed as distributed
from torch import Tensor

from vaekit.kernels import total_norm
from vaekit.training.board import LINE, Board


class Sum(NamedTuple):
    """Over the processes: the same bits in all of them. It is only to be read, and is written to by the next sum.

    Attributes:
        numbers: of all tensors, one after the other, ``(elements,)``.
        norm: of the leading ones, ``()``.
    """

    numbers: Tensor
    norm: Tensor


class Exchange(Protocol):
    """A place for numbers of one size and type; every process comes to it at the same time."""

    def sum(self, tensors: Sequence[Tensor], leading: int = 0) -> Sum:
        """The sum over the processes.

        Args:
            tensors: of this process.
            leading: of how many numbers, from the first, the norm is wanted.
        """
        ...


class Network:
    """By ``torch.distributed``, whatever carries it.

    Args:
        like: ``(elements,)``; it is written to.
    """

    def __init__(self, like: Tensor) -> None:
        self._sum = like

    def sum(self, tensors: Sequence[Tensor], leading: int = 0) -> Sum:
        torch.cat([tensor.detach().flatten() for tensor in tensors], out=self._sum)
        distributed.all_reduce(self._sum)
        return Sum(self._sum, total_norm([self._sum[:leading]]))


class SharedMemory:
    """Each process sums its part of the numbers, where all of them see the others' and the sums.

    The loopback network copies every number several times and wakes two threads for it; here a number is written once,
    for the process that sums it. They wait for each other between writing and summing, and again until all is summed:
    whoever writes the next numbers knows that those before have been read.

    Args:
        board: of :func:`room` bytes.
        like: ``(elements,)``.
    """

    def __init__(self, board: Board, like: Tensor) -> None:
        numbers, each = like.numel(), like.element_size()
        lines, squares = board.bytes.split([(board.size + 1) * numbers * each, board.size * LINE])
        *self._lines, self._sum = lines.view(like.dtype).view(board.size + 1, -1).unbind()
        self._squares = squares.view(like.dtype).view(board.size, -1)[:, 0]
        self._board, self._part = board, board.part(numbers, each)

    def sum(self, tensors: Sequence[Tensor], leading: int = 0) -> Sum:
        flat = [tensor.detach().reshape(-1) for tensor in tensors]
        rank, numbers, (start, stop) = self._board.rank, len(self._sum), self._part
        line = self._lines[rank]
        for first, end in ((0, start), (stop, numbers)):
            if first < end:
                torch.cat(between(flat, first, end), out=line[first:end])
        self._board.meet()
        own = self._sum[start:stop]
        if start < stop:
            torch.cat(between(flat, start, stop), out=own)
        for other, theirs in enumerate(self._lines):
            if other != rank:
                own += theirs[start:stop]
        # What was just summed is near; what others have summed is far.
        own = own[: max(0, leading - start)]
        self._squares[rank] = own.dot(own)
        self._board.meet()
        return Sum(self._sum, self._squares.sum().sqrt())


def between(flat: Sequence[Tensor], start: int, stop: int) -> list[Tensor]:
    """Of tensors ``(elements,)`` one after the other those from ``start`` to ``stop``."""
    found, place = [], 0
    for each in flat:
        first, end = max(0, start - place), min(len(each), stop - place)
        if first < end:
            found.append(each if end - first == len(each) else each[first:end])
        place += len(each)
    return found


def room(like: Tensor, size: int) -> int:
    """Bytes that :class:`SharedMemory` needs for numbers such as these of ``size`` processes."""
    return (size + 1) * like.numel() * like.element_size() + size * LINE
