"""q(z|x) of a batch, whatever the model asks for beside x."""

from __future__ import annotations

from typing import Any

from vaekit.data.batch import Batch
from vaekit.networks.observed import parameters_of


def encoded(model: Any, batch: Batch) -> Any:
    """q(z|x), batch shape ``(batch,)``; ``mask`` and ``length`` are given to an ``encode`` that has such parameters."""
    asked, _ = parameters_of(type(model).encode)
    there = {"mask": batch.mask, "length": batch.length}
    return model.encode(batch.x, batch.condition, **{name: there[name] for name in asked})
