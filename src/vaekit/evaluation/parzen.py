"""Parzen window: a kernel density on the model's samples, for the papers that report it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.evaluation.collect import Column
from vaekit.evaluation.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.likelihood import evaluating
from vaekit.evaluation.neighbours import DISTANCES, euclidean
from vaekit.parts.record import part

WIDTHS = 25  # that are tried
NARROWEST = 1e-3  # of them, in units of the widest: on copies of samples the window grows without end
AT_ONCE = 500  # samples drawn at once


class Parzen(NamedTuple):
    """
    Attributes:
        log_p: log (1/n) Σ_i N(x; x_i, σ²I) of every row in nats, ``(examples,)``.
        width: σ, the best of the widths that were tried on the validation rows.
    """

    log_p: Tensor
    width: float


def parzen_window(
    model: Any,
    batches: Iterable[Batch],
    validation: Iterable[Batch],
    count: int = 10_000,
    *,
    widths: tuple[float, ...] | None = None,
    seed: int = 0,
) -> Parzen:
    """Parzen window estimate with means of p(x|z), z ~ p(z), as in Goodfellow et al. 2014 and Makhzani et al. 2015.

    It measures the distance to the nearest of a few samples. In many dimensions it is far below log p(x), can prefer
    a model that copies cluster centres to the true distribution (Theis et al. 2016), and grows
    with the number of samples: no figure to choose a model by.

    Args:
        model: anything that generates.
        batches: the rows.
        validation: other rows, on which σ is chosen.
        count: samples of the model.
        widths: σ to choose from; by default 25 around the best there is, in units of the model's x.
        seed: of the samples.
    """
    with evaluating(model, seed):
        known, condition = _all(validation)
        samples = Column()
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            # Where the model wants conditions, those of the validation rows, as often as needed.
            rows = torch.arange(start, start + size, device=known.device) % len(known)
            samples.add(model.generate(size, None if condition is None else condition[rows]).mean.flatten(1))
        centres = samples.value
        widths = widths or _bracket(known, centres)
        scores = _log_p(known, centres, widths).mean(1).tolist()
        width = max(zip(scores, widths, strict=True))[1]
        x, _ = _all(batches)
        return Parzen(_log_p(x, centres, (width,))[0], width)


def _all(batches: Iterable[Batch]) -> tuple[Tensor, Tensor | None]:
    """x of all rows side by side ``(rows, values)``, and their conditions."""
    rows, conditions = Column(), Column()
    for batch in batches:
        rows.add(batch.x.flatten(1))
        if batch.condition is not None:
            conditions.add(batch.condition)
    return rows.value, conditions.value if len(conditions.value) else None


def _log_p(x: Tensor, centres: Tensor, widths: tuple[float, ...]) -> Tensor:
    """log of the mixture of normals at every row, ``(widths, rows)``."""
    dimensions = x.shape[1]
    constants = [math.log(len(centres)) + 0.5 * dimensions * math.log(2 * math.pi * width**2) for width in widths]
    pieces = [
        torch.stack(
            [
                (squared * (-0.5 / width**2)).logsumexp(1) - constant
                for width, constant in zip(widths, constants, strict=True)
            ]
        )
        for squared in _squared(x, centres)
    ]
    return torch.cat(pieces, 1)


def _bracket(x: Tensor, centres: Tensor) -> tuple[float, ...]:
    """Widths from the distance to the nearest sample to that to all of them.

    The best σ² is the mean over rows and values of squared distances to samples in which the near ones weigh more.
    """
    ends = torch.cat([torch.stack([squared.amin(1), squared.mean(1)]) for squared in _squared(x, centres)], 1)
    nearest, widest = (ends.mean(1) / x.shape[1]).sqrt().tolist()
    widest = widest or 1.0
    narrowest = max(nearest, NARROWEST * widest)
    return tuple(narrowest * (widest / narrowest) ** (index / (WIDTHS - 1)) for index in range(WIDTHS))


def _squared(x: Tensor, centres: Tensor) -> Iterator[Tensor]:
    """Squared distances from some rows at a time to all samples, ``(some, samples)``."""
    middle = centres.mean(0, dtype=torch.float64)
    for rows in x.split(max(1, DISTANCES // len(centres))):
        yield euclidean(rows, centres, middle).square_()


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
