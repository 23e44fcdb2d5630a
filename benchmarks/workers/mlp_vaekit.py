"""An epoch of vaekit's own loop; the precision is the argument."""

from __future__ import annotations

import sys
import tempfile
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


def main() -> None:
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    torch.manual_seed(0)
    split = Split(images())
    data = Dataset("ones", Binary(), split, split.first(500), split.first(500))
    network = vk.networks.MLP
    model = vk.VAE(
        vk.priors.StandardNormal(LATENT),
        vk.posteriors.Diagonal(network(PIXELS, hidden=(HIDDEN,)), LATENT),
        vk.likelihoods.Bernoulli(network(LATENT, hidden=(HIDDEN,)), (PIXELS,)),
    )
    settings = Settings(batch_size=BATCH, device="cpu", **({"precision": sys.argv[1]} if len(sys.argv) > 1 else {}))
    phase = Phase(ELBO(), epochs=1000)
    training = Training(model, data, (phase,), settings, Path(tempfile.mkdtemp()), quiet=True)
    training._report = lambda *_: None  # type: ignore[method-assign]  # peers do not validate either
    keep_pages()  # as the training does at its start
    players = training._begin(phase)
    bar = Bar("training", 1, "steps", quiet=True)

    def epoch() -> float:
        training.state.sums = {}
        training._epoch(phase, players, bar)
        return -training.state.means()["model_objective"]

    serve(epoch)


main()
