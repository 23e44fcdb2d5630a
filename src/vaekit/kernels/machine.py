"""Machine: processor, instructions, threads and version of torch."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Its processor, the threads of this process and the version of torch, in words."""
    name = _of_processor("model name") or platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def instructions() -> str:
    """What its processor can do, as far as the system tells: a virtual one may do less than its name says."""
    return _of_processor("flags") or _of_processor("Features") or torch.backends.cpu.get_cpu_capability()


def _of_processor(what: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(what):
                return line.partition(":")[2].strip()
    return ""
