"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from vaekit.plots.figure import BLUE, GREEN, GREY, RED, panels

Records = Sequence[Mapping[str, Any]]


def curves(metrics: Records) -> Figure:
    """The validation bound, its two terms, and the training objective, over epochs, side by side.

    Args:
        metrics: the records of ``metrics.jsonl``.
    """
    figure, (left, right) = panels(2)
    _bound(left, metrics)
    _terms(right, metrics)
    return figure


def bound_curve(metrics: Records) -> Figure:
    """The bound alone."""
    figure, (axes,) = panels()
    _bound(axes, metrics)
    return figure


def terms_curve(metrics: Records) -> Figure:
    """Its two terms alone."""
    figure, (axes,) = panels()
    _terms(axes, metrics)
    return figure


def courses(named: Mapping[str, Records], title: str) -> Figure:
    """The validation bounds of several runs in one plot.

    Args:
        named: the records of each run, by its name.
        title: what they were trained on.
    """
    figure, (axes,) = panels()
    for place, (name, metrics) in enumerate(named.items()):
        key = "validation_elbo" if any("validation_elbo" in record for record in metrics) else "validation_log_px"
        # Ten colours, then the same ten dashed.
        _draw(axes, metrics, key, name, color=f"C{place % 10}", linestyle=("-", "--", ":")[place // 10 % 3])
    _finish(axes, title)
    if len(named) > 1:
        axes.legend(frameon=False, fontsize="x-small", ncols=1 + (len(named) > 6))
    return figure


def _bound(axes: Any, metrics: Records) -> None:
    _draw(axes, metrics, "train_model_objective", "training objective", color=GREY)
    _draw(axes, metrics, "validation_elbo", "validation ELBO", color=BLUE)
    _finish(axes, "bound (higher is better)")


def _terms(axes: Any, metrics: Records) -> None:
    _draw(axes, metrics, "validation_log_px", "log p(x|z)", color=RED)
    _draw(axes, metrics, "validation_kl", "−KL", sign=-1.0, color=GREEN)
    _finish(axes, "its two terms, validation")


def _draw(axes: Any, metrics: Records, key: str, label: str, sign: float = 1.0, **style: Any) -> None:
    values = [record.get(key) for record in metrics]
    if any(value is not None for value in values):
        epochs = [record["epoch"] for record in metrics]
        axes.plot(epochs, [None if v is None else sign * v for v in values], label=label, **style)


def _finish(axes: Any, title: str) -> None:
    axes.set(xlabel="epoch", ylabel="nats per example", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    # The first epochs may lie far below: all that follows would be a flat line.
    values = [value for line in axes.lines for value in line.get_ydata() if value is not None]
    if values:
        axes.legend(frameon=False)
    if len(values) >= 20:
        lowest, low, high = min(values), *_quantiles(values)
        if lowest < low - 3 * (high - low) and high > low:
            axes.set_ylim(bottom=low - 0.5 * (high - low))
            axes.set_title(f"{title}; begins at {lowest:,.0f}".replace("-", "−"))


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 20], ordered[-1]
