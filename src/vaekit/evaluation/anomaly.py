"""Anomaly scores −log p(x), and the threshold that ordinary rows stay below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.evaluation.collect import Column
from vaekit.evaluation.likelihood import evaluating, log_likelihood


def scores(
    model: Any,
    batches: Iterable[Batch],
    *,
    samples: int = 100,
    seed: int = 0,
    progress: Callable[[int], None] = lambda rows: None,
) -> Tensor:
    """−log p(x) of every row in nats, ``(examples,)``: the importance-weighted estimate with ``samples`` draws.

    A model without a density is scored by −log p(x|z) at its code: how badly the row is rebuilt.

    Args:
        model: what the rows are judged by.
        batches: the rows.
        samples: draws for each row.
        seed: of the draws.
        progress: told the number of rows finished with each batch.
    """
    if "density" in model.abilities:
        return -log_likelihood(model, batches, samples, seed=seed, progress=progress).log_p.cpu()
    column = Column()
    with evaluating(model, seed):
        for batch in batches:
            column.add(-model.draw(batch._replace(label=None)).log_px.mean(0).cpu())
            progress(len(batch.x))
    return column.value


def threshold(reference: Tensor, quantile: float = 0.99) -> float:
    """The score that only a share of 1 − ``quantile`` of ordinary rows exceeds.

    Args:
        reference: scores of ordinary rows that the model was not trained on (the validation split).
        quantile: between 0 and 1.
    """
    return torch.quantile(reference.double(), quantile).item()
