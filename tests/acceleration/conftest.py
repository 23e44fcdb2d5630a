"""Tests of captured and compiled steps: skipped where acceleration is switched off."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaekit.acceleration.switch import why_off

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if why := why_off():
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"no acceleration: {why}"))
