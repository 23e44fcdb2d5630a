"""An epoch of vaekit's own loop; the precision is the argument."""

from __future__ import annotations

import sys

import torch
from epochs import epochs
from images import BATCH, default_vae, images
from worker import serve


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    torch.manual_seed(0)
    more = {"precision": sys.argv[1]} if len(sys.argv) > 1 else {}
    serve(epochs(default_vae(), images(), batch_size=BATCH, device="cpu", **more))


main()
