"""Ragged rows: sequences of different lengths, padded to the longest, with their lengths beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vaekit.data.chunks import Array
from vaekit.errors import UserError


def is_ragged(parts: Mapping[str, Any]) -> bool:
    """Whether some part is a list of rows of different lengths."""
    return any(
        isinstance(rows, list | tuple)
        and len(rows) > 0
        and all(isinstance(row, list | tuple) or getattr(row, "ndim", 0) > 0 for row in rows)
        and len({len(row) for row in rows}) > 1
        for rows in parts.values()
    )


def padded(
    parts: Mapping[str, Any], titles: Mapping[str, str], longest: int = 0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Rows as arrays ``(rows, steps, channels)``, or ``(rows, steps)`` of whole numbers, zeros at the end of each.

    Args:
        parts: rows by part, each ``(steps, channels)`` or ``(steps,)``; single real numbers become one channel.
        titles: what errors call each part.
        longest: steps to pad to; those of the longest row by default.

    Returns:
        The arrays, and the lengths ``(rows,)``, by part.

    Raises:
        UserError: if rows differ in more than their lengths, one is empty or longer than ``longest``.
    """
    rows = {
        part: [_sequence(row, f"row {at} of {titles[part]}") for at, row in enumerate(parts[part])] for part in parts
    }
    every = [row for some in rows.values() for row in some]
    channels = {row.shape[1:] for row in every}
    if len(channels) > 1:
        shapes = " and ".join(sorted(map(str, channels))[:2])
        raise UserError(
            f"sequences may differ in length alone, and steps of {titles['train']} have the shapes {shapes}."
        )
    steps = max(len(row) for row in every)
    if longest and steps > longest:
        raise UserError(f"a row of {titles['train']} has {steps} steps, more than the {longest} of longest.")
    dtype = np.result_type(*{row.dtype for row in every})
    arrays, lengths = {}, {}
    for part, some in rows.items():
        arrays[part] = np.zeros((len(some), longest or steps, *next(iter(channels))), dtype)
        lengths[part] = np.array([len(row) for row in some], np.int64)
        for place, row in zip(arrays[part], some, strict=True):
            place[: len(row)] = row
    return arrays, lengths


def inside(length: Array, shape: tuple[int, ...]) -> Array:
    """Where rows ``(rows, steps, …)`` of that shape are no padding."""
    there = np.arange(shape[1]) < length[:, None]
    return np.broadcast_to(there.reshape(*there.shape, *[1] * (len(shape) - 2)), shape)


def _sequence(row: Any, name: str) -> Array:
    try:
        array = row.detach().cpu().numpy() if isinstance(row, torch.Tensor) else np.asarray(row)
    except ValueError as error:
        raise UserError(f"{name} is no array: its steps differ in length.") from error
    if array.dtype.kind not in "buif":
        raise UserError(f"{name} holds values of type {array.dtype}, but only numbers can be used.")
    if array.size == 0:
        raise UserError(f"{name} is empty.", hint="leave it out.")
    return array[:, None] if array.ndim == 1 and array.dtype.kind == "f" else array
