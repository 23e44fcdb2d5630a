"""Epochs of vaekit's own loop, without validation and without files: peers have neither."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from vaekit.acceleration import capture
from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.distributed.context import DistributedContext
from vaekit.kernels import keep_pages
from vaekit.objectives import ELBO
from vaekit.progress import Bar, say
from vaekit.training.loop import Training
from vaekit.training.settings import Phase, Settings


def epochs(
    model: nn.Module,
    rows: np.ndarray,
    learning_rate: float = 1e-3,
    world: DistributedContext | None = None,
    **settings: Any,
) -> Callable[[], float]:
    """What trains for an epoch each time it is called, and returns minus its mean bound in nats.

    Args:
        model: on the device that the settings name, or elsewhere.
        rows: zeros and ones ``(rows, dims)``.
        learning_rate: of Adam.
        world: the processes that train together.
        settings: as of a training.
    """
    split = Split(rows)
    data = Dataset("ones", Binary(), split, split.first(500), split.first(500))
    phase = Phase(ELBO(), 1000, learning_rate)
    training = Training(model, data, (phase,), Settings(**settings), Path(tempfile.mkdtemp()), True, world)
    training._report = lambda *_: None  # type: ignore[method-assign]
    keep_pages()  # as the training does at its start
    training._begin_parts()
    training.microbatches.rng.begin()
    training.step = capture(training.plain_step(phase), say)
    bar = Bar("training", 1, "steps", quiet=True)

    def epoch() -> float:
        training.state.sums = {}
        training._epoch(phase, bar)
        return -training.state.means()["model_objective"]

    return epoch
