"""100 steps of the convolutional VAE of TensorFlow's tutorial, batches of 128, by vaekit's own loop."""

from __future__ import annotations

import torch
from epochs import epochs
from images import BATCH, images
from worker import serve

from vaekit.papers.tf_tutorial import model


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    torch.manual_seed(0)
    rows = images()[: 100 * BATCH].reshape(-1, 1, 28, 28)
    serve(epochs(model((1, 28, 28)), rows, batch_size=BATCH, device="cpu"))


main()
