"""Evidence lower bound and importance-weighted estimate of log p(x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.acceleration import capture_function
from vaekit.data.batch import Batch
from vaekit.evaluation.collect import Column
from vaekit.kernels.double import double
from vaekit.kernels.memory import keep_pages

# Elements of one decoded chunk: on a processor 8 MiB in float32, which its cache still holds when the density is
# computed; elsewhere 128 MiB, so that the calls do not count.
BUDGET = {"cpu": 1 << 21}
ELSEWHERE = 1 << 25


Chunk = Callable[[Batch, int], dict[str, Tensor]]


def figures_of(model: Any, batch: Batch, count: int) -> dict[str, Tensor]:
    """Of ``count`` draws of each row, in nats, each ``(rows,)``.

    ``log_w`` is log Σ w and ``log_w2`` log Σ w², in float64: the effective samples are their small difference.
    ``elbo``, ``log_px`` and ``kl`` are sums over the draws, and so is, of each latent whose KL splits, ``kl_dims/NAME``
    ``(latent,)``, summed over the rows too.
    """
    draw = model.draw(batch, count)
    log_w = double(draw.log_w)
    figures = {
        "log_w": log_w.logsumexp(0),
        "log_w2": (2 * log_w).logsumexp(0),
        "elbo": draw.elbo.sum(0),
        "log_px": draw.expect(draw.log_px).sum(0),
        "kl": draw.kl.expand(count, -1).sum(0),
    }
    for name, latent in draw.latents.items():
        if latent.kl_dims is not None:
            dims = draw.expect(latent.kl_dims.movedim(-1, 0))  # (latent, samples, batch)
            figures[f"kl_dims/{name}"] = count * dims.mean(-2).sum(-1)
    return figures


def captured_figures(model: Any, say: Callable[[str], None]) -> Chunk:
    """:func:`figures_of` a model, compiled for each size of chunk that comes again (:mod:`vaekit.acceleration`).

    Args:
        model: what is evaluated.
        say: told why it is not compiled.
    """

    def figures(columns: Any, count: int) -> dict[str, Tensor]:
        return figures_of(model, Batch(*columns), count)

    return capture_function(figures, say)


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


def without_chance(model: Any) -> bool:
    """Whether q(z|x) puts all mass in one place."""
    return getattr(getattr(model, "posterior", None), "deterministic", False)


def prior_is_bound(model: Any) -> bool:
    """Whether log p(z) is estimated with draws of its own, and at most log p(z) in the mean."""
    return any(getattr(module, "is_bound", False) for module in model.modules())


def discrete(model: Any) -> bool:
    """Whether p(x|z) is a probability, and no density that depends on units."""
    return getattr(getattr(model, "likelihood", None), "discrete", False)


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
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    chunk: Chunk | None = None,
) -> LogLikelihood:
    """Importance-weighted estimate of log p(x) (Burda et al. 2016, equation 8), chunked over rows and draws.

    Args:
        model: anything with ``draw`` whose posterior has a density.
        batches: the data; labels are not looked at.
        samples: K, draws for each row.
        seed: of the random numbers.
        budget: most elements that are computed at once (:func:`elements_per_draw`); chosen for the device if not given.
        progress: told the number of rows finished with each batch.
        chunk: what computes the figures of some rows and draws: that of :func:`captured_figures` takes some
            seconds once and a fifth less for every draw. The draws are the same, the figures to rounding.

    Raises:
        ValueError: if there are no samples.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    chunk = chunk or partial(figures_of, model)
    # All draws of a posterior without chance are one and the same.
    samples = 1 if without_chance(model) else samples
    columns = [Column() for _ in range(5)]
    kl_dims: dict[str, Tensor] = {}
    rows_seen = 0
    keep_pages()
    with evaluating(model, seed):
        for batch in batches:
            most = budget_of(batch.x.device) if budget is None else budget
            for rows, counts in chunks(batch._replace(label=None), samples, most, elements_per_draw(model, batch)):
                figures, dims = _estimate(chunk, rows, counts)
                for column, figure in zip(columns, figures, strict=True):
                    column.add(figure)
                for name, dim in dims.items():
                    kl_dims[name] = kl_dims.get(name, 0) + dim
            rows_seen += len(batch.x)
            progress(len(batch.x))
    log_p, elbo, log_px, kl, effective = (column.value for column in columns)
    return LogLikelihood(log_p, elbo, log_px, kl, effective, {name: dim / rows_seen for name, dim in kl_dims.items()})


def elements_per_draw(model: Any, batch: Batch) -> int:
    """How many numbers one draw of one row takes at its widest, in all branches: a decoded x, or what a part says.

    A part that takes more than z or x (every component of a mixture meets every draw) has ``elements_per_draw``.
    """
    widest = max(getattr(module, "elements_per_draw", 1) for module in model.modules())
    return getattr(model, "num_branches", 1) * max(batch.x.shape[1:].numel(), widest)


def budget_of(device: torch.device) -> int:
    """How many elements are best computed at once."""
    return BUDGET.get(device.type, ELSEWHERE)


def chunks(batch: Batch, samples: int, budget: int, elements: int) -> Iterator[tuple[Batch, list[int]]]:
    """Parts of a batch, and how many draws of it at a time: few rows with many draws, so that few are encoded again.

    Args:
        batch: rows.
        samples: draws for each row.
        budget: most elements at once.
        elements: of one draw of one row.
    """
    at_once = max(1, budget // elements)
    step = max(1, at_once // samples)
    pieces = math.ceil(samples / min(samples, at_once))
    counts = [samples // pieces + (piece < samples % pieces) for piece in range(pieces)]
    for start in range(0, len(batch.x), step):
        yield Batch._make(None if column is None else column[start : start + step] for column in batch), counts


def _estimate(chunk: Chunk, batch: Batch, counts: list[int]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """The figures of :class:`LogLikelihood` for some rows, drawn in parts; ``kl_dims`` summed over the rows."""
    rows, samples = len(batch.x), sum(counts)
    total = square = batch.x.new_full((rows,), -math.inf)
    elbo, log_px, kl = (batch.x.new_zeros(rows) for _ in range(3))
    kl_dims: dict[str, Tensor] = {}
    for count in counts:
        figures = chunk(batch, count)
        total = torch.logaddexp(total, figures.pop("log_w"))
        square = torch.logaddexp(square, figures.pop("log_w2"))
        elbo += figures.pop("elbo") / samples
        log_px += figures.pop("log_px") / samples
        kl += figures.pop("kl") / samples
        for name, dims in figures.items():
            latent = name.removeprefix("kl_dims/")
            kl_dims[latent] = kl_dims.get(latent, 0) + dims / samples
    log_p, effective = total - math.log(samples), (2 * total - square).exp()
    return (log_p.to(elbo.dtype), elbo, log_px, kl, effective.to(elbo.dtype)), kl_dims


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
