"""``vaekit evaluate --with``: figures on request, and what is asked of a model or data that has no answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_cases import Command

from vaekit.cli.evaluate import made
from vaekit.parts.record import parts

FEW = "rows=3,temperatures=5,chains=2,leapfrog=2"
KEYS = {
    f"ais:{FEW}": {
        *("ais_log_p", "ais_standard_error", "ais_acceptance", "ais_effective_chains", "ais_examples"),
    },
    f"bdmc:{FEW}": {
        *("bdmc_lower", "bdmc_upper", "bdmc_gap", "bdmc_gap_standard_error", "bdmc_acceptance", "bdmc_examples"),
    },
    "split:draws=10": {
        f"split_{name}{error}"
        for name in ("index_code", "marginal_kl", "total_correlation", "dimension_kl", "kl")
        for error in ("", "_standard_error")
    }
    | {"split_draws", "split_examples"},
    "gaps:rows=3,steps=2,samples=5": {
        *("approximation_gap", "approximation_gap_standard_error"),
        *("amortization_gap", "amortization_gap_standard_error"),
        *("gaps_log_p", "gaps_elbo_free", "gaps_elbo", "gaps_examples"),
    },
    "parzen:samples=20": {
        *("parzen_log_p", "parzen_standard_error", "parzen_width", "parzen_samples", "parzen_warning"),
    },
    "quality:samples=20": {
        *("quality_frechet", "quality_kernel", "quality_kernel_standard_error"),
        *("quality_precision", "quality_recall", "quality_density", "quality_coverage"),
        *("quality_features", "quality_dimensions", "quality_neighbours"),
        *("quality_samples", "quality_samples_are", "quality_examples"),
    },
}


def test_every_estimator_is_asked_for_here_and_documented() -> None:
    asked = {estimator.part_name.partition("/")[2] for estimator in made(list(KEYS))}  # type: ignore[attr-defined]
    assert asked | {"dequantized"} == {
        name for name, cls in parts("estimator").items() if cls.__module__.startswith("vaekit.")
    }
    page = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text()
    for keys in KEYS.values():
        for key in keys:
            plain = key.removesuffix("_standard_error")
            assert f"`{plain}`" in page, f"docs/numbers.md does not explain {key}"


def test_all_at_once(vaekit: Command, runs: dict[str, Path]) -> None:
    said = vaekit("evaluate", runs["vae"], "--samples", 3, "--limit", 20, "--json", "--with", *KEYS)
    assert said.code == 0, said.err
    figures = json.loads(said.out)
    for keys in KEYS.values():
        assert keys <= figures.keys()
    assert figures["bdmc_examples"] == figures["ais_examples"] == figures["gaps_examples"] == 3
    assert figures["split_examples"] == figures["quality_examples"] == figures["quality_samples"] == 20
    assert figures["quality_dimensions"] == 64
    parts_of_kl = figures["split_index_code"] + figures["split_total_correlation"] + figures["split_dimension_kl"]
    assert parts_of_kl == pytest.approx(figures["split_kl"], abs=1e-3)
    assert figures["bits_per_dim"] == pytest.approx(figures["nll"] / (64 * np.log(2)))
    assert figures["dequantization"] == "none needed: p(x) is a probability"


def test_for_people(vaekit: Command, runs: dict[str, Path]) -> None:
    said = vaekit("evaluate", runs["hvae"], "--samples", 3, "--limit", 7, "--with", *KEYS)
    assert said.code == 0, said.err
    for words in ("log p(x), AIS", "BDMC gap", "I(row; z)", "KL of q(z)", "approx. gap", "amort. gap", "Parzen window"):
        assert words in said.out
    for words in ("Fréchet dist.", "kernel dist.", "precision", "recall", "density", "coverage"):
        assert f"\n  {words} " in said.out
    assert "of 64 values; 7 examples, 20 draws of p(x|z); to be compared only where all of this is the same" in said.out
    assert "Beware: a Parzen window is no estimate of log p(x)" in said.out


def test_grey_levels_under_a_density(vaekit: Command, tmp_path: Path) -> None:
    levels = np.random.RandomState(0).randint(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "grey.npy", levels)
    where = ["--out", tmp_path / "run", "--epochs", 1, "--network", "mlp:hidden=8", "--quiet"]
    assert vaekit("train", tmp_path / "grey.npy", "--likelihood", "gaussian", *where).code == 0
    said = vaekit("evaluate", tmp_path / "run", "--samples", 50, "--json", "--with", "dequantized")
    figures = json.loads(said.out)
    # Uniform noise cannot be told in less than 8 bits; a normal distribution over it takes a little more.
    assert 7.9 < figures["bits_per_dim"] < 10
    assert "uniform noise" in figures["dequantization"]
    plain = json.loads(vaekit("evaluate", tmp_path / "run", "--samples", 5, "--json").out)
    assert plain["bits_per_dim"] is plain["dequantization"] is None


@pytest.mark.parametrize("name", ["vae", "aae", "hamiltonian", "hvae", "m2", "ladder", "dlgm", "vq-vae"])
def test_samples_of_every_run_in_the_eyes_of_every_encoder(vaekit: Command, runs: dict[str, Path], name: str) -> None:
    """Each model with the next one's encoder: of points, codes, classes, several levels."""
    names = list(runs)
    features = runs[names[(names.index(name) + 1) % 8]]
    asked = ["--samples", 1, "--limit", 20, "--json", "--with", f"quality:samples=30,features={features}"]
    said = vaekit("evaluate", runs[name], *asked)
    assert said.code == 0, said.err
    figures = json.loads(said.out)
    assert figures["quality_features"] == str(features)
    assert figures["quality_dimensions"] > 0
    assert figures["quality_frechet"] > 0
    assert 0 <= figures["quality_recall"] <= 1


def test_a_conditional_model_and_means(vaekit: Command, tmp_path: Path) -> None:
    where = ["--out", tmp_path / "run", "--epochs", 1, "--network", "mlp:hidden=8", "--quiet"]
    assert vaekit("train", "digits:condition=label", *where).code == 0
    asked = ["--samples", 1, "--limit", 20, "--with", "quality:samples=50,mean=true"]
    said = vaekit("evaluate", tmp_path / "run", *asked)
    assert said.code == 0, said.err
    assert "50 means of p(x|z), from which even the true model is apart" in said.out
    message, _ = vaekit.refused("evaluate", tmp_path / "run", "--with", f"quality:features={tmp_path / 'run'}")
    assert message.endswith("cannot give the features: its encoder needs a condition beside x.")


NOT_ANSWERED = {
    "aae --with ais": "the estimator ais does not apply: the model has no density (its posterior is a point)",
    "aae --with gaps": "the estimator gaps does not apply: the model has no density",
    "aae --with split": "the estimator split does not apply: the model has no density",
    "hamiltonian --with ais": "does not apply: the density of z is known only together with that of its momentum",
    "hamiltonian --with bdmc": "does not apply: the density of z is known only together with that of its momentum",
    "hamiltonian --with gaps": "does not apply: the density of z is known only together with that of its momentum",
    "hamiltonian --with split": "does not apply: the density of z is known only together with that of its momentum",
    "m2 --with bdmc": "the estimator bdmc does not apply: the latent y is discrete",
    "m2 --with split": "the estimator split does not apply: a latent is summed out (y)",
    "vq-vae --with ais": "the estimator ais does not apply: the posterior is without chance",
    "vae --with dequantized": "p(x) is a probability already, and bits_per_dim is in every evaluation",
    "vectors --with dequantized": "the data are not grey levels",
    "vae --split all --with parzen": "its width is chosen on validation rows, and there are none",
    "vae --with quality:samples=6": "quality' cannot be made: samples must be at least neighbours + 2 = 7, got 6",
    "vae --with quality:neighbours=0,samples=9": "neighbours must be at least 1, got 0",
    "vae --limit 6 --with quality": "quality does not apply: it needs 7 rows or more, and there are 6",
    "vae --with quality:features=pixels": "the features 'pixels' cannot be had: pixels/config.json is not there",
    "vae --with quality:features=3": "the option features of the estimator 'quality' must be a word, got '3'",
    "vae --with iwae": "unknown estimator 'iwae'; known: ais",
    "vae --with ais:chain=2": "unknown option of the estimator 'ais' 'chain'; known:",
    "vae --with ais:chains=0": "the estimator 'ais' cannot be made: chains must be at least 1, got 0",
    "vae --with ais:chains=many": "the option chains of the estimator 'ais' must be a whole number, got 'many'",
    "vae --with bdmc:schedule=cosine": "schedule must be linear or sigmoid, got 'cosine'",
    "vae --with ais:start=data": "start must be posterior or prior, got 'data'",
    "vae --samples 0": "--samples must be a whole number from 1, got 0",
    "vae other-shape.npy": "was made for examples of shape",
    "vae real.npy": "holds values that are not whole numbers from 0 to 16, as the kind 'binary",
}


@pytest.mark.parametrize("typed", NOT_ANSWERED)
def test_what_has_no_answer_is_a_sentence(
    typed: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("other-shape.npy", np.zeros((5, 7), np.uint8))
    np.save("real.npy", np.random.RandomState(0).randn(5, 1, 8, 8).astype(np.float32))
    run, *rest = typed.split()
    message, _ = vaekit.refused("evaluate", runs[run], *rest)
    assert NOT_ANSWERED[typed] in message
    assert message.endswith(".")


def test_real_numbers_under_a_discrete_likelihood(vaekit: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", np.random.RandomState(0).randn(30, 4).astype(np.float32))
    message, hint = vaekit.refused(
        "train", tmp_path / "real.npy", "--likelihood", "bernoulli", "--out", tmp_path / "run", "--epochs", 1
    )
    assert "the likelihood 'bernoulli' does not fit the data: it is for 0 and 1" in message
    assert "gaussian" in hint


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"samples": -3}, {"limit": 0}])
def test_no_samples_and_no_rows_in_python(wrong: dict[str, int], runs: dict[str, Path]) -> None:
    import vaekit as vk

    with pytest.raises(vk.UserError, match="must be a whole number from 1"):
        vk.load(runs["vae"]).evaluate(**wrong)
