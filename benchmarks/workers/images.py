"""60,000 rows of 784 zeros and ones: binarised MNIST's share of ones, and nothing to download."""

from __future__ import annotations

import numpy as np

ROWS, PIXELS, HIDDEN, LATENT, BATCH = 60_000, 784, 512, 16, 128


def images() -> np.ndarray:
    """``(60000, 784)``, ``uint8``."""
    return (np.random.default_rng(0).random((ROWS, PIXELS), np.float32) < 0.13).astype(np.uint8)
