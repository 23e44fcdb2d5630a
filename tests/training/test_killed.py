"""A real process, really killed or told to stop, and resumed by the command line."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from training_cases import assert_same_run, metrics

from vaekit.cli import main

OPTIONS = ["--epochs", "12", "--seed", "0", "--network", "mlp:hidden=16", "--batch-size", "32", "--ema-decay", "0.9"]


EVERY_EPOCH = """
import sys
from vaekit.cli import main
from vaekit.run import checkpointer as checkpointer
checkpointer.REST = 0.0
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def vaekit(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the command line that saves every epoch; it is killed at the end if it still runs."""
    command = [sys.executable, "-c", EVERY_EPOCH, *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_epochs(process: subprocess.Popen[str], folder: Path, epochs: int) -> None:
    """Until so many epochs are written."""
    path = folder / "metrics.jsonl"
    until = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < epochs:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < until
        time.sleep(0.002)


def finish(*arguments: str) -> None:
    """Run to the end, in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert main([*arguments]) == 0
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish("train", "digits", *OPTIONS, "--out", str(folder), "--quiet")
    assert len(metrics(folder)) == 12
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_told_to_stop(number: signal.Signals, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    with vaekit("train", "digits", *OPTIONS, "--out", str(folder)) as process:
        wait_for_epochs(process, folder, 2)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    error, hint = errors.splitlines()[-2:]
    assert error.startswith("error: stopped in epoch ")
    assert error.endswith("; the state is saved.")
    assert hint == f"hint: vaekit train --resume {folder} goes on from there."
    assert "Traceback" not in errors
    assert 2 <= len(metrics(folder)) < 12
    finish("train", "--resume", str(folder))
    assert "epoch    1 " not in capsys.readouterr().err
    assert_same_run(folder, whole)


def test_killed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with vaekit("train", "digits", *OPTIONS, "--out", str(folder)) as process:
        wait_for_epochs(process, folder, 3)
        process.kill()
    assert 3 <= len(metrics(folder)) < 12
    finish("train", "--resume", str(folder))
    assert_same_run(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(seed: int, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    moments = random.Random(seed)
    command = ["train", "digits", *OPTIONS, "--resume", str(folder)]
    with vaekit(*command) as process:
        time.sleep(0.3)  # before there is a folder: the same command starts again
        process.kill()
    assert not (folder / "config.json").exists()
    epochs = 0
    for _ in range(3):
        with vaekit(*command) as process:
            wait_for_epochs(process, folder, epochs := epochs + moments.randint(1, 2))
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
    assert len(metrics(folder)) < 12
    finish(*command)
    assert_same_run(folder, whole)
