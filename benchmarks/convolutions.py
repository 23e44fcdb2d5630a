"""How fast is training a convolutional VAE, beside a plain loop and beside its convolutions alone?

    python benchmarks/convolutions.py [--rounds 5] [--only vaekit …] [--save]

The VAE of TensorFlow's tutorial, 100 batches of 128 images of 28 × 28 zeros and ones each time, in turn. The plain loop
is eager torch as anybody would write it. The limit is its convolutions alone, forwards and backwards, with the
channels last and no bias.
"""

from __future__ import annotations

import argparse
from typing import Any

from interleaved import AS_THE_COMMAND_LINE, Worker, compare, environment, save


def workers() -> list[Worker]:
    return [
        Worker("vaekit", "conv_vaekit.py", variables=AS_THE_COMMAND_LINE),
        Worker("plain loop", "conv_plain.py"),
        Worker("limit", "conv_limit.py", variables=AS_THE_COMMAND_LINE),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", nargs="*", default=[], help="workers whose names contain one of these words")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/convolutions.json")
    options = parser.parse_args()
    chosen = [each for each in workers() if not options.only or any(word in each.name for word in options.only)]
    compare(chosen, options.rounds)
    report = summary(chosen)
    if options.save:
        save("convolutions", {"environment": environment(), **report})


def summary(chosen: list[Worker]) -> dict[str, Any]:
    """The medians of 100 steps, and vaekit's as shares of the others'; printed and returned."""
    medians = {worker.name: worker.median for worker in chosen}
    for name, seconds in medians.items():
        print(f"{name:<24}{seconds * 10:8.2f} ms a step")
    ratios = {
        f"vaekit / {name}": medians["vaekit"] / seconds
        for name, seconds in medians.items()
        if name != "vaekit" and "vaekit" in medians
    }
    for name, ratio in ratios.items():
        print(f"{name:<24}{ratio:8.3f}")
    return {"seconds": medians, "ratios": ratios, "rounds": {worker.name: worker.rounds for worker in chosen}}


if __name__ == "__main__":
    main()
