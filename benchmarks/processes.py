"""Two processes of one thread beside one process of two: the same batches, the same steps.

    python benchmarks/processes.py [--rounds 5] [--save]

The default VAE of pythae (784-512-16, batch 128, 60,000 rows of zeros and ones): an epoch each, in turn. Two processes
compute half of each batch each and sum their gradients (torch.distributed, gloo).
"""

from __future__ import annotations

import argparse
import statistics

from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save

ONE, TWO = "one process, two threads", "two processes, one thread"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/processes.json")
    options = parser.parse_args()
    workers = [
        Worker(ONE, "mlp_vaekit.py", variables=AS_THE_COMMAND_LINE | {"OMP_NUM_THREADS": "2"}),
        Worker(TWO, "mlp_processes.py", variables=AS_THE_COMMAND_LINE | {"OMP_NUM_THREADS": "1"}),
    ]
    compare(workers, options.rounds)
    one, two = (worker.median for worker in workers)
    pairs = zip(*(worker.rounds for worker in workers), strict=True)
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)
    print(f"{ONE:<34}{one:8.3f} s an epoch\n{TWO:<34}{two:8.3f} s an epoch")
    print(f"rate of two processes, of that of one: {ratio:.2f} (median of the rounds; to be at least 0.8)")
    if options.save:
        rounds = {worker.name: worker.rounds for worker in workers}
        report = {"seconds": {ONE: one, TWO: two}, "rate of two over one": ratio, "rounds": rounds}
        save("processes", {"environment": environment(), **report})


if __name__ == "__main__":
    main()
