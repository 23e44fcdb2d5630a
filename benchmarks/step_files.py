"""How many files does one plain training step enter?

    python benchmarks/step_files.py [DATA]     # digits

Files and functions of vaekit that run between the choice of the rows and the end of the step, and the lines of code
of the folders that train.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import vaekit
from vaekit.cli import main as command_line
from vaekit.training.loop import Training

PACKAGE = Path(vaekit.__file__).parent
FOLDERS = ("training", "run", "distributed", "acceleration", "kernels")
WHICH = 5  # step: libraries and optimisers set themselves up in the first


def entered(data: str) -> list[tuple[str, str]]:
    """Files and functions that one step of ``vaekit train DATA --no-compile`` enters, sorted."""
    found: set[tuple[str, str]] = set()
    take, count = Training.take, 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            found.add((str(path.relative_to(PACKAGE)), frame.f_code.co_qualname))

    def watched(self: Training, selection: Any) -> Any:
        nonlocal count
        count += 1
        if count != WHICH:
            return take(self, selection)
        sys.setprofile(note)
        try:
            return take(self, selection)
        finally:
            sys.setprofile(None)

    Training.take = watched  # type: ignore[method-assign]
    quiet = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quiet, contextlib.suppress(SystemExit):
        sys.argv = ["vaekit", "train", data, "--epochs", "1", "--no-compile", "--out", f"{folder}/run"]
        command_line()
    return sorted(found)


def lines_of_code(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("*.py"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    found = entered(parser.parse_args().data)
    files = sorted({file for file, _ in found})
    for file in files:
        print(f"  {file}: {', '.join(name for each, name in found if each == file)}")
    print(f"{len(files)} files, {len(found)} functions")
    for name in FOLDERS:
        print(f"{name}/: {lines_of_code(PACKAGE / name):,} lines")


if __name__ == "__main__":
    main()
