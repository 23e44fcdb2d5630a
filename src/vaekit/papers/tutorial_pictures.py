"""Pictures of the tutorial's reproduction as sections of its report, and the figures that two of them are about."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data.loader import Loader
from vaekit.distributions.moments import moments
from vaekit.plots.grid import grid
from vaekit.plots.latents import latent_map
from vaekit.plots.manifold import distance_map, distances_by_radius, manifold, quantile_plane
from vaekit.report.page import figure, pair, paragraph

SHOWN = 40
PATCH = 5


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's ρ; 0 where one of the two does not vary."""
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def erased(image: np.ndarray) -> np.ndarray:
    """A copy without the 5 × 5 pixels around the middle one of the stroke, in reading order."""
    rows, columns = np.nonzero(image > 0.5)
    copy = image.copy()
    if len(rows):
        top, left = (max(0, int(where[len(where) // 2]) - PATCH // 2) for where in (rows, columns))
        copy[top : top + PATCH, left : left + PATCH] = 0
    return copy


def shifted(image: np.ndarray) -> np.ndarray:
    """A copy one pixel further right."""
    copy = np.zeros_like(image)
    copy[:, 1:] = image[:, :-1]
    return copy


class PixelDistances(NamedTuple):
    """Squared distances of twos to their erased and shifted copies, each ``(twos,)``, and the first of each."""

    erased: np.ndarray
    shifted: np.ndarray
    example: np.ndarray

    @property
    def share(self) -> float:
        """Share of the twos to which the damaged copy is nearer than the moved one."""
        return float((self.erased < self.shifted).mean())


def pixel_distances(twos: np.ndarray) -> PixelDistances:
    """Squared distances between pixels mislead: they find a damaged digit nearer than a moved one.

    Args:
        twos: ``(twos, height, width)`` in [0, 1]."""
    copies = [np.stack([change(two) for two in twos]) for change in (erased, shifted)]
    squared = [np.square(copy - twos).sum((1, 2)) for copy in copies]
    return PixelDistances(squared[0], squared[1], np.stack([twos[0], copies[0][0], copies[1][0]])[:, None])


@torch.no_grad()
def decoded(trained: Any, z: np.ndarray) -> np.ndarray:
    """Means of p(x|z), ``(rows, 1, height, width)``."""
    parameter = next(trained.parameters())
    return trained.decode(torch.from_numpy(z).to(parameter)).mean.cpu().numpy()


@torch.no_grad()
def encoded(trained: Any, loader: Loader) -> np.ndarray:
    """Means of q(z|x), ``(rows, 2)``."""
    means: list[Tensor] = [moments(trained.encode(batch.x))[0].cpu() for batch in loader]
    return torch.cat(means).numpy()


def own_plane(codes: np.ndarray, cells: int) -> np.ndarray:
    """Latents ``(cells · cells, 2)`` on the quantiles of codes ``(rows, 2)``: an autoencoder's lie anywhere."""
    steps = np.linspace(0.05, 0.95, cells)
    right, up = np.meshgrid(*np.quantile(codes, steps, axis=0).T)
    return np.stack([right.ravel(), up[::-1].ravel()], axis=1)


def tutorial_pictures(
    vae: Any,
    autoencoder: Any,
    loader: Loader,
    label: np.ndarray,
    cells: np.ndarray,
    mean_image: np.ndarray,
    distances: np.ndarray,
    correlation: float,
    pixels: PixelDistances,
) -> list[tuple[str, str]]:
    """Title and HTML of each picture.

    Args:
        vae, autoencoder: the models.
        loader: the test images.
        label: their digits.
        cells: the VAE's quantile plane decoded, ``(cells, 1, height, width)``.
        mean_image: of the grey training images, ``(1, height, width)``.
        distances: of the cells to it, ``(cells,)``.
        correlation: of these with the distances from the origin.
        pixels: what the squared distance between pixels says of twos.
    """
    side = round(len(cells) ** 0.5)
    plane = quantile_plane(side)
    codes = {"vae": encoded(vae, loader), "autoencoder": encoded(autoencoder, loader)}
    shown = loader.rows(torch.arange(min(SHOWN, len(loader.split.x))))
    with torch.no_grad():
        both = [model.decode(moments(model.encode(shown.x))[0]).mean.cpu().numpy() for model in (vae, autoencoder)]
    pictures = [
        (
            f"The manifold: {side} × {side} latents decoded",
            "Both latents on quantiles .05 to .95 of N(0, 1), the first to the right and the second upwards.",
            "picture",
            manifold(cells),
        ),
        (
            "The mean training image beside the manifold's centre",
            "Left the mean of the grey training images, right what z = 0 decodes to.",
            "picture small",
            grid([mean_image[None], decoded(vae, np.zeros((1, plane.shape[1])))]),
        ),
        (
            "How far each cell is from the mean image",
            "Mean absolute difference of each cell to the mean training image, on the plane and over the distance "
            f"from the origin. Their rank correlation is {correlation:.3f}.",
            "sheet",
            distance_map(distances),
            distances_by_radius(distances, np.linalg.norm(plane, axis=1), correlation),
        ),
        (
            "Where the test images lie",
            "Means of q(z|x) coloured by digit. The VAE's are drawn towards N(0, I); the autoencoder's lie anywhere.",
            "plot",
            *(latent_map(values, label, name) for name, values in codes.items()),
        ),
        (
            "Both reconstructions",
            "Each test image, the VAE's of it, and the autoencoder's.",
            "picture",
            grid([shown.x.cpu().numpy(), *both]),
        ),
        (
            "The plain autoencoder on the same plane",
            "The same networks without KL and noise, decoded on the same latents: nothing ties its codes to N(0, I), "
            "so most of the plane shows little of the data.",
            "picture",
            manifold(decoded(autoencoder, plane)),
        ),
        (
            "The plain autoencoder on a plane of its own codes",
            "Decoded on the quantiles of its codes of the test images: between them lie places it never saw.",
            "picture",
            manifold(decoded(autoencoder, own_plane(codes["autoencoder"], side))),
        ),
        (
            "Why the distance between pixels misleads",
            f"A two; a part of it erased (squared distance {pixels.erased[0]:.1f}); the same two moved right "
            f"by a pixel ({pixels.shifted[0]:.1f}). Of {len(pixels.erased)} twos the erased one is nearer in "
            f"{100 * pixels.share:.1f} %.",
            "picture small",
            grid([pixels.example[:1], pixels.example[1:2], pixels.example[2:]]),
        ),
    ]
    return [
        (title, paragraph(words) + pair(*(figure(picture, title, style=style) for picture in drawn)))
        for title, words, style, *drawn in pictures
    ]
