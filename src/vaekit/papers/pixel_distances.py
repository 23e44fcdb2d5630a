"""Why a squared distance between pixels misleads: it finds a damaged digit nearer than a moved one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PATCH = 5


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
    """What the mean squared error of pixels says of twos ``(twos, height, width)`` in [0, 1]."""
    copies = [np.stack([change(two) for two in twos]) for change in (erased, shifted)]
    squared = [np.square(copy - twos).sum((1, 2)) for copy in copies]
    return PixelDistances(squared[0], squared[1], np.stack([twos[0], copies[0][0], copies[1][0]])[:, None])
