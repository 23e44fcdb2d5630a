"""The matrix products of an epoch alone, by the kernel named: ``onednn``, ``torch``; float32 or bfloat16."""

from __future__ import annotations

import sys

import torch
from images import BATCH, HIDDEN, LATENT, PIXELS, ROWS
from worker import serve


def main() -> None:
    kernel, precision = sys.argv[1], getattr(torch, sys.argv[2])
    layers = [(PIXELS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, PIXELS)]
    products = []
    for number, (inner, columns) in enumerate(layers):
        products += [(BATCH, inner, columns), (columns, BATCH, inner)]
        if number:
            products.append((BATCH, columns, inner))
    made = [(torch.randn(a, k).to(precision), torch.randn(b, k).to(precision)) for a, k, b in products]

    def onednn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")

    multiply = {"onednn": onednn, "torch": lambda a, b: a @ b.t()}[kernel]

    def epoch() -> None:
        with torch.no_grad():
            for _ in range(-(-ROWS // BATCH)):
                for a, b in made:
                    multiply(a, b)

    serve(epoch)


main()
