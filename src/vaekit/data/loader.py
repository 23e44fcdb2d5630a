"""Loader: batches of rows on a device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data.ahead import ahead
from vaekit.data.batch import Batch
from vaekit.data.dataset import Split
from vaekit.data.kinds import Kind
from vaekit.data.mapped import MappedRows
from vaekit.data.shuffle import in_batches, in_order, shuffled

WINDOW_BYTES = 128 << 20  # of a file in memory at once; the window after it is being read
WINDOW_ROWS = 1 << 20  # small rows: their numbers take memory too


class Window(NamedTuple):
    """Rows that are on the device together.

    Attributes:
        rows: their numbers ``(n,)``.
        table: stored values ``(rows of the table, *stored_shape)``.
        places: where in the table each of them is, ``(n,)``.
    """

    rows: Tensor
    table: Tensor
    places: Tensor


class RowSelection(NamedTuple):
    """Rows that are next; what they hold is looked up when it is wanted, because that may draw random numbers.

    Attributes:
        rows: their numbers ``(batch,)``.
        places: where in the table each of them is, ``(batch,)``.
        table: stored values ``(rows of the table, *stored_shape)``, on the device.
        make: the batch of some numbers and stored values.
    """

    rows: Tensor
    places: Tensor
    table: Tensor
    make: Callable[[Tensor, Tensor], Batch]

    @property
    def stored(self) -> Tensor:
        """Their values as they are stored, ``(batch, *stored_shape)``."""
        return self.table.index_select(0, self.places)

    @property
    def batch(self) -> Batch:
        """What all of them hold."""
        return self.make(self.rows, self.stored)

    def some(self, part: slice) -> RowSelection:
        """Some of them."""
        return self._replace(rows=self.rows[part], places=self.places[part])


class Loader:
    """Gathers rows by index from a tensor that lives on the device.

    The tensor holds all rows, or a window of a memory-mapped file, the next window being read meanwhile.
    Values stay as they are stored (``uint8`` stays ``uint8``) until the kind prepares a batch on the
    device; dynamic binarisation therefore draws afresh each time, but for :meth:`fixed`.

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
        self._count = -(-split.num_rows // batch_size)
        self._file = MappedRows(split.x) if isinstance(split.x, np.memmap) else None
        self._resident = None if self.mapped else torch.from_numpy(np.ascontiguousarray(split.x)).to(self.device)
        row_bytes = max(1, split.x[:1].nbytes)
        self._window = max(1, min(WINDOW_BYTES // row_bytes, WINDOW_ROWS)) if self.mapped else max(1, self.num_rows)
        self._label = None if split.label is None else torch.from_numpy(split.label).long().to(self.device)
        self._condition = None if split.condition is None else torch.from_numpy(split.condition).to(self.device)
        self._mask = None if split.mask is None else torch.from_numpy(split.mask).to(self.device)
        self._length = None if split.length is None else torch.from_numpy(split.length).to(self.device)

    @property
    def mapped(self) -> bool:
        """Whether the rows stay on disk."""
        return self._file is not None

    @property
    def num_rows(self) -> int:
        """Rows in one epoch."""
        return self.split.num_rows

    def __len__(self) -> int:
        """Batches in one epoch."""
        return self._count

    def order(self, seed: int, epoch: int) -> Tensor:
        """The row numbers of an epoch ``(rows,)``: a function of seed and epoch alone, so that it can be resumed."""
        return torch.cat(list(self._order(seed, epoch)))

    def _order(self, seed: int, epoch: int) -> Iterator[Tensor]:
        for places in shuffled(self.num_rows, self._window, seed, epoch):
            yield places if self.split.order is None else torch.from_numpy(self.split.order[places.numpy()])

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Generator[RowSelection]:
        """The batches of an epoch, in the order of :meth:`order`.

        Of a file the next window is read in a thread, which ends with the generator: close it if you stop early.

        Args:
            seed, epoch: what the order depends on.
            start: how many batches are left out at the beginning, because they were seen before a stop.

        Raises:
            UserError: if the file has changed or cannot be read.
        """
        return self._batches(in_batches(self._order(seed, epoch), self.batch_size, start))

    def rows(self, indices: Tensor) -> Batch:
        """The rows of the given numbers ``(batch,)``, in that order."""
        rows, table, places = self._load(indices)
        return self._batch(rows, table.index_select(0, places))

    def some(self, seed: int, count: int) -> Batch:
        """``count`` rows, or all if there are fewer: those that an epoch numbered 0 begins with."""
        rows = next(in_batches(self._order(seed, 0), min(count, self.num_rows)))
        return self.rows(rows[:count])

    def __iter__(self) -> Iterator[Batch]:
        """All rows once, in order."""
        return self.between(0, self.rows_in_order)

    def fixed(self, seed: int) -> Iterator[Batch]:
        """All rows once, in order, that hold the same each time: a dynamic binarisation draws from ``seed``."""
        seeds = torch.Generator().manual_seed(seed)
        batches = iter(self)
        while True:
            # Seeding reaches every GPU.
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                torch.manual_seed(int(torch.randint(1 << 62, (), generator=seeds)))
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    @property
    def rows_in_order(self) -> int:
        """Rows that there are when they are taken in order."""
        return len(self.split.x)

    def between(self, start: int, stop: int) -> Iterator[Batch]:
        """The rows from ``start`` to before ``stop`` once, in order."""
        rows = (start + places for places in in_order(stop - start, self._window))
        for selection in self._batches(in_batches(rows, self.batch_size)):
            yield selection.batch

    def _batches(self, order: Iterable[Tensor]) -> Generator[RowSelection]:
        """Batches of windows that end where a batch ends."""
        for rows, table, places in ahead(self._load, order) if self.mapped else map(self._load, order):
            for start in range(0, len(rows), self.batch_size):
                some = slice(start, start + self.batch_size)
                here = rows[some]
                yield RowSelection(here, here if places is rows else places[some], table, self._batch)

    def _load(self, rows: Tensor) -> Window:
        """A window; runs in the thread that reads ahead, so that it draws no random numbers."""
        if self._resident is not None:
            there = rows.to(self.device)
            return Window(there, self._resident, there)
        assert self._file is not None
        # A file is read in its own order.
        ascending, places = np.unique(rows.numpy(), return_inverse=True)
        table = torch.from_numpy(self._file.read(ascending))
        return Window(rows.to(self.device), table.to(self.device), torch.from_numpy(places).to(self.device))

    def _batch(self, rows: Tensor, stored: Tensor) -> Batch:
        beside = (self._label, self._condition, self._mask, self._length)
        return Batch(
            self.kind.prepare(stored),
            *(column if column is None else column.index_select(0, rows) for column in beside),
        )
