"""60,000 rows of 784 zeros and ones: binarised MNIST's share of ones, and nothing to download."""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS, PIXELS, HIDDEN, LATENT, BATCH = 60_000, 784, 512, 16, 128


def images() -> np.ndarray:
    """``(60000, 784)``, ``uint8``."""
    return (np.random.default_rng(0).random((ROWS, PIXELS), np.float32) < 0.13).astype(np.uint8)


def default_vae() -> Any:
    """pythae's default VAE by vaekit."""
    import vaekit as vk  # peers that have no vaekit read this file too

    network = vk.networks.MLP
    return vk.VAE(
        vk.priors.StandardNormal(LATENT),
        vk.posteriors.Diagonal(network(PIXELS, hidden=(HIDDEN,)), LATENT),
        vk.likelihoods.Bernoulli(network(LATENT, hidden=(HIDDEN,)), (PIXELS,)),
    )
