"""Choice of the device."""

from __future__ import annotations

import torch

from vaekit.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the best there is.

    Raises:
        UserError: if it is not there.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        return torch.device("cuda" if counts["cuda"] else "cpu")
    kind, colon, index = name.partition(":")
    if not (index.isdecimal() if colon else True) or int(index or 0) >= counts.get(kind, 0):
        there = ", ".join(key for key, count in counts.items() if count)
        raise UserError(f"the device '{name}' is not here; there are: {there}.")
    return torch.device(name)
