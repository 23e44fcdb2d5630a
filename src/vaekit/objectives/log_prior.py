"""Log-prior of a model's own latents, by which a prior is fitted to a model that rests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from vaekit.data.batch import Batch
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Step


@part("objective/log-prior")
@dataclass(frozen=True)
class LogPrior(Objective):
    """E_q(z|x) log p(z), maximum likelihood on encodings.

    For a phase in which the prior alone moves: its gradient there is that of the bound, and it needs no density of q,
    so that a plain autoencoder gets a prior too.
    """

    trains: ClassVar[tuple[str, ...]] = ("prior",)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        levels = torch.broadcast_tensors(*(latent.log_pz for latent in draw.latents.values()))
        log_pz = draw.expect(torch.stack(levels).sum(0)).mean(0)
        return Value(log_pz, {"log_pz": log_pz})

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        """The bound, which changes by the prior alone; without a density of q nothing, and the last is kept."""
        return figures.get("elbo")
