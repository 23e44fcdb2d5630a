"""The help texts, the set of options, and how little is imported to print them.

After a change that is meant, write the texts again and look at the difference:
``UPDATE_SNAPSHOTS=1 .venv/bin/pytest tests/cli/test_help.py``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vaekit.cli import VERBS

SNAPSHOTS = Path(__file__).parent / "snapshots"

FLAGS = {
    "demo": {"--out", "--data", "--epochs"},
    "train": {
        *("--recipe", "--prior", "--posterior", "--likelihood", "--objective", "--network", "--latent-dim", "--size"),
        *(
            "--epochs",
            "--learning-rate",
            "--batch-size",
            "--seed",
            "--optimizer",
            "--weight-decay",
            "--clip-norm",
            "--ema-decay",
        ),
        *("--patience", "--device", "--precision", "--out", "--overwrite", "--resume", "--parts", "--json", "--quiet"),
    },
    "evaluate": {"--samples", "--split", "--limit", "--seed", "--device", "--parts", "--json"},
    "sample": {"-o", "--out", "-n", "--number", "--label", "--values", "--seed", "--device", "--parts"},
    "reconstruct": {"-o", "--out", "-n", "--number", "--split", "--seed", "--device", "--parts"},
    "encode": {"-o", "--out", "--split", "--seed", "--device", "--parts"},
    "decode": {"-o", "--out", "--label", "--values", "--seed", "--device", "--parts"},
    "score": {"-o", "--out", "--samples", "--share", "--split", "--seed", "--device", "--parts", "--json"},
    "impute": {"-o", "--out", "--samples", "--values", "--split", "--seed", "--device", "--parts", "--json"},
    "compare": {"--samples", "--split", "--limit", "--seed", "--device", "--parts", "--json"},
    "doctor": {"--limit", "--device", "--parts", "--json"},
    "cite": {"--json"},
    "traverse": {
        *("-o", "--out", "--units", "--steps", "--row", "--range", "--split", "--seed", "--device", "--parts"),
    },
    "report": {"--samples", "--limit", "--split", "--seed", "--device", "--parts"},
    "reproduce": {"--out", "--epochs", "--seed", "--save", "--resume", "--json"},
    "list": {"--json"},
}

IMPORTED = """
import sys
from vaekit.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "numpy", "tyro", "sklearn", "matplotlib", "PIL", "rich", "safetensors"} & sys.modules.keys()
print("imported:", *sorted(heavy), file=sys.stderr)
sys.exit(code)
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **environment},
    )


def help_of(verb: str) -> subprocess.CompletedProcess[str]:
    return python(IMPORTED, *([verb] if verb != "vaekit" else []), "--help")


@pytest.fixture(scope="module", params=["vaekit", *VERBS])
def asked(request: pytest.FixtureRequest) -> tuple[str, subprocess.CompletedProcess[str]]:
    """A verb and what it says to ``--help``; ``vaekit`` stands for no verb."""
    return request.param, help_of(request.param)


def test_help(asked: tuple[str, subprocess.CompletedProcess[str]]) -> None:
    verb, said = asked
    assert said.returncode == 0
    path = SNAPSHOTS / f"{verb}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said.stdout, encoding="utf-8")
    assert said.stdout == path.read_text(encoding="utf-8"), "if this is meant: UPDATE_SNAPSHOTS=1"
    assert "\x1b" not in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 100 + 7  # the description is not wrapped
    assert "{None}" not in said.stdout

    # What it took.
    heavy = set(said.stderr.split("imported:")[1].split())
    assert heavy <= ({"tyro"} if verb != "vaekit" else set())

    if verb in FLAGS:
        options = said.stdout[said.stdout.index("─ options ─") :]
        flags = set(re.findall(r"(?<=[│ ])(--?[a-z][a-z-]*)(?=[ ,])", options)) - {"-h", "--help"}
        assert flags == FLAGS[verb]


def test_every_verb_is_frozen() -> None:
    assert FLAGS.keys() == VERBS.keys()
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {"vaekit", *VERBS}


def test_importing_the_package_is_light() -> None:
    said = python("import sys, vaekit; print(*{'torch', 'numpy', 'tyro'} & sys.modules.keys())")
    assert said.stdout.split() == []


def test_a_terminal_without_unicode() -> None:
    said = python(IMPORTED, "--help", PYTHONIOENCODING="ascii")
    assert said.returncode == 0
    assert said.stdout.startswith("usage: vaekit VERB ?")


def test_version() -> None:
    from vaekit import __version__

    said = python(IMPORTED, "--version")
    assert (said.returncode, said.stdout) == (0, f"vaekit {__version__}\n")
