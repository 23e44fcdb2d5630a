"""Writes docs/speed.md from benchmarks/results/*.json, so that no figure on the page is typed.

``--check`` says whether it is up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"
HEAD = """# Speed

What `make bench` measured, beside what was aimed at beforehand. This page is made from `benchmarks/results/*.json` by
`python docs/make_speed.py`; the verdict follows from the measured figure and the aim. `benchmarks/README.md` says how
each is measured. All programs of a comparison run in turn, each alone, and the figure is a median.

On a processor steps are compiled where that would save a minute or more ([performance](performance.md)), which takes
ten to thirty seconds before the first one; `--compile` and `--no-compile` say otherwise.
"""


@dataclass(frozen=True)
class Target:
    """A figure to be reached.

    Args:
        work: what is done.
        figure: what is measured.
        aim: ``≤`` or ``≥`` and a number, or ``NO_AIM``.
        file: of the results, without its ending.
        keys: where the figure stands in it.
        why: what keeps it from the aim, shown when it is missed.
    """

    work: str
    figure: str
    aim: str
    file: str
    keys: tuple[str, ...]
    why: str = ""

    def measured(self, results: dict[str, Any]) -> float | None:
        """The figure, if there is one."""
        found: Any = results.get(self.file)
        for key in self.keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def verdict(self, figure: float | None) -> str:
        """``met``, ``missed``, ``not measured`` or ``reported``."""
        if figure is None:
            return "not measured"
        if self.aim == NO_AIM:
            return "reported"
        bound = float(self.aim[1:])
        return "met" if (figure <= bound if self.aim[0] == "≤" else figure >= bound) else "**missed**"


NO_AIM = "none"  # reported: what counts is that the curve is that of one process, which tests see
LONG, SHORT = "compiled", "plain steps"


def both(
    work: str, figure: str, aim: str, file: str, ratio: str, why: str, when: tuple[str, str] = (LONG, SHORT)
) -> list[Target]:
    """Compiled, and as it is without; ``when`` says when it is which."""
    compiled = ratio.replace("vaekit", "vaekit compiled", 1)
    return [
        Target(f"{work}, {when[0]}", figure, aim, file, ("ratios", compiled), why),
        Target(f"{work}, {when[1]}", figure, aim, file, ("ratios", ratio), f"{why} Compiled, it is made loops of."),
    ]


EPOCH = "an epoch of pythae's default VAE, batches of 128"
TARGETS = [
    *both(
        EPOCH,
        "vaekit / pythae",
        "≤ 0.40",
        "training",
        "vaekit / pythae",
        "Half of a step is not products: the table *step* below has what it is.",
    ),
    *both(
        EPOCH,
        "vaekit / JAX, compiled",
        "≤ 1.0",
        "training",
        "vaekit / jax",
        "JAX compiles the whole epoch into one program; an eager loop asks for each operation from Python.",
    ),
    Target(
        f"{EPOCH}, {LONG}",
        "vaekit / a loop tuned by hand, compiled",
        NO_AIM,
        "training",
        ("ratios", "vaekit compiled / expert loop compiled"),
    ),
    Target(
        f"{EPOCH}, {SHORT}",
        "vaekit / a loop tuned by hand",
        NO_AIM,
        "training",
        ("ratios", "vaekit / expert loop"),
    ),
    *both(
        EPOCH,
        "vaekit / its matrix products alone",
        "≤ 1.5",
        "training",
        "vaekit / limit float32",
        "What is not a product (relu, the density, Adam, the draw) passes over memory, and each operation has a price.",
    ),
    *both(
        f"{EPOCH}, bfloat16",
        "vaekit / pythae",
        "≤ 0.30",
        "training",
        "vaekit bfloat16 / pythae",
        "Only products are faster in bfloat16; the rest of a step, in the table *step* below, stays as it is.",
    ),
    Target(
        "the same after 20 epochs of MNIST",
        "difference of the test bounds in nats",
        "≤ 0.3",
        "rounding",
        ("differences", "trained"),
        "Two trainings with different roundings go different ways.",
    ),
    Target(
        "the same after 20 epochs of MNIST, compiled",
        "difference of the test bounds in nats",
        "≤ 0.3",
        "rounding",
        ("differences", "trained, compiled"),
        "Two trainings with different roundings go different ways.",
    ),
    Target(
        "bounds of a trained model, factors rounded",
        "difference to float32 in nats",
        "≤ 0.05",
        "rounding",
        ("differences", "evaluated"),
        "Therefore everything that is reported is computed in float32.",
    ),
    Target(
        "100 steps of the tutorial's convolutional VAE",
        "vaekit / plain loop",
        "≤ 0.75",
        "convolutions",
        ("ratios", "vaekit / plain loop"),
        "The convolutions themselves are most of a step for both.",
    ),
    Target(
        "a step with a VampPrior, K = 500",
        "VampPrior / standard prior",
        "≤ 3",
        "vamp",
        ("ratios", "vamp"),
        "To encode 500 pseudo-inputs beside 100 rows multiplies 4.5 times the numbers of a step without them.",
    ),
    *both(
        "importance-weighted log p(x)",
        "vaekit / its matrix products alone",
        "≤ 1.5",
        "likelihood",
        "vaekit / limit",
        "The density of the pixels passes over as many numbers as the last product makes.",
        ("`--compile`", "without"),
    ),
    Target(
        "importance-weighted log p(x), `--compile`",
        "pythae / vaekit",
        "≥ 100",
        "likelihood",
        ("ratios", "pythae / vaekit compiled"),
        "pythae is less than a hundred times its matrix products here, so that nothing can be a hundred times faster.",
    ),
    Target(
        "training on a mapped file",
        "rate / that in memory",
        "≥ 0.9",
        "streaming",
        ("ratio",),
        "Reading takes a share of the cores that compute.",
    ),
    Target("training on a mapped file", "peak of memory in GB", "≤ 1.5", "streaming", ("peak_memory_gb",)),
    Target(
        "two processes, beside one with the same microbatches",
        "largest difference of an epoch's bound in nats",
        "≤ 0.001",
        "processes",
        ("difference of the curves",),
        "Sums that are rounded in another order let the trainings drift apart.",
    ),
    Target(
        "two processes of one thread",
        "rate / one process of two threads",
        NO_AIM,
        "processes",
        ("rate of two over one",),
    ),
    Target(
        "from the command to −105 nats on MNIST",
        "vaekit / pythae, seconds",
        "≤ 0.5",
        "to_a_bound",
        ("seconds", "vaekit / pythae"),
        "Both need about as many epochs, so it is the ratio of an epoch and of a start.",
    ),
    Target(
        "the same with `--compile`, of which programs are kept",
        "vaekit / pythae, seconds",
        "≤ 0.5",
        "to_a_bound",
        ("seconds", "vaekit compiled, again / pythae"),
        "Its start is longer, and what eight epochs gain is little more than that (the table *to_a_bound*).",
    ),
    Target(
        "the same by a schedule of vaekit's and in bfloat16",
        "vaekit / pythae, seconds",
        "≤ 0.5",
        "to_a_bound",
        ("seconds", "vaekit in haste / pythae"),
    ),
    Target(
        "an epoch of the MLP VAE on a GPU",
        "epochs a second",
        "≥ 20",
        "gpu",
        ("epochs a second",),
        "A step is a hundred kernels of two microseconds each, played from a CUDA graph: the table *gpu* below has the "
        "longest. A product of 128 rows keeps a few of the 132 multiprocessors busy.",
    ),
    Target("a wide residual VAE on a GPU", "share of the bfloat16 peak", "≥ 0.5", "gpu", ("share of the peak",)),
]


def number(value: float) -> str:
    """A number as the tables show it."""
    return f"{value:.3g}" if abs(value) < 10 else f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """Lines of Markdown."""
    head = list(head)
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(line)} |" for line in lines)]


def targets(results: dict[str, Any]) -> list[str]:
    """A line an aim, and for what was missed the reason."""
    lines, reasons = [], []
    for target in TARGETS:
        figure = target.measured(results)
        verdict = target.verdict(figure)
        lines.append([target.work, target.figure, target.aim, "–" if figure is None else number(figure), verdict])
        if "missed" in verdict and target.why:
            reasons.append(f"- *{target.work}: {target.figure}.* {target.why}")
    told = ["", "What stands in the way of what was missed:", "", *reasons] if reasons else []
    return [*table(["work", "figure", "aim", "measured", "verdict"], lines), *told]


def section(name: str, result: dict[str, Any]) -> list[str]:
    """One benchmark: where it ran, and what was found, or measured in each round."""
    place = "; ".join(
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in result["environment"].items()
    )
    top = [f"## {name}", "", f"{place}.", ""]
    if "figures" in result:
        head = ["system", *next(iter(result["figures"].values()))]
        lines = table(head, ([key, *map(number, row.values())] for key, row in result["figures"].items()))
        return [*top, *lines, "", *kernels(result.get("kernels", {}))]
    lines = []
    for system, rounds in result["rounds"].items():
        seen = next(key for key in ("seconds", "rows_per_second") if key in rounds[0])
        others = max(each.get("others", each.get("other_cpu_share", 0.0)) for each in rounds)
        lines.append([system, ", ".join(number(each[seen]) for each in rounds), f"{others:.0%}"])
    what = "rows a second" if name == "streaming" else "seconds"
    head = ["system", f"{what}, round by round", "others' share of the processor, at most"]
    return [*top, *table(head, lines), ""]


def kernels(rows: dict[str, dict[str, float]]) -> list[str]:
    """What a step on a GPU is made of."""
    lines = ([f"`{name}`", number(row["microseconds"]), number(row["number"])] for name, row in rows.items())
    return [*table(["kernel", "microseconds a step", "times a step"], lines), ""] if rows else []


def text(folder: Path = RESULTS) -> str:
    """The whole page."""
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
    sections = [line for name, result in results.items() for line in section(name, result)]
    return "\n".join([HEAD, *targets(results), "", *sections]).rstrip("\n") + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text() else "docs/speed.md is not up to date")
    PAGE.write_text(text(), encoding="utf-8")
