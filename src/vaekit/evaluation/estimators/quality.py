"""How well samples match rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vaekit.errors import UserError
from vaekit.evaluation.estimators.context import EvaluationContext, Line
from vaekit.evaluation.features import Encoded, Features, compared, values
from vaekit.evaluation.likelihood import evaluating
from vaekit.evaluation.neighbours import neighbourhoods
from vaekit.evaluation.quality import frechet_distance, kernel_distance, moments
from vaekit.parts.record import part

MOST_FEATURES = 4096  # a covariance has their square


@part(
    "estimator/quality",
    paper="Heusel et al. 2017; Bińkowski et al. 2018; Kynkäänniemi et al. 2019; Naeem et al. 2020",
)
@dataclass(frozen=True)
class SampleQuality:
    """How well samples match rows: Fréchet and kernel distance, precision, recall, density, coverage.

    Args:
        samples: of the model.
        features: what is compared: ``values`` of x, or a run folder: the means of q(z|x) of its encoder.
        neighbours: k of precision, recall, density and coverage.
        mean: compare means of p(x|z), as papers show them, instead of draws, which are the model's distribution.
    """

    samples: int = 10_000
    features: str = "values"
    neighbours: int = 5
    mean: bool = False

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}")
        if self.samples < self.neighbours + 2:
            raise ValueError(f"samples must be at least neighbours + 2 = {self.neighbours + 2}, got {self.samples}")

    def not_applicable(self, context: EvaluationContext) -> str | None:
        if "sample" not in context.model.abilities:
            return "the model draws no samples"
        if context.rows.mask is not None:
            return "rows have missing cells"
        if (rows := context.loader.rows_in_order) < self.neighbours + 2:
            return f"it needs {self.neighbours + 2} rows or more, and there are {rows}"
        with evaluating(context.model, context.seed):
            some = self._features(context)(context.loader.rows(torch.arange(2)).x)
        if some.shape[1] > MOST_FEATURES:
            return (
                f"{self._named(some.shape[1])} are more than the {MOST_FEATURES:,} whose covariance is affordable; "
                "give a run folder as features=, whose encoder has fewer latents"
            )
        return None

    def work(self, rows: int) -> int:
        return rows

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        with evaluating(context.model, context.seed):
            features = self._features(context)
            rows, samples = compared(context.model, context.loader, features, self.samples, mean=self.mean)
            kernel = kernel_distance(rows, samples)
            near = neighbourhoods(rows, samples, self.neighbours, progress=context.progress)
            return {
                "quality_frechet": frechet_distance(moments(rows), moments(samples)),
                "quality_kernel": kernel.value,
                "quality_kernel_standard_error": kernel.error,
                "quality_precision": near.precision,
                "quality_recall": near.recall,
                "quality_density": near.density,
                "quality_coverage": near.coverage,
                "quality_features": self.features,
                "quality_dimensions": rows.shape[1],
                "quality_neighbours": self.neighbours,
                "quality_samples": self.samples,
                "quality_samples_are": "means of p(x|z)" if self.mean else "draws of p(x|z)",
                "quality_examples": len(rows),
            }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        k = self.neighbours
        what = (
            f"squared, of {self._named(figures['quality_dimensions'])}; {figures['quality_examples']:,} examples, "
            f"{self.samples:,} {figures['quality_samples_are']}"
            f"{', from which even the true model is apart' * self.mean}; "
            "to be compared only where all of this is the same, and with no FID of Inception features"
        )
        error = figures["quality_kernel_standard_error"]
        kernel = f"{figures['quality_kernel']:.4g}" + ("" if error is None else f" ± {error:.2g}")
        shares = {
            "precision": f"of the samples, the share among rows: as near to one as its {k} nearest rows are",
            "recall": f"of the rows, the share among samples: as near to one as its {k} nearest samples are",
            "density": f"how many rows a sample is so near to, divided by {k}; it may exceed 1",
            "coverage": "of the rows, the share with a sample so near to it",
        }
        return [
            ("Fréchet dist.", f"{figures['quality_frechet']:.4g}", what),
            ("kernel dist.", kernel, "MMD² of the same features, cubic kernel, without bias: 0 where nothing differs"),
            *((name, f"{figures[f'quality_{name}']:.4f}", share) for name, share in shares.items()),
        ]

    def _features(self, context: EvaluationContext) -> Features:
        if self.features == "values":
            return values
        if context.open_run is None:
            raise UserError(
                f"the run folder {self.features} cannot be opened from here: ask by Run.evaluate, "
                "or give open_run=vaekit.load."
            )
        try:
            run = context.open_run(self.features)
        except UserError as error:
            raise UserError(
                f"the features '{self.features}' cannot be had: {error.message}",
                hint="features=values compares the values themselves, features=RUN the encodings of a run folder.",
            ) from error
        rows = context.rows.x
        return Encoded(run, context.kind, context.kind.event_shape(rows.shape[1:]), context.loader.device)

    def _named(self, dimensions: int) -> str:
        what = "values" if self.features == "values" else f"latents of the encoder of {self.features}"
        return f"{dimensions:,} {what}"
