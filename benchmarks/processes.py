"""Two processes of one thread beside one process of two: is the curve the same, and how fast are they?

    python benchmarks/processes.py [--rounds 5] [--save]

The default VAE of pythae (784-512-16, batch 128, 60,000 rows of zeros and ones): an epoch each, in turn. Two processes
compute half of each batch each and sum their gradients (torch.distributed, gloo). One process that takes the same
halves one after the other must find the same bounds.
"""

from __future__ import annotations

import argparse
import statistics

from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save

ONE, TWO = "one process, two threads", "two processes, one thread"
HALVES = "one process, two microbatches"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/processes.json")
    options = parser.parse_args()
    workers = [
        Worker(ONE, "mlp_vaekit.py", variables=AS_THE_COMMAND_LINE | {"OMP_NUM_THREADS": "2"}),
        Worker(TWO, "mlp_processes.py", variables=AS_THE_COMMAND_LINE | {"OMP_NUM_THREADS": "1"}),
        Worker(HALVES, "mlp_vaekit.py", ("microbatches",), variables=AS_THE_COMMAND_LINE | {"OMP_NUM_THREADS": "1"}),
    ]
    compare(workers, options.rounds)
    medians = {worker.name: worker.median for worker in workers}
    found = [worker.rounds for worker in workers]
    ratio = statistics.median(one["seconds"] / two["seconds"] for one, two, _ in zip(*found, strict=True))
    apart = max(abs(two["value"] - halves["value"]) for _, two, halves in zip(*found, strict=True))
    for name, seconds in medians.items():
        print(f"{name:<34}{seconds:8.3f} s an epoch")
    print(f"rate of two processes, of that of one: {ratio:.2f} (median of the rounds)")
    print(f"largest difference of an epoch's bound to that of the same microbatches in one process: {apart:.2g} nats")
    if options.save:
        rounds = {worker.name: worker.rounds for worker in workers}
        report = {
            "seconds": medians,
            "rate of two over one": ratio,
            "difference of the curves": apart,
            "rounds": rounds,
        }
        save("processes", {"environment": environment(), **report})


if __name__ == "__main__":
    main()
