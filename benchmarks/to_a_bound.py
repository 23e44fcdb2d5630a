"""How long from typing the command to a test bound of −105 nats on MNIST?

    python benchmarks/to_a_bound.py [--rounds 5] [--bound -105] [--plain] [--save]

A is the command line of vaekit, B a script for pythae; the same networks (784-512-16), batches of 128, Adam at 0.001,
50,000 training rows drawn anew at each use, and a pass over 10,000 validation rows after each epoch. C is A by whoever
knows vaekit and is in haste: five epochs, a rate that rises to 0.005 and falls, factors in bfloat16. A takes its steps
one by one (``--no-compile``: with so many epochs ahead they would be compiled), D and E are compiled: where that was
never done before, and where it was. The clock starts with the process: imports and the reading of the data count. After
each epoch the process is halted, and with it the clock, while the bound of its weights is measured here, for all by the
same function: one draw for each of the 10,000 test images, binarised once with seed 777. The first epoch whose bound is
reached ends the process; which one it is hangs on the seed, so every round has its own. A B C D E, and again, each
alone; needs a system that can halt processes (not Windows), and $VAEKIT_DATA or the network.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from environment import python_with, version_of
from interleaved import WORKERS, busy_seconds, environment, save
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from torch.nn.functional import linear
from training import PEERS

import vaekit as vk
from vaekit.cache import cache_folder

MOST_EPOCHS = 100
SAME = "--network mlp:hidden=512 --latent-dim 16 --objective elbo --batch-size 128 --device cpu"
AS_PYTHAE = f"{SAME} --learning-rate 0.001 --epochs {MOST_EPOCHS}"
IN_HASTE = f"{SAME} --learning-rate cosine(0.005,warmup=0.5) --epochs 5 --precision bfloat16"
NOTHING_KEPT = "XDG_CACHE_HOME=OUT-cache", "TMPDIR=OUT/.."  # neither by vaekit nor by torch
LOOKS_EVERY = 0.01  # seconds

Encoder = Callable[[Tensor], Distribution]
Decoder = Callable[[Tensor], Distribution]


@dataclass
class Contestant:
    """A command that trains, and how its weights are read.

    Args:
        name: what it is called in tables.
        command: what is typed; ``OUT`` in it stands for the folder it writes to, ``SEED`` for the seed.
        mark: the file in that folder that is replaced when an epoch is whole.
        parts: q(z|x) and p(x|z), from the folder.
        rounds: what was measured.
    """

    name: str
    command: tuple[str, ...]
    mark: str
    parts: Callable[[Path], tuple[Encoder, Decoder]]
    rounds: list[dict[str, float]] = field(default_factory=list)

    def median(self, what: str = "seconds") -> float:
        """Median of the rounds: ``seconds`` by the clock, or of the ``processor``, all threads together."""
        return statistics.median(each[what] for each in self.rounds)


def of_vaekit(folder: Path) -> tuple[Encoder, Decoder]:
    model = vk.load(folder).model
    return model.posterior, model.likelihood


def of_pythae(folder: Path) -> tuple[Encoder, Decoder]:
    with np.load(folder / "epoch.npz") as file:
        weights = {name: torch.from_numpy(file[name]) for name in file.files}

    def layer(name: str, x: Tensor) -> Tensor:
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def posterior(x: Tensor) -> Distribution:
        h = layer("encoder.layers.0.0", x.flatten(1)).relu()
        scale = (0.5 * layer("encoder.log_var", h)).exp()
        return Independent(Normal(layer("encoder.embedding", h), scale), 1)

    def likelihood(z: Tensor) -> Distribution:
        logits = layer("decoder.layers.1.0", layer("decoder.layers.0.0", z).relu())
        return Independent(Bernoulli(logits=logits.unflatten(-1, (1, 28, 28))), 3)

    return posterior, likelihood


@torch.no_grad()
def bound(parts: tuple[Encoder, Decoder], x: Tensor) -> float:
    """log p(x|z) + log p(z) − log q(z|x) at one draw for each row of ``(rows, 1, 28, 28)``; the mean, in nats."""
    posterior, likelihood = parts
    torch.manual_seed(0)
    q = posterior(x)
    z = q.sample()
    log_w = likelihood(z).log_prob(x) + Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z)
    return log_w.mean().item()


def measure(contestant: Contestant, wanted: float, x: Tensor, seed: int) -> None:
    """Run the command until its bound is reached; the seconds, without those in which it was halted.

    Raises:
        SystemExit: if the command ends before.
    """
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "run"
        out.mkdir()
        mark, seen, epochs, halted, reached = out / contestant.mark, 0, 0, 0.0, -float("inf")
        busy, here, ended = busy_seconds(), time.process_time(), _ended_seconds()
        with open(Path(temporary) / "said", "w+") as said:
            started = time.perf_counter()
            command = [word.replace("OUT", str(out)).replace("SEED", str(seed)) for word in contestant.command]
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
            try:
                while reached < wanted:
                    time.sleep(LOOKS_EVERY)
                    if process.poll() is not None:
                        said.seek(0)
                        raise SystemExit(f"{contestant.name} ended at {reached:.2f} nats:\n{said.read()[-2000:]}")
                    changed = mark.stat().st_mtime_ns if mark.exists() else 0
                    if changed != seen:
                        now = time.perf_counter()
                        process.send_signal(signal.SIGSTOP)
                        seen, epochs = changed, epochs + 1
                        reached, seconds = bound(contestant.parts(out), x), now - started - halted
                        print(f"  {contestant.name:<16} epoch {epochs:>3} {seconds:7.1f} s {reached:9.2f}", flush=True)
                        process.send_signal(signal.SIGCONT)
                        halted += time.perf_counter() - now
            finally:
                process.kill()
                process.wait()
        taken = time.perf_counter() - started
        processor = _ended_seconds() - ended
        own = processor + time.process_time() - here
        others = max(0.0, busy_seconds() - busy - own) / (taken * (os.cpu_count() or 1))
    contestant.rounds.append(
        {"seconds": seconds, "processor": processor, "epochs": epochs, "bound": reached, "others": others}
    )
    print(
        f"{contestant.name:<18}{seconds:8.1f} s, {processor:.1f} s of processor, {epochs} epochs, {reached:.2f} nats; "
        f"others {others:.0%} of the processor"
    )


def _ended_seconds() -> float:
    """Processor time, all threads together, of the processes that this one has started and that are over."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def training_images() -> Path:
    """MNIST's file of training images, where vaekit has found it."""
    folders = [Path(os.environ.get("VAEKIT_DATA", "")) / "mnist", cache_folder() / "mnist"]
    name = "train-images-idx3-ubyte"
    found = [path for folder in folders for path in (folder / f"{name}.gz", folder / name) if path.is_file()]
    if not found:
        raise SystemExit(f"{name} is neither in $VAEKIT_DATA/mnist nor in the cache.")
    return found[0]


def contestants(python: Path) -> list[Contestant]:
    script, images = str(WORKERS / "bound_pythae.py"), training_images()
    nothing_kept = ("env", *NOTHING_KEPT, f"VAEKIT_DATA={images.parent.parent}")
    vaekit = (sys.executable, "-m", "vaekit", "train", "mnist", "--out", "OUT", "--seed", "SEED")
    mark = "state/training.safetensors"
    compiled = (*vaekit, *AS_PYTHAE.split(), "--compile")
    return [
        Contestant("vaekit", (*vaekit, *AS_PYTHAE.split(), "--no-compile"), mark, of_vaekit),
        Contestant(
            "pythae", (str(python), script, str(images), "OUT", str(MOST_EPOCHS), "SEED"), "epoch.npz", of_pythae
        ),
        Contestant("vaekit in haste", (*vaekit, *IN_HASTE.split()), mark, of_vaekit),
        Contestant("vaekit compiled, first", (*nothing_kept, *compiled), mark, of_vaekit),
        Contestant("vaekit compiled, again", compiled, mark, of_vaekit),
    ]


def plain() -> Contestant:
    """The command without any option, for information: its networks, epochs and warm-up are vaekit's defaults."""
    command = (sys.executable, "-m", "vaekit", "train", "mnist", "--out", "OUT")
    return Contestant("vaekit, plain", command, "state/training.safetensors", of_vaekit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--bound", type=float, default=-105.0, help="nats per test image (-105)")
    parser.add_argument("--plain", action="store_true", help="also the command without options, once")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/to_a_bound.json")
    options = parser.parse_args()
    x = torch.from_numpy(vk.data.load("mnist").test.x > 0).float()
    python = python_with("training", PEERS)
    chosen = contestants(python)
    for seed in range(options.rounds):
        for contestant in chosen:
            measure(contestant, options.bound, x, seed)
    if options.plain:
        chosen.append(plain())
        measure(chosen[-1], options.bound, x, 0)
    report: dict[str, Any] = {
        "bound": options.bound,
        "commands": {
            "vaekit": f"vaekit train mnist {AS_PYTHAE} --no-compile",
            "pythae": "benchmarks/workers/bound_pythae.py",
            "vaekit in haste": f"vaekit train mnist {IN_HASTE}",
            "vaekit compiled": f"vaekit train mnist {AS_PYTHAE} --compile",
        },
        "rounds": {each.name: each.rounds for each in chosen},
    }
    for what in ("seconds", "processor"):
        medians = {each.name: each.median(what) for each in chosen}
        ratios = {f"{name} / pythae": value / medians["pythae"] for name, value in medians.items() if name != "pythae"}
        report[what] = {"medians": medians, **ratios}
        told = [f"{name} {seconds:.1f} s" for name, seconds in medians.items()]
        print(f"{what}: medians {', '.join([*told, *(f'{name} {ratio:.3f}' for name, ratio in ratios.items())])}")
    if options.save:
        save("to_a_bound", {"environment": environment(pythae=version_of(python, "pythae")), **report})


if __name__ == "__main__":
    main()
