"""Checkouts of other revisions of vaekit, beside which this one is measured."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaekit.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A worktree of a revision, removed at the end.

    Raises:
        UserError: if there is no such revision.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "vaekit"
        try:
            _git("worktree", "add", "--detach", str(tree), revision)
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().splitlines() or [f"git ended with {error.returncode}"]
            raise UserError(f"there is no checkout of the revision '{revision}': {said[-1]}.") from None
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True)
