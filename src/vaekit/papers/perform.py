"""Reproduction of an experiment: every variant with every seed in a folder of its own, then the rows and the page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vaekit.atomic import read_json, write_json
from vaekit.data import load
from vaekit.data.dataset import Dataset
from vaekit.errors import Interrupted, UserError
from vaekit.papers.experiment import Budget, Experiment, Figure, Job, Variant
from vaekit.papers.page import experiment_page
from vaekit.papers.paper import Paper, Reproduction, Request, Row, commit, enter, find
from vaekit.progress import say
from vaekit.report import write_report

MEASURED = "figures.json"  # in the folder of a run


class Measured(NamedTuple):
    """What was found of one run.

    Attributes:
        folder: of the run.
        data: the name of the data.
        seconds: of training.
        words: how it was trained.
        figures: by metric.
    """

    folder: Path
    data: str
    seconds: float
    words: str
    figures: dict[str, float]


def register(experiment: Experiment) -> Experiment:
    """Enter an experiment in the list of papers."""
    variants = experiment.variants
    left_out = {
        budget: tuple(each.name for each in variants if not experiment.budget(each, budget).epochs)
        for budget in experiment.budgets
    }
    names = tuple(each.name for each in variants)
    enter(Paper(experiment.name, experiment.title, experiment.citation, partial(perform, experiment), names, left_out))
    return experiment


def perform(experiment: Experiment, request: Request) -> Reproduction:
    """Train, measure, table.

    Raises:
        UserError: if the data cannot be had, or a folder is in use.
        Interrupted: on Ctrl-C, with the state saved.
    """
    chosen = [each for each in experiment.variants if _wanted(experiment, each, request)]
    data_of = _data_of()
    found: dict[str, dict[int, Measured]] = {}
    for variant in chosen:
        budget = _asked(experiment.budget(variant, request.budget), request)
        for seed in range(request.seed, request.seed + budget.seeds):
            found.setdefault(variant.name, {})[seed] = _one(experiment, variant, budget, seed, request, data_of)
    rows = [row for variant in chosen for row in _rows(experiment, variant, found[variant.name], request)]
    rows += _differences(experiment, found, request)
    write_json(request.folder / "rows.json", [row.document() for row in rows])
    runs = {measured.folder.name: measured.folder for each in found.values() for measured in each.values()}
    page = experiment_page(find(experiment.name), request.folder, rows, runs)
    return Reproduction(rows, {"measured": rows[0].measured}, page)


def _wanted(experiment: Experiment, variant: Variant, request: Request) -> bool:
    """Whether a variant is run: what is named, or all that the budget has epochs for."""
    if request.variants:
        return variant.name in request.variants
    return experiment.budget(variant, request.budget).epochs > 0


def _asked(budget: Budget, request: Request) -> Budget:
    """The budget with the epochs, the seeds, the precision and the compiling that were asked for."""
    settings = {name: value for name in ("precision", "compile") if (value := getattr(request, name)) is not None}
    return replace(
        budget,
        epochs=request.epochs or budget.epochs,
        seeds=request.seeds or budget.seeds,
        settings={**budget.settings, **settings},
    )


def _data_of() -> Callable[[Variant], Dataset]:
    """The data of variants, each once."""
    there: dict[Any, Dataset] = {}

    def data_of(variant: Variant) -> Dataset:
        if variant.data not in there:
            there[variant.data] = variant.data() if callable(variant.data) else load(variant.data)
        return there[variant.data]

    return data_of


def _one(
    experiment: Experiment,
    variant: Variant,
    budget: Budget,
    seed: int,
    request: Request,
    data_of: Callable[[Variant], Dataset],
) -> Measured:
    """Train and measure one variant with one seed, or read what was measured before."""
    folder = request.folder / f"{variant.name}-{seed}"
    wanted = {figure.metric: figure.measured_by(request.budget) for figure in variant.figures}
    asked = {
        "paper": experiment.name,
        "budget": request.budget,
        "epochs": budget.epochs,
        "precision": request.precision,
        # Of another protocol it would be another figure.
        "protocols": {metric: measure.words for metric, measure in wanted.items()},
    }
    if (before := _read(folder, asked)) is not None:
        return before
    trained = variant.train(Job(folder, data_of(variant), budget, seed))
    try:
        figures = {metric: measure.of(trained) for metric, measure in wanted.items()}
        if trained.run is not None:
            write_report(trained.run, trained.data, samples=50, limit=500, seed=seed)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped while {folder.name} was measured; it is trained.", folder) from None
    measured = Measured(folder, trained.data.name, trained.seconds, trained.words, figures)
    kept = measured._asdict() | asked
    del kept["folder"]
    write_json(folder / MEASURED, kept)
    for metric, value in figures.items():
        say(f"{folder.name}: {metric} {value:.3f}")
    return measured


def _read(folder: Path, asked: dict[str, Any]) -> Measured | None:
    """What was measured of a run before, if it was asked for the same."""
    if not (folder / MEASURED).exists():
        return None
    kept = read_json(folder / MEASURED)
    if not isinstance(kept, dict) or {key: kept.get(key) for key in asked} != asked:
        return None
    try:
        return Measured(folder, kept["data"], kept["seconds"], kept["words"], kept["figures"])
    except KeyError as error:
        raise UserError(f"{folder / MEASURED} is damaged: it has no {error.args[0]}.") from None


def _rows(experiment: Experiment, variant: Variant, found: dict[int, Measured], request: Request) -> list[Row]:
    """A row for each figure of a variant: the mean over its seeds."""
    first = next(iter(found.values()))

    def row(figure: Figure) -> Row:
        values = [each.figures[figure.metric] for each in found.values()]
        return _row(
            experiment,
            request,
            (variant,),
            values,
            tuple(found),
            system=variant.system,
            dataset=first.data,
            metric=figure.metric,
            unit=figure.unit,
            protocol=f"{first.words}; {figure.measured_by(request.budget).words}",
            published=figure.published,
            certainty=figure.certainty,
            expected=figure.expected,
            seconds=sum(each.seconds for each in found.values()),
        )

    return [row(figure) for figure in variant.figures]


def _differences(experiment: Experiment, found: dict[str, dict[int, Measured]], request: Request) -> list[Row]:
    """A row for each difference both sides of which were run."""
    named = {variant.name: variant for variant in experiment.variants}
    rows = []
    for each in experiment.differences:
        one, other = found.get(each.variant, {}), found.get(each.less, {})
        seeds = tuple(seed for seed in one if seed in other)
        if not seeds:
            continue
        (figure,) = (figure for figure in named[each.variant].figures if figure.metric == each.metric)
        rows.append(
            _row(
                experiment,
                request,
                (named[each.variant], named[each.less]),
                [one[seed].figures[each.metric] - other[seed].figures[each.metric] for seed in seeds],
                seeds,
                system=f"{named[each.variant].system} less {named[each.less].system}",
                dataset=one[seeds[0]].data,
                metric=f"difference of {each.metric}",
                unit=figure.unit,
                protocol="the figures of both, seed by seed",
                published=each.published,
                certainty=each.certainty,
                expected=each.expected,
                seconds=0.0,
            )
        )
    return rows


def _row(
    experiment: Experiment,
    request: Request,
    variants: Sequence[Variant],
    values: Sequence[float],
    seeds: tuple[int, ...],
    *,
    expected: Any,
    **more: Any,
) -> Row:
    epochs = [experiment.budget(variant, request.budget).epochs for variant in variants]
    as_planned = request.epochs is None or set(epochs) == {request.epochs}
    many = f"{request.epochs} epoch{'s' * (request.epochs != 1)} instead of {epochs[0]}"
    return Row(
        paper=experiment.name,
        measured=statistics.fmean(values),
        spread=statistics.stdev(values) if len(values) > 1 else None,
        seeds=seeds,
        # With another number of epochs nothing was expected.
        expected=expected.get(request.budget, "") if as_planned else "",
        budget=request.budget if as_planned else f"{request.budget}, {many}",
        command=command(experiment.name, request),
        commit=commit(),
        **more,
    )


def command(name: str, request: Request) -> str:
    """What repeats the rows."""
    words = [f"vaekit reproduce {name} --budget {request.budget}"]
    words += [f"--variant {','.join(request.variants)}"] if request.variants else []
    words += [f"--epochs {request.epochs}"] if request.epochs else []
    words += [f"--seed {request.seed}"] if request.seed else []
    words += [f"--seeds {request.seeds}"] if request.seeds else []
    words += [f"--precision {request.precision}"] if request.precision else []
    words += [] if request.compile is None else ["--compile" if request.compile else "--no-compile"]
    return " ".join(words)
