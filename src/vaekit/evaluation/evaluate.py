"""Evaluation of one split: every evaluator that model and data allow, and why the others were skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.evaluation.bits import bits_per_dimension
from vaekit.evaluation.context import Estimator, EvaluationContext, error_of
from vaekit.evaluation.fitness import check_finite, check_likelihood_fits
from vaekit.evaluation.latents import active_units, encodings
from vaekit.evaluation.likelihood import bound, captured_figures, discrete, evaluating, log_likelihood, prior_is_bound
from vaekit.kernels import rounding, rounds_on_processors
from vaekit.models.draw import classified

PRECISIONS = "float32", "bfloat16"  # in which the likelihood was found to be the same (benchmarks/rounding.py)

GIVEN_LABEL = "p(x) is p(x|y), given the label, and p(x|z) is p(x|z, y)"  # of a model with a condition, in words


class Evaluator(NamedTuple):
    """One context.

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
    answer: Callable[[EvaluationContext], dict[str, Any]]


def _likelihood(context: EvaluationContext) -> dict[str, Any]:
    with rounding(context.loader.device, context.precision):
        result = log_likelihood(
            context.model,
            context.loader,
            context.samples,
            seed=context.seed,
            progress=context.progress,
            chunk=captured_figures(context.model, context.say) if context.compiled else None,
        )
    nll = -result.log_p.mean().item()
    rows = context.rows
    # Of a density there are no bits before something is said of the cells that it is spread over.
    probability = discrete(context.model)
    values = rows.x[0].size * (1.0 if rows.mask is None else float(rows.mask.mean()))
    return {
        "elbo": result.elbo.mean().item(),
        "nll": nll,
        "nll_standard_error": error_of(result.log_p),
        "bits_per_dim": bits_per_dimension(nll, values) if probability and values else None,
        "dequantization": "none needed: p(x) is a probability" if probability else None,
        "log_px": result.log_px.mean().item(),
        "kl": result.kl.mean().item(),
        "kl_by_unit": {name: value.tolist() for name, value in result.kl_dims.items()},
        "effective_samples": result.effective_samples.mean().item(),
    }


def _reconstruction(context: EvaluationContext) -> dict[str, Any]:
    return {"log_px": bound(context.model, context.loader, seed=context.seed)["log_px"]}


def _latents(context: EvaluationContext) -> dict[str, Any]:
    if len(context.loader.split.x) < 2:
        return {"active_units": None}
    units = active_units(encodings(context.model, context.loader, context.seed))
    return {"active_units": sum(units.values()), "active_units_by_latent": units}


def _classification(context: EvaluationContext) -> dict[str, Any]:
    correct = total = 0
    with evaluating(context.model, context.seed):
        for batch in context.loader:
            assert batch.label is not None
            known = batch.label >= 0
            guess = classified(context.model, batch).probs.argmax(-1)
            correct += int(((guess == batch.label) & known).sum())
            total += int(known.sum())
    return {"accuracy": correct / total if total else None}


EVALUATORS = (
    Evaluator("reconstruction", frozenset({"encode", "decode"}), False, ("log_px",), _reconstruction),
    Evaluator(
        "likelihood",
        frozenset({"density"}),
        False,
        ("elbo", "nll", "nll_standard_error", "log_px", "kl", "effective_samples", "bits_per_dim", "dequantization"),
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
    precision: str = "float32",
    compiled: bool = False,
    estimators: Sequence[Estimator] = (),
    progress: Callable[[int], None] = lambda rows: None,
    open_run: Callable[[str], Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """All figures of a model on one split, in nats per example, with their protocol.

    Args:
        model: what is evaluated.
        data: a data set of the shape the model was made for.
        split: ``train``, ``validation`` or ``test``.
        samples: K of the importance-weighted estimate.
        limit: use only so many rows of the split, at even distances.
        seed: of all random numbers.
        batch_size: rows at a time.
        device: where to compute.
        precision: ``bfloat16`` rounds the factors of products in the figures of the likelihood, which is faster
            and moves them by some thousandths of a nat; all else is ``float32``. On a processor that does not round
            everything is, and ``say`` is told.
        compiled: compile the estimate of the likelihood, see :mod:`vaekit.acceleration`.
        estimators: what else is asked for, see :class:`vaekit.evaluation.Estimator`.
        progress: told the number of rows finished.
        open_run: opens the run folders that estimators name (:func:`vaekit.load`, which ``Run.evaluate`` gives).
        say: told what a person should know.

    Returns:
        The figures by name (``elbo``, ``nll``, ``nll_standard_error``, ``log_px``, ``kl``,
        ``active_units`` …; ``None`` where skipped), the protocol (``samples``, ``split``,
        ``examples``, ``binarization``, ``condition``: ``label`` or ``array`` if they are given one) and
        ``skipped``, by evaluator, with the reason.

    Raises:
        UserError: if the data does not fit the model, the model is not finite, there are no samples, the precision is
            not known, or an estimator does not apply.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}, got '{precision}'.")
    for name, value in {"samples": samples, "limit": 1 if limit is None else limit}.items():
        if value < 1:
            raise UserError(f"{name} must be a whole number from 1, got {value}.")
    whole = data.split(split)
    rows = whole if limit is None else whole.spread(limit)
    loader = Loader(rows, data.kind, device, batch_size)
    if precision == "bfloat16" and loader.device.type == "cpu" and not rounds_on_processors():
        say("warning: this processor does not round products to bfloat16: the figures are in float32.")
        precision = "float32"
    with evaluating(model, seed):
        first = loader.rows(torch.arange(min(batch_size, len(rows.x))))
    check_finite(model, first, seed)
    check_likelihood_fits(model, first)
    other = data.validation if len(data.validation.x) and data.validation.x is not whole.x and split != "all" else None
    validation = None if other is None else Loader(other, data.kind, device, batch_size)
    context = EvaluationContext(model, loader, validation, samples, seed, progress, precision, open_run, compiled, say)
    for estimator in estimators:
        if why := estimator.not_applicable(context):
            raise UserError(f"the {type(estimator).part_name.replace('/', ' ')} does not apply: {why}.")  # type: ignore[attr-defined]
    figures: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for evaluator in EVALUATORS:
        missing = evaluator.needs - model.abilities
        if missing or (evaluator.needs_labels and rows.label is None):
            for key in evaluator.keys:
                figures.setdefault(key, None)
            skipped[evaluator.name] = f"the model has no {', '.join(missing)}" if missing else "the data has no labels"
            continue
        figures |= evaluator.answer(context)
    for estimator in estimators:
        figures |= estimator(context)
    protocol = {
        # Of discrete data p(x) is a probability and at most 1; of real data a density, which depends on the units.
        "p_of_x": "probability" if discrete(model) else "density",
        # Of some priors log p(z) is itself only bounded: the KL is then too high and the elbo too low by that gap.
        "prior_is_bound": prior_is_bound(model),
        "samples": samples,
        "precision": precision,
        "split": split,
        "examples": len(rows.x),
        # Where cells are missing, p(x) is that of the observed ones: the share of them.
        "observed": 1.0 if rows.mask is None else float(rows.mask.mean()),
        "binarization": data.kind.binarization,
        "condition": data.conditioned_on,
        "data": data.name,
        "unit": "nats per example",
        # Of standardised data: log p in the units of the data is log p as given less this.
        "log_scale": data.kind.log_scale(tuple(rows.x.shape[1:]), rows.mask),
        "seed": seed,
    }
    return figures | protocol | {"skipped": skipped}
