"""Row by row inference: what is computed of a row does not depend on the rows beside it.

scikit-learn asks that any subset of rows, in any order, gets the same figures. Two things would break that. Monte-Carlo
noise: all rows share the same draws here (common random numbers), which also makes the comparison of two rows less
noisy. Rounding: matrix products of other sizes round differently, so that inference is in double precision.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.dataset import Split
from vaekit.data.kinds import Kind
from vaekit.data.loader import Loader
from vaekit.distributed.device import choose_device
from vaekit.distributions.moments import centre
from vaekit.evaluation.likelihood import budget_of, elements_per_draw, evaluating, without_chance
from vaekit.models.draw import beside

ROWS = 500  # at a time, where a row is small
ONE_AT_A_TIME = threading.RLock()  # torch has one stream of random numbers for all threads


@contextmanager
def own_noise(seed: int) -> Iterator[None]:
    """Random numbers from ``seed`` that leave the caller's stream as it was, in one thread at a time."""
    with ONE_AT_A_TIME, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class RowInference:
    """Latents, densities and data of a trained model, one row at a time.

    Args:
        model: a model with one latent; it is copied.
        kind: of the data that it was trained on.
        device: where to compute; without double precision there, on the processor.
    """

    def __init__(self, model: Any, kind: Kind, device: str) -> None:
        where = choose_device(device)
        self.device = where if where.type != "mps" else torch.device("cpu")
        self.model = copy.deepcopy(model).to(self.device, torch.float64).eval()
        self.kind = kind

    def means(self, rows: Split, seed: int) -> np.ndarray:
        """The mean of q(z|x), ``(rows, units)``; from draws where there is no formula."""
        return self._each(rows, seed, 1, lambda batch: beside(centre(self.model.encode(batch.x)))[0])

    def log_p(self, rows: Split, samples: int, seed: int) -> np.ndarray:
        """log p(x) of what the model sees, ``(rows,)``, in nats: log (1/K) Σ_k w_k with K draws (Burda et al. 2016).

        A model whose posterior is a point has no weights: log p(x|z) at the code of each row.
        """
        samples = 1 if without_chance(self.model) else samples

        def row(batch: Batch) -> Tensor:
            draw = self.model.draw(batch, samples)
            return draw.importance_weighted[0] if draw.has_density else draw.log_px.mean(0)[0]

        return self._each(rows, seed, samples, row)

    def decoded(self, z: np.ndarray) -> np.ndarray:
        """The mean of p(x|z) in the units of the data, ``(rows, columns)``.

        Args:
            z: ``(rows, units)``.
        """
        with ONE_AT_A_TIME, evaluating(self.model, 0):
            shape = self._latent_shape
            pieces = [
                self.kind.restore(self.model.decode(piece.reshape(-1, *shape)).mean).cpu()
                for piece in torch.from_numpy(z).to(self.device, torch.float64).split(ROWS)
            ]
        return torch.cat(pieces).numpy()

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """Draws of x, ``(count, columns)``, in the units of the data."""
        with ONE_AT_A_TIME, evaluating(self.model, seed):
            sizes = [len(piece) for piece in torch.empty(count).split(ROWS)]
            pieces = [self.kind.nearest(self.model.generate(size).sample()).cpu() for size in sizes]
        return torch.cat(pieces).numpy()

    @property
    def units(self) -> int:
        """Numbers in a latent."""
        return self._latent_shape.numel()

    @property
    def _latent_shape(self) -> torch.Size:
        with ONE_AT_A_TIME, evaluating(self.model, 0):
            (z,) = self.model.sample_latents(1).values()
        return z.shape[1:]

    def _each(self, rows: Split, seed: int, samples: int, function: Callable[[Batch], Tensor]) -> np.ndarray:
        """A function of a batch of one row, of every row, with the same noise for each.

        Args:
            rows: which.
            seed: of the noise.
            samples: how many draws of a row it makes.
            function: gives ``(…)`` of a batch.
        """
        loader = Loader(rows, self.kind, self.device)
        widest = elements_per_draw(self.model, loader.rows(torch.zeros(1, dtype=torch.long)))
        loader.batch_size = min(ROWS, max(1, budget_of(self.device) // (samples * widest)))
        pieces = []
        for batch in loader:
            with ONE_AT_A_TIME, evaluating(self.model, seed):
                pieces.append(_with_the_same_noise(function, batch.x.double(), batch.mask, seed).cpu())
        return torch.cat(pieces).numpy()


def _with_the_same_noise(function: Callable[[Batch], Tensor], x: Tensor, mask: Tensor | None, seed: int) -> Tensor:
    """``function`` of a batch of each row, ``(rows, …)``; random numbers are those of ``seed`` for every one."""

    def one(x: Tensor, mask: Tensor | None) -> Tensor:
        return function(Batch(x[None], mask=None if mask is None else mask[None]))

    try:
        return torch.vmap(one, (0, None if mask is None else 0), randomness="same")(x, mask)
    except RuntimeError:  # something in the model has no rule for vmap (torch's own draws from a Beta)
        results = []
        for row in range(len(x)):
            torch.manual_seed(seed)
            results.append(one(x[row], None if mask is None else mask[row]))
        return torch.stack(results)
