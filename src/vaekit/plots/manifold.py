"""Manifold: a plane of latents decoded cell by cell."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vaekit.plots.figure import BLUE, panels


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


def manifold(cells: np.ndarray) -> Image.Image:
    """Images ``(side · side, 1, height, width)`` in [0, 1] as a square, each value two pixels wide and high."""
    values = sheet(cells, round(len(cells) ** 0.5))
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    return Image.fromarray(levels)


def distance_map(distances: np.ndarray) -> Figure:
    """A figure for each cell of a square plane, ``(side · side,)``, as colours."""
    side = round(len(distances) ** 0.5)
    figure, (axes,) = panels()
    axes.grid(False)
    picture = axes.imshow(distances.reshape(side, side), cmap="viridis")
    axes.set(title="difference to the mean image", xticks=[], yticks=[], xlabel="first latent", ylabel="second latent")
    figure.colorbar(picture, ax=axes, shrink=0.85)
    return figure


def distances_by_radius(distances: np.ndarray, radii: np.ndarray, correlation: float) -> Figure:
    """The same over the distance from the origin.

    Args:
        distances: ``(cells,)``.
        radii: ‖z‖ of the same cells.
        correlation: Spearman's ρ of the two.
    """
    figure, (axes,) = panels()
    axes.scatter(radii, distances, s=8, color=BLUE)
    axes.set(title=f"Spearman's ρ {correlation:.2f}", xlabel="distance from the origin, ‖z‖", ylabel="difference")
    return figure
