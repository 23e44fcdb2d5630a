"""A plane of latents decoded cell by cell."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def quantile_plane(cells: int, low: float = 0.05, high: float = 0.95) -> np.ndarray:
    """Latents ``(cells · cells, 2)`` on a grid of quantiles of N(0, 1), first axis to the right, second upwards.

    Equal probability, not equal distance, lies between neighbours, so that the picture shows the
    prior's mass evenly (Kingma & Welling 2013, appendix A).
    """
    normal = NormalDist()
    axis = np.array([normal.inv_cdf(p) for p in np.linspace(low, high, cells)])
    right, up = np.meshgrid(axis, axis[::-1])
    return np.stack([right.ravel(), up.ravel()], axis=1)


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Images ``(cells, 1, height, width)`` edge to edge, ``(rows · height, columns · width)``."""
    cells, _, height, width = images.shape
    rows = cells // columns
    grid = images.reshape(rows, columns, height, width)
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width)
