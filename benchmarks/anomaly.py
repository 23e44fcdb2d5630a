"""How well do the scores of `vaekit score` find the anomalies of ADBench, and how well do others?

    python benchmarks/anomaly.py [--sets wine breastw …] [--seeds 0 1 2] [--save]

Needs the files of ADBench's "classical" sets in $VAEKIT_DATA/adbench. Every system sees all rows of a set and no
label, and nothing is tuned for a set; the labels come in at the end, for the area under the ROC curve (ROC-AUC).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from detectors import Array, Detector, gaussian_mixture, pyod_vae, vaekit_with
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from vaekit.atomic import write_json
from vaekit.errors import UserError, unknown
from vaekit.papers.paper import Row, commit

RESULTS = Path(__file__).resolve().parent.parent / "results" / "anomaly.json"
SYSTEMS: dict[str, Callable[[str], Detector]] = {  # of the options for vaekit train
    "vaekit": vaekit_with,
    "pyod-vae": lambda _: pyod_vae(),
    "gaussian-mixture": lambda _: gaussian_mixture(),
    "gaussian": lambda _: gaussian_mixture((1,)),
}


@dataclass(frozen=True)
class LabelledSet:
    """Rows and what they are.

    Attributes:
        name: as ADBench calls it, without its number.
        features: ``(rows, columns)``.
        anomaly: ``(rows,)``, 1 for an anomaly.
    """

    name: str
    features: Array
    anomaly: Array

    @property
    def numbers(self) -> tuple[str, str, str]:
        """Rows, columns and the share of anomalies."""
        rows, columns = self.features.shape
        return f"{rows:,}", f"{columns}", f"{100 * self.anomaly.mean():.1f} %"

    def describe(self) -> str:
        return "{} ({} × {}, {} anomalies)".format(self.name, *self.numbers)


class Figure(NamedTuple):
    """What a system reached on a set: the areas by seed, and the seconds for all of them."""

    areas: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.areas))

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds."""
        return float(np.std(self.areas, ddof=1)) if len(self.areas) > 1 else None


Figures = Mapping[str, Mapping[str, Figure]]  # by set, by system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", metavar="SET", help="names of sets (all there are)")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", default=[*SYSTEMS], help=", ".join(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", default=[0], help="(0)")
    parser.add_argument("--options", default="", help='of `vaekit train`, for a trial: --options="--epochs 5"')
    parser.add_argument("--save", action="store_true", help="write results/anomaly.json")
    options = parser.parse_args()
    try:
        compare(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def compare(options: argparse.Namespace) -> None:
    """
    Raises:
        UserError: if a set or a system is not there, or a system fails.
    """
    files = files_of(options.sets)
    for name in options.systems:
        if name not in SYSTEMS:
            raise unknown("system", name, SYSTEMS)
    detectors = {name: SYSTEMS[name](options.options) for name in options.systems}
    sets = {name: read(name, file) for name, file in files.items()}
    figures: dict[str, dict[str, Figure]] = {name: {} for name in sets}
    for name, labelled in sets.items():
        for system, detector in detectors.items():
            figures[name][system] = figure = measure(detector, labelled, options.seeds)
            print(f"{name}: {system} {figure.mean:.3f} ({figure.seconds:.0f} s)", file=sys.stderr)
    Console(width=None if sys.stdout.isatty() else 140).print(table(sets, figures))
    if options.save:
        command = shlex.join(["python", "benchmarks/anomaly.py", *sys.argv[1:]])
        write_json(RESULTS, [row.document() for row in rows(sets, figures, detectors, options, command)])
        print(f"written: {RESULTS}; python docs/make_results.py makes the page", file=sys.stderr)


def files_of(names: list[str] | None) -> dict[str, Path]:
    """The files by the name of their set, small ones first.

    Raises:
        UserError: if the folder or a set is not there.
    """
    setting = os.environ.get("VAEKIT_DATA", "")
    folder = Path(setting).expanduser() / "adbench"
    found = {file.stem.partition("_")[2] or file.stem: file for file in folder.glob("*.npz")} if setting else {}
    if not found:
        where = f"{folder} holds no .npz files" if setting else "VAEKIT_DATA is not set"
        raise UserError(
            f"the sets of ADBench are not there: {where}.",
            hint="put adbench/datasets/Classical/*.npz of github.com/Minqi824/ADBench into $VAEKIT_DATA/adbench.",
        )
    for name in names or ():
        if name not in found:
            raise unknown("set", name, found)
    return {name: found[name] for name in sorted(names or found, key=lambda name: found[name].stat().st_size)}


def read(name: str, file: Path) -> LabelledSet:
    with np.load(file, allow_pickle=False) as arrays:
        return LabelledSet(name, arrays["X"].astype(np.float64), arrays["y"].astype(np.float64))


def measure(detector: Detector, labelled: LabelledSet, seeds: list[int]) -> Figure:
    """Train and score with every seed, in a folder that is gone afterwards."""
    areas, started = [], time.monotonic()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            scores = detector.scores(labelled.features, seed, Path(folder))
        areas.append(float(roc_auc_score(labelled.anomaly, scores)))
    return Figure(tuple(areas), time.monotonic() - started)


def averages(figures: Figures) -> dict[str, tuple[Figure, float]]:
    """By system, the figure over all sets (a mean for each seed) and the mean of its ranks, 1 for the best."""
    systems = [*next(iter(figures.values()))]
    ranks = np.mean([rankdata([-by[system].mean for system in systems]) for by in figures.values()], 0)
    result = {}
    for system, rank in zip(systems, ranks, strict=True):
        own = [by[system] for by in figures.values()]
        means = tuple(float(area) for area in np.mean([figure.areas for figure in own], 0))
        result[system] = (Figure(means, sum(figure.seconds for figure in own)), float(rank))
    return result


def table(sets: Mapping[str, LabelledSet], figures: Figures) -> Table:
    """The comparison, for people: sets down, systems across."""
    average = averages(figures)
    result = Table("set", "rows", "features", "anomalies", *average, title="ROC-AUC against the labels")
    for name, by in figures.items():
        result.add_row(name, *sets[name].numbers, *map(_cell, by.values()))
    result.add_section()
    result.add_row("mean", "", "", "", *(_cell(figure) for figure, _ in average.values()))
    result.add_row("mean rank", "", "", "", *(f"{rank:.2f}" for _, rank in average.values()))
    return result


def _cell(figure: Figure) -> str:
    return f"{figure.mean:.3f}" + ("" if figure.spread is None else f" ± {figure.spread:.3f}")


def rows(
    sets: Mapping[str, LabelledSet],
    figures: Figures,
    detectors: Mapping[str, Detector],
    options: argparse.Namespace,
    command: str,
) -> list[Row]:
    """The comparison as rows of the results page."""
    protocols = {system: detector.protocol() for system, detector in detectors.items()}
    at = commit()

    def row(system: str, dataset: str, metric: str, figure: Figure, value: float, spread: float | None) -> Row:
        return Row(
            paper="anomaly",
            system=system,
            dataset=dataset,
            metric=metric,
            unit="1 is best",
            protocol=protocols[system],
            published=None,
            certainty="",
            expected="",
            measured=value,
            spread=spread,
            seeds=tuple(options.seeds),
            budget=options.options or "defaults",
            command=command,
            commit=at,
            seconds=figure.seconds,
        )

    result = [
        row(system, sets[name].describe(), "ROC-AUC", figure, figure.mean, figure.spread)
        for name, by in figures.items()
        for system, figure in by.items()
    ]
    average = averages(figures)
    every = f"all {len(figures)}"
    for system, (figure, rank) in average.items():
        once = figure._replace(seconds=0.0)  # they are in the rows of the sets already
        result.append(row(system, every, "mean ROC-AUC", once, figure.mean, figure.spread))
        result.append(row(system, every, "mean rank", once, rank, None))
    return result


if __name__ == "__main__":
    sys.exit(main())
