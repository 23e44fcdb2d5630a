"""Which latents carry information?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.distributions.chain import levels
from vaekit.distributions.moments import moments
from vaekit.evaluation.likelihood import evaluating

ACTIVE_ABOVE = 0.01


class Encoding(NamedTuple):
    """q(z|x) of every row by its mean and standard deviation, each ``(examples, *latent)``."""

    mean: Tensor
    scale: Tensor
    discrete: bool = False


def encodings(
    model: Any, batches: Iterable[Batch], seed: int = 0, progress: Callable[[int], None] = lambda rows: None
) -> dict[str, Encoding]:
    """Mean and standard deviation of q(z|x) of every row, by latent, on the CPU.

    A latent below another is taken given the means of those before it.

    Args:
        model: anything that encodes.
        batches: the data.
        seed: of a dynamic binarisation.
        progress: told the number of rows finished with each batch.
    """
    columns: dict[str, list[tuple[Tensor, Tensor]]] = {}
    discrete: dict[str, bool] = {}
    with evaluating(model, seed):
        for batch in batches:
            before: dict[str, Tensor] = {}
            for name, conditional in levels(model.encode(batch.x, batch.condition)).items():
                q = conditional(before)
                before[name], scale = moments(q)
                discrete[name] = bool(getattr(q.support, "is_discrete", False))
                columns.setdefault(name, []).append((before[name].cpu(), scale.cpu()))
            progress(len(batch.x))
    return {
        name: Encoding(torch.cat([mean for mean, _ in rows]), torch.cat([scale for _, scale in rows]), discrete[name])
        for name, rows in columns.items()
    }


def active_units(latents: dict[str, Encoding]) -> dict[str, int]:
    """Units of each continuous latent whose posterior mean varies by over 0.01 (Burda et al. 2016, section 5.2)."""
    return {
        name: int((encoding.mean.var(0) > ACTIVE_ABOVE).sum())
        for name, encoding in latents.items()
        if not encoding.discrete
    }
