"""Estimators of ``vaekit evaluate --with``: their protocol, and the evaluation context that they are called with.

An estimator is a frozen value beside the computation it reports. It gives a reason where it does not apply, and words
for its figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from vaekit.data.dataset import Split
from vaekit.data.kinds import Kind
from vaekit.data.loader import Loader
from vaekit.evaluation.joint import why_not_real
from vaekit.evaluation.likelihood import evaluating


@dataclass(frozen=True)
class EvaluationContext:
    """What an evaluator is asked about.

    Attributes:
        model: what is evaluated.
        loader: the rows.
        validation: the validation rows of the same data; ``None`` where they are the ones that are evaluated.
        samples: draws for each row of the importance-weighted estimate.
        seed: of all random numbers.
        progress: told the rows finished.
        precision: of the factors of products in the figures of the likelihood.
        open_run: opens a run folder that an estimator names; ``None`` where there is nothing that does.
        compiled: whether the estimate of the likelihood is.
        say: told what a person should know.
    """

    model: Any
    loader: Loader
    validation: Loader | None
    samples: int
    seed: int
    progress: Callable[[int], None] = lambda rows: None
    precision: str = "float32"
    open_run: Callable[[str], Any] | None = None
    compiled: bool = False
    say: Callable[[str], None] = lambda line: None

    @property
    def kind(self) -> Kind:
        """What the numbers are."""
        return self.loader.kind

    @property
    def rows(self) -> Split:
        """The rows as they are stored."""
        return self.loader.split

    def some(self, rows: int) -> Loader:
        """So many of the rows, at even distances."""
        loader = self.loader
        return Loader(loader.split.spread(rows), loader.kind, loader.device, min(rows, loader.batch_size))

    def why_not_real(self) -> str | None:
        """Why latents cannot be moved through real space."""
        with evaluating(self.model, self.seed):
            return why_not_real(self.model, self.loader.rows(torch.arange(1)))


Line = tuple[str, str, str]


class Estimator(Protocol):
    """A figure that is asked for by name."""

    def not_applicable(self, context: EvaluationContext) -> str | None:
        """Why it does not apply, as a clause; ``None`` if it does."""
        ...

    def work(self, rows: int) -> int:
        """How many rows it will report as finished, of so many that are evaluated."""
        ...

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        """The figures by name."""
        ...

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        """Name, value and meaning of each figure, for a person."""
        ...


def error_of(values: Tensor) -> float | None:
    """Standard error of the mean over examples; ``None`` of a single one."""
    return (values.std() / len(values) ** 0.5).item() if len(values) > 1 else None


def with_error(value: float, error: float | None) -> str:
    return f"{value:.3f}" + ("" if error is None else f" ± {error:.3f}")


def at_least(least: int, value: Any) -> None:
    """Range check of an estimator's number.

    Raises:
        ValueError: if a number of the estimator is below the least there can be.
    """
    for field in fields(value):
        number = getattr(value, field.name)
        if isinstance(number, int) and number < least:
            raise ValueError(f"{field.name} must be at least {least}, got {number}")
