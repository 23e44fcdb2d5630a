"""docs/speed.md is what the script makes of benchmarks/results/*.json."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_speed", ROOT / "docs" / "make_speed.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "make_speed", module)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.text(), "run python docs/make_speed.py"


def test_a_page(script: ModuleType, tmp_path: Path) -> None:
    assert script.text(tmp_path).count("not measured") == len(script.TARGETS)
    rounds = {"vaekit": [{"seconds": 1.25, "others": 0.5}], "plain loop": [{"seconds": 1.5, "others": 0.0}]}
    result = {
        "environment": {"processor": "A", "cores": 2},
        "ratios": {"vaekit / plain loop": 0.8333},
        "rounds": rounds,
    }
    (tmp_path / "convolutions.json").write_text(json.dumps(result))
    page = script.text(tmp_path)
    assert "| vaekit / plain loop | ≤ 0.75 | 0.833 | **missed** |" in page
    assert "processor A; cores 2." in page
    assert "| vaekit | 1.25 | 50% |" in page
    result["ratios"] = {"vaekit / plain loop": 0.7}
    (tmp_path / "convolutions.json").write_text(json.dumps(result))
    assert "| vaekit / plain loop | ≤ 0.75 | 0.7 | met |" in script.text(tmp_path)
    (tmp_path / "processes.json").write_text(json.dumps(result | {"rate of two over one": 0.5}))
    assert "| rate / one process of two threads | none | 0.5 | reported |" in script.text(tmp_path)
