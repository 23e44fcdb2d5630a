"""How fast is the importance-weighted estimate of log p(x), beside pythae's and beside the limit of this machine?

    python benchmarks/likelihood.py [--rounds 5] [--only vaekit limit …] [--save]

100 rows of 784 zeros and ones, 5,000 draws each, decoder 40-300-300-784, in turn. The limit is the decoder's matrix
products alone, for as many rows and draws, by the best kernel that torch has here. pythae does a tenth of the rows.
``compiled`` is ``vaekit evaluate --compile``; what it takes to compile is in the first round, which does not count.
"""

from __future__ import annotations

import argparse
from typing import Any

from environment import python_with, version_of
from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save
from workers.likelihood import DRAWS, HIDDEN, LATENT, PEER_SHARE, PIXELS, ROWS

PEERS = ("pythae==0.1.2", "jax", "optax")
PROBLEM = {"rows": ROWS, "draws": DRAWS, "pixels": PIXELS, "latent": LATENT, "hidden": HIDDEN}


def workers() -> list[Worker]:
    limits = [
        Worker(f"limit {kernel}", "likelihood_limit.py", (kernel,), variables=AS_THE_COMMAND_LINE)
        for kernel in ("onednn", "torch")
    ]
    return [
        Worker("vaekit", "likelihood_vaekit.py", variables=AS_THE_COMMAND_LINE),
        Worker("vaekit compiled", "likelihood_vaekit.py", ("compile",), variables=AS_THE_COMMAND_LINE),
        *limits,
        Worker("pythae", "likelihood_pythae.py", python=str(python_with("training", PEERS))),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", nargs="*", default=[], help="workers whose names contain one of these words")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/likelihood.json")
    options = parser.parse_args()
    chosen = [each for each in workers() if not options.only or any(word in each.name for word in options.only)]
    compare(chosen, options.rounds)
    report = summary(chosen)
    if options.save:
        pythae = version_of(python_with("training", PEERS), "pythae")
        save("likelihood", {"environment": environment(pythae=pythae), "problem": PROBLEM, **report})


def summary(chosen: list[Worker]) -> dict[str, Any]:
    """The medians for a row and a draw, and what they are to each other; printed and returned."""
    done = {"pythae": ROWS // PEER_SHARE * DRAWS}
    medians = {worker.name: worker.median / done.get(worker.name, ROWS * DRAWS) for worker in chosen}
    if limits := [seconds for name, seconds in medians.items() if name.startswith("limit")]:
        medians["limit"] = min(limits)
    for name, seconds in medians.items():
        print(f"{name:<20}{seconds * 1e6:10.2f} µs a row and draw")
    pairs = [
        *((name, "limit") for name in ("vaekit", "vaekit compiled")),
        *(("pythae", name) for name in ("vaekit", "vaekit compiled")),
    ]
    ratios = {
        f"{one} / {other}": medians[one] / medians[other] for one, other in pairs if {one, other} <= medians.keys()
    }
    for name, ratio in ratios.items():
        print(f"{name:<20}{ratio:10.2f}")
    return {
        "seconds a row and draw": medians,
        "ratios": ratios,
        "rounds": {worker.name: worker.rounds for worker in chosen},
    }


if __name__ == "__main__":
    main()
