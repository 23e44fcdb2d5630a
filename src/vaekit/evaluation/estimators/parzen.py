"""A kernel density on samples, with its warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaekit.evaluation.estimators.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.parzen import parzen_window
from vaekit.parts.record import part


@part("estimator/parzen", paper="Theis et al. 2016; Makhzani et al. 2015")
@dataclass(frozen=True)
class ParzenWindow:
    """A kernel density on samples, as early papers report it: misleading, and only for a comparison with them.

    Args:
        samples: of the model; the figure grows with them.
    """

    samples: int = 10_000

    WARNING = (
        "a Parzen window is no estimate of log p(x): it rewards samples near the data's clusters, can rank a model "
        "that copies them above the truth, and grows with the number of samples; compare it with published windows only"
    )

    def __post_init__(self) -> None:
        at_least(1, self)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        if "sample" not in context.model.abilities:
            return "the model draws no samples"
        if context.validation is None:
            return "its width is chosen on validation rows, and there are none but those that are evaluated"
        return "rows have missing cells" if context.rows.mask is not None else None

    def work(self, rows: int) -> int:
        return 0

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        assert context.validation is not None
        result = parzen_window(context.model, context.loader, context.validation, self.samples, seed=context.seed)
        return {
            "parzen_log_p": result.log_p.mean().item(),
            "parzen_standard_error": error_of(result.log_p),
            "parzen_width": result.width,
            "parzen_samples": self.samples,
            "parzen_warning": self.WARNING,
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        what = f"{self.samples:,} samples, σ = {figures['parzen_width']:.3g} by validation. Beware: {self.WARNING}"
        return [("Parzen window", with_error(figures["parzen_log_p"], figures["parzen_standard_error"]), what)]
