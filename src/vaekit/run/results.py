"""Results of the verbs of a run, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vaekit.data.kinds import Kind
from vaekit.evaluation.traversal import Ranking, Unit


@dataclass(frozen=True)
class Codes:
    """q(z|x) of every row.

    Attributes:
        latents: mean and standard deviation by latent, each ``(rows, *latent)``.
        label: of the rows as they are called in the data, ``(rows,)``, or ``None``.
    """

    latents: Mapping[str, tuple[np.ndarray, np.ndarray]]
    label: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """Means of all latents side by side, ``(rows, units)``."""
        return _beside([mean for mean, _ in self.latents.values()])

    @property
    def std(self) -> np.ndarray:
        """Standard deviations of all latents side by side, ``(rows, units)``."""
        return _beside([scale for _, scale in self.latents.values()])


def _beside(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([each.reshape(len(each), -1) for each in arrays], axis=1)


class Reconstruction(NamedTuple):
    """Rows and what the model makes of them.

    Attributes:
        mean: of p(x|z) at their codes, ``(rows, *example)``.
        x: the rows as the model was shown them, in the same units.
    """

    mean: np.ndarray
    x: np.ndarray


class Completed(NamedTuple):
    """Rows whose missing cells are filled.

    Attributes:
        x: ``(rows, *example)``; what was observed as it was.
        effective_samples: (Σ w)² / Σ w² of the draws, ``(rows with gaps,)``: near 1 means that one draw decides.
        mask: true where it was observed, or ``None`` if all was.
    """

    x: np.ndarray
    effective_samples: np.ndarray
    mask: np.ndarray | None


class Traversal(NamedTuple):
    """Units of the latents moved alone.

    Attributes:
        units: which, the most used first.
        ranking: of all units.
        values: that each takes, ``(steps,)``.
        paths: means of p(x|z) as the model sees data, ``(units, steps, *event)``.
        first: the example from which it starts, as the model sees it, ``(1, *event)``.
        kind: of the data.
    """

    units: Sequence[Unit]
    ranking: Ranking
    values: np.ndarray
    paths: Tensor
    first: Tensor
    kind: Kind

    @property
    def x(self) -> np.ndarray:
        """The paths in the units of the data, ``(units, steps, *example)``."""
        return self.kind.restore(self.paths).detach().cpu().numpy()

    @property
    def names(self) -> list[str]:
        """What the units are called."""
        return [self.ranking.name(unit) for unit in self.units]
