"""Each finding is made on a model that has it, and on none that has not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.cli import main
from vaekit.data.dataset import Split
from vaekit.data.loader import Loader
from vaekit.evaluation.anomaly import scores, threshold
from vaekit.evaluation.doctor import CHECKS, Patient, TrainingMonitor, examine, patient_of
from vaekit.evaluation.doctor.course import no_information
from vaekit.evaluation.doctor.model import vanishing_scale
from vaekit.evaluation.likelihood import bound
from vaekit.testing import linear_gaussian


def patient(model: Any, **changes: Any) -> Patient:
    x = torch.bernoulli(torch.full((40, 6), 0.5), generator=torch.Generator().manual_seed(0))
    batches = [vk.Batch(x[:20]), vk.Batch(x[20:])]
    return Patient(model, batches, batches, [], {})._replace(**changes)


def small_model(likelihood: str = "bernoulli") -> vk.VAE:
    torch.manual_seed(0)
    make = {
        "bernoulli": lambda: vk.likelihoods.Bernoulli(vk.networks.MLP(2, (8,)), (6,)),
        "gaussian": lambda: vk.likelihoods.Gaussian(vk.networks.MLP(2, (8,)), (6,), scale="per-dimension"),
    }[likelihood]
    return vk.VAE(vk.priors.StandardNormal(2), vk.posteriors.Diagonal(vk.networks.MLP(6, (8,)), 2), make())


def found(patient: Patient) -> set[str]:
    return {finding.name for finding in examine(patient)}


def test_collapse_and_idle_latents() -> None:
    model = small_model()
    assert "posterior-collapse" in found(patient(model, kl={"z": [0.001, 0.002]}))
    assert "idle-latents" in found(patient(model, kl={"z": [0.001, 0.002, 1.0]}))
    # One latent of two that carries nothing is a collapse of that one.
    (told,) = [x for x in examine(patient(model, kl={"z1": [1.0] * 9, "z2": [0.001]})) if "collapse" in x.name]
    assert "all 1 units of z2" in told.what
    assert "z1" not in told.what
    assert not found(patient(model, kl={"z": [0.001, 2.0, 1.0]})) & {"idle-latents", "posterior-collapse"}


def test_a_decoder_that_ignores_z() -> None:
    model = small_model()
    with torch.no_grad():
        model.likelihood.network.first.weight.zero_()
    assert "decoder-ignores-z" in found(patient(model))
    assert "decoder-ignores-z" not in found(patient(_listening()))


def _listening() -> vk.VAE:
    """The first two elements of x are the signs of z."""
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Diagonal(vk.networks.Affine(6), 2),
        vk.likelihoods.Bernoulli(vk.networks.Affine(2), (6,)),
    )
    with torch.no_grad():
        for module in (model.posterior.head.linear, model.likelihood.head.linear):
            module.weight.zero_()
            module.bias.zero_()
        model.posterior.head.linear.weight[:2, :2] = 6 * torch.eye(2)
        model.posterior.head.linear.bias[:2] = -3
        model.likelihood.head.linear.weight[:2, :2] = torch.eye(2)
    return model


def test_a_scale_at_its_floor() -> None:
    model = small_model("gaussian")
    assert "vanishing-scale" not in found(patient(model))
    with torch.no_grad():
        model.likelihood.scale.raw[0] = -50.0
    assert "vanishing-scale" in found(patient(model))


def test_a_gap_to_the_validation_rows() -> None:
    model = _listening()
    assert "validation-gap" not in found(patient(model))
    with torch.no_grad():
        model.likelihood.head.linear.bias.fill_(4.0)  # at home with ones
    assert "validation-gap" in found(patient(model, train=[vk.Batch(torch.ones(20, 6))]))
    assert "validation-gap" not in found(patient(model, validation=[vk.Batch(torch.ones(20, 6))]))


def records(train: list[float], validation: list[float], kl: float = 5.0, **more: Any) -> list[dict[str, Any]]:
    """Records of epochs in which all figures of the validation rows are alike."""
    same = {"phase": 0, "skipped": 0, "validation_kl": kl} | more
    return [
        {"epoch": n, "train_model_objective": a, "validation_elbo": b, "validation_log_px": b, "watched": b} | same
        for n, (a, b) in enumerate(zip(train, validation, strict=True), start=1)
    ]


def test_what_the_epochs_say() -> None:
    calm = [-100.0, -50.0, -40.0, -39.0, -38.9, -38.8, -38.8, -38.8, -38.8, -38.8]
    thrown = [-100.0, -50.0, -70.0, -40.0, -80.0, -30.0, -60.0, -40.0, -70.0, -30.0]
    names = {"learning-rate", "still-improving", "not-finite"}
    assert not found(patient(small_model(), metrics=records(calm, calm))) & names
    assert found(patient(small_model(), metrics=records(thrown, calm))) & names == {"learning-rate"}
    climbing = [-100.0 + 5 * epoch for epoch in range(10)]
    assert found(patient(small_model(), metrics=records(calm, climbing))) & names == {"still-improving"}
    assert found(patient(small_model(), metrics=records(calm, calm, skipped=3))) & names == {"not-finite"}


def test_skipped_steps_are_named() -> None:
    metrics = records([-1.0], [-1.0], skipped=1, skipped_cause="step 3: log_px became infinite in row 7")
    told = examine(patient(small_model(), metrics=metrics))
    assert "1 step was skipped; the first: step 3: log_px became infinite in row 7" in [found.what for found in told]


def test_a_constant_column() -> None:
    """Long before its floor the scale of a column that never varies is seen to sink."""
    model = small_model("gaussian")
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    x[:, 4] = 0.0
    assert vanishing_scale(model, vk.Batch(x)) is None
    with torch.no_grad():
        model.likelihood.scale.raw[4] = -4.0
    told = vanishing_scale(model, vk.Batch(x), columns=["a", "b", "c", "d", "e", "f"])
    assert told is not None
    assert told.what.startswith("the scale of p(x|z) is running to zero (")
    assert "on column 'e': values that never vary" in told.what
    # The same scale where values do vary, or where only the cells that were not observed differ.
    assert vanishing_scale(model, vk.Batch(torch.randn(50, 6))) is None
    mask = torch.ones(50, 6, dtype=torch.bool)
    x[3, 4], mask[3, 4] = 9.0, False
    assert vanishing_scale(model, vk.Batch(x)) is None
    assert vanishing_scale(model, vk.Batch(x, mask=mask)) is not None


def test_a_likelihood_that_does_not_fit() -> None:
    assert "unfit-likelihood" in found(patient(small_model("gaussian")))
    assert "unfit-likelihood" not in found(patient(small_model()))
    grey = [vk.Batch(torch.rand(20, 6, generator=torch.Generator().manual_seed(0)))]
    model = small_model("gaussian")
    with torch.no_grad():
        model.likelihood.head.linear.weight.zero_()
        model.likelihood.head.linear.bias.fill_(0.5)
    assert "unfit-likelihood" not in found(patient(model, validation=grey))
    with torch.no_grad():
        model.likelihood.head.linear.bias[0] = 1.2
    assert "unfit-likelihood" in found(patient(model, validation=grey))
    real = [vk.Batch(4 * torch.randn(20, 6))]
    assert "unfit-likelihood" not in found(patient(model, validation=real))


def visits(metrics: list[dict[str, Any]], before: int = 0, model: Any = None) -> list[tuple[int, str]]:
    """What is said at which epoch."""
    grey = np.arange(60, dtype=np.uint8).reshape(10, 6) % 17
    loader = Loader(Split(grey), vk.data.load("digits").kind, "cpu", 5)  # each look binarises afresh
    doctor = TrainingMonitor(model or small_model(), loader, metrics[:before], planned=len(metrics))
    return [(record["epoch"], told.name) for record in metrics[before:] for told in doctor.visit(record)]


CALM = [-100.0 - 40 / epoch for epoch in range(1, 41)]


def test_a_healthy_training_is_left_alone() -> None:
    assert visits(records(CALM, CALM)) == []
    # So is one whose KL has not woken up yet, and one that is only moved by chance.
    asleep = records(CALM, CALM)
    for record in asleep[:7]:
        record["validation_kl"] = 0.001
    assert visits(asleep) == []
    chance = [-3.0 + 0.4 * (-1) ** epoch for epoch in range(40)]
    assert visits(records(chance, chance)) == []


def test_each_cause_is_named_once_and_when_it_appears() -> None:
    thrown = CALM[:10] + [-100.0, -120.0] * 15
    assert visits(records(thrown, CALM)) == [(16, "learning-rate")]
    plunge = [*CALM[:4], -5000.0, *CALM[5:]]
    assert visits(records(CALM, plunge)) == [(5, "learning-rate")]
    flung = [*CALM[:4], *(value - 5000 for value in CALM[4:])]
    metrics = records(CALM, CALM, kl=5000.0)
    assert visits([record | {"watched": value} for record, value in zip(metrics, flung, strict=True)]) == [
        (5, "learning-rate")
    ]
    assert visits(metrics) == []  # a KL that the objective does not count
    assert visits(records(CALM, CALM, kl=0.001)) == [(9, "posterior-collapse")]
    falling = [*CALM[:12], *(CALM[11] - 2.0 * later for later in range(1, 29))]
    assert visits(records(CALM, falling)) == [(22, "validation-gap")]
    # The objective falls too: that is no fit to the training rows.
    assert visits(records(falling, falling)) == []


def test_one_level_of_several() -> None:
    metrics = records(CALM, CALM, validation_kl_z1=5.0, validation_kl_z2=0.001)
    told = no_information(metrics[-5:])
    assert told is not None
    assert "KL 0.0010 nats in z2" in told.what


@pytest.mark.parametrize("recipe", ["hvae", "m2"])
def test_the_levels_add_up(recipe: str) -> None:
    plan = vk.recipes.make(recipe, vk.data.load("digits"), {"network": "mlp:hidden=8", "latent_dim": 2})
    torch.manual_seed(0)
    for parameter in plan.model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # so that no level has a KL of zero
    figures = bound(plan.model, Loader(plan.data.validation, plan.data.kind, "cpu", 100))
    levels = {name: value for name, value in figures.items() if name.startswith("kl_")}
    assert len(levels) == 2
    assert min(levels.values()) > 0.01
    assert sum(levels.values()) == pytest.approx(figures["kl"], rel=1e-4)


def test_a_floor_that_is_high_enough_is_no_illness() -> None:
    model = small_model("gaussian")
    with torch.no_grad():
        model.likelihood.scale.raw[4] = -50.0
    model.likelihood.scale.minimum = 0.1
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    x[:, 4] = 0.0
    assert vanishing_scale(model, vk.Batch(x)) is None


def test_warm_up_and_other_phases_are_not_judged() -> None:
    thrown = CALM[:10] + [-100.0, -120.0] * 15
    falling = [*CALM[:12], *(CALM[11] - 2.0 * later for later in range(1, 29))]
    for metrics in (records(thrown, CALM), records(CALM, falling), records(CALM, CALM, kl=0.001)):
        assert visits(metrics)
        assert visits([record | {"warming": True} for record in metrics]) == []
        assert visits([record | {"phase": record["epoch"]} for record in metrics]) == []


def test_what_was_said_before_an_interruption_is_not_said_again() -> None:
    metrics = records(CALM, CALM, kl=0.001)
    assert visits(metrics, before=20) == []


def test_the_finished_run_remembers_what_happened() -> None:
    plunge = [*CALM[:4], -5000.0, *CALM[5:]]
    assert "learning-rate" in found(patient(small_model(), metrics=records(CALM, plunge)))


def test_the_doctor_draws_nothing_from_the_training() -> None:
    """A scale that is learned is looked at each epoch; the numbers of the training stay where they were."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = small_model("gaussian")
    torch.set_rng_state(before)
    with torch.no_grad():
        model.likelihood.scale.raw[0] = -50.0
    assert visits(records(CALM, CALM), model=model.train()) == [(1, "vanishing-scale")]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


SMALL = ["--network", "mlp:hidden=32"]
GREEDY = ["--objective", "elbo:beta=0.2", "--latent-dim", "8", "--learning-rate", "0.002"]
SICK = {
    "learning-rate": ["digits", *SMALL, "--learning-rate", "10", "--epochs", "4"],
    "posterior-collapse": ["digits", *SMALL, "--objective", "elbo:beta=100", "--epochs", "12"],
    "vanishing-scale": ["constant.npy", *SMALL, "--likelihood", "gaussian:scale=network", "--learning-rate", "0.01"],
    "validation-gap": ["noise.npy", "--network", "mlp:hidden=300/300", *GREEDY, "--epochs", "90"],
}


@pytest.mark.parametrize("cause", SICK)
def test_a_sick_training_hears_the_cause(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.RandomState(0)
    constant = random.randn(600, 6).astype(np.float32)
    constant[:, 4] = 3.0
    np.save("constant.npy", constant)
    np.save("noise.npy", random.randint(0, 2, (60, 20)).astype(np.uint8))
    epochs = [] if "--epochs" in SICK[cause] else ["--epochs", "60"]
    assert main(["train", *SICK[cause], *epochs, "--patience", "0", "--device", "cpu", "--out", "run"]) == 0
    said = capsys.readouterr().err
    assert len(re.findall(rf"^warning: epoch \d+: .*\({cause}\); usual cure: ", said, re.MULTILINE)) == 1
    assert said.splitlines()[-1].startswith(f"report: {Path('run') / 'report.html'}")


def test_a_healthy_training_hears_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", *SMALL, "--epochs", "6", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "warning" not in said


def test_every_model_can_be_examined() -> None:
    data = vk.data.load("digits")
    for name, recipe in vk.recipes.recipes().items():
        options = {"epochs": 1} | ({"network": "mlp:hidden=8"} if "network" in recipe.options else {})
        plan = vk.recipes.make(name, data, options)
        assert len(examine(patient_of(plan.model, plan.data, [], limit=30))) <= len(CHECKS)


def test_scores_are_exact_where_the_posterior_is() -> None:
    """With the exact posterior one draw gives −log p(x)."""
    truth = linear_gaussian.exact()
    x = truth.sample(30)
    torch.testing.assert_close(scores(truth.model, [vk.Batch(x)], samples=1), -truth.log_p(x))


def test_the_threshold_leaves_the_share_beyond_it() -> None:
    reference = torch.from_numpy(np.random.RandomState(0).permutation(1000)).double()
    assert int((reference > threshold(reference, 0.99)).sum()) == 10
