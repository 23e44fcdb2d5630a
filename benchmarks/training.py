"""How fast is training, beside others and beside the limit of this machine?

    python benchmarks/training.py [--rounds 5] [--only vaekit limit …] [--save]

The default VAE of pythae (784-512-16, batch 128, one draw, 60,000 rows of zeros and ones): an epoch each, in turn.
``compiled`` is vaekit's loop with ``--compile``; what it takes to compile is in the first epoch, which does not count.
The limit is the epoch's matrix products alone, by the best kernel that torch has here.
"""

from __future__ import annotations

import argparse
from typing import Any

from environment import python_with, version_of
from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save

PEERS = ("pythae==0.1.2", "jax", "optax")


def workers() -> list[Worker]:
    python = str(python_with("training", PEERS))
    limits = [
        Worker(f"limit {kernel} {precision}", "mlp_limit.py", (kernel, precision), variables=AS_THE_COMMAND_LINE)
        for precision in ("float32", "bfloat16")
        for kernel in ("onednn", "torch")
    ]
    return [
        Worker("vaekit", "mlp_vaekit.py", variables=AS_THE_COMMAND_LINE),
        Worker("vaekit compiled", "mlp_vaekit.py", ("compile",), variables=AS_THE_COMMAND_LINE),
        Worker("pythae", "mlp_pythae.py", python=python),
        Worker("jax", "mlp_jax.py", python=python),
        Worker("plain loop", "mlp_plain.py"),
        Worker("vaekit bfloat16", "mlp_vaekit.py", ("bfloat16",), variables=AS_THE_COMMAND_LINE),
        Worker("vaekit compiled bfloat16", "mlp_vaekit.py", ("bfloat16", "compile"), variables=AS_THE_COMMAND_LINE),
        *limits,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", nargs="*", default=[], help="workers whose names contain one of these words")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/training.json")
    options = parser.parse_args()
    chosen = [each for each in workers() if not options.only or any(word in each.name for word in options.only)]
    compare(chosen, options.rounds)
    report = summary(chosen)
    if options.save:
        python = python_with("training", PEERS)
        versions = {name: version_of(python, name) for name in ("pythae", "jax", "optax")}
        save("training", {"environment": environment(**versions), **report})


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
