"""Fixtures for all tests."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

# The route of linear layers is measured on a machine; tests that compare bytes across processes must not wait for it.
os.environ.setdefault("VAEKIT_LINEAR", "onednn")


# What `make check` runs of the tests: every contract once, in a minute.
FAST = (
    "test_config.py",
    "test_floors.py",
    "test_kinds.py",
    "test_part_cases.py",
    "test_schedules.py",
    "data/test_csv.py",
    "data/test_labels.py",
    "data/test_missing.py",
    "distributions/test_chain.py",
    "distributions/test_kl.py",
    "models/test_m2.py",
    "networks",
    "objectives/test_objectives.py",
    "run",
    "training/test_loop.py",
    "training/test_settings.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast part."""
    here = Path(__file__).parent
    fast = [here / name for name in FAST]
    for item in items:
        if any(item.path == path or path in item.path.parents for path in fast):
            item.add_marker(pytest.mark.fast)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that no other test has seen: what one has compiled, another must not find."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"  # made by whoever keeps something
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their pictures, which take longer than a small training; tests/report looks at them."""
    monkeypatch.setattr("vaekit.report.page.png", lambda picture, **options: b"")


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the real data sets; VAEKIT_DATA is set to it. Skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VAEKIT_DATA") or beside)
    if not (folder / "mnist").is_dir():
        pytest.skip(f"needs the real data sets: {folder} has no folder mnist (set VAEKIT_DATA)")
    monkeypatch.setenv("VAEKIT_DATA", str(folder))
    return folder
