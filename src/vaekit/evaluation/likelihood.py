"""How well does p(x) fit? The evidence lower bound and the importance-weighted estimate of log p(x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.evaluation.collect import Column

_BUDGET = 32 * 1024 * 1024  # elements of one decoded chunk: 128 MiB in float32


class LogLikelihood(NamedTuple):
    """Per-example figures in nats, each ``(examples,)``.

    Attributes:
        log_p: log (1/K) Σ_k w_k, a lower bound on log p(x) in expectation, tighter with K.
        elbo: the mean over the K draws of log p(x|z) − KL.
        log_px: the mean of log p(x|z).
        kl: the mean of the KL.
        effective_samples: (Σ w)² / Σ w², of K: near 1 means that one draw decides and K is too small.
        kl_dims: by latent, mean over the examples of each dimension's KL, where it splits.
    """

    log_p: Tensor
    elbo: Tensor
    log_px: Tensor
    kl: Tensor
    effective_samples: Tensor
    kl_dims: dict[str, Tensor]


@contextmanager
def evaluating(model: Any, seed: int) -> Iterator[None]:
    """No gradients, evaluation mode, and random numbers from ``seed`` that leave the caller's stream as it was."""
    was_training = model.training
    # Seeding reaches every GPU, whichever of them the model is on.
    devices = range(torch.cuda.device_count())
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        model.train(was_training)


def log_likelihood(
    model: Any,
    batches: Iterable[Batch],
    samples: int,
    *,
    seed: int = 0,
    budget: int = _BUDGET,
    progress: Callable[[int], None] = lambda rows: None,
) -> LogLikelihood:
    """Importance-weighted estimate of log p(x) (Burda et al. 2016, equation 8), chunked over rows and draws.

    Args:
        model: anything with ``draw`` whose posterior has a density.
        batches: the data; labels are not looked at.
        samples: K, draws for each row.
        seed: of the random numbers.
        budget: most elements of x that are decoded at once.
        progress: told the number of rows finished with each batch.
    """
    # All draws of a posterior without chance are one and the same.
    samples = 1 if getattr(getattr(model, "posterior", None), "deterministic", False) else samples
    columns = [Column() for _ in range(5)]
    kl_dims: dict[str, Tensor] = {}
    rows_seen = 0
    with evaluating(model, seed):
        for batch in batches:
            batch = batch._replace(label=None)
            per_draw = batch.x.numel() * getattr(model, "num_branches", 1)
            chunk = max(1, min(samples, budget // per_draw))
            rows = len(batch.x)
            total = square = batch.x.new_full((rows,), -math.inf)
            elbo, log_px, kl = (batch.x.new_zeros(rows) for _ in range(3))
            for start in range(0, samples, chunk):
                count = min(chunk, samples - start)
                draw = model.draw(batch, count)
                log_w = draw.log_w
                total = torch.logaddexp(total, log_w.logsumexp(0))
                square = torch.logaddexp(square, (2 * log_w).logsumexp(0))
                elbo += draw.elbo.sum(0) / samples
                log_px += draw.expect(draw.log_px).sum(0) / samples
                kl += draw.kl.expand(count, -1).sum(0) / samples
                for name, latent in draw.latents.items():
                    if latent.kl_dims is not None:
                        share = count / samples
                        dims = draw.expect(latent.kl_dims.movedim(-1, 0))  # (latent, samples, batch)
                        kl_dims[name] = kl_dims.get(name, 0) + share * dims.mean(-2).sum(-1)
            figures = (total - math.log(samples), elbo, log_px, kl, (2 * total - square).exp())
            for column, figure in zip(columns, figures, strict=True):
                column.add(figure)
            rows_seen += rows
            progress(rows)
    log_p, elbo, log_px, kl, effective = (column.value for column in columns)
    return LogLikelihood(log_p, elbo, log_px, kl, effective, {name: dim / rows_seen for name, dim in kl_dims.items()})


def bound(model: Any, batches: Iterable[Batch], *, seed: int = 0) -> dict[str, float]:
    """One-draw means over the data in nats: ``elbo`` (if there is a density), ``log_px`` and ``kl``.

    Of several latents also ``kl_NAME`` of each.

    The quick figure by which training is watched; the same seed gives the same noise each time.
    """
    sums: dict[str, float] = {}
    rows = 0
    with evaluating(model, seed):
        for batch in batches:
            draw = model.draw(batch._replace(label=None))
            figures = {"log_px": draw.expect(draw.log_px)}
            if draw.has_density:
                figures |= {"kl": draw.kl, "elbo": draw.elbo}
                several = draw.latents if len(draw.latents) > 1 else {}
                figures |= {
                    # A latent that is summed out has no axis of samples of its own.
                    f"kl_{name}": draw.expect(latent.kl.expand_as(draw.log_px))
                    for name, latent in several.items()
                }
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value.mean(0).sum().item()
            rows += len(batch.x)
    return {name: value / rows for name, value in sums.items()}
