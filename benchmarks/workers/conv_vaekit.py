"""100 steps of the convolutional VAE of TensorFlow's tutorial, batches of 128, by vaekit's own loop."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from images import BATCH, images
from worker import serve

from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.kernels import keep_pages
from vaekit.objectives import ELBO
from vaekit.papers.tf_tutorial import model
from vaekit.training.fit import Training
from vaekit.training.progress import Bar
from vaekit.training.settings import Phase, Settings


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    torch.manual_seed(0)
    split = Split(images()[: 100 * BATCH].reshape(-1, 1, 28, 28))
    data = Dataset("ones", Binary(), split, split.first(500), split.first(500))
    phase = Phase(ELBO(), epochs=1000)
    settings = Settings(batch_size=BATCH, device="cpu")
    training = Training(model((1, 28, 28)), data, (phase,), settings, Path(tempfile.mkdtemp()), quiet=True)
    training._report = lambda *_: None  # type: ignore[method-assign]
    keep_pages()  # as the training does at its start
    players = training._begin(phase)
    bar = Bar("training", 1, "steps", quiet=True)

    def epoch() -> float:
        training.state.sums = {}
        training._epoch(phase, players, bar)
        return -training.state.means()["model_objective"]

    serve(epoch)


main()
