"""What is wrong with a trained model, in plain words, with the figure that shows it and the usual cure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.distributions.moments import centre
from vaekit.evaluation.likelihood import bound, evaluating, log_likelihood


class Finding(NamedTuple):
    """One thing found.

    Attributes:
        name: a word for programs.
        what: what it is, with the figures that show it.
        cure: what usually helps.
    """

    name: str
    what: str
    cure: str


class Patient(NamedTuple):
    """What the doctor looks at.

    Attributes:
        model: the trained model.
        train: some batches of the training data.
        validation: batches of the validation data.
        metrics: the records of the epochs.
        kl: by latent, the mean KL of each unit, where it splits.
        seed: of all random numbers.
    """

    model: Any
    train: Sequence[Batch]
    validation: Sequence[Batch]
    metrics: Sequence[Mapping[str, Any]]
    kl: Mapping[str, Sequence[float]]
    seed: int = 0


def collapsed_latents(patient: Patient) -> Finding | None:
    """Units whose KL is next to nothing carry nothing (Bowman et al. 2016; Burda et al. 2016)."""
    idle = {name: sum(value < 0.01 for value in values) for name, values in patient.kl.items()}
    total = sum(len(values) for values in patient.kl.values())
    count = sum(idle.values())
    if total == 0 or count < 0.5 * total:
        return None
    where = ", ".join(f"{idle[name]} of {len(values)} in {name}" for name, values in patient.kl.items())
    if count == total:
        return Finding(
            "posterior-collapse",
            f"all latents have collapsed onto the prior (KL below 0.01 nats: {where}): z says nothing about x",
            "warm the KL up (--objective 'elbo:beta=linear(0,1,epochs=20)'), use --objective free-bits, train longer, "
            "or make the decoder weaker",
        )
    return Finding(
        "idle-latents",
        f"more than half of the units carry nothing (KL below 0.01 nats: {where})",
        "harmless for the likelihood; a smaller --latent-dim trains faster, warm-up or free-bits wakes more of them",
    )


def decoder_ignores_z(patient: Patient) -> Finding | None:
    """If p(x|z) hardly changes when the codes are swapped between rows, the decoder does not listen."""
    own = swapped = rows = 0.0
    with evaluating(patient.model, patient.seed):
        for batch in patient.validation:
            if len(batch.x) < 2:
                continue
            z = centre(patient.model.encode(batch.x, batch.condition))
            other = {k: v.roll(1, 0) for k, v in z.items()} if isinstance(z, dict) else z.roll(1, 0)
            own += patient.model.decode(z, batch.condition).log_prob(batch.x).sum().item()
            swapped += patient.model.decode(other, batch.condition).log_prob(batch.x).sum().item()
            rows += len(batch.x)
    if not rows or own - swapped > 0.5 * rows:
        return None
    return Finding(
        "decoder-ignores-z",
        f"the decoder ignores z: with another row's code log p(x|z) falls by {max(0.0, own - swapped) / rows:.2f} nats",
        "train longer, warm the KL up, or give the decoder less freedom of its own",
    )


def validation_gap(patient: Patient) -> Finding | None:
    """The bound on training rows against that on validation rows, measured alike."""
    train = bound(patient.model, patient.train, seed=patient.seed)
    validation = bound(patient.model, patient.validation, seed=patient.seed)
    figure = "elbo" if "elbo" in train else "log_px"
    gap = train[figure] - validation[figure]
    if gap < 0.05 * abs(validation[figure]) or gap < 1.0:
        return None
    return Finding(
        "validation-gap",
        f"it fits the training rows better than others: {figure} {train[figure]:.2f} against "
        f"{validation[figure]:.2f} nats, a gap of {gap:.2f}",
        "stop earlier (--patience 20), a smaller network, --weight-decay, or more data",
    )


def vanishing_scale(patient: Patient) -> Finding | None:
    """A density without an upper end: the scale of the likelihood has run to its floor on some elements."""
    batch = patient.validation[0]
    with evaluating(patient.model, patient.seed):
        p = patient.model.decode(centre(patient.model.encode(batch.x, batch.condition)), batch.condition)
        scale = getattr(getattr(p, "base_dist", p), "scale", None)
    floor = getattr(getattr(patient.model.likelihood, "scale", None), "minimum", None)
    if not isinstance(scale, Tensor) or floor is None:
        return None
    share = (scale < 1.5 * floor).double().mean().item()
    if share < 0.01:
        return None
    return Finding(
        "vanishing-scale",
        f"the scale of p(x|z) has run to its floor of {floor:g} on {share:.0%} of the elements: columns that hardly "
        "vary have a density without an upper end, and the bound is dominated by them",
        "drop constant columns, raise --likelihood …:minimum_scale=, or use one scale for all (scale=learned)",
    )


def learning_rate_too_high(patient: Patient) -> Finding | None:
    """A training objective that falls in many epochs is thrown about, not led."""
    values = [record.get("train_model_objective") for record in patient.metrics]
    values = [value for value in values if value is not None]
    falls = sum(later < earlier - 0.01 * abs(earlier) for earlier, later in itertools.pairwise(values))
    if len(values) < 5 or falls < 0.25 * len(values):
        return None
    return Finding(
        "learning-rate",
        f"the training objective fell by more than 1 % in {falls} of {len(values)} epochs",
        "a smaller --learning-rate, a schedule ('cosine(0.001)'), or --clip-norm",
    )


def skipped_steps(patient: Patient) -> Finding | None:
    """Steps that were not finite."""
    skipped = patient.metrics[-1]["skipped"] if patient.metrics else 0
    if not skipped:
        return None
    return Finding(
        "not-finite",
        f"{skipped} steps were skipped because something in them was not finite; the training log names term and row",
        "look at the named rows, use a smaller --learning-rate or --clip-norm",
    )


def still_improving(patient: Patient) -> Finding | None:
    """The last epochs were still getting better."""
    key = "validation_elbo" if patient.metrics and "validation_elbo" in patient.metrics[-1] else "validation_log_px"
    values = [record[key] for record in patient.metrics if record.get(key) is not None]
    if len(values) < 5:
        return None
    tail = max(2, len(values) // 5)
    gain = values[-1] - values[-1 - tail]
    if gain < 0.01 * abs(values[-1]):
        return None
    return Finding(
        "still-improving",
        f"it was still getting better: {gain:.2f} nats on validation in the last {tail} epochs",
        "train longer: vaekit train --resume RUN --epochs MORE",
    )


CHECKS: tuple[Callable[[Patient], Finding | None], ...] = (
    skipped_steps,
    collapsed_latents,
    decoder_ignores_z,
    vanishing_scale,
    validation_gap,
    learning_rate_too_high,
    still_improving,
)


def examine(patient: Patient, checks: Iterable[Callable[[Patient], Finding | None]] = CHECKS) -> list[Finding]:
    """Everything that is found, worst first."""
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
            list(Loader(split.first(limit), data.kind, device, 200)) for split in (data.train, data.validation)
        )
    kl: dict[str, list[float]] = {}
    if "density" in model.abilities:
        result = log_likelihood(model, validation, 1, seed=seed)
        kl = {name: values.tolist() for name, values in result.kl_dims.items()}
    return Patient(model, train, validation, metrics, kl, seed)
