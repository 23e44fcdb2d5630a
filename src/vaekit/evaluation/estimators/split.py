"""What the KL is spent on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.evaluation.estimators.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.likelihood import evaluating
from vaekit.evaluation.split import split_kl, why_no_split
from vaekit.parts.record import part


@part("estimator/split", paper="Hoffman & Johnson 2016; Chen et al. 2018, equation 2")
@dataclass(frozen=True)
class KLSplit:
    """The average KL in parts: index-code mutual information, total correlation, dimension-wise KL.

    Args:
        draws: rows, taken at random, that a z is drawn for; q(z) is summed over all rows that are evaluated.
    """

    draws: int = 1000

    def __post_init__(self) -> None:
        at_least(1, self)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        with evaluating(context.model, context.seed):
            return why_no_split(context.model, context.loader.rows(torch.arange(1)))

    def work(self, rows: int) -> int:
        return rows

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        loader = context.loader
        order = torch.randperm(loader.rows_in_order, generator=torch.Generator().manual_seed(context.seed))
        # One binarisation for both: q(z) is to hold the very q(z|x) that z is drawn from.
        draws = _picked(loader.fixed(context.seed), order[: self.draws].sort().values)
        rows = loader.fixed(context.seed)
        split = split_kl(context.model, rows, draws, seed=context.seed, progress=context.progress)
        named = split._asdict() | {"kl": split.index_code + split.marginal_kl}
        figures: dict[str, Any] = {}
        for name, values in named.items():
            figures[f"split_{name}"] = None if values is None else values.mean().item()
            figures[f"split_{name}_standard_error"] = None if values is None else error_of(values)
        return figures | {"split_draws": len(draws.x), "split_examples": loader.rows_in_order}

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        said = {
            "index_code": ("I(row; z)", f"of the KL: what z tells of the row, at most log {figures['split_examples']}"),
            "total_correlation": ("total corr.", "of the KL: dependence between the units of z over the data"),
            "dimension_kl": ("KL by unit", "of the KL: distance of each unit's distribution from its prior, summed"),
        }
        if figures["split_total_correlation"] is None:
            said |= {"marginal_kl": ("KL of q(z)", "of the KL: distance of z over the data from the prior")}
        return [
            (name, with_error(figures[f"split_{key}"], figures[f"split_{key}_standard_error"]), what)
            for key, (name, what) in said.items()
            if figures[f"split_{key}"] is not None
        ]


def _picked(batches: Iterable[Batch], rows: Tensor) -> Batch:
    """The rows of some numbers ``(picked,)`` as they stand in batches of all rows; what the model encodes of them."""
    columns: tuple[list[Tensor], list[Tensor]] = [], []
    start = 0
    for batch in batches:
        stop = start + len(batch.x)
        here = (rows[(rows >= start) & (rows < stop)] - start).to(batch.x.device)
        for column, values in zip(columns, (batch.x, batch.condition), strict=True):
            if values is not None:
                column.append(values[here])
        start = stop
    x, condition = (torch.cat(column) if column else None for column in columns)
    assert x is not None
    return Batch(x, condition=condition)
