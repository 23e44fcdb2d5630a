"""Cache folder: downloads, measurements of the machine, compiled programs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vaekit``, or ``~/.cache/vaekit``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored by the XDG rules.
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "vaekit"


@contextmanager
def keeping(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes its place in the cache at the end, whatever other processes do, or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
