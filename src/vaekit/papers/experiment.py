"""Experiments as tables: variants that are trained, figures measured on each, differences between them, budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from vaekit.data.dataset import Dataset
from vaekit.evaluation import evaluate
from vaekit.progress import Bar
from vaekit.training import Run


@dataclass(frozen=True)
class Budget:
    """How much is spent on a variant.

    Attributes:
        epochs: of training; 0 for a variant that is left out unless it is asked for by name, with a number of epochs.
        options: of the recipe, on top of the variant's own.
        settings: of the training, on top of the variant's own.
        seeds: how many are run unless another number is asked for.
    """

    epochs: int
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 1


class Job(NamedTuple):
    """One training: a variant with a seed.

    Attributes:
        folder: where it goes; what is there already is gone on with.
        data: what it is trained on.
        budget: what is spent, with the epochs that were asked for.
        seed: of weights, order and noise.
    """

    folder: Path
    data: Dataset
    budget: Budget
    seed: int


@dataclass(frozen=True)
class Trained:
    """A variant that is trained.

    Attributes:
        model: with its weights.
        data: what it was trained on.
        seed: of it, and of what is measured on it.
        seconds: that training took.
        words: how it was trained, for the protocol.
        run: its run folder, if it was trained by the loop.
    """

    model: Any
    data: Dataset
    seed: int
    seconds: float
    words: str
    run: Run | None = None

    @cached_property
    def _answers(self) -> dict[tuple[str, int, int | None], dict[str, Any]]:
        return {}

    def evaluate(self, samples: int, rows: int | None = None, split: str = "test") -> dict[str, Any]:
        """The figures of :func:`vaekit.evaluation.evaluate`, compiled if the steps were; asked twice, computed once.

        Args:
            samples: draws for each row.
            rows: only so many of the split, at even distances.
            split: which.
        """
        key = (split, samples, rows)
        if key not in self._answers:
            there = len(self.data.split(split).x)
            compiled = self.run is not None and self.run.config["settings"].get("compile", False)
            device = next(self.model.parameters()).device
            with Bar("evaluating", there if rows is None else min(rows, there), "examples") as bar:
                self._answers[key] = evaluate(
                    self.model,
                    self.data,
                    split=split,
                    samples=samples,
                    limit=rows,
                    seed=self.seed,
                    device=device,
                    compiled=compiled,
                    progress=bar.advance,
                    say=bar.say,
                )
        return self._answers[key]


class Measure(NamedTuple):
    """How a figure is measured.

    Attributes:
        words: samples, rows and whatever else it depends on, for the protocol.
        of: the figure.
    """

    words: str
    of: Callable[[Trained], float]


def _rows(rows: int | None) -> str:
    return "all test rows" if rows is None else f"{rows:,} test rows at even distances"


def _draws(samples: int) -> str:
    return f"{samples:,} sample{'s' * (samples > 1)} a row"


def elbo_of_test(samples: int = 1, rows: int | None = None) -> Measure:
    """The evidence lower bound."""

    def of(trained: Trained) -> float:
        return trained.evaluate(samples, rows)["elbo"]

    return Measure(f"{_draws(samples)}, {_rows(rows)}", of)


def nll_of_test(samples: int, rows: int | None = None) -> Measure:
    """−log p(x) by importance samples from q(z|x)."""

    def of(trained: Trained) -> float:
        return trained.evaluate(samples, rows)["nll"]

    return Measure(f"{samples:,} importance samples a row, {_rows(rows)}", of)


def active_units(rows: int | None = None) -> Measure:
    """Units whose posterior mean varies over the data by more than 0.01 (Burda et al. 2016, section 5.2)."""

    def of(trained: Trained) -> float:
        return float(trained.evaluate(1, rows)["active_units"])

    return Measure(f"variance of the posterior mean above 0.01, {_rows(rows)}", of)


@dataclass(frozen=True)
class Figure:
    """A figure of a variant, beside the published one.

    Attributes:
        metric: what is measured.
        unit: its unit.
        measure: how; or how with each budget.
        published: the published figure, of the paper's own schedule.
        certainty: how sure that is (:data:`vaekit.papers.paper.UNVERIFIED`).
        expected: the bound that is expected with each budget, ``{"quick": "≥ -110.0"}``; none for others.
    """

    metric: str
    unit: str
    measure: Measure | Mapping[str, Measure]
    published: float | None = None
    certainty: str = "nothing published"
    expected: Mapping[str, str] = field(default_factory=dict)

    def measured_by(self, budget: str) -> Measure:
        """How it is measured with a budget."""
        return self.measure if isinstance(self.measure, Measure) else self.measure[budget]


@dataclass(frozen=True)
class Variant:
    """One system of a paper on one data set.

    Attributes:
        name: as on the command line; its runs are the folders ``OUT/NAME-SEED``.
        system: as in the table.
        data: by name, or a function that makes it.
        train: does it (:func:`vaekit.papers.planned.planned` for a recipe or a plan).
        figures: what is measured.
        budgets: where they are others than the experiment's.
    """

    name: str
    system: str
    data: str | Callable[[], Dataset]
    train: Callable[[Job], Trained]
    figures: Sequence[Figure]
    budgets: Mapping[str, Budget] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A figure of one variant less the same of another, seed by seed.

    Attributes:
        variant, less: names of the two.
        metric: of the figure that both have.
        published, certainty, expected: as of :class:`Figure`.
    """

    variant: str
    less: str
    metric: str
    published: float | None = None
    certainty: str = "nothing published"
    expected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """All that a paper is run again for.

    Attributes:
        name, title, citation: as of :class:`vaekit.papers.Paper`.
        budgets: ``quick`` and ``paper``.
        variants: in the order in which they are run and tabled.
        differences: between them.
    """

    name: str
    title: str
    citation: str
    budgets: Mapping[str, Budget]
    variants: Sequence[Variant]
    differences: Sequence[Difference] = ()

    def budget(self, variant: Variant, name: str) -> Budget:
        """What is spent on a variant."""
        return variant.budgets.get(name) or self.budgets[name]
