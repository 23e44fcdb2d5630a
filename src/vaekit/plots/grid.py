"""Grid of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

GAP = 2
WIDEST = 900


def is_image(shape: Sequence[int]) -> bool:
    """Whether an example of that shape is a picture: ``(1 or 3, height, width)``."""
    return len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) > 1


def grid(groups: Sequence[np.ndarray]) -> Image.Image:
    """Images in rows; with several groups, the same place of each group side by side.

    Args:
        groups: arrays ``(count, 1 or 3, height, width)`` with values in [0, 1], of the same shape.
    """
    from PIL import Image  # here, because many ask only what is an image

    count = len(groups[0])
    cells = np.stack(groups, axis=1)  # (count, groups, channels, height, width)
    pictures = np.concatenate(list(cells.swapaxes(0, 1)), axis=-1)  # (count, channels, height, groups · width)
    _, channels, height, width = pictures.shape
    columns = max(1, round(math.sqrt(count * height / width)))
    rows = -(-count // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 0.5)
    for index, picture in enumerate(pictures):
        top = GAP + (index // columns) * (height + GAP)
        left = GAP + (index % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = np.moveaxis(picture, 0, -1)
    levels = np.round(np.clip(np.nan_to_num(sheet), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(levels.squeeze(-1) if channels == 1 else levels)
    scale = max(1, WIDEST // image.width)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
