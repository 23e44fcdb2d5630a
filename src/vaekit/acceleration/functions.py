"""Functions of tensors, compiled for each size that comes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from vaekit.acceleration.program import Call, NotWritable, program
from vaekit.acceleration.switch import why_off
from vaekit.kernels.noise import same_noise_after

AGAIN = 2  # how often a size must have come before a program is made for it
FAR = 1e-3  # by what part a program may miss the values: rounded factors of products differ by as much

Columns = Sequence[Tensor | None]
Function = Callable[[Columns, int], dict[str, Tensor]]


def capture_function(function: Function, say: Callable[[str], None]) -> Function:
    """A function of columns ``(rows, …)`` and a number of draws to named tensors, compiled where it can be.

    Args:
        function: what to capture; it reads the columns and draws torch's random numbers.
        say: told why it is not compiled.
    """
    if why := why_off():
        say(f"warning: the estimate is not compiled: {why}.")
        return function
    return CapturedFunction(function, say)


class CapturedFunction:
    """The function by a program for each size of its columns that comes again."""

    def __init__(self, function: Function, say: Callable[[str], None]) -> None:
        self.function, self.say = function, say
        self.seen: Counter[Hashable] = Counter()
        self.programs: dict[Hashable, Function] = {}
        self.possible = True

    def __call__(self, columns: Columns, count: int) -> dict[str, Tensor]:
        size = count, *(None if column is None else (column.shape, column.dtype) for column in columns)
        self.seen[size] += 1
        if self.possible and self.seen[size] == AGAIN:
            try:
                self.programs[size] = self._compiled(columns, count)
            except NotWritable as why:
                self.say(f"warning: the estimate is not compiled: {why}.")
                self.possible = False
        return self.programs.get(size, self.function)(columns, count)

    def _compiled(self, columns: Columns, count: int) -> Function:
        """The compiled program for columns of one size.

        Raises:
            NotWritable: if no program can be made of it.
        """
        given = [None if column is None else column.clone() for column in columns]
        inputs = [column for column in given if column is not None]
        with same_noise_after(inputs[0].device):
            results = {name: torch.zeros_like(value) for name, value in self.function(given, count).items()}

        def step() -> None:
            for name, value in self.function(given, count).items():
                results[name].copy_(value)

        with same_noise_after(inputs[0].device):
            run: Call = program(step, [*inputs, *results.values()], far=FAR)

        def compiled(columns: Columns, _: int) -> dict[str, Tensor]:
            for own, column in zip(inputs, (each for each in columns if each is not None), strict=True):
                own.copy_(column)
            run()
            return {name: value.clone() for name, value in results.items()}

        return compiled
