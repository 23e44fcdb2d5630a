"""Decomposition of the average KL: index-code mutual information, total correlation, dimension-wise KL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaekit.data.batch import Batch
from vaekit.distributions.chain import levels
from vaekit.errors import UserError
from vaekit.evaluation.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.joint import why_no_ratio
from vaekit.evaluation.likelihood import budget_of, evaluating
from vaekit.models.draw import bare, encoded, named
from vaekit.parts.record import part


class Split(NamedTuple):
    """In nats, one figure for each row that z was drawn for, ``(draws,)``; means over them are what is reported.

    The first two add up to log q(z|x) − log p(z), whose mean is the average KL; the last two to the second.

    Attributes:
        index_code: log q(z|x) − log q(z): in the mean the mutual information of row and code, at most log N.
        marginal_kl: log q(z) − log p(z): in the mean KL(q(z)‖p(z)).
        total_correlation: log q(z) − Σ_j log q(z_j); ``None`` where units do not come apart.
        dimension_kl: Σ_j log q(z_j) − log p(z_j); ``None`` where units do not come apart.
    """

    index_code: Tensor
    marginal_kl: Tensor
    total_correlation: Tensor | None
    dimension_kl: Tensor | None


def split_kl(
    model: Any,
    batches: Iterable[Batch],
    draws: Batch,
    *,
    seed: int = 0,
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Split:
    """The average KL in parts (Hoffman & Johnson 2016; Chen et al. 2018, equation 2): one z for each of ``draws``.

    q(z) = (1/N) Σ_n q(z|x_n) is summed over all N rows: of the data set that they are, nothing is estimated but the
    expectation over z. Units come apart where each q(z|x) and the prior are products over units.

    Args:
        model: with a density; any latents whose posterior is more than a point.
        batches: all N rows.
        draws: those z is drawn for, a random part of them.
        seed: of the draws.
        budget: most densities of single units that are computed at once; chosen for the device if not given.
        progress: told the number of rows finished.

    Raises:
        UserError: if the posterior has no density, or a latent is summed out.
    """
    with evaluating(model, seed):
        if why := why_no_split(model, draws):
            raise UserError(f"the KL cannot be split: {why}.")
        q = encoded(model, draws)
        z = named(q.sample())
        log_own = q.log_prob(bare(z))
        prior = model.prior(draws.condition)
        log_prior = prior.log_prob(bare(z))
        each = _by_unit(prior, bare(z))
        # Every z beside every row: (draws, 1, *event) against posteriors of batch shape (rows,).
        across = bare({name: value.unsqueeze(1) for name, value in z.items()})
        apart = each is not None and _by_unit(q, bare(z)) is not None
        units = sum(value[0].numel() for value in z.values())
        most = max(1, (budget_of(draws.x.device) if budget is None else budget) // (len(draws.x) * units))
        log_q = torch.full_like(log_own, -math.inf)
        log_q_each = torch.full_like(each, -math.inf) if apart and each is not None else None
        rows = 0
        for batch in batches:
            for start in range(0, len(batch.x), most):
                here = slice(start, start + most)
                some = encoded(model, Batch._make(None if column is None else column[here] for column in batch))
                if log_q_each is None:
                    log_q = torch.logaddexp(log_q, some.log_prob(across).logsumexp(1))
                    continue
                by_unit = _by_unit(some, across)
                assert by_unit is not None
                log_q = torch.logaddexp(log_q, by_unit.sum(-1).logsumexp(1))
                log_q_each = torch.logaddexp(log_q_each, by_unit.logsumexp(1))
            rows += len(batch.x)
            progress(len(batch.x))
    log_q = log_q - math.log(rows)
    if log_q_each is None or each is None:
        return Split(log_own - log_q, log_q - log_prior, None, None)
    log_product = (log_q_each - math.log(rows)).sum(-1)
    return Split(log_own - log_q, log_q - log_prior, log_q - log_product, log_product - each.sum(-1))


def why_no_split(model: Any, batch: Batch) -> str | None:
    """Why there is nothing to split, as a clause; ``None`` if there is.

    Args:
        model: what is asked about.
        batch: a row that it may encode.
    """
    if reason := why_no_ratio(model, batch):
        return reason
    here, there = (list(levels(p)) for p in (model.prior(batch.condition), encoded(model, batch)))
    return None if set(here) == set(there) else f"a latent is summed out ({', '.join(sorted({*here} ^ {*there}))})"


def _by_unit(distribution: Distribution, value: Any) -> Tensor | None:
    """log density of each unit, ``(*batch, units)``, of a product over units; else ``None``."""
    if not isinstance(distribution, Independent) or isinstance(value, dict):
        return None
    log_p = distribution.base_dist.log_prob(value)
    return log_p.flatten(-distribution.reinterpreted_batch_ndims)


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
    columns: list[list[Tensor]] = [[] for _ in Batch._fields]
    start = 0
    for batch in batches:
        stop = start + len(batch.x)
        here = (rows[(rows >= start) & (rows < stop)] - start).to(batch.x.device)
        for column, values in zip(columns, batch, strict=True):
            if values is not None:
                column.append(values[here])
        start = stop
    return Batch._make(torch.cat(column) if column else None for column in columns)._replace(label=None)
