"""Imputation of missing values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.dataset import Split
from vaekit.data.kinds import Kind
from vaekit.data.loader import Loader
from vaekit.data.missing import fill
from vaekit.data.ragged import inside
from vaekit.evaluation.likelihood import budget_of, chunks, elements_per_draw, evaluating, without_chance
from vaekit.kernels.double import double
from vaekit.models.draw import bare

VALUES = ("mean", "sample")


class Imputation(NamedTuple):
    """Rows as the model would complete them.

    Attributes:
        x: ``(rows, *event)`` on the CPU, as the model sees data. Only what was not observed is meant to be used.
        effective_samples: (Σ w)² / Σ w² of the draws, ``(rows,)``: near 1 means that one draw decides.
    """

    x: Tensor
    effective_samples: Tensor


def impute(
    model: Any,
    batches: Iterable[Batch],
    *,
    samples: int = 1000,
    values: str = "mean",
    seed: int = 0,
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Imputation:
    """The missing part of every row given the observed one, by self-normalised importance sampling.

    With z_k ~ q(z|x_observed) and w_k = p(x_observed|z_k) p(z_k) / q(z_k|x_observed),

        E[x_missing | x_observed] ≈ Σ_k w_k E[x_missing | z_k] / Σ_k w_k,

    the single imputation of MIWAE (Mattei & Frellsen 2019); elements of x are independent given z. It is biased by
    O(1/K) and right as K grows, whatever q is, as long as q reaches where the posterior is. With
    ``values="sample"`` one z_k is drawn with probability ∝ w_k and x from p(x|z_k), the paper's multiple imputation
    (sampling importance resampling). A model without a density of q has no weights: one draw is taken as it is,
    which is the reconstruction of Rezende et al. 2014.

    Args:
        model: anything that draws and decodes.
        batches: the data with its masks; labels are not looked at.
        samples: K, draws for each row.
        values: ``mean`` or ``sample``.
        seed: of the random numbers.
        budget: most elements of x that are decoded at once; chosen for the device if not given.
        progress: told the number of rows finished with each batch.

    Raises:
        ValueError: for other ``values``.
    """
    if values not in VALUES:
        raise ValueError(f"values must be one of {', '.join(VALUES)}, got '{values}'")
    make = {"mean": _Mean, "sample": _Sample}[values]
    weighted = "density" in model.abilities
    # Without weights there is nothing to average over, and draws without chance are one and the same.
    samples = samples if weighted and not without_chance(model) else 1
    rows, effective = [], []
    with evaluating(model, seed):
        for batch in batches:
            most = budget_of(batch.x.device) if budget is None else budget
            for some, counts in chunks(batch._replace(label=None), samples, most, elements_per_draw(model, batch)):
                result = make(some.x)
                for count in counts:
                    draw = model.draw(some, count)
                    z = bare({name: latent.value for name, latent in draw.latents.items()})
                    log_w = draw.log_w_branches if weighted else torch.zeros_like(draw.log_px)
                    result.add(model.decode(z, some.condition), log_w)
                rows.append(result.x.cpu())
                effective.append(result.effective_samples.cpu())
            progress(len(batch.x))
    return Imputation(torch.cat(rows), torch.cat(effective))


def complete(
    model: Any,
    rows: Split,
    kind: Kind,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 100,
    **options: Any,
) -> tuple[np.ndarray, Tensor]:
    """Rows as they are stored with their gaps filled; what is observed stays as it is, bit for bit.

    A gap in discrete data gets a value that the data could hold: the bit or category that is more probable, the
    level or count nearest to the mean.

    Args:
        model: anything that draws and decodes.
        rows: with a mask, or nothing is missing.
        kind: what their values are.
        device: where to compute.
        batch_size: rows at a time.
        options: ``samples``, ``values``, ``seed``, ``progress`` … as of :func:`impute`.

    Returns:
        The rows, ``(rows, *stored)``, and the effective samples of those with gaps.
    """
    x = np.asarray(rows.x)
    # Padding is no gap.
    mask = rows.mask if rows.mask is None or rows.length is None else rows.mask | ~inside(rows.length, rows.mask.shape)
    gaps = np.empty(0, int) if mask is None else np.flatnonzero(~mask.reshape(len(x), -1).all(1))
    if not len(gaps):
        return x, torch.empty(0)
    assert mask is not None
    assert rows.mask is not None
    condition = None if rows.condition is None else rows.condition[gaps]
    length = None if rows.length is None else rows.length[gaps]
    some = Split(x[gaps], condition=condition, mask=rows.mask[gaps], length=length)
    result = impute(model, Loader(some, kind, device, batch_size), **options)
    filled = fill(some.x, mask[gaps], kind.nearest(result.x).numpy())
    x = x.astype(filled.dtype)
    x[gaps] = filled
    return x, result.effective_samples


class _Weights:
    """log Σ w and log Σ w² over draws that come in chunks, in float64: their difference is small."""

    def __init__(self, x: Tensor) -> None:
        self.total = self.square = x.new_full((len(x),), -math.inf)

    def add(self, log_w: Tensor) -> None:
        """``(draws, [branches,] batch)``; the branches of a draw count as one."""
        log_w = double(log_w if log_w.dim() == 2 else log_w.logsumexp(-2))
        self.total = torch.logaddexp(self.total, log_w.logsumexp(0))
        self.square = torch.logaddexp(self.square, (2 * log_w).logsumexp(0))

    @property
    def effective_samples(self) -> Tensor:
        return (2 * self.total - self.square).exp()


def _flat(log_w: Tensor) -> Tensor:
    """Draws and branches on one axis: ``(draws, batch)``."""
    return log_w.flatten(0, -2)


class _Mean:
    """Σ w E[x|z] / Σ w.

    Args:
        x: the rows, ``(batch, *event)``.
    """

    def __init__(self, x: Tensor) -> None:
        self._weights = _Weights(x)
        self.x = torch.zeros_like(x)

    def add(self, p: Any, log_w: Tensor) -> None:
        """Draws with their distributions of x, batch shape that of ``log_w``."""
        before = self._weights.total
        self._weights.add(log_w)
        total = self._weights.total
        share = (_flat(log_w) - total).exp().to(self.x.dtype)
        mean = p.mean.reshape(*share.shape, *self.x.shape[1:])
        kept = (before - total).exp().to(self.x.dtype)
        self.x = _beside(kept, self.x) * self.x + (_beside(share, mean) * mean).sum(0)

    @property
    def effective_samples(self) -> Tensor:
        return self._weights.effective_samples


class _Sample:
    """A draw of x from p(x|z) of one of the z, which is taken with probability ∝ w.

    The largest of log w + Gumbel noise is such a choice, and it can be kept while draws come in chunks.

    Args:
        x: the rows, ``(batch, *event)``.
    """

    def __init__(self, x: Tensor) -> None:
        self._weights = _Weights(x)
        self._best = x.new_full((len(x),), -math.inf)
        self.x = torch.zeros_like(x)

    def add(self, p: Any, log_w: Tensor) -> None:
        """Draws with their distributions of x, batch shape that of ``log_w``."""
        self._weights.add(log_w)
        log_w = _flat(log_w)
        noise = -torch.empty_like(log_w).exponential_().log()
        best, place = (log_w + noise).max(0)
        drawn = p.sample().reshape(*log_w.shape, *self.x.shape[1:])
        chosen = drawn[place, torch.arange(len(place), device=place.device)]
        better = best > self._best
        self._best = torch.where(better, best, self._best)
        self.x = torch.where(_beside(better, chosen), chosen, self.x)

    @property
    def effective_samples(self) -> Tensor:
        return self._weights.effective_samples


def _beside(value: Tensor, event: Tensor) -> Tensor:
    """With as many axes as ``event``."""
    return value.reshape(*value.shape, *[1] * (event.dim() - value.dim()))
