"""What the bound loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaekit.evaluation.estimators.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.gaps import gaps
from vaekit.parts.record import part


@part("estimator/gaps", paper="Cremer et al. 2018; Roeder et al. 2017")
@dataclass(frozen=True)
class InferenceGaps:
    """What the bound loses by q being a diagonal Gaussian, and by being guessed from x by an encoder.

    Args:
        rows: so many of the rows that are evaluated, at even distances.
        steps: of the fit of a posterior to each row.
        draws: for each step.
        samples: draws for the figures.
    """

    rows: int = 100
    steps: int = 500
    draws: int = 10
    samples: int = 1000

    def __post_init__(self) -> None:
        at_least(1, self)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        return context.why_not_real()

    def work(self, rows: int) -> int:
        return min(self.rows, rows)

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        result = gaps(
            context.model,
            context.some(self.rows),
            samples=self.samples,
            steps=self.steps,
            draws=self.draws,
            seed=context.seed,
            progress=context.progress,
        )
        return {
            "approximation_gap": result.approximation.mean().item(),
            "approximation_gap_standard_error": error_of(result.approximation),
            "amortization_gap": result.amortization.mean().item(),
            "amortization_gap_standard_error": error_of(result.amortization),
            "gaps_log_p": result.log_p.mean().item(),
            "gaps_elbo_free": result.elbo_free.mean().item(),
            "gaps_elbo": result.elbo.mean().item(),
            "gaps_examples": len(result.log_p),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        of = f"of {figures['gaps_examples']:,} examples"
        said = {
            "approximation_gap": ("approx. gap", f"log p(x) − bound of the best diagonal Gaussian of each row, {of}"),
            "amortization_gap": ("amort. gap", f"that bound − bound of the encoder, {of}"),
        }
        return [
            (name, with_error(figures[key], figures[f"{key}_standard_error"]), what)
            for key, (name, what) in said.items()
        ]
