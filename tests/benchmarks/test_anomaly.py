"""The comparison of anomaly scores: what it reads, what it averages, what each system is given."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vaekit.errors import UserError


@pytest.fixture
def anomaly() -> ModuleType:
    return importlib.import_module("anomaly")


@pytest.fixture
def detectors() -> ModuleType:
    return importlib.import_module("detectors")


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Forty ordinary rows of whole numbers, negative ones among them, and three that are far from them."""
    generator = np.random.default_rng(0)
    ordinary, odd = generator.normal(0, 10, (40, 3)).round(), np.full((3, 3), 300.0)
    return np.concatenate([ordinary, odd]), np.repeat([0.0, 1.0], [40, 3])


class TestFiles:
    def test_without_the_folder_it_says_where_to_put_them(self, anomaly, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.delenv("VAEKIT_DATA", raising=False)
        with pytest.raises(UserError, match="not there: VAEKIT_DATA is not set") as caught:
            anomaly.files_of(None)
        assert "Minqi824/ADBench" in caught.value.hint
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        with pytest.raises(UserError, match=r"adbench holds no \.npz files"):
            anomaly.files_of(None)

    def test_sets_have_adbench_s_names_without_numbers(self, anomaly, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        (tmp_path / "adbench").mkdir()
        for name, rows in (("31_satimage-2", 50), ("45_wine", 5)):
            np.savez(tmp_path / "adbench" / name, X=np.zeros((rows, 2), np.uint8), y=np.arange(rows) == 0)
        assert list(anomaly.files_of(None)) == ["wine", "satimage-2"]
        assert list(anomaly.files_of(["satimage-2"])) == ["satimage-2"]
        with pytest.raises(UserError, match="unknown set 'wines'") as caught:
            anomaly.files_of(["wines"])
        assert caught.value.hint == "did you mean wine?"
        labelled = anomaly.read("wine", anomaly.files_of(None)["wine"])
        assert labelled.describe() == "wine (5 × 2, 20.0 % anomalies)"

    def test_the_command_ends_with_2(self) -> None:
        script = Path(__file__).resolve().parents[2] / "benchmarks" / "anomaly.py"
        done = subprocess.run(
            [sys.executable, str(script)], env={"VAEKIT_DATA": "/nowhere"}, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert done.stderr.startswith("error: the sets of ADBench are not there")
        assert "Traceback" not in done.stderr


class TestTable:
    @pytest.fixture
    def figures(self, anomaly):
        # a: best, then second; b: second, then best; c shares the last place once.
        return {
            "one": {
                "a": anomaly.Figure((0.9, 0.8), 1.0),
                "b": anomaly.Figure((0.7, 0.7), 1.0),
                "c": anomaly.Figure((0.7, 0.7), 1.0),
            },
            "two": {
                "a": anomaly.Figure((0.5, 0.6), 2.0),
                "b": anomaly.Figure((0.95, 0.95), 2.0),
                "c": anomaly.Figure((0.5, 0.5), 2.0),
            },
        }

    def test_means_are_over_sets_and_spreads_over_seeds(self, anomaly, figures) -> None:
        average = anomaly.averages(figures)
        assert average["a"][0].areas == pytest.approx((0.7, 0.7))
        assert average["a"][0].spread == pytest.approx(0)
        assert {system: rank for system, (_, rank) in average.items()} == {"a": 1.5, "b": 1.75, "c": 2.75}
        assert anomaly.Figure((0.9,), 1.0).spread is None

    def test_rows_are_a_comparison_with_one_row_a_set(self, anomaly, detectors, figures) -> None:
        sets = {name: anomaly.LabelledSet(name, np.zeros((4, 2)), np.array([1, 0, 0, 0])) for name in figures}
        systems = {name: detectors.Detector(lambda *_: np.zeros(4), lambda: "so") for name in "abc"}
        options = SimpleNamespace(seeds=[0, 1], options="")
        made = [row.document() for row in anomaly.rows(sets, figures, systems, options, "python …")]
        assert len(made) == 3 * (2 + 2)
        assert sum(row["seconds"] for row in made if row["system"] == "a") == 3
        assert {row["measured"] for row in made if row["metric"] == "mean rank"} == {1.5, 1.75, 2.75}


class TestSystems:
    def test_a_mixture_finds_what_is_far(self, detectors, rows, tmp_path: Path) -> None:
        features, label = rows
        for components in ((1,), (1, 2)):
            found = detectors.gaussian_mixture(components).scores(features, 0, tmp_path)
            assert found.shape == (43,)
        one = detectors.gaussian_mixture((1,)).scores(features, 0, tmp_path)
        assert roc_auc_score(label, one) == 1
        shuffled = np.random.default_rng(1).permutation(43)
        again = detectors.gaussian_mixture((1,)).scores(features[shuffled], 0, tmp_path)
        assert again == pytest.approx(one[shuffled])

    def test_the_command_line_scores_all_rows_and_sees_no_label(self, detectors, rows, tmp_path: Path) -> None:
        features, label = rows
        found = detectors.vaekit_with("--epochs 2 --likelihood gaussian:scale=1.0").scores(features, 0, tmp_path)
        assert found.shape == (43,)
        assert roc_auc_score(label, found) == 1
        lines = (tmp_path / "features.csv").read_text().splitlines()
        assert lines[0] == "c0,c1,c2"
        assert len(lines) == 44

    def test_a_failure_is_told_with_its_command(self, detectors, rows, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"`vaekit train .* --likelihood nonsense .*` failed: unknown likelihood"):
            detectors.vaekit_with("--likelihood nonsense").scores(rows[0], 0, tmp_path)
