"""The VampPrior: a mixture of the posterior's answers to pseudo-inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.parts.record import from_document, to_document
from vaekit.posteriors import Cholesky, Diagonal
from vaekit.priors import Vamp
from vaekit.recipes.compose import make_part
from vaekit.testing import assert_equal, check_gradient, check_model, check_prior, seeded

SHAPE, LATENT = (2, 3), 2


def posterior(kind: type = Diagonal, condition_dim: int = 0) -> torch.nn.Module:
    network = vk.networks.MLP(SHAPE, hidden=(8,), activation="tanh", condition_dim=condition_dim)
    return kind(network, LATENT)


def binary(rows: int = 40) -> Dataset:
    x = (np.random.RandomState(0).rand(rows, *SHAPE) < 0.4).astype(np.uint8)
    return Dataset("ones", Binary(), Split(x), Split(x[:10]), Split(x[:10]), by_name=False)


def vae(prior: torch.nn.Module, q: torch.nn.Module) -> vk.VAE:
    return vk.VAE(prior, q, vk.likelihoods.Bernoulli(vk.networks.MLP(LATENT, hidden=(8,)), SHAPE))


@pytest.mark.parametrize("weights", ["uniform", "learned"])
@pytest.mark.parametrize("kind", [Diagonal, Cholesky])
def test_it_is_the_mean_of_the_posteriors(kind: type, weights: str) -> None:
    with seeded():
        prior = Vamp(posterior(kind), SHAPE, num_components=5, weights=weights).double()
        torch.nn.init.normal_(prior.logits) if weights == "learned" else None
        z = torch.randn(4, 3, LATENT).double()
    each = torch.stack([prior.posterior(u.unsqueeze(0)).log_prob(z) for u in prior.inputs])
    weight = prior.logits.softmax(0)[:, None, None]
    assert_equal(prior().log_prob(z), (weight * each.exp()).sum(0).log(), "log Σ π_k q(z|u_k)")
    check_prior(prior, LATENT)


def test_one_component_is_that_posterior() -> None:
    prior = Vamp(posterior(), SHAPE, num_components=1).double()
    z = torch.randn(4, LATENT).double()
    assert_equal(prior().log_prob(z), prior.posterior(prior.inputs).log_prob(z), "a mixture of one")


def test_gradient_reaches_encoder_and_pseudo_inputs() -> None:
    with seeded():
        prior = Vamp(posterior(), SHAPE, num_components=3).double()
        z = torch.randn(4, LATENT).double()
    moving = [parameter for parameter in prior.parameters() if parameter.requires_grad]
    assert any(parameter is prior.inputs for parameter in moving)
    assert len(moving) == len([*prior.posterior.parameters()]) + 1
    check_gradient(lambda: prior().log_prob(z).sum(), moving, "log p(z)")


def test_a_condition_reaches_every_component() -> None:
    with seeded():
        prior = Vamp(posterior(condition_dim=3), SHAPE, num_components=4).double()
        z = torch.randn(6, 5, LATENT).double()
    condition = torch.eye(3).double()[[0, 2, 2, 1, 0]]
    p = prior(condition)
    assert p.batch_shape == (5,)
    for row in range(5):
        own = prior.posterior(prior.inputs, condition[row].expand(4, 3))
        expected = own.log_prob(z[:, row, None]).logsumexp(-1) - np.log(4)
        assert_equal(p.log_prob(z)[:, row], expected, f"log p(z|c) of row {row}")
    check_prior(prior, LATENT, condition[:1])
    # Rows with the same condition are encoded together.
    seen: list[torch.Size] = []
    prior.posterior.register_forward_hook(lambda module, given, q: seen.append(q.batch_shape))
    prior(condition)
    assert seen == [torch.Size([3, 4])]


def test_a_conditional_model_keeps_the_laws() -> None:
    with seeded():
        q = posterior(condition_dim=3)
        decoder = vk.networks.MLP(LATENT, hidden=(8,), condition_dim=3)
        model = vk.VAE(Vamp(q, SHAPE, num_components=4), q, vk.likelihoods.Bernoulli(decoder, SHAPE))
        batch = vk.Batch(torch.rand(4, *SHAPE).round(), condition=torch.eye(3)[[0, 1, 1, 2]])
    check_model(model, batch)


def test_pseudo_inputs_start_from_training_rows(tmp_path: Path) -> None:
    data = binary()
    with seeded():
        q = posterior()
        model = vae(Vamp(q, SHAPE, num_components=15, learned=False), q)
    run = vk.fit(model, data, epochs=2, out=tmp_path / "run", quiet=True, batch_size=20)
    rows = {tuple(row.flatten().tolist()) for row in data.train.x}
    inputs = run.model.prior.inputs
    assert all(tuple(row.flatten().int().tolist()) in rows for row in inputs)
    again = vae(Vamp(q, SHAPE, num_components=15, learned=True), q)
    run = vk.fit(again, data, epochs=2, out=tmp_path / "learned", quiet=True, batch_size=20)
    assert not torch.equal(run.model.prior.inputs, inputs)
    assert (run.model.prior.inputs - inputs).abs().max() < 0.1  # they went from the same rows, a few steps


def test_random_pseudo_inputs_stay_what_was_drawn(tmp_path: Path) -> None:
    q = posterior()
    prior = Vamp(q, SHAPE, num_components=500, start="random", mean=3.0, sd=0.5, learned=False)
    before = prior.inputs.clone()
    assert before.mean() == pytest.approx(3.0, abs=0.1)
    assert before.std() == pytest.approx(0.5, abs=0.05)
    run = vk.fit(vae(prior, q), binary(), epochs=1, out=tmp_path / "run", quiet=True)
    assert torch.equal(run.model.prior.inputs, before)
    ranged = Vamp(q, SHAPE, low=0.0, high=1.0).inputs.detach()
    assert ranged.mean() == pytest.approx(0.5, abs=0.05)
    assert ranged.std() == pytest.approx(0.25, abs=0.05)


def test_more_components_than_rows_are_refused(tmp_path: Path) -> None:
    q = posterior()
    with pytest.raises(vk.UserError, match="500 pseudo-inputs cannot start from 40 training rows") as caught:
        vk.fit(vae(Vamp(q, SHAPE), q), binary(), epochs=1, out=tmp_path / "run", quiet=True)
    assert "vamp:num_components=20" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_pseudo_inputs_are_kept_in_the_range_of_the_data() -> None:
    q = posterior()
    prior = Vamp(q, SHAPE, num_components=3, low=0.0, high=1.0)
    with torch.no_grad():
        prior.inputs.copy_(torch.linspace(-1, 2, 18).reshape(3, *SHAPE))
    graph = prior().log_prob(torch.zeros(LATENT))
    assert prior.inputs.min() == 0
    assert prior.inputs.max() == 1
    prior()  # and again, before the gradient of the first
    (gradient,) = torch.autograd.grad(graph, prior.inputs)
    assert (gradient[prior.inputs == 0] != 0).all()  # from where they can come back
    assert (gradient[prior.inputs == 1] != 0).all()


@pytest.mark.parametrize("name", ["mnist-like", "levels", "real", "counts", "categories"])
def test_the_kind_knows_the_range(name: str) -> None:
    kinds = vk.data.kinds
    kind, low, high = {
        "mnist-like": (kinds.Binary(256, "dynamic"), 0.0, 1.0),
        "levels": (kinds.GreyLevels(), 0.0, 1.0),
        "real": (kinds.Real(), None, None),
        "counts": (kinds.Counts(), 0.0, None),
        "categories": (kinds.Categories(4), 0.0, 1.0),
    }[name]
    assert (kind.low, kind.high) == (low, high)


def test_the_posterior_is_written_once_and_stays_shared(tmp_path: Path) -> None:
    q = posterior()
    model = vae(Vamp(q, SHAPE, num_components=10), q)
    document = to_document(model)
    assert document["posterior"] == {"same": "/prior/posterior"}
    rebuilt = from_document(json.loads(json.dumps(document)))
    assert rebuilt.prior.posterior is rebuilt.posterior
    run = vk.fit(model, binary(), epochs=1, out=tmp_path / "run", quiet=True)
    loaded = vk.load(run.folder).model
    z = torch.randn(5, LATENT)
    model.eval()
    assert torch.equal(loaded.prior().log_prob(z), model.prior().log_prob(z))


def test_interrupted_and_resumed_is_uninterrupted(tmp_path: Path) -> None:
    def train(epochs: int, folder: str, **more: bool) -> torch.Tensor:
        with seeded():
            q = posterior()
            model = vae(Vamp(q, SHAPE, num_components=10), q)
        phase = vk.training.Phase(vk.objectives.ELBO(), epochs)
        return vk.fit(model, binary(), phases=(phase,), out=tmp_path / folder, quiet=True, **more).model.prior.inputs

    whole = train(4, "whole")
    train(2, "parts")
    assert torch.equal(train(4, "parts", resume=True), whole)


@pytest.mark.parametrize("prior", ["vamp:num_components=10", "flow:transforms=1,hidden=8", "autoregressive:hidden=8"])
def test_on_top_of_a_chain(prior: str, tmp_path: Path) -> None:
    plan = vk.recipes.make(
        "hvae", binary(), {"prior": prior, "network": "mlp:hidden=8", "latent_dim": LATENT, "epochs": 2}
    )
    run = vk.fit(plan.model, plan.data, phases=plan.phases, out=tmp_path / "run", quiet=True)
    figures = run.evaluate(binary(), samples=20)
    assert figures["nll"] <= -figures["elbo"]
    assert run.model.generate(3).mean.shape == (3, *SHAPE)
    check_model(run.model, vk.Batch(torch.from_numpy(binary().train.x[:4]).float()))
    if "vamp" in prior:
        assert run.model.prior.levels["z2"].posterior is run.model.posterior.levels["z2"]


def test_bad_options_are_refused() -> None:
    q = posterior()
    with pytest.raises(ValueError, match="num_components must be at least 1"):
        Vamp(q, SHAPE, num_components=0)
    with pytest.raises(vk.UserError, match="'date'"):
        Vamp(q, SHAPE, start="date")
    with pytest.raises(vk.UserError, match="weights"):
        Vamp(q, SHAPE, weights="equal")
    with pytest.raises(ValueError, match="sd must not be negative"):
        Vamp(q, SHAPE, sd=-1.0)
    point = vk.posteriors.Point(vk.networks.MLP(SHAPE, hidden=(8,)), LATENT)
    with pytest.raises(ValueError, match="a posterior without a density"):
        Vamp(point, SHAPE)
    with pytest.raises(vk.UserError, match="cannot be made: it is a mixture of posteriors"):
        make_part("prior", "vamp", posterior=point, shape=SHAPE)


def test_the_case_of_the_conformance_suite_is_the_posteriors_own() -> None:
    prior = part_cases.make("prior", "vamp")
    assert len(prior.inputs) == part_cases.SMALL_OPTIONS["prior/vamp"]["num_components"]
    assert len(make_part("prior", "vamp", posterior=prior.posterior, shape=SHAPE).inputs) == 500
