"""An epoch of vaekit's own loop; its arguments may be ``bfloat16`` and ``compile``."""

from __future__ import annotations

import sys

import torch
from epochs import epochs
from images import BATCH, default_vae, images
from worker import serve


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    torch.manual_seed(0)
    precision = "bfloat16" if "bfloat16" in sys.argv else "float32"
    compiled = "compile" in sys.argv
    serve(epochs(default_vae(), images(), batch_size=BATCH, device="cpu", compile=compiled, precision=precision))


main()
