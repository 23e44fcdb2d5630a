"""How a worker is told to work; it needs nothing but Python, so that peers can have their own environment."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(work: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> None:
    """Do the work for each line that comes, and print how long it took; what it returns is printed too.

    ``clock`` tells the processor time of all that works here.
    """
    print("ready", flush=True)
    for _ in sys.stdin:
        own, started = clock(), time.perf_counter()
        value = work()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "own": clock() - own, "value": value}), flush=True)
