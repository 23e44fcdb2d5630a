"""log p(x) by annealing, and how exact that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaekit.evaluation.annealing import SCHEDULES, Path, annealed, sandwich
from vaekit.evaluation.estimators.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.parts.record import part


@dataclass(frozen=True)
class Annealing:
    """What both are told of the path, and what they need of a model."""

    rows: int = 100
    temperatures: int = 1000
    chains: int = 16
    leapfrog: int = 10
    schedule: str = "sigmoid"
    start: str = "posterior"

    def __post_init__(self) -> None:
        at_least(1, self)
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be {' or '.join(SCHEDULES)}, got '{self.schedule}'")
        if self.start not in ("posterior", "prior"):
            raise ValueError(f"start must be posterior or prior, got '{self.start}'")

    @property
    def path(self) -> Path:
        return Path(self.temperatures, self.chains, self.leapfrog, self.schedule, self.start)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        return context.why_not_real()

    def work(self, rows: int) -> int:
        return min(self.rows, rows)


@part("estimator/ais", paper="Neal 2001; Wu et al. 2017")
@dataclass(frozen=True)
class AIS(Annealing):
    """log p(x) by annealed importance sampling with Hamiltonian moves: a lower bound in expectation.

    Args:
        rows: so many of the rows that are evaluated, at even distances.
        temperatures: steps from the start to the joint density.
        chains: of each row.
        leapfrog: steps of a move; there is one move at each temperature.
        schedule: ``sigmoid`` or ``linear``.
        start: ``posterior`` for q(z|x), ``prior`` for p(z).
    """

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        rows = context.some(self.rows)
        result = annealed(context.model, rows, self.path, seed=context.seed, progress=context.progress)
        return {
            "ais_log_p": result.log_p.mean().item(),
            "ais_standard_error": error_of(result.log_p),
            "ais_acceptance": result.acceptance.mean().item(),
            "ais_effective_chains": result.effective_chains.mean().item(),
            "ais_examples": len(result.log_p),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        what = (
            f"log p(x) of {figures['ais_examples']:,} examples by annealing, {self.chains} chains, "
            f"{self.temperatures:,} temperatures, {figures['ais_acceptance']:.0%} accepted"
        )
        return [("log p(x), AIS", with_error(figures["ais_log_p"], figures["ais_standard_error"]), what)]


@part("estimator/bdmc", paper="Grosse et al. 2015; Wu et al. 2017")
@dataclass(frozen=True)
class BDMC(Annealing):
    """How exact annealing is: lower and upper bound on log p(x) of data that the model draws itself.

    Args:
        rows: how many are drawn.
        temperatures, chains, leapfrog, schedule, start: as of ``ais``.
    """

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        rows = context.some(self.rows)
        result = sandwich(context.model, rows, self.path, seed=context.seed, progress=context.progress)
        gap = result.upper - result.lower
        return {
            "bdmc_lower": result.lower.mean().item(),
            "bdmc_upper": result.upper.mean().item(),
            "bdmc_gap": gap.mean().item(),
            "bdmc_gap_standard_error": error_of(gap),
            "bdmc_acceptance": result.acceptance.mean().item(),
            "bdmc_examples": len(gap),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        what = (
            f"between {figures['bdmc_lower']:.3f} and {figures['bdmc_upper']:.3f}: bounds on log p(x) of "
            f"{figures['bdmc_examples']:,} examples drawn from the model, {figures['bdmc_acceptance']:.0%} accepted"
        )
        return [("BDMC gap", with_error(figures["bdmc_gap"], figures["bdmc_gap_standard_error"]), what)]
