"""Training steps of the VAE of Tomczak & Welling 2018, two gated layers of 300 and 40 latents.

The prior is the argument.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from images import PIXELS, images
from worker import serve

import vaekit as vk
from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.kernels import keep_pages
from vaekit.objectives import ELBO
from vaekit.recipes.compose import make_part
from vaekit.training.fit import Training
from vaekit.training.progress import Bar
from vaekit.training.settings import Phase, Settings

LATENT, BATCH, STEPS = 40, 100, 100


def main() -> None:
    torch.manual_seed(0)
    split = Split(images()[: BATCH * STEPS])
    data = Dataset("ones", Binary(), split, split.first(500), split.first(500))
    network = vk.networks.GatedMLP
    posterior = vk.posteriors.Diagonal(network(PIXELS), LATENT)
    ends = {"low": data.kind.low, "high": data.kind.high}
    prior = make_part("prior", sys.argv[1], latent_dim=LATENT, shape=data.shape, posterior=posterior, **ends)
    model = vk.VAE(prior, posterior, vk.likelihoods.Bernoulli(network(LATENT), (PIXELS,)))
    phase = Phase(ELBO(), epochs=1000)
    settings = Settings(batch_size=BATCH, device="cpu")
    training = Training(model, data, (phase,), settings, Path(tempfile.mkdtemp()), quiet=True)
    training._report = lambda *_: None  # type: ignore[method-assign]  # only the steps are of interest
    keep_pages()  # as the training does at its start
    training._begin_parts()
    players = training._begin(phase)
    bar = Bar("training", 1, "steps", quiet=True)

    def steps() -> float:
        training.state.sums = {}
        training._epoch(phase, players, bar)
        return training.state.means()["model_objective"]

    serve(steps)


main()
