"""The figures of a chunk: some rows, and some draws of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from vaekit.acceleration.program import Call, NotWritable, program
from vaekit.data.batch import Batch
from vaekit.kernels.double import double
from vaekit.kernels.noise import same_noise_after

AGAIN = 2  # how often a size must have come before a program is made for it
FAR = 1e-3  # by what part a program may miss the figures: rounded factors of products differ by as much

Chunk = Callable[[Batch, int], dict[str, Tensor]]


def figures_of(model: Any, batch: Batch, count: int) -> dict[str, Tensor]:
    """Of ``count`` draws of each row, in nats, each ``(rows,)``.

    ``log_w`` is log Σ w and ``log_w2`` log Σ w², in float64: the effective samples are their small difference.
    ``elbo``, ``log_px`` and ``kl`` are sums over the draws, and so is, of each latent whose KL splits, ``kl_dims/NAME``
    ``(latent,)``, summed over the rows too.
    """
    draw = model.draw(batch, count)
    log_w = double(draw.log_w)
    figures = {
        "log_w": log_w.logsumexp(0),
        "log_w2": (2 * log_w).logsumexp(0),
        "elbo": draw.elbo.sum(0),
        "log_px": draw.expect(draw.log_px).sum(0),
        "kl": draw.kl.expand(count, -1).sum(0),
    }
    for name, latent in draw.latents.items():
        if latent.kl_dims is not None:
            dims = draw.expect(latent.kl_dims.movedim(-1, 0))  # (latent, samples, batch)
            figures[f"kl_dims/{name}"] = count * dims.mean(-2).sum(-1)
    return figures


class Compiled:
    """:func:`figures_of` by a program for each size of chunk that comes again.

    Args:
        model: what is evaluated.
        say: told why there is none.
    """

    def __init__(self, model: Any, say: Callable[[str], None]) -> None:
        self.model, self.say = model, say
        self.seen: Counter[Hashable] = Counter()
        self.programs: dict[Hashable, Chunk] = {}
        self.possible = True

    def __call__(self, batch: Batch, count: int) -> dict[str, Tensor]:
        size = count, *(None if column is None else (column.shape, column.dtype) for column in batch)
        self.seen[size] += 1
        if self.possible and self.seen[size] == AGAIN:
            try:
                self.programs[size] = self._made(batch, count)
            except NotWritable as why:
                self.say(f"warning: the estimate is not compiled: {why}.")
                self.possible = False
        chunk = self.programs.get(size)
        return figures_of(self.model, batch, count) if chunk is None else chunk(batch, count)

    def _made(self, batch: Batch, count: int) -> Chunk:
        """
        Raises:
            NotWritable: if no program can be made of it.
        """
        given = Batch._make(None if column is None else column.clone() for column in batch)
        columns = [column for column in given if column is not None]
        with same_noise_after(batch.x.device):
            told = {name: torch.zeros_like(value) for name, value in figures_of(self.model, given, count).items()}

        def step() -> None:
            for name, value in figures_of(self.model, given, count).items():
                told[name].copy_(value)

        with same_noise_after(batch.x.device):
            take: Call = program(step, [*columns, *told.values()], far=FAR)

        def chunk(batch: Batch, _: int) -> dict[str, Tensor]:
            for own, column in zip(columns, (each for each in batch if each is not None), strict=True):
                own.copy_(column)
            take()
            return {name: value.clone() for name, value in told.items()}

        return chunk
