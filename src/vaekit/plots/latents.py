"""Where the data lies in latent space, and how much each latent is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def latent_map(mean: np.ndarray, label: np.ndarray | None, name: str = "z") -> Figure:
    """Posterior means in the plane, coloured by label where there are labels.

    Args:
        mean: ``(examples, units)``.
        label: ``(examples,)``, −1 where unknown, or ``None``.
        name: of the latent.
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
                label=str(value) if known else "unknown",
                linewidths=0.5 if index // len(COLOURS) else 0,
            )
        axes.legend(frameon=False, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    axes.set(title=f"{name}: {how}")
    if mean.shape[1] > 1:
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def kl_bars(kl: Mapping[str, Sequence[float]]) -> Figure:
    """KL of each unit in nats, the largest first, for each latent that splits; idle units are grey.

    Args:
        kl: by latent, the mean KL of each unit.
    """
    figure, all_axes = panels(len(kl), width=5.6 if len(kl) == 1 else 4.5, height=3)
    for axes, (name, values) in zip(all_axes, kl.items(), strict=True):
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
