"""Traversals: one row a unit, one column a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vaekit.plots.figure import panels

WIDTH = 4.8  # inches


def sheet(images: np.ndarray, gap: int = 1) -> np.ndarray:
    """Images ``(rows, columns, channels, height, width)`` on one white page ``(height, width, channels)``."""
    rows, columns, channels, height, width = images.shape
    page = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, channels))
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap), column * (width + gap)
            page[top : top + height, left : left + width] = np.moveaxis(images[row, column], 0, -1)
    return np.clip(np.nan_to_num(page), 0, 1)


def traversals(images: np.ndarray, units: Sequence[str], values: Sequence[float]) -> Figure:
    """Images along each unit, with the names of the units at the left and the values below.

    Args:
        images: ``(units, steps, 1 or 3, height, width)`` in [0, 1].
        units: a name for each row.
        values: where the unit is put in each column.
    """
    rows, columns, channels, height, width = images.shape
    page = sheet(images)
    figure, (axes,) = panels(1, width=WIDTH, height=0.5 + (WIDTH - 1.2) * page.shape[0] / page.shape[1])
    axes.imshow(page[..., 0] if channels == 1 else page, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    # What rounding left of a zero is one.
    largest = max(abs(value) for value in values) or 1.0
    steps = [f"{0.0 if abs(value) < 1e-5 * largest else value:.2g}".replace("-", "−") for value in values]
    axes.set_xticks([column * (width + 1) + (width - 1) / 2 for column in range(columns)], steps)
    axes.set_yticks([row * (height + 1) + (height - 1) / 2 for row in range(rows)], list(units))
    _bare(axes)
    return figure


def moving(images: np.ndarray, size: int) -> list[Image.Image]:
    """The frames of a moving picture, there and back: all units side by side, each in the same step.

    Args:
        images: ``(units, steps, 1 or 3, height, width)`` in [0, 1].
        size: pixels of the width of one image, at least.
    """
    steps = images.shape[1]
    columns = min(5, len(images))
    blank = -len(images) % columns
    padded = np.concatenate([images, np.ones((blank, *images.shape[1:]))])
    scale = max(1, -(-size // images.shape[-1]))
    frames = []
    for step in [*range(steps), *range(steps - 2, 0, -1)]:
        page = sheet(padded[:, step].reshape(-1, columns, *images.shape[2:]))
        levels = np.round(page * 255).astype(np.uint8)
        frame = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
        frames.append(frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST))
    return frames


def effects(change: np.ndarray, units: Sequence[str], columns: Sequence[str]) -> Figure:
    """How far each value moves when a unit goes from its lowest to its highest step, as a map of colours.

    Args:
        change: ``(units, columns)``.
        units: a name for each row.
        columns: a name for each column.
    """
    figure, (axes,) = panels(1, width=WIDTH, height=1.4 + 0.3 * len(units))
    largest = float(np.nanmax(np.abs(change), initial=0.0)) or 1.0
    image = axes.imshow(change, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    turned = {"rotation": 90} if max(map(len, columns)) > 3 else {}
    axes.set_xticks(range(len(columns)), list(columns), **turned)
    axes.set_yticks(range(len(units)), list(units))
    _bare(axes)
    axes.set_title("change, in standard deviations of the column", fontsize=10)
    figure.colorbar(image, ax=axes)
    return figure


def _bare(axes: object) -> None:
    axes.grid(False)  # type: ignore[attr-defined]
    axes.tick_params(length=0, labelsize=8)  # type: ignore[attr-defined]
    for spine in axes.spines.values():  # type: ignore[attr-defined]
        spine.set_visible(False)
