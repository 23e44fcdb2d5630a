"""Progress on stderr: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Bar:
    """Progress over a known number of units, with their rate and the time left.

    Args:
        what: what is being done.
        total: number of units.
        unit: their name.
        quiet: show nothing at all.
    """

    def __init__(self, what: str, total: int, unit: str, *, done: int = 0, quiet: bool = False) -> None:
        self._live = console.is_terminal and not quiet and "VAEKIT_PLAIN" not in os.environ
        self._quiet = quiet
        self._started, self._start, self.done = time.monotonic(), done, done
        self._shown = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit + "  {task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._progress.add_task(what, total=total, completed=done, rate="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, units: int = 1) -> None:
        self.done += units
        now = time.monotonic()
        if self._live and now - self._shown > 0.1:
            self._shown = now
            rate = (self.done - self._start) / max(now - self._started, 1e-9)
            self._progress.update(self._task, completed=self.done, rate=f"{rate:,.0f}/s")

    def say(self, line: str) -> None:
        """A line above the bar."""
        if not self._quiet:
            say(line)


def say(line: str) -> None:
    """Talk goes to stderr."""
    if console.is_terminal:
        console.print(line, markup=False)
    else:
        print(line, file=sys.stderr, flush=True)
