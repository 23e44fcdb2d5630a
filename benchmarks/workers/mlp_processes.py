"""An epoch of vaekit's own loop in two processes of one thread each; this one is the first and starts the other.

It sets what torchrun would set. The other goes on by itself: it waits for the first wherever they meet.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from images import BATCH, HIDDEN, LATENT, PIXELS, images
from worker import serve

import vaekit as vk
from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.kernels import keep_pages
from vaekit.objectives import ELBO
from vaekit.training.fit import Training
from vaekit.training.progress import Bar
from vaekit.training.settings import Phase, Settings
from vaekit.training.world import World

PROCESSES = 2


def begin() -> None:
    """Start the other processes, unless this is one of them."""
    if "RANK" in os.environ:
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(PROCESSES))
    for rank in range(1, PROCESSES):
        variables = os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        # It complains when the first ends.
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        other = subprocess.Popen([sys.executable, __file__], env=variables, **quiet)
        atexit.register(other.kill)
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0"}


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    begin()
    torch.set_num_threads(1)
    world = World.here()
    world.join(torch.device("cpu"))
    torch.manual_seed(0)
    split = Split(images())
    data = Dataset("ones", Binary(), split, split.first(500), split.first(500))
    network = vk.networks.MLP
    model = vk.VAE(
        vk.priors.StandardNormal(LATENT),
        vk.posteriors.Diagonal(network(PIXELS, hidden=(HIDDEN,)), LATENT),
        vk.likelihoods.Bernoulli(network(LATENT, hidden=(HIDDEN,)), (PIXELS,)),
    )
    settings = Settings(batch_size=BATCH, device="cpu", accumulate=PROCESSES)
    phase = Phase(ELBO(), epochs=1000)
    training = Training(model, data, (phase,), settings, Path(tempfile.mkdtemp()), quiet=True, world=world)
    training._report = lambda *_: None  # type: ignore[method-assign]
    keep_pages()  # as the training does at its start
    players = training._begin(phase)
    training.shares.streams.begin()
    bar = Bar("training", 1, "steps", quiet=True)

    def epoch() -> float:
        training.state.sums = {}
        training._epoch(phase, players, bar)
        return -training.state.means()["model_objective"]

    def clock() -> float:
        """Processor time of all of them."""
        return sum(float(each) for each in world.gather(torch.tensor(time.process_time(), dtype=torch.float64)))

    if world.first:
        serve(epoch, clock)
        return
    while True:
        clock()
        epoch()
        clock()


main()
