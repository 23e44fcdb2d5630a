"""Where vaekit keeps what can be had again: downloads, and what was measured of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vaekit``, or ``~/.cache/vaekit``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored by the XDG rules.
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "vaekit"
