"""Which latents carry information?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.evaluation.likelihood import evaluating

ACTIVE_ABOVE = 0.01


def posterior_means(model: Any, batches: Iterable[Batch], *, seed: int = 0) -> dict[str, Tensor]:
    """E_q[z|x] of every row, by latent, each ``(examples, units)``."""
    means: dict[str, list[Tensor]] = {}
    with evaluating(model, seed):
        for batch in batches:
            mean = model.encode(batch.x, batch.condition).mean
            for name, value in (mean if isinstance(mean, dict) else {"z": mean}).items():
                means.setdefault(name, []).append(value.flatten(1))
    return {name: torch.cat(values) for name, values in means.items()}


def active_units(means: dict[str, Tensor]) -> dict[str, int]:
    """Units of each latent whose posterior mean varies over the data by more than 0.01 (Burda et al. 2016, section 5.2)."""
    return {name: int((mean.var(0) > ACTIVE_ABOVE).sum()) for name, mean in means.items()}
