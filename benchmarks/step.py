"""Where the time of a training step goes: the step of benchmarks/training.py, operation by operation.

    python benchmarks/step.py [--save]

An epoch of pythae's default VAE by vaekit's loop, under the profiler of torch. ``products`` are the matrix products in
their place in the step, where caches are cold; benchmarks/training.py measures the same ones alone. ``Python`` is what
the epoch takes without the profiler less what operations take by themselves.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interleaved import AS_THE_COMMAND_LINE, environment, save

GROUPS = {
    "products": ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise"),
    "Adam": ("aten::_fused_adam_", "aten::_foreach_add_"),
    "norm of the gradient": ("aten::dot",),
}


def epoch_of_the_worker() -> Callable[[], float]:
    """What workers/mlp_vaekit.py would do for every line that it reads."""
    sys.path.insert(0, str(Path(__file__).parent / "workers"))
    import worker

    held: list[Callable[[], float]] = []
    worker.serve = held.append  # type: ignore[assignment]
    sys.argv = sys.argv[:1]
    import mlp_vaekit  # noqa: F401

    return held[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/step.json")
    options = parser.parse_args()
    if os.environ.get("GOMP_SPINCOUNT") is None:
        # OpenMP reads this when torch is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | AS_THE_COMMAND_LINE)
    epoch = epoch_of_the_worker()
    from torch.profiler import ProfilerActivity, profile

    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - started)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        epoch()
    report = summary(statistics.median(seconds[1:]), seen.key_averages(), operations_of(epoch))
    for name, row in report.items():
        print(f"{name:<32}{row['a step']:9.3f} a step")
    if options.save:
        save("step", {"environment": environment(), "figures": report})


def operations_of(epoch: Callable[[], float]) -> int:
    """How many operations reach a kernel in an epoch; views are among them."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            self.count += 1
            return function(*given, **(named or {}))

    with Counting() as seen:
        epoch()
    return seen.count


def summary(seconds: float, events: Any, count: int) -> dict[str, dict[str, float]]:
    """Milliseconds a step by group, and how many operations there are: rows of a table."""
    steps = next(event.count for event in events if event.key == "aten::_fused_adam_")
    operations = [event for event in events if event.key.startswith(("aten::", "mkldnn::"))]
    own = {event.key: event.self_cpu_time_total / 1000 / steps for event in operations}
    parts = {name: sum(own.get(key, 0.0) for key in keys) for name, keys in GROUPS.items()}
    named = {key for keys in GROUPS.values() for key in keys}
    parts["other operations"] = sum(value for key, value in own.items() if key not in named)
    whole = 1000 * seconds / steps
    figures = {"whole step": whole, **parts, "Python": whole - sum(parts.values())}
    rows = {f"{name}, milliseconds": {"a step": value} for name, value in figures.items()}
    return {**rows, "operations, views among them": {"a step": count / steps}}


if __name__ == "__main__":
    main()
