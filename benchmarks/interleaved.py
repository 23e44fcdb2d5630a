"""Measure programs in turn, A B C A B C, each in a process of its own that rests while the others run."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaekit.cli import SPINS

WORKERS = Path(__file__).parent / "workers"
AS_THE_COMMAND_LINE = {"GOMP_SPINCOUNT": SPINS}


def busy_seconds() -> float:
    """Processor time of all processes since the machine began; 0 off Linux."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system = (int(word) for word in stat.read_text().split("\n")[0].split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def environment(**more: Any) -> dict[str, Any]:
    """What the figures depend on: machine, threads, versions."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "vector units": [flag for flag in flags if flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        **more,
    }


@dataclass
class Worker:
    """A program that does one piece of work each time it is told to.

    It prints ``ready``, and for every line that it reads a JSON object with ``seconds`` and ``own`` (its processor
    time); see workers/worker.py.

    Args:
        name: what it is called in tables.
        script: its file in workers/, or the whole path of another.
        arguments: for it.
        python: the interpreter; this one by default.
        variables: of its surroundings; vaekit's own workers get what the command line sets.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    python: str = sys.executable
    variables: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, float]] = field(default_factory=list)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.python, str(WORKERS / self.script), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.variables,
        )
        self._expect("ready")

    def _expect(self, first: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(first):
                return line
        raise SystemExit(f"{self.name} ended without a word.")

    def measure(self) -> None:
        assert self.process.stdin is not None
        before = busy_seconds()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        result = json.loads(self._expect("{"))
        others = max(0.0, busy_seconds() - before - result["own"])
        result["others"] = others / (result["seconds"] * (os.cpu_count() or 1))
        self.rounds.append(result)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def median(self) -> float:
        """Median of the rounds, in seconds."""
        return statistics.median(each["seconds"] for each in self.rounds)


def compare(workers: list[Worker], rounds: int, warm: int = 1) -> None:
    """Start all, let each do ``warm`` pieces of work that do not count, then measure them in turn."""
    try:
        for worker in workers:
            worker.start()
        for number in range(warm + rounds):
            for worker in workers:
                worker.measure()
                last = worker.rounds[-1]
                counts = "" if number >= warm else "  (does not count)"
                shares = f"others {last['others']:4.0%} of the processor{counts}"
                print(f"  {worker.name:<34}{last['seconds']:9.3f} s   {shares}", file=sys.stderr)
        for worker in workers:
            del worker.rounds[:warm]
    finally:
        for worker in workers:
            if hasattr(worker, "process"):
                worker.stop()


def save(name: str, report: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` beside this file."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"saved benchmarks/results/{name}.json")
