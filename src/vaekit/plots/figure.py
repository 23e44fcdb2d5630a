"""Empty figure in the one style of all plots."""

from __future__ import annotations

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, RED, GREEN, GREY = "#1f6feb", "#d1495b", "#2a9d8f", "#9aa5b1"


def panels(columns: int = 1, width: float = 4.5, height: float = 3.6) -> tuple[Figure, list[Any]]:
    """A figure with ``columns`` axes side by side, and the axes.

    It is drawn without a window, whatever backend the caller has chosen.
    """
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for each in axes:
        each.grid(alpha=0.25)
        each.set_axisbelow(True)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes
