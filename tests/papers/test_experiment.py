"""An experiment from its table to rows, pages and files: on digits, in seconds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import vaekit.papers.catalogue  # noqa: F401 - the papers that there are, before a test hides them
from vaekit.cli import main
from vaekit.errors import Interrupted
from vaekit.evaluation import evaluate
from vaekit.papers import paper as list_of_papers
from vaekit.papers import planned
from vaekit.papers.experiment import (
    Budget,
    Difference,
    Experiment,
    Figure,
    Measure,
    Trained,
    Variant,
    active_units,
    elbo_of_test,
    nll_of_test,
)
from vaekit.papers.paper import UNVERIFIED
from vaekit.papers.perform import register
from vaekit.papers.planned import by_recipe
from vaekit.plots.curves import courses
from vaekit.plots.png import png

ELBO = "test ELBO"


def variant(latent_dim: int) -> Variant:
    return Variant(
        f"z{latent_dim}",
        f"VAE, {latent_dim} latents",
        "digits:binarization=none",
        by_recipe(
            "vae",
            {"batch_size": 256},
            latent_dim=latent_dim,
            network="mlp:hidden=8",
            objective="elbo",
            learning_rate=0.001,
        ),
        (
            Figure(ELBO, "nats", elbo_of_test(), -30.0, f"{UNVERIFIED}: made up", {"quick": "≥ -10000.0"}),
            Figure("−log p(x)", "nats", {"quick": nll_of_test(3, 20), "paper": nll_of_test(5)}, 20.0, "printed"),
            Figure("active units", "units", active_units(50)),
        ),
    )


EXPERIMENT = Experiment(
    "tiny",
    "a tiny experiment",
    "Nobody 2000",
    {"quick": Budget(2), "paper": Budget(3, {"learning_rate": "cosine(0.002)"}, {"batch_size": 512}, seeds=2)},
    [variant(2), variant(4)],
    [Difference("z4", "z2", ELBO, expected={"quick": "> 10000.0"})],
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, undrawn: None) -> None:
    """The list of papers with the tiny one, in an empty working folder."""
    monkeypatch.setattr(list_of_papers, "_PAPERS", dict(list_of_papers._PAPERS))
    monkeypatch.chdir(tmp_path)
    register(EXPERIMENT)


def reproduce(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["reproduce", "tiny", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    said = reproduce(capsys, "--seeds", "2", "--save")
    rows = said["rows"]
    assert [(row["system"], row["metric"]) for row in rows] == [
        *((f"VAE, {n} latents", metric) for n in (2, 4) for metric in (ELBO, "−log p(x)", "active units")),
        ("VAE, 4 latents less VAE, 2 latents", f"difference of {ELBO}"),
    ]
    assert {(row["budget"], tuple(row["seeds"])) for row in rows} == {("quick", (0, 1))}
    assert {row["command"] for row in rows} == {"vaekit reproduce tiny --budget quick --seeds 2"}
    assert [row["verdict"] for row in rows[:3]] == ["as expected", "no expectation", "no expectation"]
    assert rows[-1]["verdict"] == "not as expected"
    protocol = rows[1]["protocol"]
    for words in (
        *("1,257 + 270 + 270 rows", "17 grey levels", "elbo for 2 epochs", "adam", "batch 256"),
        *("3 importance samples", "20 test rows at even distances"),
    ):
        assert words in protocol
    # Mean and spread are those of the runs by themselves.
    kept = [[json.loads(Path(f"runs/tiny/z{n}-{s}/figures.json").read_text()) for s in (0, 1)] for n in (2, 4)]
    values = [[each["figures"][ELBO] for each in pair] for pair in kept]
    assert rows[0]["measured"] == pytest.approx(sum(values[0]) / 2)
    assert rows[0]["spread"] == pytest.approx(abs(values[0][0] - values[0][1]) / 2**0.5)
    assert rows[-1]["measured"] == pytest.approx(sum(values[1]) / 2 - sum(values[0]) / 2)
    assert rows[0]["seconds"] == pytest.approx(sum(each["seconds"] for each in kept[0]))
    assert (
        json.loads(Path("results/tiny.json").read_text()) == rows == json.loads(Path("runs/tiny/rows.json").read_text())
    )
    page = Path("runs/tiny/report.html").read_text(encoding="utf-8")
    for words in (
        "Published and measured",
        "−30.00 (published figure not verified)",
        "How the runs went",
        "\u00a0±\u00a0",
    ):
        assert words in page
    assert "20.00 (" not in page
    for name in ("z2-0", "z2-1", "z4-0", "z4-1"):
        assert f'<a href="{name}/report.html">' in page
        run_page = Path(f"runs/tiny/{name}/report.html").read_text(encoding="utf-8")
        assert "Reconstructions" in run_page
        assert "vaekit train digits:binarization=none" in run_page


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "tiny", "--variant", "z2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("VAE, 2 latents: test ELBO -")
    assert "(published -30, published figure not verified; expected ≥ -10000.0: as expected)" in lines[0]
    assert lines[1].startswith("    digits:binarization=none: 1,257 + 270 + 270 rows")
    assert "(published 20)" in lines[2]
    assert lines[-1] == f"report: {Path('runs/tiny/report.html')}"


def test_the_precision_of_training_is_asked_for_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    first = reproduce(capsys, "--variant", "z2", "--precision", "bfloat16")["rows"][0]
    assert first["command"] == "vaekit reproduce tiny --budget quick --variant z2 --precision bfloat16"
    assert "batch 256, products in bfloat16;" in first["protocol"]
    assert json.loads(Path("runs/tiny/z2-0/config.json").read_text())["settings"]["precision"] == "bfloat16"
    # Gone on with, it is what it was; asked for otherwise, it is another figure.
    again = reproduce(capsys, "--resume")["rows"][0]
    assert again == first


def test_compiled_steps_are_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.acceleration.program.inductor", lambda graph, *_: graph)
    asked: list[bool] = []

    def evaluated(*arguments: Any, **options: Any) -> dict[str, Any]:
        asked.append(options["compiled"])
        return evaluate(*arguments, **options)

    monkeypatch.setattr("vaekit.papers.experiment.evaluate", evaluated)
    reproduce(capsys, "--variant", "z4")
    assert {*asked} == {False}
    shutil.rmtree("runs")
    asked.clear()
    first = reproduce(capsys, "--variant", "z2", "--compile")["rows"][0]
    assert {*asked} == {True}
    assert first["command"] == "vaekit reproduce tiny --budget quick --variant z2 --compile"
    assert json.loads(Path("runs/tiny/z2-0/config.json").read_text())["settings"]["compile"] is True
    assert reproduce(capsys, "--resume")["rows"][0] == first


def test_one_variant_has_a_file_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    said = reproduce(capsys, "--variant", "z4", "--epochs", "1", "--seed", "7", "--save")
    assert Path("results/tiny-z4.json").exists()
    assert not Path("results/tiny.json").exists()
    assert [row["metric"] for row in said["rows"]] == [ELBO, "−log p(x)", "active units"]
    first = said["rows"][0]
    assert first["command"] == "vaekit reproduce tiny --budget quick --variant z4 --epochs 1 --seed 7"
    assert (first["verdict"], first["expected"], first["spread"], first["seeds"]) == ("no expectation", "", None, [7])
    assert first["budget"] == "quick, 1 epoch instead of 2"


def test_the_other_budget(capsys: pytest.CaptureFixture[str]) -> None:
    quick = reproduce(capsys, "--variant", "z2", "--save")
    paper = reproduce(capsys, "--variant", "z2", "--save", "--budget", "paper", "--out", "other")
    assert {tuple(row["seeds"]) for row in paper["rows"]} == {(0, 1)}
    assert "for 3 epochs at" in paper["rows"][0]["protocol"]
    assert "batch 512" in paper["rows"][0]["protocol"]
    # Neither takes the other's place; the same budget does.
    assert json.loads(Path("results/tiny-z2.json").read_text()) == [*quick["rows"], *paper["rows"]]
    reproduce(capsys, "--variant", "z2", "--save", "--out", "third")
    kept = json.loads(Path("results/tiny-z2.json").read_text())
    assert [row["budget"] for row in kept] == ["paper"] * 3 + ["quick"] * 3


def test_stopped_and_gone_on_with(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = planned.fit

    def stopped(model: Any, data: Any, *, phases: Any, **options: Any) -> None:
        assert options["out"].name == "z2-0"
        real(model, data, phases=[replace(phase, epochs=1) for phase in phases], **options)
        raise Interrupted("stopped in epoch 2; the state is saved.", options["out"])

    asked = ["reproduce", "tiny", "--epochs", "2", "--variant", "z2,z4"]
    with monkeypatch.context() as patch:
        patch.setattr(planned, "fit", stopped)
        assert main([*asked, "--out", "here"]) == 130
    assert "vaekit reproduce tiny --out here --resume goes on" in capsys.readouterr().err
    assert main([*asked, "--out", "here"]) == 2
    assert "is not empty" in capsys.readouterr().err
    # What is not given is as it was.
    resumed = reproduce(capsys, "--out", "here", "--resume")
    whole = reproduce(capsys, *asked[2:], "--out", "there")
    assert [row["measured"] for row in resumed["rows"]] == [row["measured"] for row in whole["rows"]]

    # What was measured is not measured again.
    monkeypatch.setattr(planned, "fit", stopped)
    again = reproduce(capsys, "--out", "here", "--resume")
    assert [row["measured"] for row in again["rows"]] == [row["measured"] for row in whole["rows"]]


def test_a_new_figure_is_measured_on_the_run_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    before = reproduce(capsys, "--variant", "z2")
    weights = Measure("all", lambda trained: float(sum(p.numel() for p in trained.model.parameters())))
    more = replace(variant(2), figures=(*variant(2).figures, Figure("weights", "weights", weights)))
    register(replace(EXPERIMENT, variants=[more, variant(4)]))
    after = reproduce(capsys, "--resume")
    assert [row["measured"] for row in after["rows"][:3]] == [row["measured"] for row in before["rows"]]
    assert after["rows"][3]["measured"] == 64 * 8 + 8 + 8 * 4 + 4 + 2 * 8 + 8 + 8 * 128 + 128


def test_a_stop_while_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(trained: Trained) -> float:
        raise KeyboardInterrupt

    slow = replace(variant(2), figures=(Figure("slow", "s", Measure("", stop)),))
    register(replace(EXPERIMENT, variants=[slow], differences=[]))
    assert main(["reproduce", "tiny"]) == 130
    assert "stopped while z2-0 was measured" in capsys.readouterr().err
    register(EXPERIMENT)
    assert reproduce(capsys, "--resume", "--variant", "z2")["rows"][0]["seconds"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tiny", "--variant", "z3"], "unknown variant of tiny 'z3'; known: z2, z4"),
        (["tiny", "--seeds", "0"], "--seeds must be a whole number from 1"),
        (["tf-tutorial", "--seeds", "2"], "leave --variant, --seeds, --precision and --compile out"),
        (["tf-tutorial", "--precision", "bfloat16"], "leave --variant, --seeds, --precision and --compile out"),
        (["tf-tutorial", "--compile"], "leave --variant, --seeds, --precision and --compile out"),
        (["tf-tutorial", "--variant", "vae"], "leave --variant, --seeds, --precision and --compile out"),
    ],
)
def test_what_cannot_be_asked_for(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_folder_of_another_paper(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other").mkdir()
    (Path("other") / "request.json").write_text('{"paper": "tf-tutorial"}')
    assert main(["reproduce", "tiny", "--out", "other", "--resume"]) == 2
    assert "other is a reproduction of tf-tutorial, not of tiny" in capsys.readouterr().err


def test_planned_trains_any_plan(tmp_path: Path) -> None:
    from vaekit.data import load
    from vaekit.papers.experiment import Job
    from vaekit.recipes import make

    def plan(data: Any, epochs: int, width: int = 4) -> Any:
        return make("vae", data, {"epochs": epochs, "network": f"mlp:hidden={width}", "latent_dim": 2})

    job = Job(tmp_path / "run", load("digits"), Budget(1, {"width": 5}, {"optimizer": "sgd"}), 3)
    trained = planned.planned(plan, batch_size=500)(job)
    assert trained.model.posterior.network.features == 5
    assert "sgd, batch 500" in trained.words
    assert trained.run is not None
    assert trained.run.config["settings"]["seed"] == 3
    assert torch.isfinite(torch.tensor(trained.evaluate(1)["elbo"]))
    assert trained.evaluate(1) is trained.evaluate(1)


def test_the_courses_of_several_runs_are_one_plot() -> None:
    runs = {f"run {n}": [{"epoch": e, "validation_elbo": -10.0 * n - e} for e in (1, 2)] for n in range(12)}
    runs["without a density"] = [{"epoch": 1, "validation_log_px": -3.0}]
    (axes,) = courses(runs, "data").axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == list(runs)
    assert list(lines["run 3"].get_ydata()) == [-31, -32]
    assert list(lines["without a density"].get_ydata()) == [-3]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines.values()}) == 13
    assert axes.get_title() == "data"
    assert png(axes.figure).startswith(b"\x89PNG")  # type: ignore[arg-type]


def test_a_variant_that_a_budget_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = replace(variant(8), budgets={"quick": Budget(0)})
    register(replace(EXPERIMENT, variants=[variant(2), left_out], differences=[]))
    rows = reproduce(capsys, "--epochs", "1", "--out", "named", "--variant", "z8")["rows"]
    assert {row["system"] for row in rows} == {"VAE, 8 latents"}
    rows = reproduce(capsys, "--out", "all")["rows"]
    assert {row["system"] for row in rows} == {"VAE, 2 latents"}
    assert main(["reproduce", "tiny", "--variant", "z8", "--out", "refused"]) == 2
    assert capsys.readouterr().err == (
        "error: the variant z8 of tiny is not part of the budget quick.\n"
        "hint: --budget paper has it; --epochs N says how long to train it.\n"
    )
    assert not Path("refused").exists()


def test_what_was_measured_by_another_protocol_is_measured_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(measure: Measure) -> float:
        one = replace(variant(2), figures=(Figure("number", "", measure),))
        register(replace(EXPERIMENT, variants=[one], differences=[]))
        return reproduce(capsys, "--resume", "--out", "again")["rows"][0]["measured"]

    assert measured(Measure("of one row", lambda trained: 1.0)) == 1.0
    with monkeypatch.context() as patch:
        patch.setattr(planned, "_train", lambda *given: pytest.fail("it was trained again"))
        assert measured(Measure("of one row", lambda trained: 2.0)) == 1.0
    assert measured(Measure("of two rows", lambda trained: 2.0)) == 2.0
