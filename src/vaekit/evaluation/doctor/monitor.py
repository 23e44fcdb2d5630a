"""The doctor beside a training: says once, at the epoch where it appears, what the epochs show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from vaekit.data.loader import Loader
from vaekit.evaluation.doctor.course import Records, growing_gap, learning_rate_too_high, no_information
from vaekit.evaluation.doctor.finding import Finding
from vaekit.evaluation.doctor.model import learns_its_scale, vanishing_scale
from vaekit.evaluation.likelihood import evaluating

ROWS = 100
LOOKS = 50  # at the scale, over the whole training: small epochs must not feel it


class TrainingMonitor:
    """Looks at each epoch's record, and at the scale of the likelihood on a few rows.

    It draws nothing from the training's random numbers and leaves the model as it is.

    Args:
        model: what is watched, in place.
        validation: its validation rows.
        records: of the epochs before, if a run goes on.
        planned: epochs of the whole training.
    """

    def __init__(self, model: Any, validation: Loader, records: Records = (), planned: int = 1) -> None:
        self.model = model
        self.validation = validation
        self.records = list(records)
        # At first no latent carries anything; it is no finding before a fifth of the training is over.
        self.patience = planned / 5
        self.between = max(1, planned // LOOKS)
        self.told = {found.name for found in self._course()} if self.records else set()

    def visit(self, record: Mapping[str, Any]) -> list[Finding]:
        """What is found at the end of an epoch and was not told before."""
        self.records.append(record)
        news = [found for found in (*self._course(), *self._scale()) if found.name not in self.told]
        self.told |= {found.name for found in news}
        return news

    def _course(self) -> Iterator[Finding]:
        checks = [learning_rate_too_high, growing_gap]
        if len(self.records) > self.patience:
            checks.append(no_information)
        yield from (found for check in checks if (found := check(self.records)))

    def _scale(self) -> Iterator[Finding]:
        due = len(self.records) % self.between == 0
        if not due or "vanishing-scale" in self.told or not learns_its_scale(self.model):
            return
        rows = torch.arange(min(ROWS, len(self.validation.split.x)))
        # A dynamic binarisation draws: not from the training's random numbers.
        with evaluating(self.model, 0):
            batch = self.validation.rows(rows)
        if found := vanishing_scale(self.model, batch, columns=self.validation.kind.columns):
            yield found
