"""Epoch records, for ``metrics.jsonl`` and for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vaekit.run.state import Counters
from vaekit.schedules import Step, at
from vaekit.training.settings import Phase


def finite(value: float) -> float | None:
    """The value, or ``None`` where JSON has no word for it."""
    return value if math.isfinite(value) else None


WORDS = {"elbo": "validation elbo", "log_px": "log p(x|z)", "kl": "KL"}
MOST_LINES = 50  # that a long training of many short epochs says, or about so many


def record_of(
    counters: Counters,
    phase: Phase,
    now: Step,
    means: Mapping[str, float],
    figures: Mapping[str, float],
    watched: float | None,
    kept: bool,
) -> dict[str, Any]:
    """The record of the epoch that has ended.

    Args:
        counters: of the training, at its end.
        phase: that it belongs to.
        now: the step that comes next.
        means: of what was logged in training, over its rows.
        figures: of the validation split.
        watched: the figure by which epochs are compared.
        kept: whether its weights are the ones that are remembered.
    """
    return {
        "epoch": counters.epochs_total,
        "phase": counters.phase,
        **{f"train_{name}": finite(value) for name, value in sorted(means.items())},
        **{f"validation_{name}": finite(value) for name, value in figures.items()},
        "learning_rate": at(phase.learning_rate, now),
        "watched": watched if watched is None else finite(watched),
        # Whether the objective is still on its way to what it will be: a β that rises, say.
        "warming": phase.objective.selection_metric(figures, now) != watched,
        "kept": kept,
        "skipped": counters.skipped,
        "skipped_cause": counters.cause or None,
        "seconds": round(counters.seconds, 3),
    }


def line_of(epoch: int, planned: int, figures: Mapping[str, float], kept: bool) -> str | None:
    """A line about an epoch of so many; ``None`` for one that is passed over in a long training."""
    if epoch % max(1, planned // MOST_LINES) and epoch != planned:
        return None
    told = "  ".join(f"{words} {figures[name]:.3f}" for name, words in WORDS.items() if name in figures)
    return f"epoch {epoch:>4}  {told}" + ("  *" if kept else "")
