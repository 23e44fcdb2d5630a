"""Growing buffer: rows that come in batches as one tensor."""

from __future__ import annotations

import torch
from torch import Tensor


class Column:
    """Puts rows behind each other in a tensor that is made larger by half when it is full.

    Kept one by one, small tensors would lie between the large ones that come and go with every batch, and memory
    would grow with the data by many times what is kept.
    """

    def __init__(self) -> None:
        self._room = torch.empty(0)
        self._rows = 0

    def add(self, rows: Tensor) -> None:
        """Append ``(batch, …)``."""
        stop = self._rows + len(rows)
        if stop > len(self._room):
            room = rows.new_empty(max(stop, 3 * stop // 2), *rows.shape[1:])
            if self._rows:
                room[: self._rows] = self._room[: self._rows]
            self._room = room
        self._room[self._rows : stop] = rows
        self._rows = stop

    @property
    def value(self) -> Tensor:
        """All rows ``(rows, …)``."""
        return self._room[: self._rows]
