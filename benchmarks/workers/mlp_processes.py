"""An epoch of vaekit's own loop in two processes of one thread each; this one is the first and starts the other.

It sets what torchrun would set. The other goes on by itself: it waits for the first wherever they meet.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time

import torch
from epochs import epochs
from images import BATCH, default_vae, images
from worker import serve

from vaekit.distributed.context import DistributedContext

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
    world = DistributedContext.here()
    world.join(torch.device("cpu"))
    torch.manual_seed(0)
    more = {"batch_size": BATCH, "device": "cpu", "accumulate": PROCESSES}
    epoch = epochs(default_vae(), images(), world=world, **more)

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
