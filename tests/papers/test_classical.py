"""The classical relatives on data small enough for a test; and what measures them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vaekit.classical import ProbabilisticPCA
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Real
from vaekit.papers import classical
from vaekit.papers.classical import bars, found
from vaekit.papers.paper import Request
from vaekit.testing import linear_gaussian
from vaekit.testing.statistics import assert_equal


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    oracle = linear_gaussian.exact(latent_dim=2, data_dim=6)
    x = oracle.sample(600).numpy().astype(np.float32)
    given = Dataset("small", Real(), Split(x[:400]), Split(x[400:500]), Split(x[500:]), by_name=False)
    closed = ProbabilisticPCA(2).fit(torch.from_numpy(given.train.x)).course[0]
    monkeypatch.setattr(classical, "images", lambda: given)
    monkeypatch.setattr(classical, "CALIBRATION", {2: closed})
    monkeypatch.setattr(classical, "LINEAR_DIM", 2)
    monkeypatch.setattr(classical, "RUNS", 1)
    monkeypatch.setattr(classical, "RESTARTS", 2)
    monkeypatch.setattr(classical, "ROWS", 60)
    return given


def test_all_of_it(small: Dataset, tmp_path: Path) -> None:
    done = classical.reproduce(Request(tmp_path / "out", epochs=3))
    rows = {(row.system, row.metric.split(",")[0]): row for row in done.rows}
    for system, metric in (
        ("pPCA", "largest difference to an independent computation"),
        ("pPCA by EM", "EM's end below the closed form"),
        ("pPCA by EM", "largest fall in a step"),
        ("factor analysis", "train log p(x) above pPCA"),
        ("MAP regression", "largest difference to ridge"),
        ("MAP regression", "largest difference to least squares as λ falls to 1e-14"),
    ):
        assert rows[system, metric].verdict == "as expected", rows[system, metric]
    assert rows["linear VAE", "train log p(x) below pPCA"].measured >= 0
    assert rows["linear VAE", "train log p(x) below pPCA"].verdict == "no expectation"
    assert done.page.exists()
    assert len(json.loads((tmp_path / "out" / "rows.json").read_text())) == len(done.rows)
    assert {row.budget for row in done.rows} == {"quick, 3 epochs instead of 40"}


def test_the_density_of_a_linear_vae() -> None:
    oracle = linear_gaussian.exact(latent_dim=2, data_dim=6)
    x = oracle.sample(5)
    model = oracle.model
    there = classical.decoder_of(model)
    assert (there.log_prob(x) - oracle.log_p(x)).abs().max() < 1e-5
    assert_equal(there.noise, oracle.scale**2, "σ²")


def test_bars() -> None:
    truth = bars()
    assert truth.shape == (25, 10)
    assert found(truth.flip(1) * -3, truth) == 10
    assert found(truth[:, :9], truth) == 9
    twice = truth.clone()
    twice[:, 0] = truth[:, 1]
    assert found(twice, truth) == 9
    assert found(torch.ones(25, 10), truth) == 0
