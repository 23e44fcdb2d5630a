"""Run every evaluator that the model and the data allow, and say which were skipped and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.evaluation.fitness import check_likelihood_fits
from vaekit.evaluation.latents import active_units, encodings
from vaekit.evaluation.likelihood import bound, evaluating, log_likelihood


@dataclass(frozen=True)
class Question:
    """What an evaluator is asked about.

    Attributes:
        model: what is evaluated.
        loader: the rows.
        samples: draws for each row of the importance-weighted estimate.
        seed: of all random numbers.
        progress: told the rows finished.
    """

    model: Any
    loader: Loader
    samples: int
    seed: int
    progress: Callable[[int], None] = lambda rows: None


class Evaluator(NamedTuple):
    """One question.

    Attributes:
        name: how it is called where it is skipped.
        needs: abilities of the model.
        needs_labels: whether the data must have labels.
        keys: what it reports, ``None`` where it is skipped.
        answer: the figures.
    """

    name: str
    needs: frozenset[str]
    needs_labels: bool
    keys: tuple[str, ...]
    answer: Callable[[Question], dict[str, Any]]


def _likelihood(question: Question) -> dict[str, Any]:
    result = log_likelihood(
        question.model, question.loader, question.samples, seed=question.seed, progress=question.progress
    )
    examples = len(result.log_p)
    return {
        "elbo": result.elbo.mean().item(),
        "nll": -result.log_p.mean().item(),
        "nll_standard_error": (result.log_p.std() / examples**0.5).item() if examples > 1 else None,
        "log_px": result.log_px.mean().item(),
        "kl": result.kl.mean().item(),
        "kl_by_unit": {name: value.tolist() for name, value in result.kl_dims.items()},
        "effective_samples": result.effective_samples.mean().item(),
    }


def _reconstruction(question: Question) -> dict[str, Any]:
    return {"log_px": bound(question.model, question.loader, seed=question.seed)["log_px"]}


def _latents(question: Question) -> dict[str, Any]:
    if len(question.loader.split.x) < 2:
        return {"active_units": None}
    units = active_units(encodings(question.model, question.loader, question.seed))
    return {"active_units": sum(units.values()), "active_units_by_latent": units}


def _classification(question: Question) -> dict[str, Any]:
    correct = total = 0
    with evaluating(question.model, question.seed):
        for batch in question.loader:
            assert batch.label is not None
            known = batch.label >= 0
            guess = question.model.classify(batch.x).probs.argmax(-1)
            correct += int(((guess == batch.label) & known).sum())
            total += int(known.sum())
    return {"accuracy": correct / total if total else None}


EVALUATORS = (
    Evaluator("reconstruction", frozenset({"encode", "decode"}), False, ("log_px",), _reconstruction),
    Evaluator(
        "likelihood",
        frozenset({"density"}),
        False,
        ("elbo", "nll", "nll_standard_error", "log_px", "kl", "effective_samples"),
        _likelihood,
    ),
    Evaluator("latents", frozenset({"encode"}), False, ("active_units",), _latents),
    Evaluator("classification", frozenset({"classify"}), True, ("accuracy",), _classification),
)


def evaluate(
    model: Any,
    data: Dataset,
    *,
    split: str = "test",
    samples: int = 5000,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 100,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda rows: None,
) -> dict[str, Any]:
    """All figures of a model on one split, in nats per example, with their protocol.

    Args:
        model: what is evaluated.
        data: a data set of the shape the model was made for.
        split: ``train``, ``validation`` or ``test``.
        samples: K of the importance-weighted estimate.
        limit: use only the first rows of the split.
        seed: of all random numbers.
        batch_size: rows at a time.
        device: where to compute.
        progress: told the number of rows finished.

    Returns:
        The figures by name (``elbo``, ``nll``, ``nll_standard_error``, ``log_px``, ``kl``,
        ``active_units`` …; ``None`` where skipped), the protocol (``samples``, ``split``,
        ``examples``, ``binarization``) and ``skipped``, by evaluator, with the reason.
    """
    rows = data.split(split)
    if limit is not None and limit < len(rows.x):
        rows = rows.first(limit)
    loader = Loader(rows, data.kind, device, batch_size)
    with evaluating(model, seed):
        check_likelihood_fits(model, loader.rows(torch.arange(min(batch_size, len(rows.x)))))
    question = Question(model, loader, samples, seed, progress)
    figures: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for evaluator in EVALUATORS:
        missing = evaluator.needs - model.abilities
        if missing or (evaluator.needs_labels and rows.label is None):
            for key in evaluator.keys:
                figures.setdefault(key, None)
            skipped[evaluator.name] = f"the model has no {', '.join(missing)}" if missing else "the data has no labels"
            continue
        figures |= evaluator.answer(question)
    likelihood = getattr(model, "likelihood", None)
    protocol = {
        # Of discrete data p(x) is a probability and at most 1; of real data a density, which depends on the units.
        "p_of_x": "probability" if getattr(likelihood, "discrete", False) else "density",
        # Of some priors log p(z) is itself only bounded: the KL is then too high and the elbo too low by that gap.
        "prior_is_bound": any(getattr(module, "is_bound", False) for module in model.modules()),
        "samples": samples,
        "split": split,
        "examples": len(rows.x),
        # Where cells are missing, p(x) is that of the observed ones: the share of them.
        "observed": 1.0 if rows.mask is None else float(rows.mask.mean()),
        "binarization": data.kind.binarization,
        "data": data.name,
        "unit": "nats per example",
        # Of standardised data: log p in the units of the data is log p as given less this.
        "log_scale": data.kind.log_scale(tuple(rows.x.shape[1:]), rows.mask),
        "seed": seed,
    }
    return figures | protocol | {"skipped": skipped}
