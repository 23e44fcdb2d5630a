"""How training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def curves(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """The validation bound, its two terms, and the training objective, over epochs.

    Args:
        metrics: the records of ``metrics.jsonl``.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = [record["epoch"] for record in metrics]

    def draw(axes: Any, key: str, label: str, sign: float = 1.0, **style: Any) -> None:
        values = [record.get(key) for record in metrics]
        if any(value is not None for value in values):
            axes.plot(epochs, [None if v is None else sign * v for v in values], label=label, **style)

    draw(left, "train_model_objective", "training objective", color="#9aa5b1")
    draw(left, "validation_elbo", "validation ELBO", color="#1f6feb")
    left.set(xlabel="epoch", ylabel="nats per example", title="bound (higher is better)")
    draw(right, "validation_log_px", "log p(x|z)", color="#d1495b")
    draw(right, "validation_kl", "−KL", sign=-1.0, color="#2a9d8f")
    right.set(xlabel="epoch", title="its two terms, validation")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    return figure
