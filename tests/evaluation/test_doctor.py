"""Each finding is made on a model that has it, and on none that has not."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import vaekit as vk
from vaekit.evaluation.anomaly import scores, threshold
from vaekit.evaluation.doctor import CHECKS, Patient, examine, patient_of
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


def test_what_the_epochs_say() -> None:
    def records(train: list[float], validation: list[float], skipped: int = 0) -> list[dict[str, Any]]:
        return [
            {"train_model_objective": a, "validation_elbo": b, "validation_log_px": b, "skipped": skipped}
            for a, b in zip(train, validation, strict=True)
        ]

    calm = [-100.0, -50.0, -40.0, -39.0, -38.9, -38.8, -38.8, -38.8, -38.8, -38.8]
    thrown = [-100.0, -50.0, -70.0, -40.0, -80.0, -30.0, -60.0, -40.0, -70.0, -30.0]
    names = {"learning-rate", "still-improving", "not-finite"}
    assert not found(patient(small_model(), metrics=records(calm, calm))) & names
    assert found(patient(small_model(), metrics=records(thrown, calm))) & names == {"learning-rate"}
    climbing = [-100.0 + 5 * epoch for epoch in range(10)]
    assert found(patient(small_model(), metrics=records(calm, climbing))) & names == {"still-improving"}
    assert found(patient(small_model(), metrics=records(calm, calm, skipped=3))) & names == {"not-finite"}


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
