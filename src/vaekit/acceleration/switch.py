"""Switch of the acceleration, and why it is off."""

from __future__ import annotations

import os

import torch

VARIABLE = "VAEKIT_ACCELERATION"
KNOWN_BELOW = (2, 14)  # versions of torch whose private names are known to be what they are here; as in pyproject.toml


def why_off() -> str:
    """Why nothing is captured; empty if it may be."""
    if os.environ.get(VARIABLE, "").lower() in ("off", "0", "no", "false"):
        return f"{VARIABLE} is off"
    version = tuple(int(part) for part in torch.__version__.partition("+")[0].split(".")[:2])
    if version >= KNOWN_BELOW:
        known = ".".join(map(str, KNOWN_BELOW))
        return f"torch {torch.__version__} is newer than this version of vaekit knows (below {known})"
    return ""
