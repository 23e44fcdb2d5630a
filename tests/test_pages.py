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


def run_page(page: Path, folder: Path) -> int:
    """Run a page's blocks in order and in one namespace; returns how many."""
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
                words = shlex.split(line, comments=True)
                if words and words[0] == "vaekit":
                    assert vaekit.cli.main(words[1:]) == 0, line
        count += 1
    return count


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, from which files written there can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("add-a-part.md", 8),
        ("add-a-paper.md", 2),
        ("start.md", 8),
        ("own-data.md", 7),
        ("how-to-choose.md", 5),
        ("numbers.md", 7),
        ("tasks.md", 12),
    ],
)
def test_walk(name: str, blocks: int, elsewhere: Path) -> None:
    assert run_page(ROOT / "docs" / name, elsewhere) >= blocks
    assert list(elsewhere.rglob("model.safetensors"))


def test_readme_example(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (m["code"] for m in BLOCK.finditer((ROOT / "README.md").read_text()) if m["language"] == "python")
    exec(compile(code, "README.md", "exec"), {})
    nll = float(capsys.readouterr().out.splitlines()[-1])
    assert 10 < nll < 40  # a coin toss a pixel is 64 · log 2 = 44.4 nats
