"""Steps of an optimiser that processes divide: each takes them for its part of the numbers, where all see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.training.board import LINE, Board

Boards = Callable[[int], Board | None]


class Divided:
    """Takes the steps of an optimiser in parts, from the second step on.

    Processes that hold the same weights would all compute the same step; sharded optimisers (Rajbhandari et al. 2020,
    ZeRO, section 5) divide it and send around what comes out. Here nothing is sent: weights and running means move to
    memory that all processes see. Every number is what a whole step makes of it.

    Until :meth:`end` nothing else may write to them, for every process would.

    Args:
        optimizer: its ``step`` takes a ``cut``.
        boards: makes memory of so many bytes.
    """

    def __init__(self, optimizer: Any, boards: Boards) -> None:
        self._optimizer, self._boards = optimizer, boards
        self._board: Board | None = None
        self._begun = False

    def step(self) -> None:
        """A step; every process takes it at the same time, with the same gradients."""
        if self._board is None:
            self._optimizer.step()
            if not self._begun:
                self._board, self._begun = self._move(), True
            return
        self._optimizer.step(cut=self._cut)
        self._board.meet()

    @torch.no_grad()
    def end(self) -> None:
        """Weights and running means back to memory of this process alone."""
        if self._board is not None:
            for each in self._moving():
                each.set_(each.clone(memory_format=torch.preserve_format))  # type: ignore[call-overload]
            self._board = None

    def _moving(self) -> list[Tensor]:
        (group,) = self._optimizer.param_groups
        states = [self._optimizer.state.get(parameter, {}) for parameter in group["params"]]
        return [*group["params"], *(state[name] for state in states for name in state if name != "step")]

    @torch.no_grad()
    def _move(self) -> Board | None:
        """Weights and running means to memory that all see, if there is some."""
        moving = self._moving()
        if not all(_dense(each) for each in moving):
            return None
        starts, end = [], 0
        for each in moving:
            starts.append(end)
            end += -(-each.numel() * each.element_size() // LINE) * LINE
        board = self._boards(end)
        if board is None:
            return None
        for each, start in zip(moving, starts, strict=True):
            place = board.bytes[start : start + each.numel() * each.element_size()].view(each.dtype)
            place = place.as_strided(each.shape, each.stride())
            if board.rank == 0:
                place.copy_(each)
            each.set_(place.untyped_storage(), place.storage_offset(), each.shape, each.stride())
        board.meet()
        return board

    def _cut(self, *lists: Sequence[Tensor]) -> tuple[list[list[Tensor]], list[int]]:
        """What falls to this process of the tensors, and the place of the tensor that each piece is of.

        That is what it has summed, give or take some numbers: it is near. A tensor is cut between lines of the cache,
        counted from its start, so that kernels go over its numbers in the same groups.
        """
        assert self._board is not None
        first, end = self._board.part(sum(tensor.numel() for tensor in lists[0]), 1)
        cut: list[list[Tensor]] = [[] for _ in lists]
        places: list[int] = []
        for place, tensors in enumerate(zip(*lists, strict=True)):
            numbers = tensors[0].numel()
            start, stop = (numbers if edge >= numbers else max(0, edge // LINE * LINE) for edge in (first, end))
            if start < stop:
                for tensor, kept in zip(tensors, cut, strict=True):
                    kept.append(tensor.as_strided((stop - start,), (1,), tensor.storage_offset() + start))
                places.append(place)
            first, end = first - numbers, end - numbers
        return cut, places


def _dense(tensor: Tensor) -> bool:
    """Whether its numbers lie one beside the other, in whatever order."""
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))
