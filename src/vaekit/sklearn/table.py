"""Tables ``(rows, columns)`` as the data set of a fit and the rows of a fitted model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vaekit.data.arrays import as_dataset
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import GreyLevels, Kind, Real
from vaekit.data.missing import refuse_empty_columns
from vaekit.data.splits import cut
from vaekit.data.standardize import scaled_kind

KINDS = ("real", "binary", "counts", "categories", "grey")
FEWEST_TO_CUT = 10  # rows from which some are set aside


def training_data(X: np.ndarray, kind: str | Kind | None, validation_fraction: float, seed: int) -> Dataset:
    """The data set of a fit: real columns standardised over the training rows, NaN taken for missing cells.

    Args:
        X: ``(rows, columns)``.
        kind: what the numbers are: a word of ``KINDS``, ``None`` for what they look like, or the kind of a model
            that is trained further.
        validation_fraction: share of the rows that epochs are compared by; with 0, or fewer than 10 rows, all rows
            are in every split.
        seed: which rows.

    Raises:
        UserError: if X does not hold such numbers, or a row or column has no observed cell.
    """
    data = _undivided(X, kind if isinstance(kind, Kind) else _asked(X, kind))
    count = max(1, round(validation_fraction * len(X))) if validation_fraction and len(X) >= FEWEST_TO_CUT else 0
    if count:
        pieces = cut(data.train, {"validation": count}, seed, "X")
        data = replace(data, train=pieces["train"], validation=pieces["validation"], test=pieces["validation"])
    if isinstance(kind, Kind):
        return data
    refuse_empty_columns(data.train.mask, (), "X")
    if not isinstance(data.kind, Real):
        return data
    scaled, _ = scaled_kind(data.train.x, (), data.train.mask)
    return replace(data, kind=scaled).refilled()


def _asked(X: np.ndarray, kind: str | None) -> str | Kind | None:
    """As :func:`as_dataset` takes it. Grey levels are whole numbers here, at the first fit as later on."""
    if kind == "grey":
        return GreyLevels(256)
    # Negative integers are refused by as_dataset; for scikit-learn they are numbers like others.
    return "real" if kind is None and X.dtype.kind == "i" and (X < 0).any() else kind


def split_of(X: np.ndarray, kind: Kind) -> Split:
    """Rows for a fitted model.

    Raises:
        UserError: if X does not hold numbers of this kind, or a row has no observed cell.
    """
    return _undivided(X, kind).train


def _undivided(X: np.ndarray, kind: str | Kind | None) -> Dataset:
    X = X if X.flags.writeable else X.copy()  # torch warns of memory that is read-only
    return as_dataset(X, kind=kind, missing="nan", whole=True, standardize=False, name="X")


def log_scales(kind: Kind, columns: int) -> np.ndarray:
    """What is subtracted from a log-density for each observed cell to bring it into the units of the data.

    Args:
        kind: of the data.
        columns: how many.

    Returns:
        ``(columns,)``; 0 for what is discrete.
    """
    return np.array([kind.log_scale((columns,), cell[None]) for cell in np.eye(columns, dtype=bool)])
