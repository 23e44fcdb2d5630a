"""Rows of a split as batches on a device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.chunks import CHUNK_BYTES, release
from vaekit.data.dataset import Split
from vaekit.data.kinds import Kind

FAULT_BYTES = 2 << 20  # what the system may map around one row that is read


class Loader:
    """Gathers rows by index, from a tensor that lives on the device or from a memory-mapped file.

    Values stay as they are stored (``uint8`` stays ``uint8``) until the kind prepares a batch on the
    device; dynamic binarisation therefore draws afresh each time.

    Args:
        split: the rows.
        kind: what their values are.
        device: where batches are wanted.
        batch_size: rows in a batch; the last one may be smaller.
    """

    def __init__(self, split: Split, kind: Kind, device: torch.device | str = "cpu", batch_size: int = 128) -> None:
        self.split = split
        self.kind = kind
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.mapped = isinstance(split.x, np.memmap)
        self._touched = 0  # bytes of the file that may be in memory
        self._resident = None if self.mapped else torch.from_numpy(np.ascontiguousarray(split.x)).to(self.device)
        self._label = None if split.label is None else torch.from_numpy(split.label).long().to(self.device)
        self._condition = None if split.condition is None else torch.from_numpy(split.condition).to(self.device)
        self._mask = None if split.mask is None else torch.from_numpy(split.mask).to(self.device)

    def __len__(self) -> int:
        """Batches in one epoch."""
        rows = len(self.split.x) if self.split.order is None else len(self.split.order)
        return -(-rows // self.batch_size)

    def order(self, seed: int, epoch: int) -> Tensor:
        """The row numbers of an epoch, shuffled: a function of seed and epoch alone, so that it can be resumed."""
        rows = torch.arange(len(self.split.x)) if self.split.order is None else torch.from_numpy(self.split.order)
        generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) & 0x7FFF_FFFF_FFFF_FFFF)
        return rows[torch.randperm(len(rows), generator=generator)]

    def rows(self, indices: Tensor) -> Batch:
        """The rows of the given numbers ``(batch,)``, in that order."""
        if self._resident is not None:
            raw = self._resident.index_select(0, indices.to(self.device))
        else:
            # A file is read in its own order; the rows are then put back into the order asked for.
            ascending, inverse = np.unique(indices.numpy(), return_inverse=True)
            raw = torch.from_numpy(self.split.x[ascending][inverse]).to(self.device)
            self._count(len(ascending), raw.nbytes)
        there = indices.to(self.device)
        columns = (self._label, self._condition, self._mask)
        label, condition, mask = (column if column is None else column.index_select(0, there) for column in columns)
        return Batch(self.kind.prepare(raw), label, condition, mask)

    def _count(self, rows: int, num_bytes: int) -> None:
        """Keep the mapped file from filling the memory."""
        self._touched += max(num_bytes, rows * FAULT_BYTES)
        if self._touched > 8 * CHUNK_BYTES:
            release(self.split.x)
            self._touched = 0

    def __iter__(self) -> Iterator[Batch]:
        """All rows once, in order."""
        for start in range(0, len(self.split.x), self.batch_size):
            stop = min(start + self.batch_size, len(self.split.x))
            yield self.rows(torch.arange(start, stop))
