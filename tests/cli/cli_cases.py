"""The command line as the tests use it: in this process, with what it said on both streams."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from vaekit.cli import main


class Said(NamedTuple):
    """What a command answered.

    Attributes:
        code: the exit code.
        out: stdout.
        err: stderr.
    """

    code: int
    out: str
    err: str


class Command:
    """``vaekit`` in this process.

    Args:
        capsys: to hear what it says.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        self.capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = self.capsys.readouterr()
        return Said(code, said.out, said.err)

    def refused(self, *arguments: object) -> tuple[str, str]:
        """The message and the hint of wrong usage: exit code 2, nothing on stdout, no traceback."""
        said = self(*arguments)
        assert said.code == 2, said
        assert said.out == ""
        assert "Traceback" not in said.err
        lines = said.err.splitlines()
        hint = lines.pop().removeprefix("hint: ") if lines[-1].startswith("hint: ") else ""
        assert lines[-1].startswith("error: "), said.err
        return lines[-1].removeprefix("error: "), hint


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
