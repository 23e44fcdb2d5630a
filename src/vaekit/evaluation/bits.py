"""How many bits a value takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch

from vaekit.data.batch import Batch


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
