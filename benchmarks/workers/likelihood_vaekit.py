"""log p(x) of some rows by importance sampling: vaekit's estimator, 300-300 decoder, 40 latents.

The argument may be ``compile``.
"""

from __future__ import annotations

import sys

import torch
from images import images
from likelihood import DRAWS, HIDDEN, LATENT, PIXELS, ROWS
from worker import serve

import vaekit as vk
from vaekit.data import Split
from vaekit.data.kinds import Binary
from vaekit.data.loader import Loader
from vaekit.evaluation.likelihood import captured_figures, log_likelihood


def main() -> None:
    torch.manual_seed(0)
    network = vk.networks.MLP
    model = vk.VAE(
        vk.priors.StandardNormal(LATENT),
        vk.posteriors.Diagonal(network(PIXELS, hidden=HIDDEN), LATENT),
        vk.likelihoods.Bernoulli(network(LATENT, hidden=HIDDEN), (PIXELS,)),
    )
    loader = Loader(Split(images()[:ROWS]), Binary(), "cpu", 100)
    chunk = captured_figures(model, print) if "compile" in sys.argv else None
    serve(lambda: log_likelihood(model, loader, DRAWS, chunk=chunk).log_p.mean().item())


main()
