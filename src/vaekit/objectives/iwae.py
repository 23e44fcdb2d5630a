"""Importance-weighted bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaekit.data.batch import Batch
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/iwae", paper="Burda et al. 2016, equation 8")
@dataclass(frozen=True)
class IWAE(Objective):
    """log (1/K) Σ_k w_k with w_k = p(x, z_k) / q(z_k|x): between the ELBO (K = 1) and log p(x) (K → ∞).

    Its gradient weights each sample by w_k / Σ w (equation 14). A latent that is summed out (M2's label)
    is summed inside the logarithm, so that there even K = 1 is tighter than the ELBO.

    Args:
        samples: K.
    """

    samples: int = 5
    needs_density = True

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        return Value(draw.penalized(draw.importance_weighted), draw.terms)
