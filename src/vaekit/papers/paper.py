"""What a reproduction is: a request, the rows it measures, and the list of all of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import vaekit
from vaekit.errors import unknown

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
        certainty: how sure the published figure is.
        expected: the bound that the measured figure is held against, ``"≥ -157.0"``; empty for none.
        measured: the figure.
        spread: standard deviation over seeds; ``None`` for a single one.
        seeds: the seeds.
        budget: ``paper`` for the published schedule, else what was run instead.
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
        epochs: instead of the published number.
        seed: of weights, order and noise.
        resume: go on with what is in the folder.
    """

    folder: Path
    epochs: int | None = None
    seed: int = 0
    resume: bool = False


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
    """

    name: str
    title: str
    citation: str
    reproduce: Callable[[Request], Reproduction]


_PAPERS: dict[str, Paper] = {}


def paper(
    name: str, *, title: str, citation: str
) -> Callable[[Callable[[Request], Reproduction]], Callable[[Request], Reproduction]]:
    """Enter a function in the list of papers."""

    def enter(function: Callable[[Request], Reproduction]) -> Callable[[Request], Reproduction]:
        _PAPERS[name] = Paper(name, title, citation, function)
        return function

    return enter


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
    package = Path(vaekit.__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        own = Path(git("rev-parse", "--show-toplevel")).resolve() / "src" / "vaekit" == package
        return git("rev-parse", "--short", "HEAD") if own else None
    except (OSError, subprocess.CalledProcessError):
        return None
