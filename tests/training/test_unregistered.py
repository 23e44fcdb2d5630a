"""Modules and objectives without a decorator: trained, saved, loaded and resumed like any other."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from training_cases import assert_same_run, small_digits, small_plan, stop_after

import vaekit as vk
import vaekit.cli
from vaekit.errors import Interrupted
from vaekit.objectives import Objective, Value
from vaekit.objectives.objective import Player
from vaekit.parts import record
from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import to_document
from vaekit.schedules import Step
from vaekit.training.model_checks import check_can_be_read

OPTIONS: dict[str, Any] = {"quiet": True, "batch_size": 16}


@pytest.fixture(autouse=True)
def parts_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered inside is not after it."""
    monkeypatch.setattr(record, "_REGISTRY", dict(record._REGISTRY))


class Encoder(nn.Module):
    """Statistics of batches, random numbers in training."""

    def __init__(self, width: int = 16, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), activation(), nn.Dropout(0.2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Prior(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(3))

    def forward(self, condition: Tensor | None = None) -> Distribution:
        return Independent(Normal(self.loc, torch.ones_like(self.loc), validate_args=False), 1, validate_args=False)


class Posterior(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.out = nn.Linear(16, 6)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Distribution:
        loc, raw = self.out(self.encoder(x)).chunk(2, -1)
        return Independent(Normal(loc, raw.exp(), validate_args=False), 1, validate_args=False)


class Likelihood(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 64))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        logits = self.layers(z).unflatten(-1, (1, 8, 8))
        return Independent(Bernoulli(logits=logits, validate_args=False), 3, validate_args=False)


class Model(vk.VAE):
    """A subclass of a part is no part of that name."""


class Watched(Objective):
    """The bound, and a critic of a network of its own that learns beside it."""

    def __init__(self, hold: bool = True) -> None:
        self.critic, self.hold = nn.Linear(3, 1), hold

    def networks(self) -> tuple[nn.Module, ...]:
        return (self.critic,)

    def players(self, model: nn.Module) -> dict[str, Player]:
        critic = {"critic": Player(list(self.critic.parameters()), self.watch)} if self.hold else {}
        return {"model": Player(list(model.parameters()), self), **critic}

    def __call__(self, model: Any, batch: vk.Batch, step: Step) -> Value:
        draw = model.draw(batch)
        return Value(draw.elbo.mean(0), draw.terms)

    def watch(self, model: Any, batch: vk.Batch, step: Step) -> Value:
        with torch.no_grad():
            z = model.draw(batch).z[0]
        return Value(-(self.critic(z).squeeze(-1) - 1).square(), {})


def plain(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    q = vk.posteriors.Diagonal(Encoder(**options), 3)
    p = vk.likelihoods.Bernoulli(nn.Sequential(nn.Linear(3, 16), nn.ReLU()), (1, 8, 8))
    return vk.VAE(vk.priors.StandardNormal(3), q, p)


def whole() -> nn.Module:
    torch.manual_seed(0)
    return Model(Prior(), Posterior(), Likelihood())


MODELS = {"plain modules": plain, "foreign parts": whole}


@pytest.mark.parametrize("kind", MODELS)
class TestFolder:
    def test_a_run_is_loaded_with_the_model_brought_along(self, kind: str, tmp_path: Path) -> None:
        trained, data = MODELS[kind](), small_digits()
        run = vk.fit(trained, data, objective=Watched(), epochs=2, out=tmp_path / "run", **OPTIONS)
        assert run.model is not trained
        figures = run.evaluate(samples=5)
        brought, objective = MODELS[kind](), Watched()
        again = vk.load(tmp_path / "run", data, model=brought, objective=objective)
        assert again.model is brought
        assert again.evaluate(samples=5) == figures
        assert again.objective is objective
        assert torch.equal(run.objective.critic.weight, objective.critic.weight)
        for name, tensor in run.model.state_dict().items():
            assert torch.equal(brought.state_dict()[name], tensor), name

    def test_a_run_in_memory(self, kind: str, tmp_path: Path) -> None:
        data = small_digits()
        run = vk.fit(MODELS[kind](), data, objective=Watched(), epochs=2, **OPTIONS)
        saved = run.save(tmp_path / "run")
        figures = run.evaluate(samples=5)
        assert saved.evaluate(samples=5) == figures
        assert vk.load(tmp_path / "run", data, model=MODELS[kind]()).evaluate(samples=5) == figures
        assert torch.equal(run.objective.critic.weight, saved.objective.critic.weight)
        assert run.encode(data.test.x[:4]).mean.shape == (4, 3)

    def test_alone_it_says_what_is_missing(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        vk.fit(MODELS[kind](), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
        with pytest.raises(vk.UserError, match="a class that is no registered part: it was not imported") as refused:
            vk.load(tmp_path / "run")
        assert "vk.load(folder, model=model)" in refused.value.hint
        assert vaekit.cli.main(["evaluate", str(tmp_path / "run")]) == 2
        said = capsys.readouterr().err
        assert refused.value.message in said
        assert "--parts FILE.py" in said

    @pytest.mark.parametrize("steps", [3, 5, 9])
    def test_it_is_resumed_bit_for_bit(
        self, kind: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings: dict[str, Any] = {**OPTIONS, "epochs": 2, "ema_decay": 0.9}
        vk.fit(MODELS[kind](), small_digits(), out=tmp_path / "whole", **settings)
        with monkeypatch.context() as patch:
            stop_after(steps, patch)
            with pytest.raises(Interrupted):
                vk.fit(MODELS[kind](), small_digits(), out=tmp_path / "parts", **settings)
        torch.manual_seed(1)  # of no consequence
        vk.fit(MODELS[kind](), small_digits(), out=tmp_path / "parts", resume=True, **settings)
        assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_the_document_names_classes_and_nothing_else(tmp_path: Path) -> None:
    vk.fit(plain(), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    places = dict(foreign_values(config["model"]))
    assert places == {
        "/posterior/network": f"{__name__}.Encoder",
        "/likelihood/network": "torch.nn.modules.container.Sequential",
    }
    assert config["model"]["posterior"]["network"]["modules"]["layers.2"] == "BatchNorm1d"


@pytest.mark.parametrize(
    ("options", "loading", "resuming"),
    [
        (
            {"activation": nn.Tanh},
            "its model/posterior/network/modules/layers.3 is Tanh, and was ReLU",
            "ReLU, and not",
        ),
        ({"width": 15}, r"'posterior.network.module.layers.1.weight' has shape \(16, 64\)", r"has shape \(16, 64\)"),
    ],
)
def test_another_model_is_refused(options: dict[str, Any], loading: str, resuming: str, tmp_path: Path) -> None:
    vk.fit(plain(), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
    with pytest.raises(vk.UserError, match=loading):
        vk.load(tmp_path / "run", model=plain(**options))
    with pytest.raises(vk.UserError, match=resuming):
        vk.fit(plain(**options), small_digits(), epochs=2, out=tmp_path / "run", resume=True, **OPTIONS)


def test_a_class_that_is_defined_again_is_the_same(tmp_path: Path) -> None:
    """As by a notebook cell that is run twice."""

    def cell() -> nn.Module:
        class Cell(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 8)

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(x.flatten(1)).relu()

        torch.manual_seed(0)
        q, p = vk.posteriors.Diagonal(Cell(), 3), vk.likelihoods.Bernoulli(nn.Linear(3, 8), (1, 8, 8))
        return vk.VAE(vk.priors.StandardNormal(3), q, p)

    vk.fit(cell(), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
    vk.fit(cell(), small_digits(), epochs=2, out=tmp_path / "run", resume=True, **OPTIONS)
    assert len(vk.load(tmp_path / "run", model=cell()).metrics) == 2


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"compile": True}, {"clip_norm": 1.0, "ema_decay": 0.9}])
def test_settings(settings: dict[str, Any], tmp_path: Path) -> None:
    run = vk.fit(plain(), small_digits(), epochs=2, out=tmp_path / "run", **OPTIONS, **settings)
    assert run.best["validation_elbo"] > -46
    assert run.best["skipped"] == 0


def test_a_schedule_may_be_any_function(tmp_path: Path) -> None:
    run = vk.fit(plain(), small_digits(), epochs=1, learning_rate=lambda step: 0.01, out=tmp_path / "run", **OPTIONS)
    assert run.metrics[0]["learning_rate"] == 0.01
    assert run.evaluate(samples=5)["elbo"] < 0


def test_another_prior_for_a_foreign_model(tmp_path: Path) -> None:
    run = vk.fit(plain(), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
    for prior in ("mixture:num_components=3", "flow:transforms=1,hidden=8"):
        fitted = vk.fit_prior(run, prior, epochs=1, out=tmp_path / prior.partition(":")[0], quiet=True)
        assert type(fitted.model.prior) is not type(run.model.prior)
        assert fitted.evaluate(samples=5)["elbo"] < 0


class Conditional(nn.Module):
    """Parameters that no one can make without rows: the width of the condition is not known."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer, self.of_condition = nn.Linear(inputs, 8), nn.LazyLinear(8)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return (self.layer(x.flatten(1)) + self.of_condition(condition)).relu()


def test_parameters_are_made_of_rows_before_the_training(tmp_path: Path) -> None:
    def model() -> nn.Module:
        torch.manual_seed(0)
        q, p = vk.posteriors.Diagonal(Conditional(64), 3), vk.likelihoods.Bernoulli(Conditional(3), (1, 8, 8))
        return vk.VAE(vk.priors.StandardNormal(3), q, p)

    data = small_digits().conditioned(10)
    run = vk.fit(model(), data, epochs=1, out=tmp_path / "run", **OPTIONS)
    assert run.model.posterior.network.module.of_condition.weight.shape == (8, 10)
    figures = run.evaluate(samples=5)
    assert vk.load(tmp_path / "run", data, model=model()).evaluate(samples=5) == figures


class TestBeforeTheFirstStep:
    """What cannot come to a good end is refused, and leaves nothing behind."""

    def refused(self, model: nn.Module, folder: Path, **options: Any) -> vk.UserError:
        with pytest.raises(vk.UserError) as caught:
            vk.fit(model, small_digits(), epochs=1, out=folder / "run", **OPTIONS, **options)
        assert not (folder / "run").exists()
        return caught.value

    def test_what_is_no_model(self) -> None:
        with pytest.raises(TypeError, match=r"a model is a torch\.nn\.Module, .* got None"):
            vk.fit(None, small_digits())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"a model has abilities and draw, and a Linear has not: vk\.VAE"):
            vk.fit(nn.Linear(1, 1), small_digits())

    def test_what_could_not_be_read_again(self, tmp_path: Path) -> None:
        @vk.part("network/grows-by-hand")
        class Grows(nn.Module):
            def __init__(self, width: int = 4) -> None:
                super().__init__()
                self.layer = nn.Linear(64, width)

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(x.flatten(1))

        def model(network: nn.Module) -> nn.Module:
            q = vk.posteriors.Diagonal(network, 3)
            p = vk.likelihoods.Bernoulli(vk.networks.MLP(3, (8,)), (1, 8, 8))
            return vk.VAE(vk.priors.StandardNormal(3), q, p)

        network = Grows()
        network.layer = nn.Linear(64, 5)
        said = self.refused(model(network), tmp_path)
        assert said.message == (
            "the trained model could not be read again: of 'posterior.network.module.layer.weight' it has the shape "
            "(5, 64), and made from its arguments the shape (4, 64)."
        )
        network = Grows()
        network.extra = nn.Parameter(torch.zeros(2))
        said = self.refused(model(network), tmp_path)
        assert "'posterior.network.module.extra' it has the shape (2,), and made from its arguments no" in said.message
        vk.fit(model(Grows()), small_digits(), epochs=1, out=tmp_path / "fits", **OPTIONS)
        assert vk.load(tmp_path / "fits").model

    def test_a_constructor_that_cannot_be_called_again(self, tmp_path: Path) -> None:
        @vk.part("prior/once")
        class Once(nn.Module):
            made = 0

            def __init__(self) -> None:
                super().__init__()
                if Once.made:
                    raise KeyError("a second one")
                Once.made = 1
                self.loc = nn.Parameter(torch.zeros(3))

            def forward(self, condition: Tensor | None = None) -> Distribution:
                return Prior.forward(self, condition)  # type: ignore[arg-type]

        q, p = vk.networks.MLP(64, (8,)), vk.networks.MLP(3, (8,))
        model = vk.VAE(Once(), vk.posteriors.Diagonal(q, 3), vk.likelihoods.Bernoulli(p, (1, 8, 8)))
        said = self.refused(model, tmp_path)
        assert said.message.startswith("the trained model could not be read again: the configuration of 'prior/once'")

    def test_the_first_argument_may_have_any_name(self, tmp_path: Path) -> None:
        @vk.part("network/calls-itself-that")
        class That(nn.Module):
            def __init__(this, width: int = 8) -> None:
                super().__init__()
                this.layer = nn.Linear(64, width)

            def forward(this, x: Tensor) -> Tensor:
                return this.layer(x.flatten(1))

        q, p = vk.posteriors.Diagonal(That(), 3), vk.likelihoods.Bernoulli(vk.networks.MLP(3, (8,)), (1, 8, 8))
        vk.fit(vk.VAE(vk.priors.StandardNormal(3), q, p), small_digits(), epochs=1, out=tmp_path / "run", **OPTIONS)
        assert vk.load(tmp_path / "run").model.posterior.network.module.layer.out_features == 8

    def test_the_proof_leaves_random_numbers_and_model_as_they_were(self) -> None:
        model = small_plan().model
        before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        check_can_be_read(model, to_document(model))
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    def test_parameters_that_no_player_holds(self, tmp_path: Path) -> None:
        class Half(Watched):
            def players(self, model: nn.Module) -> dict[str, Player]:
                return {"model": Player(list(model.get_submodule("likelihood").parameters()), self)}

        said = self.refused(plain(), tmp_path, objective=Half())
        assert said.message == (
            "no player of the objective holds posterior.network.module.layers.1.weight, "
            "posterior.network.module.layers.1.bias, posterior.network.module.layers.2.weight and 5 more: they would "
            "stay as they are."
        )
        said = self.refused(plain(), tmp_path, objective=Watched(hold=False))
        assert "no player of the objective holds objective.weight, objective.bias: they would" in said.message

    def test_what_rests_on_purpose_needs_no_player(self, tmp_path: Path) -> None:
        class Half(Watched):
            def networks(self) -> tuple[nn.Module, ...]:
                return ()

            def players(self, model: nn.Module) -> dict[str, Player]:
                return {"model": Player(list(model.get_submodule("likelihood").parameters()), self)}

        still = plain()
        still.get_submodule("posterior").requires_grad_(False)
        phases = {
            "still": (still, {"objective": Half()}),
            "rest": (plain(), {"phases": [vk.training.Phase(Half(), 1, rest=("posterior",))]}),
            "train": (plain(), {"phases": [vk.training.Phase(Half(), 1, train=("likelihood",))]}),
            "later": (plain(), {"phases": [vk.training.Phase(Half(), 1), vk.training.Phase(vk.objectives.ELBO(), 1)]}),
        }
        for name, (model, options) in phases.items():
            epochs = {} if "phases" in options else {"epochs": 1}
            vk.fit(model, small_digits(), out=tmp_path / name, **epochs, **OPTIONS, **options)
        two = [vk.training.Phase(Half(), 1), vk.training.Phase(vk.objectives.ELBO(), 1, train=("likelihood",))]
        with pytest.raises(vk.UserError, match="no player of the objective holds posterior"):
            vk.fit(plain(), small_digits(), phases=two, out=tmp_path / "never", **OPTIONS)

    def test_a_shape_that_does_not_fit_names_the_layer(self, tmp_path: Path) -> None:
        model = whole()
        model.get_submodule("posterior").out = nn.Linear(17, 6)
        said = self.refused(model, tmp_path)
        assert said.message == (
            "the model does not take rows of shape (1, 8, 8): its layer 'posterior.out', Linear(in_features=17, "
            "out_features=6, bias=True), expects (…, 17), and was given (2, 16)."
        )

    def test_a_last_row_alone(self, tmp_path: Path) -> None:
        with pytest.raises(vk.UserError, match=r"does not take a single row .* BatchNorm1d") as refused:
            vk.fit(plain(), small_digits(33), epochs=1, out=tmp_path / "run", **OPTIONS)
        assert "choose a batch_size" in refused.value.hint


class Widening(nn.Module):
    """Features that become more after the first epoch."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 1) for _ in range(width)])

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return sum(layer(x.flatten(-3)).tanh() for layer in self.layers)  # type: ignore[return-value]

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return vk.networks.Affine(1).head(out_shape)

    def after_epoch(self, model: nn.Module, step: Step) -> bool:
        if len(self.layers) > 4:
            return False
        self.layers.append(nn.Linear(64, 1))
        return True


class TestGrowing:
    def model(self, cls: type[nn.Module], width: int = 4) -> nn.Module:
        torch.manual_seed(0)
        q, p = vk.posteriors.Diagonal(cls(width), 3), vk.likelihoods.Bernoulli(vk.networks.MLP(3, (8,)), (1, 8, 8))
        return vk.VAE(vk.priors.StandardNormal(3), q, p)

    def test_a_part_that_forgets_its_arguments_is_noticed_when_it_grows(self, tmp_path: Path) -> None:
        @vk.part("network/forgets")
        class Forgets(Widening):
            def __init__(self, width: int = 4) -> None:
                super().__init__(width)

        with pytest.raises(vk.UserError, match=r"'posterior.network.layers.4.weight' it has the shape \(1, 64\), and"):
            vk.fit(self.model(Forgets), small_digits(), epochs=3, out=tmp_path / "run", **OPTIONS)

    def test_a_foreign_one_is_opened_as_it_has_become_and_not_gone_on_with(self, tmp_path: Path) -> None:
        run = vk.fit(self.model(Widening), small_digits(), epochs=2, out=tmp_path / "run", **OPTIONS)
        assert len(run.model.posterior.network.layers) == 5
        figures = run.evaluate(samples=5)
        grown = vk.load(tmp_path / "run", small_digits(), model=self.model(Widening, 5))
        assert grown.evaluate(samples=5) == figures
        with pytest.raises(vk.UserError, match="the model has grown while it was trained"):
            vk.fit(self.model(Widening), small_digits(), epochs=3, out=tmp_path / "run", resume=True, **OPTIONS)
