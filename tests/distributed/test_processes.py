"""Batches in shares: one after the other, or in several processes, with the same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from training_cases import assert_same_run, local_part, metrics, small_digits, small_plan, train

import vaekit as vk
from vaekit import training
from vaekit.cli import main
from vaekit.data.batch import Batch
from vaekit.data.loader import Loader, RowSelection
from vaekit.distributed.context import DistributedContext
from vaekit.errors import Interrupted, UserError
from vaekit.objectives.objective import Objective, Value
from vaekit.schedules import Step
from vaekit.training.loop import Training
from vaekit.training.microbatches import Microbatches

TINY = ("digits", "--network", "mlp:hidden=16", "--latent-dim", "2", "--batch-size", "64", "--seed", "0")


def torchrun(*arguments: str, program: tuple[str, ...] = ("-m", "vaekit", "train")) -> subprocess.Popen[str]:
    """Two processes of ``vaekit train``, or of another program, with a port of their own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, *program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, err


def assert_close_runs(one: Path, other: Path) -> None:
    """Every figure and every weight, to rounding."""
    for a, b in zip(metrics(one), metrics(other), strict=True):
        close = {key: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value for key, value in b.items()}
        assert a == close
    weights = [load_file(folder / "model.safetensors") for folder in (one, other)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-5, atol=1e-5)


def test_two_processes_are_two_shares_and_one_speaks(tmp_path: Path, undrawn: None) -> None:
    options = (*TINY, "--epochs", "2", "--ema-decay", "0.9", "--clip-norm", "20")
    processes = torchrun(*options, "--out", str(tmp_path / "two"))
    assert main(["train", *options, "--accumulate", "2", "--quiet", "--out", str(tmp_path / "one")]) == 0
    code, out, err = ended(processes)
    assert code == 0, err
    assert len(out.splitlines()) == 1
    assert err.count("epoch    1") == err.count("report: ") == 1
    assert_close_runs(tmp_path / "two", tmp_path / "one")
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("one", "two")]
    assert configs[0]["settings"] == configs[1]["settings"]


@pytest.mark.slow
def test_stopped_and_resumed(tmp_path: Path) -> None:
    """On as many processes bit for bit; on one process, which goes on with two shares, to rounding."""
    options = (*TINY, "--epochs", "30", "--quiet")
    assert ended(torchrun(*options, "--out", str(tmp_path / "whole")))[0] == 0
    process = torchrun(*options, "--out", str(tmp_path / "stopped"))
    lines, until = tmp_path / "stopped" / "metrics.jsonl", time.monotonic() + 60
    while not lines.exists() or lines.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code != 0
    assert not out
    assert err.count("the state is saved") == 1
    done = len(metrics(tmp_path / "stopped"))
    assert done < 30
    subprocess.run(["cp", "-r", str(tmp_path / "stopped"), str(tmp_path / "alone")], check=True)
    code, _, err = ended(torchrun("--resume", str(tmp_path / "stopped"), "--quiet"))
    assert code == 0, err
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert main(["train", "--resume", str(tmp_path / "alone"), "--quiet"]) == 0
    assert_close_runs(tmp_path / "alone", tmp_path / "whole")


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3\n")
    code, out, err = ended(torchrun(str(tmp_path / "bad.csv"), "--out", str(tmp_path / "run")))
    assert code != 0
    assert not out
    assert err.count("error: ") == 1
    assert "exitcode  : 2" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", ["vae", "aae", "m2", "vq-vae"])
def test_shares_stopped_and_resumed_in_one_process(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_plan(recipe), tmp_path / "whole", accumulate=4)
    take, count = Training.take, 0

    def counted(self: Training, selection: RowSelection) -> Any:
        nonlocal count
        count += 1
        self.stop_asked = count in (3, 7)
        return take(self, selection)

    monkeypatch.setattr(Training, "take", counted)
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(small_plan(recipe), tmp_path / "run", accumulate=4, resume=True)
    train(small_plan(recipe), tmp_path / "run", resume=True)  # the run itself knows its shares
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@local_part("objective/log-px")
class LogPx(Objective):
    """log p(x|z)."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        log_px = model.draw(batch).log_px.mean(0)
        return Value(log_px, {"log_px": log_px})


class Double:
    """While it lasts numbers are float64."""

    def __enter__(self) -> None:
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(torch.float32)


def gradient_of_a_step(accumulate: int, batch_size: int, folder: Path) -> list[Tensor]:
    """Of an autoencoder, which draws nothing, at its first batch."""
    with Double():
        torch.manual_seed(0)
        data = small_digits(kind="none")
        model = vk.VAE(
            vk.priors.StandardNormal(2),
            vk.posteriors.Point(vk.networks.MLP(data.shape, hidden=(8,)), 2),
            vk.likelihoods.Bernoulli(vk.networks.MLP(2, hidden=(8,)), data.shape),
        )
        phase = training.Phase(LogPx(), 1, 0.0)
        settings = training.Settings(batch_size=batch_size, accumulate=accumulate, optimizer="sgd")
        loop = Training(model, data, (phase,), settings, folder, quiet=True)
        loop.step = loop.plain_step(phase)
        parameters = loop.step.context.players["model"].parameters
        gradients: list[Tensor] = []
        optimizer = loop.state.optimizers["model"]
        optimizer.step = lambda *_: gradients.extend(p.grad.clone() for p in parameters if p.grad is not None)  # type: ignore[method-assign,assignment]
        loop.take(next(loop.batches.epoch(0, 0)))
        return gradients


@pytest.mark.parametrize("accumulate", [2, 3, 7])
def test_the_gradient_is_that_of_the_whole_batch(accumulate: int, tmp_path: Path) -> None:
    whole = gradient_of_a_step(1, 16, tmp_path)
    shares = gradient_of_a_step(accumulate, 16, tmp_path)
    assert len(whole) == len(shares) > 4
    assert any(each.abs().max() > 1e-3 for each in whole)
    for one, other in zip(whole, shares, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


PLAYERS = ("digits", "--recipe", "aae", "--network", "mlp:hidden=16", "--batch-size", "64", "--epochs", "2")
SCRIPT = """
import os, sys
import torch
import vaekit as vk
from vaekit.cli import main
from vaekit.parts.record import part
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Objective, Value


@part("objective/spoilt-here")
class Spoilt(Objective):
    def __call__(self, model, batch, step):
        value = ELBO()(model, batch, step)
        if step.index != 1 or os.environ["RANK"] == "0":
            return value
        spoilt = value.objective.clone()
        spoilt[3] = float("nan")
        return Value(spoilt, value.terms)


# Processes that have met stay together: one start is enough for two trainings.
folder, *players = sys.argv[1:]
assert main(["train", *players, "--seed", "0", "--quiet", "--out", f"{folder}/players"]) == 0
data = vk.data.load("digits")
torch.manual_seed(int(os.environ["RANK"]))  # weights of its own, until training begins
model = vk.VAE(
    vk.priors.StandardNormal(2),
    vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(8,)), 2),
    vk.likelihoods.Bernoulli(vk.networks.MLP(2, hidden=(8,)), data.shape),
)
run = vk.fit(model, data, objective=Spoilt(), epochs=1, batch_size=200, out=f"{folder}/spoilt")
sys.stdout.write(f"{sum(p.double().sum().item() for p in model.parameters())} {len(run.metrics)}\\n")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder with both trainings of the script in two processes, and what it said on both streams."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(SCRIPT)
    code, out, err = ended(torchrun(str(folder), *PLAYERS, program=(str(folder / "script.py"),)))
    assert code == 0, err
    return folder, out, err


def test_players_that_share_weights(script: tuple[Path, str, str], tmp_path: Path, undrawn: None) -> None:
    """Both step the encoder."""
    alone = ("--seed", "0", "--quiet", "--accumulate", "2", "--out", str(tmp_path / "one"))
    assert main(["train", *PLAYERS, *alone]) == 0
    assert_close_runs(script[0] / "players", tmp_path / "one")


def test_what_is_not_finite_in_one_is_skipped_by_all(script: tuple[Path, str, str]) -> None:
    """The second process has the bad row, and says so through the first."""
    folder, out, err = script
    sums = out.splitlines()[-2:]
    assert sums[0] == sums[1]
    (record,) = metrics(folder / "spoilt")
    assert record["skipped"] == 1
    data = vk.data.load("digits")
    row = Loader(data.train, data.kind, batch_size=200).order(0, 0)[200 + 100 + 3]
    cause = f"the objective became infinite or not a number in row {row} of the training data"
    assert record["skipped_cause"] == f"step 2: {cause}"
    assert err.count(f"warning: step 2 was skipped: {cause}") == 1


def picked_of(rows: Tensor) -> RowSelection:
    """Rows whose values are their numbers."""
    return RowSelection(rows, torch.arange(len(rows)), rows[:, None], lambda rows, stored: Batch(stored.float()))


def test_shares_cover_a_batch_once_and_unevenly() -> None:
    rows = torch.arange(100, 107)
    seen = []
    for rank in range(2):
        shares = Microbatches(DistributedContext(rank, 2), 4)
        parts = shares.split(picked_of(rows))
        seen += [(part.rows.tolist(), round(float(part.weight or 0) * 7)) for part in parts]
        assert all(part.batch.x[:, 0].tolist() == part.rows.tolist() for part in parts)
    assert seen == [([100, 101], 2), ([102, 103], 2), ([104, 105], 2), ([106], 1)]


def test_a_batch_smaller_than_its_shares() -> None:
    """A share without rows looks at the last one and counts for nothing."""
    shares = Microbatches(DistributedContext(), 3)
    rows = torch.tensor([8, 9])
    parts = shares.split(picked_of(rows))
    assert [part.rows.tolist() for part in parts] == [[8], [9], [9]]
    assert [float(part.weight or 0) for part in parts] == [0.5, 0.5, 0]


def test_a_number_of_processes_that_does_not_divide_the_shares() -> None:
    with pytest.raises(UserError) as refused:
        Microbatches(DistributedContext(0, 2), 3)
    assert refused.value.message == "2 processes cannot divide 3 microbatches of a batch among them."


def test_one_share_takes_the_random_numbers_as_they_come() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    streams = Microbatches(DistributedContext(), 1).rng
    streams.begin()
    with streams.of(0):
        assert torch.equal(torch.get_rng_state(), before)
        first = torch.rand(1)
    torch.set_rng_state(before)
    assert torch.equal(torch.rand(1), first)


def test_every_share_has_its_own_random_numbers_wherever_it_is() -> None:
    def drawn(world: DistributedContext) -> list[Tensor]:
        torch.manual_seed(3)
        streams = Microbatches(world, 4).rng
        streams.begin()
        drawn = [torch.empty(0) for _ in range(streams.own)]
        for _ in range(2):
            for index in range(streams.own):
                with streams.of(index):
                    drawn[index] = torch.cat([drawn[index], torch.rand(3)])
        return drawn

    alone = drawn(DistributedContext())
    assert len({tuple(each.tolist()) for each in alone}) == 4
    for size in (2, 4):
        spread = [each for rank in range(size) for each in drawn(DistributedContext(rank, size))]
        assert all(torch.equal(one, other) for one, other in zip(alone, spread, strict=True))
