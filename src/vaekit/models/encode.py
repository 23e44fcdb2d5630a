"""q(z|x) of a batch, whatever the model asks for beside x."""

from __future__ import annotations

from typing import Any

from vaekit.data.batch import Batch
from vaekit.networks.observed import parameters_of


def encoded(model: Any, batch: Batch) -> Any:
    """q(z|x), batch shape ``(batch,)``; ``mask`` and ``length`` are given to an ``encode`` that has such parameters."""
    if batch.mask is None and batch.length is None:
        return model.encode(batch.x, batch.condition)
    asked, _ = parameters_of(getattr(model.encode, "__func__", model.encode))
    there = {"mask": batch.mask, "length": batch.length}
    return model.encode(batch.x, batch.condition, **{name: there[name] for name in asked})
