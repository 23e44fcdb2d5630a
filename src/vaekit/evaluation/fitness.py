"""Checks before any figure: the likelihood fits the data, and the model is finite."""

from __future__ import annotations

from typing import Any

import torch

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.evaluation.likelihood import evaluating

CURE = "a smaller --learning-rate or --clip-norm 1"


def check_likelihood_fits(model: Any, batch: Batch, seed: int = 0, fitting: str = "") -> None:
    """Check that the rows are in the support of the likelihood.

    Args:
        model, batch: which likelihood, and what it is to fit.
        seed: of the draw that tells the shape.
        fitting: the likelihood that does fit the kind of the data, for the hint.

    Raises:
        UserError: if the examples have another shape than p(x|z), or values outside its support, where
            log p(x|z) means nothing.
    """
    if "sample" not in model.abilities:
        return
    with evaluating(model, seed):
        rows = 1 if batch.condition is None else len(batch.x)
        p = model.generate(rows, batch.condition)
        x = batch.x
        if batch.mask is not None:
            # A one-hot category has one entry in the mask.
            mask = batch.mask.reshape(*batch.mask.shape, *[1] * (x.dim() - batch.mask.dim()))
            x = torch.where(mask, x, p.sample())
    if tuple(p.event_shape) != tuple(x.shape[1:]):
        raise UserError(
            f"the likelihood is over examples of shape {tuple(p.event_shape)}, the data has {tuple(x.shape[1:])}."
        )
    if not bool(p.support.check(x).all()):
        likelihood = getattr(model, "likelihood", model)
        name = getattr(likelihood, "part_name", type(likelihood).__name__).removeprefix("likelihood/")
        raise UserError(
            f"the likelihood '{name}' does not fit the data: it is for {_words(p.support)}, and the model sees "
            f"{_described(x)}.",
            hint=f"--likelihood {fitting} fits the data; it is chosen if --likelihood is left out." if fitting else "",
        )


def is_over_bits(model: Any, seed: int = 0) -> bool:
    """Whether p(x|z) is over zeros and ones, and over no numbers between them; false where the model cannot say."""
    if "sample" not in getattr(model, "abilities", ()):
        return False
    with evaluating(model, seed):
        try:
            p = model.generate(1)
        except Exception:  # it wants a condition, or a part does not fit another
            return False
        values = torch.stack([torch.zeros(p.event_shape), torch.ones(p.event_shape), torch.full(p.event_shape, 0.5)])
        zero, one, half = (bool(p.support.check(each).all()) for each in values)
        two = bool(p.support.check(torch.full(p.event_shape, 2.0)).all())
    return zero and one and not half and not two


def not_finite(model: Any, batch: Batch, seed: int = 0) -> str:
    """What of a model is not finite, so that no figure of it means anything: its weights, or log p(x|z) of every row.

    Args:
        model: which.
        batch: rows to try.
        seed: of the draw.

    Returns:
        It in words; empty if all is well.
    """
    bad = [name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())]
    if bad:
        return f"weights of the model are not finite ({bad[0]}{f' and {len(bad) - 1} more' * (len(bad) > 1)})"
    with evaluating(model, seed):
        log_px = model.draw(batch._replace(label=None)).log_px
    return "" if bool(log_px.isfinite().any()) else "the model's log p(x|z) is finite for none of the rows"


def check_finite(model: Any, batch: Batch, seed: int = 0) -> None:
    """Check that log p(x|z) of a batch is finite.

    Raises:
        UserError: if no figure of the model means anything, see :func:`not_finite`.
    """
    if what := not_finite(model, batch, seed):
        raise UserError(f"{what}: no figure of it means anything.", hint=f"train again with {CURE}.")


def _described(x: torch.Tensor) -> str:
    whole = "whole numbers" if bool((x == x.round()).all()) else "numbers"
    return f"{whole} from {x.min().item():g} to {x.max().item():g}"


def _words(support: Any) -> str:
    """A support as a person would say it."""
    inner = getattr(support, "base_constraint", support)
    words = {
        "Boolean": "0 and 1",
        "OneHot": "one-hot categories on the last axis",
        "IntegerGreaterThan": "whole numbers from 0",
        "Real": "real numbers",
    }
    return words.get(type(inner).__name__.lstrip("_"), str(inner))
