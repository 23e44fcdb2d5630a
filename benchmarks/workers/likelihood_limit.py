"""The decoder's matrix products alone, for as many rows and draws, by the kernel named."""

from __future__ import annotations

import itertools
import sys

import torch
from likelihood import DRAWS, HIDDEN, LATENT, PIXELS, ROWS
from worker import serve

CHUNK = 4096


def main() -> None:
    widths = (LATENT, *HIDDEN, PIXELS)
    layers = [(torch.randn(CHUNK, inner), torch.randn(columns, inner)) for inner, columns in itertools.pairwise(widths)]

    def onednn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")

    multiply = {"onednn": onednn, "torch": lambda a, b: a @ b.t()}[sys.argv[1]]

    def work() -> None:
        with torch.no_grad():
            for _ in range(round(ROWS * DRAWS / CHUNK)):
                for a, b in layers:
                    multiply(a, b)

    serve(work)


main()
