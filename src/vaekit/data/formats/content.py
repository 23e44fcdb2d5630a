"""Content of a file, before its kind is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from vaekit.data.arrays import objects
from vaekit.errors import UserError


class Content(NamedTuple):
    """The arrays of a file.

    Attributes:
        x: ``(rows, …)``, or a map of parts to such arrays.
        y: labels ``(rows,)``, numbers or words, or a map like ``x``; ``None`` without labels.
        columns: names of the columns of a table.
        kind: what the values are if nobody says otherwise; ``None`` to look at them.
        mask: of the shape of ``x``, true where it is observed, or a map like it; ``None`` if all of it is.
    """

    x: Any
    y: Any = None
    columns: tuple[str, ...] = ()
    kind: str | None = None
    mask: Any = None


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Around a decoder that is not ours: on a damaged file it may raise anything.

    Raises:
        UserError: saying why the file cannot be read.
    """
    try:
        yield
    except (UserError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and "object" in str(error).lower():
            raise objects(f"{path}") from error
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or str(error).strip() or "it ends too early"
    return UserError(f"{path} cannot be read: {reason.splitlines()[0].rstrip('.')}.")
