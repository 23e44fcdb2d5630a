"""Steps that are written down and compiled as one program are the plain steps."""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from training_cases import (
    SMALL,
    assert_nearly_the_same,
    assert_same_run,
    local_part,
    metrics,
    plan_of,
    small_plan,
    spoiled_digits,
    stop_after,
    train,
)

from vaekit import training
from vaekit.acceleration import capture
from vaekit.acceleration import program as programs
from vaekit.acceleration.program import NotWritable, program
from vaekit.data import loader
from vaekit.data.batch import Batch
from vaekit.errors import Interrupted
from vaekit.kernels.precision import rounds_on_processors
from vaekit.kernels.tracing import traced, tracing
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Value
from vaekit.schedules import Cosine, Linear, Step
from vaekit.training.loop import Training
from vaekit.training.optimizers import adam

SETTINGS: list[dict[str, Any]] = [{}, {"clip_norm": 1.0, "ema_decay": 0.9, "weight_decay": 0.01}]
COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


@pytest.fixture
def as_written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Programs run as they are written down, without a compiler; how many times each was."""
    runs: list[Any] = []

    def made(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        assert all(node.op != "get_attr" for node in graph.graph.nodes)
        assert len(inputs) == sum(node.op == "placeholder" for node in graph.graph.nodes)

        def run(*given: Tensor) -> None:
            runs.append(graph)
            graph(*given)

        return run

    monkeypatch.setattr(programs, "inductor", made)
    return runs


@pytest.mark.parametrize(
    ("recipe", "settings"),
    # With all settings where there is one player, and where a forward pass moves buffers.
    [*((recipe, {}) for recipe in SMALL), *((recipe, SETTINGS[1]) for recipe in ("vae", "vq-vae"))],
    ids=str,
)
def test_a_program_is_the_step(
    recipe: str, settings: dict[str, Any], as_written: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = small_plan(recipe)
    train(plan, tmp_path / "program", compile=True, quiet=False, **settings)
    assert "not compiled" not in capsys.readouterr().err
    steps = sum(4 * phase.epochs for phase in plan.phases)  # of full batches
    assert len(as_written) == steps + len(plan.phases)  # and one for each program before it is trusted
    train(small_plan(recipe), tmp_path / "plain", **settings)
    assert_nearly_the_same(tmp_path / "program", tmp_path / "plain")


@COMPILER
@pytest.mark.parametrize("settings", [pytest.param({}, marks=pytest.mark.slow), SETTINGS[1]], ids=str)
def test_what_the_compiler_makes_is_the_step(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ELBO(Linear(0, 1, epochs=3)), 4, Cosine(1e-2, warmup=1)
    train(plan_of(*given), tmp_path / "compiled", compile=True, quiet=False, **settings)
    assert "not compiled" not in capsys.readouterr().err
    train(plan_of(*given), tmp_path / "plain", **settings)
    assert_nearly_the_same(tmp_path / "compiled", tmp_path / "plain")


@COMPILER
@pytest.mark.slow
@pytest.mark.parametrize("recipe", SMALL)
def test_what_the_compiler_makes_of_a_recipe(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(small_plan(recipe), tmp_path / "compiled", compile=True, quiet=False)
    assert "not compiled" not in capsys.readouterr().err
    train(small_plan(recipe), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "compiled", tmp_path / "plain")


@pytest.mark.skipif(not rounds_on_processors(), reason="this processor does not round to bfloat16")
def test_products_of_a_program_are_rounded(as_written: list[Any], tmp_path: Path) -> None:
    runs = {
        name: train(small_plan(network="mlp:hidden=256"), tmp_path / name, batch_size=64, **settings)
        for name, settings in {
            "program": {"compile": True, "precision": "bfloat16"},
            "plain": {"precision": "bfloat16"},
            "exact": {},
        }.items()
    }
    assert as_written
    bounds = {name: metrics(run.folder)[-1]["train_model_objective"] for name, run in runs.items()}
    assert bounds["program"] == pytest.approx(bounds["plain"], abs=2e-4)
    assert bounds["program"] != pytest.approx(bounds["exact"], abs=2e-4)


def test_schedules_are_asked_at_every_step(as_written: list[Any], tmp_path: Path) -> None:
    given = ELBO(Linear(0, 1, epochs=3)), 4, Cosine(1e-2, warmup=1)
    train(plan_of(*given), tmp_path / "program", compile=True)
    assert as_written
    train(plan_of(*given), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "program", tmp_path / "plain")


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_goes_on_exactly_where_it_stopped(
    settings: dict[str, Any], as_written: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ELBO(Linear(0, 1, epochs=3)), 4
    train(plan_of(*given), tmp_path / "whole", compile=True, **settings)
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(Interrupted):
            train(plan_of(*given), tmp_path / "stopped", compile=True, **settings)
    train(plan_of(*given), tmp_path / "stopped", resume=True, compile=True, **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_compiler_is_not_waited_for(
    number: signal.Signals, as_written: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        signal.raise_signal(number)
        raise AssertionError("it was waited for")

    listeners = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(programs, "inductor", long)
        with pytest.raises(Interrupted):
            train(plan_of(ELBO()), tmp_path / "stopped", compile=True)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == listeners
    train(plan_of(ELBO()), tmp_path / "stopped", resume=True, compile=True)
    train(plan_of(ELBO()), tmp_path / "whole", compile=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_batch_of_all_rows_is_a_full_one(as_written: list[Any], tmp_path: Path) -> None:
    train(plan_of(ELBO()), tmp_path / "program", compile=True, batch_size=500)
    assert as_written
    train(plan_of(ELBO()), tmp_path / "plain", batch_size=500)
    assert_nearly_the_same(tmp_path / "program", tmp_path / "plain")


def test_to_compile_moves_nothing(as_written: list[Any], tmp_path: Path) -> None:
    """Weights, buffers, averages, figures of the optimiser and the next random number."""
    plan = small_plan("vq-vae")
    settings = training.Settings(batch_size=16, device="cpu", compile=True, ema_decay=0.9)
    loop = Training(plan.model, plan.data, plan.phases, settings, tmp_path, quiet=True)
    replay = capture(loop.plain_step(plan.phases[0]), lambda line: None)
    selection = next(loop.batches.epoch(0, 0))
    kept = loop.state.optimizers["model"].state
    first, *_ = plan.model.parameters()
    kept[first] = {name: torch.full_like(first, 0.5) for name in ("exp_avg", "exp_avg_sq")} | {
        "step": torch.tensor(3.0)
    }
    before = [each.clone() for each in replay.step.of_modules()]
    torch.manual_seed(5)
    assert replay.can_replay(selection, Step())
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5)))
    assert as_written
    assert all(torch.equal(one, other) for one, other in zip(before, replay.step.of_modules(), strict=True))
    assert {name: float(value.mean()) for name, value in kept[first].items()} == {
        "step": 3,
        "exp_avg": 0.5,
        "exp_avg_sq": 0.5,
    }
    assert len(kept) > 1
    assert not any(value.any() for each, state in kept.items() if each is not first for value in state.values())
    assert all(parameter.grad is None for parameter in plan.model.parameters())


@pytest.mark.parametrize("recipe", ["vae", "vq-vae"])
def test_a_recording_of_a_program_looks_at_the_same_rows(recipe: str, as_written: list[Any], tmp_path: Path) -> None:
    """Whether the model has buffers or none."""
    plan = small_plan(recipe)
    settings = training.Settings(batch_size=16, device="cpu", compile=True)
    loop = Training(plan.model, plan.data, plan.phases, settings, tmp_path, quiet=True)
    replay = capture(loop.plain_step(plan.phases[0]), lambda line: None)
    first, second, *_ = loop.batches.epoch(0, 0)
    assert replay.can_replay(first, Step())
    rows = replay.input.rows
    replay._look_at(second)
    assert replay.input.rows is rows


def assert_spoiled_steps_are_not_taken(folder: Path) -> None:
    for compiled in (True, False):
        data, objective = spoiled_digits()
        plan = small_plan(dataset=data)
        training.fit(
            plan.model,
            data,
            phases=[training.Phase(objective, 3, 1e-3)],
            out=folder / f"{compiled}",
            quiet=True,
            batch_size=16,
            ema_decay=0.5,
            compile=compiled,
        )
    assert metrics(folder / "True")[-1]["skipped"] == 3
    assert_nearly_the_same(folder / "True", folder / "False")


def test_a_step_that_is_not_finite_changes_nothing(as_written: list[Any], tmp_path: Path) -> None:
    assert_spoiled_steps_are_not_taken(tmp_path)
    assert as_written


@COMPILER
def test_nor_does_one_that_is_compiled(tmp_path: Path, own_cache: Path) -> None:
    """A compiler may know that a sum of zeros is 0."""
    assert_spoiled_steps_are_not_taken(tmp_path)
    assert list(own_cache.rglob("*.so"))


@COMPILER
def test_one_gradient_that_is_not_finite_is_seen() -> None:
    x, bad = torch.ones(300, 30), torch.zeros(())
    row, nothing = torch.ones(30), torch.ones(0)

    def step() -> None:
        bad.zero_()
        check = cast(Any, torch)._amp_foreach_non_finite_check_and_unscale_
        check([x @ x.T, row * 2, nothing], bad, torch.ones(()))

    run = program(step, [x, row, bad])
    for spoiled in (x[17], row):
        kept = spoiled[5].clone()
        for each, told in ((1.0, 0), (torch.nan, 1), (torch.inf, 1), (-torch.inf, 1), (-1e18, 0), (kept, 0)):
            spoiled[5] = each
            run()
            assert bad == told


@local_part("objective/asks")
class Asks(ELBO):
    """It asks for a number in the middle of the step."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        return Value(value if value.sum().item() > 0 else 2 * value, terms)


@local_part("objective/of-odd-steps")
class OfOddSteps(ELBO):
    """Twice the bound at odd steps: it looks at the number of the step."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        return Value(value * (2 - step.index % 2), terms)


@pytest.mark.parametrize(
    ("objective", "why"), [(Asks(), "asks for a number in the middle"), (OfOddSteps(), "number of the step")]
)
def test_what_cannot_be_written_down_goes_the_plain_way(
    objective: ELBO, why: str, as_written: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(plan_of(objective), tmp_path / "asked", compile=True, quiet=False)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not compiled" in line]
    assert why in line
    assert not as_written
    train(plan_of(objective), tmp_path / "plain")
    assert metrics(tmp_path / "asked") == metrics(tmp_path / "plain")


def test_a_compiler_that_is_wrong_is_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that leaves a small layer where it is, its Adam's figures included."""

    def wrong(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        small = [each for each in inputs if each.shape == (4,)]
        assert small

        def run(*given: Tensor) -> None:
            before = [each.clone() for each in small]
            graph(*given)
            for each, value in zip(small, before, strict=True):
                each.copy_(value)

        return run

    monkeypatch.setattr(programs, "inductor", wrong)
    train(plan_of(ELBO()), tmp_path / "asked", compile=True, quiet=False)
    assert "not compiled: the compiler has made something else of them" in capsys.readouterr().err
    train(plan_of(ELBO()), tmp_path / "plain")
    assert metrics(tmp_path / "asked") == metrics(tmp_path / "plain")


@pytest.mark.parametrize("extra", [1e-3, torch.nan, torch.inf])
def test_a_single_wrong_number_is_found_out(extra: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        def run(*given: Tensor) -> None:
            graph(*given)
            given[1][7] += extra

        return run

    monkeypatch.setattr(programs, "inductor", made)
    x, out = torch.linspace(0, 1, 100), torch.zeros(100)
    with pytest.raises(NotWritable, match="something else"):
        program(lambda: out.copy_(x), [x, out], far=1e-6)


def test_what_is_no_number_both_ways_is_the_same(as_written: list[Any]) -> None:
    x, out = torch.tensor([1.0, torch.nan, torch.inf]), torch.tensor([torch.nan, 0.0, torch.inf])
    program(lambda: out.copy_(x), [x, out])()
    torch.testing.assert_close(out, x, equal_nan=True)


@pytest.mark.parametrize("gives_up", [True, False])
def test_a_compiler_is_asked_again_to_be_careful(
    gives_up: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def rash(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        asked.append(careful)
        if not careful and gives_up:
            raise KeyError("buf95")
        return graph if careful else lambda *given: None

    monkeypatch.setattr(programs, "inductor", rash)
    train(plan_of(ELBO()), tmp_path / "careful", compile=True, quiet=False)
    assert asked == [False, True]
    assert "not compiled" not in capsys.readouterr().err
    train(plan_of(ELBO()), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "careful", tmp_path / "plain")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No working C++ compiler found\nin these places", "no C++ compiler was found (install g++,"),
        (
            "C++ compile error\n\nOutput:\nb.h:10: fatal error: Python.h: No such file or directory",
            "the headers of Python were not found (install",
        ),
        ("C++ compile error\n\nOutput:\na.cpp:3:1: error: no such thing.\n  more", "error: no such thing.\n"),
    ],
)
def test_a_compiler_that_gives_up_is_quoted(
    said: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        raise RuntimeError(said)

    monkeypatch.setattr(programs, "inductor", missing)
    train(plan_of(ELBO()), tmp_path / "asked", compile=True, quiet=False)
    assert f"the steps are not compiled: {told}" in capsys.readouterr().err


def test_the_rows_of_a_file(as_written: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One program for all windows of it, and for the labels of its rows."""
    monkeypatch.setattr(loader, "WINDOW_ROWS", 40)
    plan = small_plan("m2")
    np.save(tmp_path / "rows.npy", plan.data.train.x)
    data = replace(plan.data, train=plan.data.train._replace(x=np.load(tmp_path / "rows.npy", mmap_mode="r")))
    train(small_plan("m2", dataset=data), tmp_path / "program", compile=True)
    assert len(as_written) > 1
    assert len({id(graph) for graph in as_written}) == 1
    train(small_plan("m2", dataset=data), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "program", tmp_path / "plain")


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"optimizer": "sgd"}, {"precision": "float16"}], ids=str)
def test_what_cannot_be_compiled_is_said(
    settings: dict[str, Any], as_written: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(plan_of(ELBO()), tmp_path / "run", compile=True, quiet=False, **settings)
    assert "warning: the steps are not compiled: that needs one microbatch" in capsys.readouterr().err
    assert not as_written


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("rate", [1e-2, torch.tensor(1e-2)], ids=["number", "tensor"])
def test_adam_in_plain_operations(decay: float, rate: float | Tensor) -> None:
    """Written down it is torch's kernel, of steps that are taken and of one that is not."""

    def moved(compiled: bool) -> list[Tensor]:
        torch.manual_seed(0)
        parameters = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True)]
        optimizer: Any = adam(parameters, weight_decay=decay)
        optimizer.param_groups[0]["lr"] = rate
        gradients, bad = [torch.randn_like(each) for each in parameters], torch.zeros(())
        for each, gradient in zip(parameters, gradients, strict=True):
            each.grad = torch.zeros_like(gradient)
        optimizer.step(torch.ones(()))  # only to make its figures
        states = [value for state in optimizer.state.values() for value in state.values()]

        def step() -> None:
            for each, gradient in zip(parameters, gradients, strict=True):
                each.grad = gradient * 1
            optimizer.step(bad)

        take = program(step, [bad, *gradients, *states], together=parameters) if compiled else step
        if compiled:
            with torch.no_grad():
                for each in states:
                    each.zero_()
                torch.manual_seed(0)
                for each in parameters:
                    each.copy_(torch.randn_like(each))
        for number in range(5):
            bad.fill_(number == 3)
            for gradient in gradients:
                gradient.mul_(-0.5)
            take()
        return [*parameters, *states]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "inductor", lambda graph, *_: graph)
        written, kernel = moved(True), moved(False)
    for one, other in zip(written, kernel, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_nothing_is_remembered_as_it_was(as_written: list[Any]) -> None:
    """What a step reads beside its inputs is read anew every time."""
    x, beside, total = torch.ones(3), torch.ones(3), torch.zeros(3)
    take = program(lambda: total.add_(x * beside), [x, total], together=[total])
    assert not total.any()
    take()
    beside.fill_(5)
    take()
    assert total.tolist() == [6, 6, 6]


def test_a_program_that_fails_to_begin_says_why() -> None:
    x = torch.ones(2)
    with pytest.raises(NotWritable, match="asks for a number in the middle"):
        program(lambda: x.add_(x.sum().item()), [x], together=[])
    assert not traced()


COUNTER, KEPT = itertools.count(), [torch.zeros(3)]


def keep(x: Tensor) -> None:
    """x becomes what it was a step ago."""
    KEPT[:], before = [x.clone()], KEPT[0]
    x.copy_(before + 1)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda x: x.add_(next(COUNTER)), "by Python"),
        (lambda x: x.add_(torch.tensor([0.1, 0.2, next(COUNTER)])), "by Python"),
        (keep, "by Python"),
        (lambda x: x.add_(x.tolist()[0]), "asks for a number"),
        (lambda x: x.add_(torch.from_numpy(x.numpy() * 2)), "asks for a number"),
        (lambda x: x.add_(torch.from_numpy(np.asarray(x) * 2)), "asks for a number"),
        (lambda x: x.add_(x[x > 0].mean()), "how long"),
        (lambda x: x.add_(len(x.nonzero())), "how long"),
    ],
)
def test_what_would_be_remembered_is_refused(step: Callable[[Tensor], object], why: str, as_written: list[Any]) -> None:
    x = torch.ones(3)
    with pytest.raises(NotWritable, match=why):
        program(lambda: step(x), [x])
    assert not as_written


def test_rejections_are_not_counted_once_for_all(
    as_written: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples on a sphere are drawn until all are accepted: of few rows the first ones nearly always are."""
    settings: dict[str, Any] = {"posterior": "von-mises-fisher", "prior": "hyperspherical-uniform", "latent_dim": 3}
    train(small_plan(**settings), tmp_path / "program", compile=True, quiet=False, batch_size=2)
    assert "not compiled: how long something in them is depends on its numbers" in capsys.readouterr().err
    train(small_plan(**settings), tmp_path / "plain", batch_size=2)
    assert metrics(tmp_path / "program") == metrics(tmp_path / "plain")


def test_parameters_of_a_distribution_are_not_looked_at(
    as_written: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch's Student-t builds a gamma that validates its parameters, whatever it was told."""
    settings: dict[str, Any] = {"likelihood": "student-t"}
    train(small_plan(**settings), tmp_path / "program", compile=True, quiet=False)
    assert "not compiled" not in capsys.readouterr().err
    train(small_plan(**settings), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "program", tmp_path / "plain")


def test_an_index_is_not_looked_at_while_it_is_written_down() -> None:
    index = torch.tensor([[0, 2], [1, 1]])
    with tracing():
        assert traced()
        one = torch.nn.functional.one_hot(index, 3)
    assert torch.equal(one, torch.nn.functional.one_hot(index, 3))
    assert one.dtype == torch.int64
