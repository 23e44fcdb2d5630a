"""docs/results.md is what the script makes of results/*.json."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from vaekit.papers.paper import Row

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_results", ROOT / "docs" / "make_results.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.text(), "run python docs/make_results.py"


def test_the_rows_that_are_kept_are_rows() -> None:
    for file in (ROOT / "results").glob("*.json"):
        for document in json.loads(file.read_text(encoding="utf-8")):
            said = document.pop("verdict")
            assert Row(**document).verdict == said, f"a verdict in {file.name} was typed"


def test_a_page(script: ModuleType, tmp_path: Path) -> None:
    assert "No results are kept yet." in script.text(tmp_path)
    row = Row(
        *("aevb", "vae", "mnist", "test log p(x|z)", "nats", "10,000 images"),
        *(-155.91, "printed", "≥ -157.0", -156.5, 0.25, (0, 1), "paper", "vaekit reproduce aevb", "abc1234", 12.0),
    )
    (tmp_path / "aevb.json").write_text(json.dumps([row.document()]))
    page = script.text(tmp_path)
    assert r"| vae | mnist | test log p(x\|z) (nats) | −155.91 | ≥ −157.0 | −156.50 ± 0.250 | as expected |" in page
    assert "Again: `vaekit reproduce aevb` (budget: paper; seed 0, 1; commit at the end of the run abc1234)" in page


def test_budgets_and_figures_that_nobody_saw(script: ModuleType, tmp_path: Path) -> None:
    def row(budget: str, certainty: str) -> dict[str, object]:
        return Row(
            *("aevb", "vae", "mnist", "test ELBO", "nats", "10,000 images"),
            *(-155.91, certainty, "", -156.5, None, (0,), budget, f"again {budget}", "abc1234", 12.0),
        ).document()

    rows = [row("paper", "published figure not verified: from memory"), row("quick", "printed")]
    (tmp_path / "aevb.json").write_text(json.dumps(rows))
    page = script.text(tmp_path)
    assert page.count("| −155.91 (published figure not verified) |") == 1
    assert page.count("| −155.91 |") == 1
    assert page.count("| system | data |") == 2
    assert "Again: `again paper` (budget: paper" in page
    assert "Again: `again quick` (budget: quick" in page
    assert "10,000 images. Published figure not verified: from memory. Training" in page
    assert "10,000 images. Published: printed. Training" in page


def test_several_systems_with_the_same_figures_are_columns(script: ModuleType, tmp_path: Path) -> None:
    def row(system: str, dataset: str, measured: float, expected: str = "") -> dict[str, object]:
        return Row(
            *("anomaly", system, dataset, "ROC-AUC", "1 is best", f"protocol of {system}"),
            *(None, "", expected, measured, 0.01, (0, 1), "defaults", "python b.py", "abc1234", 2.0),
        ).document()

    grid = [row("vae", "wine", 0.9), row("vae", "musk", 0.8), row("mixture", "musk", 0.6), row("mixture", "wine", 0.7)]
    (tmp_path / "anomaly.json").write_text(json.dumps(grid))
    page = script.text(tmp_path)
    assert "| data | figure | vae | mixture |" in page
    assert "| wine | ROC-AUC (1 is best) | 0.900 ± 0.010 | 0.700 ± 0.010 |" in page
    assert "| musk | ROC-AUC (1 is best) | 0.800 ± 0.010 | 0.600 ± 0.010 |" in page
    assert page.count("protocol of vae. It took 4 s in all.") == 1
    for other in (grid[:3], [*grid[:3], row("mixture", "wine", 0.7, "> 0.5")], [*grid, grid[0]]):
        (tmp_path / "anomaly.json").write_text(json.dumps(other))
        assert "| system | data | figure | published |" in script.text(tmp_path)
