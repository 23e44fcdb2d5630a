"""Latent maps, and KL by latent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vaekit.plots.figure import BLUE, GREY, panels

# Ten colours that stay apart for most kinds of colour vision (Okabe & Ito 2008, with greys and a purple).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#000000", "#7f7f7f", "#9467bd"]
MARKERS = "osx^"
IDLE = 0.01


def plane(mean: np.ndarray) -> tuple[np.ndarray, str]:
    """Two coordinates of each row, and how they were made: the latent itself, or its two principal components.

    Args:
        mean: ``(examples, units)``.
    """
    if mean.shape[1] == 2:
        return mean, "the two latents"
    if mean.shape[1] == 1:
        return np.column_stack([mean[:, 0], np.arange(len(mean))]), "the one latent, against the number of the row"
    centred = (mean - mean.mean(0)).astype(float)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros((len(points), 2 - points.shape[1]))])
    share = (singular[:2] ** 2).sum() / max((singular**2).sum(), 1e-12)
    return points, f"two principal components, {share:.0%} of the variance"


def latent_map(mean: np.ndarray, label: np.ndarray | None, name: str = "z", classes: Sequence[object] = ()) -> Figure:
    """Posterior means in the plane, coloured by label where there are labels.

    Args:
        mean: ``(examples, units)``.
        label: ``(examples,)``, −1 where unknown, or ``None``.
        name: of the latent.
        classes: what the labels 0, 1, 2 … are called.
    """
    points, how = plane(mean)
    figure, (axes,) = panels(1, width=5.6, height=4.8)
    size = min(40.0, max(8.0, 4000 / max(len(points), 1)))
    if label is None:
        axes.scatter(*points.T, s=size, alpha=0.5, color=BLUE, linewidths=0)
    else:
        for index, value in enumerate(np.unique(label)):
            rows = label == value
            known = value >= 0
            axes.scatter(
                *points[rows].T,
                s=size,
                alpha=0.7,
                color=COLOURS[index % len(COLOURS)] if known else GREY,
                marker=MARKERS[index // len(COLOURS) % len(MARKERS)],
                label=_short(classes[value] if 0 <= value < len(classes) else value) if known else "unknown",
                linewidths=0.5 if index // len(COLOURS) else 0,
            )
        axes.legend(frameon=False, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    units = mean.shape[1]
    across, up = ("first component", "second component") if units > 2 else ("unit 0", "unit 1" if units > 1 else "row")
    axes.set(title=f"{name}: {how}", xlabel=across, ylabel=up)
    # Means that are all one and the same have no extent to keep.
    if units > 1 and np.ptp(points, axis=0).min() > 1e-6 * max(1.0, float(np.abs(points).max())):
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def _short(name: object) -> str:
    return text if len(text := str(name)) <= 20 else f"{text[:19]}…"


def kl_bars(values: Sequence[float], name: str = "z") -> Figure:
    """KL of each unit of a latent in nats, the largest first; idle units are grey.

    Args:
        values: the mean KL of each unit.
        name: of the latent.
    """
    figure, (axes,) = panels(1, width=5.6, height=3)
    order = sorted(range(len(values)), key=lambda unit: -values[unit])
    places = range(len(order))
    axes.bar(places, [values[u] for u in order], color=[BLUE if values[u] > IDLE else GREY for u in order])
    if len(order) <= 20:
        axes.set_xticks(places, [str(unit) for unit in order])
    axes.set(
        title=f"KL of each unit of {name}",
        xlabel="unit, largest first" if len(order) <= 20 else "rank of the unit",
        ylabel="nats",
    )
    axes.set_ylim(bottom=0)
    return figure
