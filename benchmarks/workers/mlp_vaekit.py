"""An epoch of vaekit's own loop; its arguments may be ``bfloat16``, ``compile`` and ``microbatches`` (two of them)."""

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
    more = {"compile": compiled, "precision": precision, "accumulate": 2 if "microbatches" in sys.argv else 0}
    serve(epochs(default_vae(), images(), batch_size=BATCH, device="cpu", **more))


main()
