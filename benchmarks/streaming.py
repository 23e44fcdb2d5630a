"""Is training on a file that does not fit into memory as fast as on rows that do?

    python benchmarks/streaming.py [--gigabytes 20] [--rounds 3] [--seconds 20] [--save]

Makes a ``.npy`` of random numbers in a temporary folder, and trains the default VAE for a while in a process of its
own: on rows that are in memory (A) and on the file (B), A B A B, with the file's pages dropped from the system's cache
before each. The rate counts from the first batch that is asked for, so that filling the first window is in it.
Processor time for a row, all threads together, is told too: it says what streaming costs where other processes make
the clock unreliable.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import busy_seconds, environment

COLUMNS = 784
RESIDENT_BYTES = 1_000_000_000
SHOWN = {"resident": "A, in memory", "mapped": "B, in the file"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20.0, help="size of the file (20)")
    parser.add_argument("--rounds", type=int, default=3, help="how often A and B are measured (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each time (20)")
    parser.add_argument("--batch-size", type=int, default=128, help="rows in a batch (128)")
    parser.add_argument("--type", choices=("float32", "uint8"), default="float32", help="what is stored (float32)")
    parser.add_argument("--folder", type=Path, help="where the file is made; a temporary folder")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/streaming.json")
    parser.add_argument("--measure", choices=tuple(SHOWN), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.file = Path(folder) / "x.npy"
        rows = write(options.file, int(options.gigabytes * 1e9), options.type)
        print(f"{rows:,} rows of {COLUMNS} {options.type}, {options.gigabytes:g} GB")
        asked = {key: value for key, value in vars(options).items() if key not in ("file", "folder", "measure", "save")}
        report = {"options": asked, "environment": environment()}
        print("  ".join(f"{key} {value}" for key, value in report["environment"].items()))
        report |= compare(options)
    if options.save:
        path = Path(__file__).parent / "results" / "streaming.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n")
        print(f"saved {path}")


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Rounds of A and B, each in a process of its own; the medians and their ratio."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in SHOWN}
    for _ in range(options.rounds):
        for name in SHOWN:
            drop(options.file)
            command = [sys.executable, __file__, *sys.argv[1:], "--measure", name, "--file", str(options.file)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            result = json.loads(output)
            rounds[name].append(result)
            print(
                f"{SHOWN[name]:<15} {result['rows_per_second']:>9,.0f} rows/s  "
                f"peak memory {result['peak_memory_gb']:.2f} GB  other processes {result['other_cpu_share']:.0%}"
            )
    rates = {name: statistics.median(each["rows_per_second"] for each in many) for name, many in rounds.items()}
    ratio = rates["mapped"] / rates["resident"]
    peak = max(each["peak_memory_gb"] for each in rounds["mapped"])
    costs = {
        name: statistics.median(each["cpu_seconds_per_million_rows"] for each in many) for name, many in rounds.items()
    }
    pairs = statistics.median(
        streamed["rows_per_second"] / resident["rows_per_second"]
        for resident, streamed in zip(rounds["resident"], rounds["mapped"], strict=True)
    )
    print(f"medians {rates['resident']:,.0f} and {rates['mapped']:,.0f} rows/s: ratio {ratio:.3f}; peak {peak:.2f} GB")
    print(f"the median of B / A round by round: {pairs:.3f}")
    resident, mapped = costs.values()
    print(f"processor time {resident:.1f} and {mapped:.1f} s for a million rows: ratio {resident / mapped:.3f}")
    return {
        "rounds": rounds,
        "rows_per_second": rates,
        "ratio": ratio,
        "median_ratio_of_rounds": pairs,
        "cpu_seconds_per_million_rows": costs,
        "peak_memory_gb": peak,
    }


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Train for a while; the rate, and what the process and others took."""
    import torch

    from vaekit import data, recipes
    from vaekit.data.kinds import GreyLevels, Real
    from vaekit.data.loader import Loader
    from vaekit.objectives import ELBO
    from vaekit.schedules import Step

    torch.manual_seed(0)
    x = np.load(options.file, mmap_mode="r")
    if options.measure == "resident":
        x = np.array(x[: RESIDENT_BYTES // x[0].nbytes])
    kind = GreyLevels() if options.type == "uint8" else Real(0.5, 0.3)
    split = data.Split(x)
    model: Any = recipes.make("vae", data.Dataset("random", kind, split, split, split), {"epochs": 1}).model
    optimizer = torch.optim.Adam(model.parameters())
    loader, objective = Loader(split, kind, batch_size=options.batch_size), ELBO()
    rows = epoch = 0
    busy, own, started = busy_seconds(), time.process_time(), time.monotonic()
    while time.monotonic() - started < options.seconds:
        with closing(loader.epoch(0, epoch)) as batches:  # type: ignore[type-var]
            for selection in batches:
                (-objective(model, selection.batch, Step(0, 0.0, 1)).objective.mean()).backward()
                optimizer.step()
                optimizer.zero_grad()
                rows += len(selection.rows)
                if time.monotonic() - started > options.seconds:
                    break
        epoch += 1
    seconds = time.monotonic() - started
    own = time.process_time() - own
    others = busy_seconds() - busy - own
    return {
        "rows_per_second": rows / seconds,
        "cpu_seconds_per_million_rows": own / rows * 1e6,
        "epochs": epoch,
        "peak_memory_gb": peak_memory(),
        "other_cpu_share": max(0.0, others) / seconds / (os.cpu_count() or 1),
    }


def write(path: Path, num_bytes: int, sort: str) -> int:
    """A file of random numbers; how many rows it has."""
    dtype = np.dtype(sort)
    rows, generator = num_bytes // (COLUMNS * dtype.itemsize), np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, COLUMNS)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, 20_000):
            shape = (min(20_000, rows - start), COLUMNS)
            some = generator.random(shape, np.float32) if sort == "float32" else generator.integers(0, 256, shape)
            file.write(some.astype(dtype).tobytes())
        os.fsync(file.fileno())
    return rows


def drop(path: Path) -> None:
    """Take a file out of the system's cache."""
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_memory() -> float:
    """The most that this process ever held, shared pages of files included, in GB; not a number off Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM")), float("nan"))


if __name__ == "__main__":
    main()
