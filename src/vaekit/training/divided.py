"""Steps of an optimiser that processes divide: each takes them for its part of the numbers, where all see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.board import LINE, Board


class Divided:
    """Takes the steps of optimisers in parts.

    Processes that hold the same weights would all compute the same step; sharded optimisers (Rajbhandari et al. 2020,
    ZeRO, section 5) divide it and send around what comes out. Here nothing is sent: from the first step on, weights and
    running means lie in memory that all processes see. Every number is what a whole step makes of it. Until :meth:`end`
    nothing else may write to them, for every process would.

    Args:
        optimizers: by the names of their players; some may move the same parameters.
        boards: makes memory of so many bytes.
    """

    def __init__(self, optimizers: Mapping[str, Any], boards: Callable[[int], Board | None]) -> None:
        self._optimizers, self._boards = optimizers, boards
        self._board: Board | None = None
        self._begun = False

    def step(self, name: str) -> None:
        """A player's step; every process takes it at the same time, with the same gradients."""
        if not self._begun:
            self._begin_optimizers()
            self._board, self._begun = self._move(), True
        if self._board is None:
            self._optimizers[name].step()
        else:
            self._optimizers[name].step(cut=self._cut)
            self._board.meet()

    @torch.no_grad()
    def end(self) -> None:
        """Weights and running means back to memory of this process alone."""
        if self._board is not None:
            for each in self._moving():
                each.set_(each.clone(memory_format=torch.preserve_format))  # type: ignore[call-overload]
            self._board = None

    def _parameters(self) -> list[nn.Parameter]:
        """Those of all optimisers, each once."""
        parameters = [each for optimizer in self._optimizers.values() for each in optimizer.param_groups[0]["params"]]
        return [*dict.fromkeys(parameters)]

    def _moving(self) -> list[Tensor]:
        """What is stepped, and by what; each process counts the steps for itself."""
        states = [state for optimizer in self._optimizers.values() for state in optimizer.state.values()]
        return [*self._parameters(), *(state[name] for state in states for name in state if name != "step")]

    def _begin_optimizers(self) -> None:
        """Running means of all parameters, also of those that have no gradient yet."""
        before = [(parameter, parameter.grad) for parameter in self._parameters()]
        for parameter, gradient in before:
            parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient
        for optimizer in self._optimizers.values():
            optimizer.begin()
        for parameter, gradient in before:
            parameter.grad = gradient

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
