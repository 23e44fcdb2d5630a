"""Training steps of the VAE of Tomczak & Welling 2018, two gated layers of 300 and 40 latents.

The prior is the argument.
"""

from __future__ import annotations

import sys

import torch
from epochs import epochs
from images import PIXELS, images
from worker import serve

import vaekit as vk
from vaekit.recipes.compose import make_part

LATENT, BATCH, STEPS = 40, 100, 100


def main() -> None:
    torch.manual_seed(0)
    rows = images()[: BATCH * STEPS]
    network = vk.networks.GatedMLP
    posterior = vk.posteriors.Diagonal(network(PIXELS), LATENT)
    given = {"latent_dim": LATENT, "shape": (PIXELS,), "posterior": posterior, "low": 0.0, "high": 1.0}
    prior = make_part("prior", sys.argv[1], **given)
    model = vk.VAE(prior, posterior, vk.likelihoods.Bernoulli(network(LATENT), (PIXELS,)))
    serve(epochs(model, rows, batch_size=BATCH, device="cpu"))


main()
