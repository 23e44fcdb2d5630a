"""Everything that can be asked of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.evaluation.doctor import course, model
from vaekit.evaluation.doctor.finding import Finding
from vaekit.evaluation.fitness import not_finite
from vaekit.evaluation.likelihood import evaluating, log_likelihood


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
