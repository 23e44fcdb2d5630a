"""Memory-mapped arrays read by file offset."""

from __future__ import annotations

import mmap
import os
from io import FileIO
from pathlib import Path

import numpy as np

from vaekit.data.chunks import Array, mapping, release
from vaekit.errors import UserError


def take(array: Array, rows: Array) -> Array:
    """Some rows of an array in memory or in a file, ``(len(rows), …)``, contiguous.

    A few rows taken through a mapping can leave megabytes around each of them in memory.
    """
    return MappedRows(array).read(rows) if isinstance(array, np.memmap) else np.ascontiguousarray(array[rows])


class MappedRows:
    """Reads rows of a memory-mapped array.

    Read by calls, runs of rows come in one piece, other threads go on meanwhile, and what was read is the
    system's cache and not memory of this process. An array whose rows do not lie in one piece each (stored
    column by column) or that may be written to is read through its mapping.

    Args:
        array: ``(rows, …)``.

    Raises:
        UserError: if its file is gone.
    """

    def __init__(self, array: np.memmap) -> None:
        self._array = array
        self._axes = tuple(int(axis) for axis in np.argsort([-stride for stride in array.strides], kind="stable"))
        self._stored = array.transpose(self._axes)  # as it lies in the file
        self._in_pieces = array.mode == "r" and self._axes[0] == 0 and self._stored.flags.c_contiguous
        if self._in_pieces:
            self._path = Path(str(array.filename))
            self._offset = _offset(array)
            with self._open() as file:
                self._stamp = _stamp(file.fileno())

    def read(self, rows: Array) -> Array:
        """The rows of the given numbers, ``(len(rows), …)``, contiguous; those that follow each other in one piece.

        Raises:
            UserError: if the file has changed or cannot be read.
        """
        ends = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
        runs = list(zip([0, *ends], [*ends, len(rows)], strict=True))
        return self._from_file(rows, runs) if self._in_pieces else self._through_mapping(rows, runs)

    def _from_file(self, rows: Array, runs: list[tuple[int, int]]) -> Array:
        out = np.empty((len(rows), *self._stored.shape[1:]), self._stored.dtype)
        view = memoryview(out.reshape(-1).view(np.uint8))  # pyright: ignore[reportArgumentType]
        size = out.nbytes // max(1, len(rows))
        with self._open() as file:
            if _stamp(file.fileno()) != self._stamp:
                raise UserError(f"{self._path} has changed while it was being read.", hint="start again.")
            for start, stop in runs:
                file.seek(self._offset + int(rows[start]) * size)
                self._fill(file, view[start * size : stop * size])
        return np.ascontiguousarray(out.transpose(np.argsort(self._axes)))

    def _through_mapping(self, rows: Array, runs: list[tuple[int, int]]) -> Array:
        out = np.empty((len(rows), *self._array.shape[1:]), self._array.dtype)
        for start, stop in runs:
            out[start:stop] = self._array[rows[start] : rows[stop - 1] + 1]
            release(self._array)
        return out

    def _open(self) -> FileIO:
        try:
            file = FileIO(self._path)
        except OSError as error:
            raise UserError(f"{self._path} cannot be read any more: {error.strerror}.") from error
        if hasattr(os, "posix_fadvise"):
            # Blocks are far apart: what the system would read on beyond each of them is not wanted.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        return file

    def _fill(self, file: FileIO, view: memoryview) -> None:
        while len(view):
            try:
                count = file.readinto(view)
            except OSError as error:
                raise UserError(f"{self._path} cannot be read: {error.strerror}.") from error
            if not count:
                raise UserError(f"{self._path} has become shorter while it was being read.", hint="start again.")
            view = view[count:]


def _offset(array: np.memmap) -> int:
    """Where in its file an array begins; a view of a part of it begins later."""
    whole = mapping(array)
    assert whole is not None
    begins = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    return begins + _address(array) - _address(np.frombuffer(whole, np.uint8))


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]


def _stamp(handle: int) -> tuple[int, int, int]:
    stat = os.fstat(handle)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
