"""Checks applied: all of them to a finished run, and those of the course of a training at the end of each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.evaluation.doctor import course, model
from vaekit.evaluation.doctor.finding import Finding
from vaekit.evaluation.fitness import not_finite
from vaekit.evaluation.likelihood import evaluating, log_likelihood

ROWS = 100
LOOKS = 50  # at the scale, over the whole training: small epochs must not feel it


class Patient(NamedTuple):
    """What the doctor looks at.

    Attributes:
        model: the trained model.
        train: some batches of the training data.
        validation: batches of the validation data.
        metrics: the records of the epochs.
        kl: by latent, the mean KL of each unit, where it splits.
        seed: of all random numbers.
        columns: names of the columns of a table.
    """

    model: Any
    train: Sequence[Batch]
    validation: Sequence[Batch]
    metrics: Sequence[Mapping[str, Any]]
    kl: Mapping[str, Sequence[float]]
    seed: int = 0
    columns: Sequence[str] = ()


CHECKS: tuple[Callable[[Patient], Finding | None], ...] = (
    lambda patient: course.skipped_steps(patient.metrics),
    lambda patient: model.unfit_likelihood(patient.model, patient.validation[0], patient.seed),
    lambda patient: model.collapsed_latents(patient.kl),
    lambda patient: model.decoder_ignores_z(patient.model, patient.validation, patient.seed),
    lambda patient: model.vanishing_scale(patient.model, patient.validation[0], patient.seed, patient.columns),
    lambda patient: model.validation_gap(patient.model, patient.train, patient.validation, patient.seed),
    lambda patient: course.ever(course.learning_rate_too_high, patient.metrics),
    lambda patient: course.still_improving(patient.metrics),
)


def examine(patient: Patient, checks: Iterable[Callable[[Patient], Finding | None]] = CHECKS) -> list[Finding]:
    """Everything that is found, worst first. A model that is not finite is asked nothing else."""
    if found := model.not_finite(patient.model, patient.validation[0], patient.seed):
        skipped = course.skipped_steps(patient.metrics)
        return [found, skipped] if skipped else [found]
    return [finding for check in checks if (finding := check(patient)) is not None]


def patient_of(
    model: Any, data: Dataset, metrics: Sequence[Mapping[str, Any]], *, limit: int = 1000, seed: int = 0
) -> Patient:
    """What the doctor looks at, of a model and its data.

    Args:
        model: the trained model.
        data: what it was trained on.
        metrics: the records of its epochs.
        limit: rows of each split that are looked at.
        seed: of all random numbers.
    """
    device = next(model.parameters()).device
    with evaluating(model, seed):
        train, validation = (
            list(Loader(split.spread(limit), data.kind, device, 200)) for split in (data.train, data.validation)
        )
    kl: dict[str, list[float]] = {}
    if "density" in model.abilities and not not_finite(model, validation[0], seed):
        result = log_likelihood(model, validation, 1, seed=seed)
        kl = {name: values.tolist() for name, values in result.kl_dims.items()}
    return Patient(model, train, validation, metrics, kl, seed, data.columns)


class TrainingMonitor:
    """Looks at each epoch's record, and at the scale of the likelihood on a few rows.

    It draws nothing from the training's random numbers and leaves the model as it is.

    Args:
        model: what is watched, in place.
        validation: its validation rows.
        records: of the epochs before, if a run goes on.
        planned: epochs of the whole training.
    """

    def __init__(self, model: Any, validation: Loader, records: course.Records = (), planned: int = 1) -> None:
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
        checks = [course.learning_rate_too_high, course.growing_gap]
        if len(self.records) > self.patience:
            checks.append(course.no_information)
        yield from (found for check in checks if (found := check(self.records)))

    def _scale(self) -> Iterator[Finding]:
        due = len(self.records) % self.between == 0
        if not due or "vanishing-scale" in self.told or not model.learns_its_scale(self.model):
            return
        rows = torch.arange(min(ROWS, len(self.validation.split.x)))
        # A dynamic binarisation draws: not from the training's random numbers.
        with evaluating(self.model, 0):
            batch = self.validation.rows(rows)
        if found := model.vanishing_scale(self.model, batch, columns=self.validation.kind.columns):
            yield found
