"""What does a VampPrior cost in training, beside the standard prior with the same networks?

    python benchmarks/vamp.py [--rounds 5] [--save]

Two gated layers of 300 on each side, 40 latents, batches of 100, K = 500 pseudo-inputs (Tomczak & Welling 2018): a
hundred steps of each prior in turn, through vaekit's own loop.
"""

from __future__ import annotations

import argparse
from typing import Any

from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save

STEPS = 100
PRIORS = {
    "standard": "standard-normal",
    "mixture": "mixture:num_components=500",
    "vamp": "vamp:num_components=500",
    "vamp data": "vamp:num_components=500,learned=false",
}
AT_MOST = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", nargs="*", default=[], help="priors by name")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/vamp.json")
    options = parser.parse_args()
    workers = [
        Worker(name, "vamp.py", (text,), variables=AS_THE_COMMAND_LINE)
        for name, text in PRIORS.items()
        if not options.only or name in options.only
    ]
    compare(workers, options.rounds)
    report = summary(workers)
    if options.save:
        save("vamp", {"environment": environment(), **report})


def summary(workers: list[Worker]) -> dict[str, Any]:
    """Milliseconds a step, and those of each prior as a multiple of the standard one's; printed and returned."""
    steps = {worker.name: 1000 * worker.median / STEPS for worker in workers}
    ratios = {name: step / steps["standard"] for name, step in steps.items()}
    for name, step in steps.items():
        print(f"{name:<12}{step:8.2f} ms a step   {ratios[name]:5.2f} × the standard prior")
    return {"milliseconds": steps, "ratios": ratios, "rounds": {worker.name: worker.rounds for worker in workers}}


if __name__ == "__main__":
    main()
