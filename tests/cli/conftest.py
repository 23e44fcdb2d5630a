"""Small finished runs for the verbs that need one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_cases import Command

from vaekit.cli import main

SMALL = {
    "vae": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "aae": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "hamiltonian": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "hvae": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "m2": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "ladder": ["--recipe", "ladder:blocks=2x1/4x1,width=8,latent_channels=1"],
    "dlgm": ["--network", "mlp:hidden=16", "--latent-dim", "3"],
    "vq-vae": ["--recipe", "vq-vae:num_codes=8,code_dim=4,channels=4/8"],
}


@pytest.fixture(autouse=True)
def _undrawn(undrawn: None) -> None:
    """No test here looks at a picture of a report."""


@pytest.fixture
def vaekit(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each recipe on the digits, of one epoch, and one on real vectors called ``vectors``."""
    parent = tmp_path_factory.mktemp("runs")
    np.save(parent / "vectors.npy", np.random.RandomState(0).randn(60, 5).astype(np.float32))
    commands = [["digits", "--recipe", recipe, *options, "--out", recipe] for recipe, options in SMALL.items()]
    commands += [["vectors.npy", "--network", "mlp:hidden=16", "--out", "vectors"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(parent)
        patch.setattr("vaekit.report.page.png", lambda picture, **options: b"")
        for command in commands:
            assert main(["train", *command, "--epochs", "1", "--quiet"]) == 0
    return {name: parent / name for name in [*SMALL, "vectors"]}
