"""Batch: rows as a model sees them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Rows of data, on the device, as the model sees them.

    Attributes:
        x: ``(batch, *event)``.
        label: ``(batch,)`` integers, −1 where not observed; ``None`` if there are none.
        condition: ``(batch, *shape)``, what the model is conditioned on (a label, attributes, an image), or ``None``.
        mask: true where x is observed, ``(batch, *event)``, or ``None`` if all of it is.
        length: ``(batch,)`` integers, steps on the first axis of x that are no padding; ``None`` if all are as long.
    """

    x: Tensor
    label: Tensor | None = None
    condition: Tensor | None = None
    mask: Tensor | None = None
    length: Tensor | None = None
