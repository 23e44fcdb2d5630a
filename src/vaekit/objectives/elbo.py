"""Evidence lower bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vaekit.data.batch import Batch
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Schedule, Step, at, at_least, weighted


@part("objective/elbo", paper="Kingma & Welling 2013; β: Higgins et al. 2017")
@dataclass(frozen=True)
class ELBO(Objective):
    """E_q log p(x|z) − β KL(q(z|x)‖p(z)) (− the posterior's penalty, if it has one).

    β = 1 is the evidence lower bound, SGVB-B of Kingma & Welling 2013 (equation 7) where the KL is
    analytic and SGVB-A (equation 6) where it is not.

    Args:
        beta: β, a number or a schedule (``Linear(0, 1, epochs=100)`` is warm-up).
        samples: draws for each row.
    """

    beta: float | Schedule = 1.0
    samples: int = 1

    def __post_init__(self) -> None:
        at_least("beta", self.beta, 0)
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        terms = draw.terms
        return Value(draw.penalized(terms["log_px"] - weighted(at(self.beta, step), terms["kl"])), terms)

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        return figures["log_px"] - at(self.beta, last) * figures.get("kl", 0.0)
