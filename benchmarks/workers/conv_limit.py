"""The convolutions of 100 steps of the tutorial's VAE alone: outputs, gradients of inputs and of weights."""

from __future__ import annotations

import torch
from images import BATCH
from torch.nn import functional
from worker import serve

from vaekit.kernels import keep_pages

LAST = torch.channels_last
# Channels in and out, height and width of what goes in, stride, padding, whether transposed.
LAYERS = [
    (1, 32, 28, 2, 0, False),
    (32, 64, 13, 2, 0, False),
    (32, 64, 7, 2, 0, True),
    (64, 32, 14, 2, 0, True),
    (32, 1, 28, 1, 1, True),
]


def main() -> None:
    keep_pages()
    made = []
    for inner, outer, side, stride, padding, transposed in LAYERS:
        x = torch.randn(BATCH, inner, side, side).contiguous(memory_format=LAST)
        ends = (inner, outer) if transposed else (outer, inner)
        weight = torch.randn(*ends, 3, 3).contiguous(memory_format=LAST)
        compute = functional.conv_transpose2d if transposed else functional.conv2d
        grad = torch.randn_like(compute(x, weight, None, stride, padding))
        made.append((compute, x, weight, grad, stride, padding, transposed))

    def steps() -> None:
        with torch.no_grad():
            for _ in range(100):
                for compute, x, weight, grad, stride, padding, transposed in made:
                    compute(x, weight, None, stride, padding)
                    wanted = (x.shape[1] > 1, True, False)
                    sides = ((stride, stride), (padding, padding), (1, 1), transposed, (0, 0), 1)
                    torch.ops.aten.convolution_backward(grad, x, weight, None, *sides, wanted)

    serve(steps)


main()
