"""Papers that can be reproduced: what is asked for, the rows that are measured, and the list of all papers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from vaekit.atomic import read_json, write_json
from vaekit.errors import UserError, unknown

BUDGETS = ("quick", "paper")
# What the certainty of a published figure begins with that was never seen in its source.
UNVERIFIED = "published figure not verified"
ASKED = "request.json"  # in the folder of a reproduction: what was asked for
# What a request says beside its folder, and whether it is resumed.
FIELDS = ("budget", "epochs", "seed", "seeds", "variants", "precision", "compile")
_EXPECTED = re.compile(r"(?P<sign>[≥≤<>]) (?P<number>-?\d+(\.\d+)?)")


@dataclass(frozen=True)
class Row:
    """One figure beside the published one. The verdict follows from ``measured`` and ``expected``; nobody types it.

    Attributes:
        paper: name of the paper, as in ``vaekit reproduce``.
        system: which model.
        dataset: on which data.
        metric: what is measured.
        unit: its unit.
        protocol: split, binarisation, samples and whatever else the figure depends on.
        published: the published figure, if there is one.
        certainty: how sure the published figure is; begins with :data:`UNVERIFIED` where nobody saw it in its source.
        expected: the bound that the measured figure is held against, ``"≥ -157.0"``; empty for none.
        measured: the figure.
        spread: standard deviation over seeds; ``None`` for a single one.
        seeds: the seeds.
        budget: ``paper`` for the published schedule, ``quick`` for the short one, else what was run instead.
        command: what repeats it.
        commit: of the code that measured; ``None`` outside a checkout.
        seconds: of training.
        verdict: ``as expected``, ``not as expected``, or ``no expectation``.

    Raises:
        ValueError: if ``expected`` is not of that form.
    """

    paper: str
    system: str
    dataset: str
    metric: str
    unit: str
    protocol: str
    published: float | None
    certainty: str
    expected: str
    measured: float
    spread: float | None
    seeds: tuple[int, ...]
    budget: str
    command: str
    commit: str | None
    seconds: float
    verdict: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", verdict(self.measured, self.expected))

    @property
    def unverified(self) -> bool:
        """Whether there is a published figure that nobody saw in its source."""
        return self.published is not None and self.certainty.startswith(UNVERIFIED)

    def document(self) -> dict[str, Any]:
        """The row as JSON values."""
        return asdict(self) | {"seeds": list(self.seeds)}


def verdict(measured: float, expected: str) -> str:
    """What a measured figure is worth against a bound; one that is not a number meets none.

    >>> verdict(-156.2, "≥ -157.0"), verdict(-158.0, "≥ -157.0"), verdict(1.0, "")
    ('as expected', 'not as expected', 'no expectation')
    """
    if not expected:
        return "no expectation"
    found = _EXPECTED.fullmatch(expected)
    if found is None:
        raise ValueError(f"expected must be of the form '≥ 1.5', got '{expected}'")
    bound = float(found["number"])
    met = {"≥": measured >= bound, "≤": measured <= bound, ">": measured > bound, "<": measured < bound}
    return "as expected" if met[found["sign"]] else "not as expected"


@dataclass(frozen=True)
class Request:
    """What is asked of a reproduction.

    Attributes:
        folder: where runs, pictures and the page go.
        epochs: instead of the number that belongs to the budget.
        seed: of weights, order and noise; the first of several.
        resume: go on with what is in the folder.
        budget: ``quick`` or ``paper``.
        variants: which of the paper's variants; all of them by default.
        seeds: how many, from ``seed`` on; as many as belong to the budget by default.
        precision: of the training, as in :class:`vaekit.training.Settings`; ``float32`` by default.
        compile: the steps of the training, as in :class:`vaekit.training.Settings`; where it pays by default.
    """

    folder: Path
    epochs: int | None = None
    seed: int = 0
    resume: bool = False
    budget: str = "quick"
    variants: tuple[str, ...] = ()
    seeds: int | None = None
    precision: str | None = None
    compile: bool | None = None


class Reproduction(NamedTuple):
    """What a reproduction gives back.

    Attributes:
        rows: the table.
        headline: the figures that are printed by themselves; ``measured`` is the first.
        page: the report.
    """

    rows: list[Row]
    headline: Mapping[str, float]
    page: Path


@dataclass(frozen=True)
class Paper:
    """A paper that can be reproduced.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        citation: authors, year, where.
        reproduce: does it.
        variants: what can be run by itself; none where the paper is one piece with one seed.
        left_out: by budget, the variants that it has no epochs for.
    """

    name: str
    title: str
    citation: str
    reproduce: Callable[[Request], Reproduction]
    variants: tuple[str, ...] = ()
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, request: Request) -> None:
        """Check that the paper can be run as it is asked for.

        Raises:
            UserError: if the paper cannot be run as it is asked for.
        """
        if request.budget not in BUDGETS:
            raise unknown("budget", request.budget, BUDGETS)
        special = request.variants, request.seeds, request.precision, request.compile
        if not self.variants and special != ((), None, None, None):
            raise UserError(
                f"{self.name} is one piece and runs with one seed: leave --variant, --seeds, --precision and --compile "
                "out."
            )
        for name in request.variants:
            if name not in self.variants:
                raise unknown(f"variant of {self.name}", name, self.variants)
            if name in self.left_out.get(request.budget, ()) and not request.epochs:
                raise UserError(
                    f"the variant {name} of {self.name} is not part of the budget {request.budget}.",
                    hint="--budget paper has it; --epochs N says how long to train it.",
                )


_PAPERS: dict[str, Paper] = {}


def paper(
    name: str, *, title: str, citation: str
) -> Callable[[Callable[[Request], Reproduction]], Callable[[Request], Reproduction]]:
    """Enter a function in the list of papers."""

    def decorate(function: Callable[[Request], Reproduction]) -> Callable[[Request], Reproduction]:
        enter(Paper(name, title, citation, function))
        return function

    return decorate


def enter(entry: Paper) -> None:
    """Put a paper into the list."""
    _PAPERS[entry.name] = entry


def papers() -> Mapping[str, Paper]:
    """All papers by name."""
    return dict(sorted(_PAPERS.items()))


def find(name: str) -> Paper:
    """The paper of that name.

    Raises:
        UserError: if there is none.
    """
    if name not in _PAPERS:
        raise unknown("paper", name, _PAPERS)
    return _PAPERS[name]


def commit() -> str | None:
    """The commit that vaekit is run from, or ``None`` where it does not lie in a checkout of its own."""
    package = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        own = Path(git("rev-parse", "--show-toplevel")).resolve() / "src" / "vaekit" == package
        return git("rev-parse", "--short", "HEAD") if own else None
    except (OSError, subprocess.CalledProcessError):
        return None


def keep_request(paper: Paper, request: Request) -> None:
    """Write down what is asked for."""
    write_json(request.folder / ASKED, {"paper": paper.name, **{name: getattr(request, name) for name in FIELDS}})


def resumed(paper: Paper, request: Request, given: Sequence[str]) -> Request:
    """The request to go on with: what is not given is as it was.

    Args:
        paper: which.
        request: what is asked for now.
        given: the fields of it that were given.

    Raises:
        UserError: if the folder is that of another paper, or damaged.
    """
    path = request.folder / ASKED
    if not path.exists():
        return request
    kept = read_json(path)
    if not isinstance(kept, dict) or "paper" not in kept:
        raise UserError(f"{path} is damaged: it does not say which paper it is of.")
    if kept["paper"] != paper.name:
        raise UserError(f"{request.folder} is a reproduction of {kept['paper']}, not of {paper.name}.")
    before = {name: kept[name] for name in FIELDS if name in kept}
    before["variants"] = tuple(before.get("variants", ()))
    return replace(request, **{name: value for name, value in before.items() if name not in given})


def results_file(paper: Paper, variants: Sequence[str]) -> Path:
    """``results/PAPER.json``, or ``results/PAPER-VARIANT.json`` where one variant of several was run."""
    one = f"-{variants[0]}" if len(variants) == 1 and len(paper.variants) > 1 else ""
    return Path("results") / f"{paper.name}{one}.json"


def save_rows(path: Path, rows: Sequence[Row]) -> None:
    """Put rows in the place of those of the same budget; the other budget's stay."""
    budgets = {row.budget for row in rows}
    kept = read_json(path) if path.exists() else []
    others = [row for row in kept if row["budget"] in BUDGETS and row["budget"] not in budgets]
    write_json(path, [*others, *(row.document() for row in rows)])
