"""Graceful SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def listening(ask: Callable[[], None]) -> Iterator[None]:
    """While inside, Ctrl-C or a request to end calls ``ask``; a second Ctrl-C stops at once.

    Outside the main thread signals cannot be heard, and nothing is changed.

    Args:
        ask: what is called; it should make the work stop at its next good place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: object) -> None:
        ask()
        # A program in the background (nohup) was started to ignore it: who sends it twice all the same means it.
        again = before[signal.SIGINT]
        signal.signal(signal.SIGINT, again if callable(again) else signal.default_int_handler)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Ended(BaseException):
    """Work that :func:`ends_at_once` was left; whoever listens has been told why."""


@contextmanager
def ends_at_once() -> Iterator[None]:
    """For work that may be left anywhere: while inside, Ctrl-C or a request to end is heard as outside, and ends it.

    Raises:
        Ended: in the middle of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        before[number](number, frame)
        raise Ended

    listeners = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: listener for number, listener in listeners.items() if callable(listener)}
    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, listener in before.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, listener)
