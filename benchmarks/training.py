"""How fast is training, beside others and beside the limit of this machine?

    python benchmarks/training.py [--rounds 5] [--only vaekit limit …] [--save]
    python benchmarks/training.py --only vaekit --against v0.1      # this checkout beside another revision

The default VAE of pythae (784-512-16, batch 128, one draw, 60,000 rows of zeros and ones): an epoch each, in turn.
``compiled`` is vaekit's loop with ``--compile``; what it takes to compile is in the first epoch, which does not count.
``plain loop`` is what anybody would write, ``expert loop`` one that is tuned by hand. The limit is the epoch's matrix
products alone, by the best kernel that torch has here. ``--against`` measures vaekit at another revision, by the worker
of that revision, in turn with the others.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from environment import python_with, version_of
from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save
from revisions import ROOT, checkout

from vaekit.errors import UserError

PEERS = ("pythae==0.1.2", "jax", "optax")
OF_PEERS = ("pythae", "jax")  # systems that run in the environment of these


def workers(other: Path | None = None, revision: str = "") -> list[Worker]:
    """All of this checkout; vaekit at another revision stands next to its own, so that they meet the same noise."""
    limits = [
        Worker(f"limit {kernel} {precision}", "mlp_limit.py", (kernel, precision), variables=AS_THE_COMMAND_LINE)
        for precision in ("float32", "bfloat16")
        for kernel in ("onednn", "torch")
    ]
    theirs = of_vaekit(other, f"vaekit at {revision}") if other else [None, None]
    pairs = zip(of_vaekit(ROOT), theirs, strict=True)
    return [
        *(each for pair in pairs for each in pair if each),
        Worker("pythae", "mlp_pythae.py"),
        Worker("jax", "mlp_jax.py"),
        Worker("plain loop", "mlp_plain.py"),
        Worker("expert loop", "mlp_expert.py", variables=AS_THE_COMMAND_LINE),
        Worker("expert loop compiled", "mlp_expert.py", ("compile",), variables=AS_THE_COMMAND_LINE),
        Worker("vaekit bfloat16", "mlp_vaekit.py", ("bfloat16",), variables=AS_THE_COMMAND_LINE),
        Worker("vaekit compiled bfloat16", "mlp_vaekit.py", ("bfloat16", "compile"), variables=AS_THE_COMMAND_LINE),
        *limits,
    ]


def of_vaekit(tree: Path, name: str = "vaekit") -> list[Worker]:
    """An epoch by the code of a checkout, plain and compiled."""
    script = str(tree / "benchmarks" / "workers" / "mlp_vaekit.py")
    variables = AS_THE_COMMAND_LINE | {"PYTHONPATH": str(tree / "src")}
    return [
        Worker(name, script, variables=variables),
        Worker(f"{name} compiled", script, ("compile",), variables=variables),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", nargs="*", default=[], help="workers whose names contain one of these words")
    parser.add_argument("--against", metavar="REVISION", help="measure vaekit at that revision, too")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/training.json")
    options = parser.parse_args()
    try:
        with checkout(options.against) if options.against else nullcontext() as tree:
            report = measured(options, tree)
    except UserError as error:
        print(f"error: {error.message}", file=sys.stderr)
        sys.exit(2)
    if options.save:
        python = python_with("training", PEERS)
        versions = {name: version_of(python, name) for name in ("pythae", "jax", "optax")}
        save("training", {"environment": environment(**versions), **report})


def measured(options: argparse.Namespace, other: Path | None) -> dict[str, Any]:
    """The figures of what is asked for; ``other`` is the checkout of another revision."""
    there = workers(other, options.against)
    chosen = [each for each in there if not options.only or any(word in each.name for word in options.only)]
    for worker in chosen:
        if worker.name in OF_PEERS:
            worker.python = str(python_with("training", PEERS))
    compare(chosen, options.rounds)
    report = summary(chosen)
    if options.against:
        report["ratios"] |= against(chosen, options.against)
    return report


def against(chosen: list[Worker], revision: str) -> dict[str, float]:
    """This checkout's time as a share of the other revision's, the median over the rounds; printed and returned."""
    rounds = {worker.name: [each["seconds"] for each in worker.rounds] for worker in chosen}
    ratios = {}
    for end in ("", " compiled"):
        ours, theirs = f"vaekit{end}", f"vaekit at {revision}{end}"
        if {ours, theirs} <= rounds.keys():
            pairs = sorted(a / b for a, b in zip(rounds[ours], rounds[theirs], strict=True))
            ratios[f"{ours} / {theirs}"] = statistics.median(pairs)
            print(f"{ours} / {theirs}: {statistics.median(pairs):.3f} ({pairs[0]:.3f} to {pairs[-1]:.3f} by rounds)")
    return ratios


def summary(chosen: list[Worker]) -> dict[str, Any]:
    """The medians, and vaekit's as shares of the others'; printed and returned."""
    medians = {worker.name: worker.median for worker in chosen}
    for precision in ("float32", "bfloat16"):
        if limits := [seconds for name, seconds in medians.items() if name.startswith("limit") and precision in name]:
            medians[f"limit {precision}"] = min(limits)
    for name, seconds in medians.items():
        print(f"{name:<34}{seconds:8.3f} s an epoch")
    pairs = [
        *((name, other) for name in ("vaekit", "vaekit compiled") for other in ("pythae", "jax", "plain loop")),
        ("vaekit", "expert loop"),
        ("vaekit compiled", "expert loop compiled"),
        *((name, "limit float32") for name in ("vaekit", "vaekit compiled")),
        *((f"{name} bfloat16", "pythae") for name in ("vaekit", "vaekit compiled")),
        *((f"{name} bfloat16", "limit bfloat16") for name in ("vaekit", "vaekit compiled")),
    ]
    ratios = {
        f"{one} / {other}": medians[one] / medians[other] for one, other in pairs if {one, other} <= medians.keys()
    }
    for name, ratio in ratios.items():
        print(f"{name:<34}{ratio:8.3f}")
    rounds = {worker.name: worker.rounds for worker in chosen}
    return {"seconds": medians, "ratios": ratios, "rounds": rounds}


if __name__ == "__main__":
    main()
