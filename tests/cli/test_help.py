"""The help texts, the set of options, and how little is imported to print them.

After a change that is meant, write the texts again and look at the difference:
``UPDATE_SNAPSHOTS=1 .venv/bin/pytest tests/cli/test_help.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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
        *(
            "--patience",
            "--device",
            "--precision",
            "--accumulate",
            *("--compile", "--no-compile"),
            "--out",
            "--overwrite",
            "--resume",
            "--parts",
            "--json",
            "--quiet",
        ),
    },
    "evaluate": {
        "--samples",
        "--with",
        "--split",
        "--limit",
        "--seed",
        "--device",
        "--precision",
        "--compile",
        "--parts",
        "--json",
    },
    "fit-prior": {
        *("--prior", "--out", "--epochs", "--learning-rate", "--seed", "--resume", "--overwrite", "--parts", "--json"),
    },
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
    "reproduce": {
        *("--budget", "--variant", "--out", "--epochs", "--seed", "--seeds", "--precision"),
        *("--compile", "--no-compile", "--save", "--resume", "--json"),
    },
    "list": {"--json"},
}

# What costs time at every start and is rarely needed: torch's compiler and its sympy alone take more than a second.
LATE = {"matplotlib", "PIL", "sklearn", "scipy", "pandas", "sympy", "torch._dynamo", "zuko"}
HEAVY = {"torch", "numpy", "tyro", "rich", "safetensors", *LATE}
IMPORTED = f"""
import sys
from vaekit.cli import main
def tell():
    print("imported:", *sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)
"""
AT_THE_END = f"""{IMPORTED}
code = main(sys.argv[1:])
tell()
sys.exit(code)
"""
AFTER_AN_EPOCH = f"""{IMPORTED}
from vaekit.training.loop import Training
report = Training._report
def told(*arguments):
    tell()
    report(*arguments)
Training._report = told
sys.exit(main(sys.argv[1:]))
"""


IN_TURN = f"""{IMPORTED}
import json
for command in json.loads(sys.argv[1]):
    assert main(command) == 0
    tell()
from vaekit import data
data.load("digits")
tell()
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
    return python(AT_THE_END, *([verb] if verb != "vaekit" else []), "--help")


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


def imported(said: subprocess.CompletedProcess[str]) -> set[str]:
    assert said.returncode == 0, said.stderr
    return set(said.stderr.split("imported:")[1].split("\n")[0].split())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A run of one step, and what had been imported when its steps were over."""
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 2, (40, 1, 4, 4), np.uint8))
    said = python(AFTER_AN_EPOCH, "train", f"{folder / 'x.npy'}", "--epochs", "1", "--out", f"{folder / 'run'}")
    return folder / "run", imported(said)


def test_what_training_imports(trained: tuple[Path, set[str]]) -> None:
    """The picture of the report is for the end, and all else for whoever needs it."""
    assert trained[1] >= {"torch", "numpy", "tyro"}
    assert trained[1] & LATE == set()


@pytest.fixture(scope="module")
def after_each(trained: tuple[Path, set[str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What had been imported after each verb, and when the digits had been read, in one process that does it all."""
    run, out = f"{trained[0]}", tmp_path_factory.mktemp("out")
    commands = [["list", what] for what in ("data", "parts", "systems", "papers")]
    commands += [["cite", run], ["doctor", run], ["evaluate", run, "--samples", "2"]]
    commands += [["encode", run, "-o", f"{out / 'z.npz'}"], ["sample", run, "-o", f"{out / 'x.npz'}"]]
    said = python(IN_TURN, json.dumps(commands))
    assert said.returncode == 0, said.stderr
    lines = re.findall("(?m)^imported:(.*)$", said.stderr)
    names = [" ".join(word for word in command[:2] if word != run) for command in commands]
    return {name: set(line.split()) for name, line in zip([*names, "digits"], lines, strict=True)}


def test_what_a_verb_imports(after_each: dict[str, set[str]]) -> None:
    """What comes in by one is there for those after it, too: the first is to blame."""
    assert len(after_each) == 10
    assert {name: late for name, imported in after_each.items() if (late := imported & LATE)} == {}


def test_wrong_usage_needs_no_torch() -> None:
    said = python(AT_THE_END, "train")
    assert said.returncode == 2
    assert set(said.stderr.split("imported:")[1].split()) <= {"tyro"}


def test_every_verb_is_frozen() -> None:
    assert FLAGS.keys() == VERBS.keys()
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {"vaekit", *VERBS}


def test_importing_the_package_is_light() -> None:
    said = python("import sys, vaekit; print(*{'torch', 'numpy', 'tyro'} & sys.modules.keys())")
    assert said.stdout.split() == []


def test_a_terminal_without_unicode() -> None:
    said = python(AT_THE_END, "--help", PYTHONIOENCODING="ascii")
    assert said.returncode == 0
    assert said.stdout.startswith("usage: vaekit VERB ?")


def test_version() -> None:
    from vaekit import __version__

    said = python(AT_THE_END, "--version")
    assert (said.returncode, said.stdout) == (0, f"vaekit {__version__}\n")
