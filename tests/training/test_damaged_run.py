"""Whatever is wrong in a run folder, the answer is a result or a sentence: never a traceback."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaekit.cli import main

pytestmark = pytest.mark.usefixtures("undrawn")

MANY = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEW = settings(MANY, max_examples=25)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "vectors.npy", np.random.RandomState(0).randn(40, 5).astype(np.float32))
    small = ["--network", "mlp:hidden=4", "--latent-dim", "2", "--prior", "mixture:num_components=3", "--quiet"]
    assert main(["train", f"{folder / 'vectors.npy'}", *small, "--epochs", "1", "--out", f"{folder / 'run'}"]) == 0
    return folder / "run"


def answers(folder: Path, out: Path) -> list[int]:
    """The exit codes of verbs that read a run; no traceback, and a sentence with each refusal."""
    codes = []
    for command in (
        ["sample", folder, "-n", "2", "-o", out / "x.npy"],
        ["evaluate", folder, "--samples", "2", "--limit", "3"],
        ["train", "--resume", folder, "--quiet", "--epochs", "2"],
    ):
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            codes.append(main([str(word) for word in command]))
        assert codes[-1] in (0, 2), said.getvalue()
        assert codes[-1] == 0 or "error: " in said.getvalue()
    return codes


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a JSON document."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


VALUES = st.sampled_from(
    [
        *(None, True, -1, 0, 10**30, 1.5, float("nan"), "", "x", [], [1], {}, [[]]),
        *("prior/mixture", {"part": "vae"}, {"part": "model/vae"}, {"part": ["x"]}, {"same": "prior"}, {"map": {}}),
    ]
)


def test_any_value_of_the_configuration(run: Path, tmp_path: Path) -> None:
    whole = json.loads((run / "config.json").read_text())
    codes: list[int] = []

    @MANY
    @given(st.sampled_from(list(places(whole))), st.one_of(st.just("left out"), VALUES))
    def check(path: tuple[Any, ...], value: Any) -> None:
        document = copy.deepcopy(whole)
        inside = document
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
        if value == "left out":
            del inside[path[-1]]
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        (folder / "config.json").write_text(json.dumps(document))
        codes.extend(answers(folder, tmp_path))

    check()
    assert {0, 2} == set(codes)


def test_a_network_of_another_shape(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its weights fit all the same: one number for an example of one axis or of two."""
    folder = shutil.copytree(run, tmp_path / "copy")
    document = json.loads((folder / "config.json").read_text())
    network = document["model"]["posterior"]["network"]
    assert network["in_shape"] == [5]
    network["in_shape"] = [1, 5]
    (folder / "config.json").write_text(json.dumps(document))
    assert main(["encode", f"{folder}", "-o", f"{tmp_path / 'z.npy'}"]) == 2
    wanted = (
        f"error: {folder}/config.json is damaged: it describes a model that does not take examples of shape (5,).\n"
    )
    assert capsys.readouterr().err == wanted


@pytest.mark.parametrize("name", ["state/training.safetensors", "model.safetensors", "metrics.jsonl"])
def test_any_byte_of_a_file(name: str, run: Path, tmp_path: Path) -> None:
    whole = (run / name).read_bytes()
    # Of safetensors only the head has a form.
    head = 8 + struct.unpack("<Q", whole[:8])[0] if name.endswith("tensors") else len(whole)
    codes: list[int] = []

    @FEW
    @given(
        st.integers(0, head - 1), st.one_of(st.binary(max_size=2), st.sampled_from([b"9", b'"', b"}"])), st.booleans()
    )
    def check(place: int, new: bytes, cut: bool) -> None:
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        (folder / name).write_bytes(whole[:place] + new + (b"" if cut else whole[place + 1 :]))
        codes.extend(answers(folder, tmp_path))

    check()
    assert 0 in codes
    assert 2 in codes or name == "metrics.jsonl"


@pytest.mark.parametrize("content", [None, b"xx"])
def test_resuming_mends_the_weights(content: bytes | None, run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "copy")
    weights = folder / "model.safetensors"
    if content is None:
        weights.unlink()
    else:
        weights.write_bytes(content)
    # No epoch is left, so that none writes them.
    assert main(["train", "--resume", f"{folder}", "--quiet"]) == 0
    assert weights.read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_finished_run_without_a_state(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(run, tmp_path / "copy")
    assert main(["train", "--resume", f"{folder}", "--quiet", "--epochs", "2"]) == 0
    shutil.rmtree(folder / "state")
    before = (folder / "metrics.jsonl").read_bytes(), (folder / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["train", "--resume", f"{folder}", "--quiet", "--epochs", "3"]) == 2
    wanted = f"error: {folder}/state/training.safetensors is not there: its 2 epochs cannot be gone on with.\n"
    assert wanted in capsys.readouterr().err
    assert before == ((folder / "metrics.jsonl").read_bytes(), (folder / "model.safetensors").read_bytes())
