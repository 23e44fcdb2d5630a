"""Bits per dimension, also of grey levels under a density: uniform dequantisation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from vaekit.data.batch import Batch
from vaekit.evaluation.context import EvaluationContext, Line, error_of, with_error
from vaekit.evaluation.likelihood import discrete, log_likelihood
from vaekit.parts.record import part


def bits_per_dimension(nll: float, values: float) -> float:
    """−log₂ p(x) for each value of an example.

    Args:
        nll: −log p(x) in nats.
        values: how many values an example has.

    >>> bits_per_dimension(64 * math.log(2), 64)
    1.0
    """
    return nll / (values * math.log(2))


def dequantized(batches: Iterable[Batch], levels: int) -> Iterator[Batch]:
    """Grey levels spread over their cells: k/(L−1) becomes (k + u − ½)/(L−1) with u uniform.

    P(k) = ∫ p over the cell, so E_u log p(x) − D log(L−1) is at most log P(k) (Theis et al. 2016): a
    density becomes a bound on a probability.
    """
    for batch in batches:
        noise = torch.rand_like(batch.x) - 0.5
        yield batch._replace(x=batch.x + noise / (levels - 1))


@part("estimator/dequantized", paper="Theis et al. 2016")
@dataclass(frozen=True)
class Dequantized:
    """Bits per dimension of grey levels under a density: a bound, by noise that fills the cell of each level."""

    def not_applicable(self, context: EvaluationContext) -> str | None:
        if "density" not in context.model.abilities:
            return "the model has no density (its posterior is a point)"
        if discrete(context.model):
            return "p(x) is a probability already, and bits_per_dim is in every evaluation"
        if not hasattr(context.kind, "levels") or context.kind.binarization != "none":
            return "the data are not grey levels"
        return "rows have missing cells" if context.rows.mask is not None else None

    def work(self, rows: int) -> int:
        return rows

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        levels: int = context.kind.levels  # type: ignore[union-attr]
        batches = dequantized(context.loader, levels)
        result = log_likelihood(context.model, batches, context.samples, seed=context.seed, progress=context.progress)
        values = context.rows.x[0].size
        cell = values * math.log(levels - 1)
        bits = [bits_per_dimension(each, values) for each in (-(result.log_p - cell)).tolist()]
        return {
            "bits_per_dim": sum(bits) / len(bits),
            "bits_per_dim_standard_error": error_of(torch.tensor(bits)),
            "dequantization": "uniform noise over the cell of each level: an upper bound",
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        value = with_error(figures["bits_per_dim"], figures["bits_per_dim_standard_error"])
        return [("bits per dim", value, f"dequantisation by {figures['dequantization']}")]
