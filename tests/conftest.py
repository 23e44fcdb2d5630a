"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The route of linear layers is measured on a machine; tests that compare bytes across processes must not wait for it.
os.environ.setdefault("VAEKIT_LINEAR", "onednn")


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the real data sets; VAEKIT_DATA is set to it. Skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VAEKIT_DATA") or beside)
    if not (folder / "mnist").is_dir():
        pytest.skip(f"needs the real data sets: {folder} has no folder mnist (set VAEKIT_DATA)")
    monkeypatch.setenv("VAEKIT_DATA", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return folder
