"""How training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from vaekit.plots.figure import BLUE, GREEN, GREY, RED, panels


def curves(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """The validation bound, its two terms, and the training objective, over epochs.

    Args:
        metrics: the records of ``metrics.jsonl``.
    """
    figure, (left, right) = panels(2)
    epochs = [record["epoch"] for record in metrics]

    def draw(axes: Any, key: str, label: str, sign: float = 1.0, **style: Any) -> None:
        values = [record.get(key) for record in metrics]
        if any(value is not None for value in values):
            axes.plot(epochs, [None if v is None else sign * v for v in values], label=label, **style)

    draw(left, "train_model_objective", "training objective", color=GREY)
    draw(left, "validation_elbo", "validation ELBO", color=BLUE)
    left.set(xlabel="epoch", ylabel="nats per example", title="bound (higher is better)")
    draw(right, "validation_log_px", "log p(x|z)", color=RED)
    draw(right, "validation_kl", "−KL", sign=-1.0, color=GREEN)
    right.set(xlabel="epoch", title="its two terms, validation")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(frameon=False)
    return figure
