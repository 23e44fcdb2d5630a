"""Everything written is executed: the blocks of the README and of the documentation's walks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import vaekit.cli

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>python|sh)\n(?P<code>.*?)```", re.DOTALL)
FILE = re.compile(r"Write `(\w+\.py)`")
EPOCHS = re.compile(r"(?<=--epochs )\d+")


def run_page(page: Path, folder: Path, fewer: int = 1) -> int:
    """Run a page's blocks in order and in one namespace; returns how many.

    Commands train for that many times fewer epochs, rounded up.
    """
    namespace: dict[str, object] = {}
    count = 0
    for block in BLOCK.finditer(page.read_text()):
        code = block["code"]
        if named := FILE.search(block["before"]):
            (folder / named[1]).write_text(code)
        elif block["language"] == "python":
            exec(compile(code, f"{page.name} (block)", "exec"), namespace)
        else:
            for line in code.splitlines():
                words = shlex.split(EPOCHS.sub(lambda epochs: f"{-(-int(epochs[0]) // fewer)}", line), comments=True)
                if words and words[0] == "vaekit":
                    assert vaekit.cli.main(words[1:]) == 0, line
        count += 1
    return count


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> Path:
    """An empty working folder, from which files written there can be imported; a step is not compiled, but written."""
    monkeypatch.setattr("vaekit.acceleration.program.inductor", lambda graph, *_: graph)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "blocks", "fewer"),
    [
        ("add-a-part.md", 8, 1),
        ("add-a-paper.md", 2, 1),
        ("start.md", 8, 10),
        ("own-data.md", 7, 1),
        ("how-to-choose.md", 5, 10),
        ("numbers.md", 7, 1),
        ("tasks.md", 12, 2),
    ],
)
def test_walk(name: str, blocks: int, fewer: int, elsewhere: Path) -> None:
    assert run_page(ROOT / "docs" / name, elsewhere, fewer) >= blocks
    assert list(elsewhere.rglob("model.safetensors"))


def test_walk_of_scikit_learn_writes_nothing(elsewhere: Path) -> None:
    assert run_page(ROOT / "docs" / "scikit-learn.md", elsewhere) >= 4
    assert not list(elsewhere.iterdir())


def test_readme_example(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (m["code"] for m in BLOCK.finditer((ROOT / "README.md").read_text()) if m["language"] == "python")
    exec(compile(code, "README.md", "exec"), {})
    nll = float(capsys.readouterr().out.splitlines()[-1])
    assert 10 < nll < 40  # a coin toss a pixel is 64 · log 2 = 44.4 nats
