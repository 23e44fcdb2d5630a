"""Errors that a user can mend: one sentence, and a hint."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable


class UserError(Exception):
    """Wrong usage or wrong input. The command line prints it without a traceback and exits with 2.

    Args:
        message: one sentence saying what was expected, what was found and where.
        hint: what to do about it, if there is a usual cure.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        # What is quoted in it (a column's name, say) may hold line breaks; a sentence has none.
        self.message = re.sub(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+", " ", message)
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class Interrupted(Exception):
    """The user stopped the work; its state is saved. The command line exits with 130.

    Args:
        message: what was stopped.
        folder: the run folder to go on from.
        command: what goes on with it; ``vaekit train --resume FOLDER`` by default.
    """

    def __init__(self, message: str, folder: object, command: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.folder = folder
        self.command = command or f"vaekit train --resume {shlex.quote(f'{folder}')}"


class TrainingFailed(RuntimeError):
    """Training could not go on; the last good state is saved. The command line exits with 1."""


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known: it names the nearest known ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    return UserError(f"unknown {what} '{name}'; known: {', '.join(names) or 'none'}.", hint)
