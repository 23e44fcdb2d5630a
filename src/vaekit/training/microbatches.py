"""Microbatches: a batch in pieces, computed one after the other (gradient accumulation) or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.loader import Loader, RowSelection
from vaekit.distributed.context import DistributedContext
from vaekit.distributed.rng import RNGStreams
from vaekit.errors import UserError
from vaekit.kernels.buffers import Snapshot, restore
from vaekit.objectives.objective import Value
from vaekit.training.optimizers import gradient_norm

OBJECTIVE = ""  # no term has this name


class Microbatch(NamedTuple):
    """Some rows of a batch.

    Attributes:
        index: which microbatch of this process, from 0.
        rows: row numbers ``(microbatch,)``.
        batch: the rows.
        weight: their part of the whole batch, a number; ``None`` for all of it.
    """

    index: int
    rows: Tensor
    batch: Batch
    weight: Tensor | None


class Accumulated(NamedTuple):
    """What was computed of a batch; its gradient is in the parameters.

    Attributes:
        means: over the whole batch of the objective (``OBJECTIVE``) and of each term, by name.
        values: of the microbatches of this process.
        requests: which of them any process made.
        norm: of the gradient, ``()``.
    """

    means: dict[str, Tensor]
    values: list[Value]
    requests: Sequence[bool]
    norm: Tensor


def figures_of(value: Value) -> dict[str, Tensor]:
    """The objective and its terms by name."""
    return {OBJECTIVE: value.objective, **value.terms}


def means(value: Value) -> dict[str, Tensor]:
    """Mean of the objective and of each term over the examples; all at once where all are ``(batch,)``."""
    figures = {name: each.detach() for name, each in figures_of(value).items()}
    if len({each.shape for each in figures.values()}) > 1:
        return {name: each.mean() for name, each in figures.items()}
    return dict(zip(figures, torch.stack([*figures.values()]).flatten(1).mean(1).unbind(), strict=True))


class WholeBatch:
    """A batch in one piece, in this process.

    Args:
        world: this process alone.
    """

    count = 1

    def __init__(self, world: DistributedContext) -> None:
        self.world = world
        self.rng = RNGStreams(world)

    def split(self, selection: RowSelection) -> list[Microbatch]:
        """The batch."""
        return [Microbatch(0, selection.rows, selection.batch, None)]

    def accumulate(
        self,
        backward: Callable[[Microbatch], Value],
        parts: Sequence[Microbatch],
        parameters: Sequence[nn.Parameter],
        before: Snapshot,
        requests: Sequence[bool],
    ) -> Accumulated:
        """Its gradient in ``parameters``, and the means over its rows."""
        value = backward(parts[0])
        return Accumulated(means(value), [value], requests, gradient_norm(parameters))

    def first_cause(
        self, parts: Sequence[Microbatch], values: Sequence[Value], name: Callable[[Microbatch, Value], str]
    ) -> str:
        """Cause of a batch that is not finite."""
        return name(parts[0], values[0])

    def over(self, rows: Loader, figures: Callable[[Iterable[Batch], int], dict[str, float]]) -> dict[str, float]:
        """Figures that are means over rows."""
        return figures(rows, 0)


class Microbatches:
    """Cuts batches into consecutive microbatches and accumulates what is computed of them.

    A microbatch has its own random numbers, so that it comes out the same in whichever process it is computed. An
    objective sees one microbatch at a time: one that compares the rows of a batch compares those of a microbatch.

    Args:
        world: the processes.
        count: microbatches of a batch in all processes together, at least 2.

    Raises:
        UserError: if the processes cannot have equally many.
    """

    def __init__(self, world: DistributedContext, count: int) -> None:
        if count % world.size:
            raise UserError(
                f"{world.size} processes cannot divide {count} microbatch{'es' * (count > 1)} of a batch among them.",
                f"start a number of processes that divides {count}, or train anew with another --accumulate.",
            )
        self.world = world
        self.count = count
        self.rng = RNGStreams(world, count)

    def split(self, selection: RowSelection) -> list[Microbatch]:
        """The microbatches of this process."""
        rows = selection.rows
        parts = []
        for index, part in enumerate(self._own(self._cuts(len(rows)))):
            # One without rows looks at the last one, with no weight: every microbatch draws, and has all figures.
            some = part if part.start < part.stop else slice(len(rows) - 1, len(rows))
            with self.rng.of(index):
                batch = selection.some(some).batch
            weight = batch.x.new_tensor((part.stop - part.start) / len(rows))
            parts.append(Microbatch(index, rows[some], batch, weight))
        return parts

    def _own(self, sizes: Sequence[Any]) -> Sequence[Any]:
        """What falls to this process of something that there is for every microbatch."""
        own = self.rng.own
        return sizes[self.world.rank * own : (self.world.rank + 1) * own]

    def _cuts(self, size: int) -> list[slice]:
        """Consecutive parts of so many rows, as ``torch.tensor_split`` cuts them: the first ones are the longer."""
        short, longer = divmod(size, self.count)
        edges = [index * short + min(index, longer) for index in range(self.count + 1)]
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def accumulate(
        self,
        backward: Callable[[Microbatch], Value],
        parts: Sequence[Microbatch],
        parameters: Sequence[nn.Parameter],
        before: Snapshot,
        requests: Sequence[bool],
    ) -> Accumulated:
        """The gradient of the whole batch in ``parameters``, and the means over its rows.

        What a forward pass moves (the buffers of a code book) starts from the same place in each microbatch, and in
        the end has moved by the mean of their moves.

        Args:
            backward: computes a microbatch, and adds its weighted gradient to that of the parameters.
            parts: of this process.
            parameters: whose gradient it is.
            before: the buffers.
            requests: of this process.
        """
        before = [each for each in before if each[2].is_floating_point()]
        values: list[Value] = []
        moves = [torch.zeros_like(value) for _, _, value in before]
        figures: dict[str, Tensor] = {}
        for part in parts:
            restore(before)
            with self.rng.of(part.index):
                value = backward(part)
            values.append(Value(value.objective.detach(), {name: each.detach() for name, each in value.terms.items()}))
            assert part.weight is not None
            for name, each in figures_of(values[-1]).items():
                mean = part.weight * each.mean().to(part.weight.device)
                figures[name] = figures[name] + mean if name in figures else mean
            for move, (module, name, value) in zip(moves, before, strict=True):
                now = getattr(module, name)
                # What is infinite and stays so has not moved.
                move += part.weight * torch.where(now == value, 0, now - value)
        if self.world.size > 1:
            figures, requests = self._all_reduce(figures, requests, parameters, moves)
        for move, (module, name, value) in zip(moves, before, strict=True):
            setattr(module, name, value + move)
        return Accumulated(figures, values, requests, gradient_norm(parameters))

    def _all_reduce(
        self,
        figures: dict[str, Tensor],
        requests: Sequence[bool],
        parameters: Sequence[nn.Parameter],
        moves: list[Tensor],
    ) -> tuple[dict[str, Tensor], list[bool]]:
        """Sums over the processes by one call for gradients, moves, figures and requests."""
        told = torch.stack([*figures.values()])
        # A parameter that nothing reached has no gradient, unless it has one in another process.
        counts = told.new_tensor([*requests, *(parameter.grad is not None for parameter in parameters)])
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        *sums, told, counts = self.world.sum([*gradients, *moves, told, counts])
        yes = [count > 0 for count in counts.tolist()]
        for parameter, gradient, reached in zip(parameters, sums, yes[len(requests) :], strict=False):
            if reached:
                same = gradient.stride() == parameter.stride()
                parameter.grad = gradient if same else torch.empty_like(parameter).copy_(gradient)
        for move, moved in zip(moves, sums[len(gradients) :], strict=True):
            move.copy_(moved)
        return dict(zip(figures, told.unbind(), strict=True)), yes[: len(requests)]

    def first_cause(
        self, parts: Sequence[Microbatch], values: Sequence[Value], name: Callable[[Microbatch, Value], str]
    ) -> str:
        """Cause of a batch that is not finite: of the first microbatch whose value is not, else of any."""
        said = []
        for part, value in zip(parts, values, strict=True):
            with self.rng.of(part.index):
                words = name(part, value)
            # A first letter by which those whose value is to blame come first.
            said.append(("b" if torch.isfinite(value.objective).all() else "a") + words)
        first = min(said, key=lambda words: words[0])
        return min(self.world.all_gather_text(first), key=lambda words: words[0])[1:]

    def over(self, rows: Loader, figures: Callable[[Iterable[Batch], int], dict[str, float]]) -> dict[str, float]:
        """Figures that are means over rows: of several microbatches each looks at some of the rows.

        Args:
            rows: all of them.
            figures: the means over some rows, given these and the number of the microbatch, of all processes' together.
        """
        total = rows.rows_in_order
        if total < self.count:
            return figures(rows, 0)
        sums: dict[str, float] = {}
        for microbatch in self._own(range(self.count)):
            start, stop = (total * edge // self.count for edge in (microbatch, microbatch + 1))
            for name, mean in figures(rows.between(start, stop), microbatch).items():
                sums[name] = sums.get(name, 0.0) + mean * (stop - start)
        (told,) = self.world.sum([torch.tensor(list(sums.values()), dtype=torch.float64)])
        return dict(zip(sums, (told / total).tolist(), strict=True))
