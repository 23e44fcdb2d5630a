"""Everything is a value that can be written down, and only what is registered is ever made."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import part_cases
import pytest
import torch
from torch import nn

import vaekit as vk
from vaekit.parts.build import build
from vaekit.parts.compare import differences
from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import completed, from_document, is_part, part, parts, slots, to_document
from vaekit.parts.specification import parse
from vaekit.schedules import Linear, Step
from vaekit.testing import check_rebuilds


@pytest.mark.parametrize("slot", part_cases.ASKED_FOR)
def test_every_part_comes_back_from_json_with_the_same_document(slot: str) -> None:
    for name in part_cases.names_of(slot):
        one = part_cases.make(slot, name)
        text = json.dumps(to_document(one))
        assert json.dumps(to_document(from_document(json.loads(text)))) == text


def test_objective_with_a_schedule_is_rebuilt() -> None:
    objective = vk.objectives.Classified(vk.objectives.ELBO(beta=Linear(0, 1, epochs=3)), alpha=2.0)
    rebuilt = check_rebuilds(objective, lambda one: one.objective.beta(Step(epoch=1)))
    assert rebuilt == objective


def test_positional_and_default_arguments_are_recorded_by_name() -> None:
    document = to_document(vk.networks.MLP(4, (8,)))
    assert document["part"] == "network/mlp"
    assert (document["in_shape"], document["hidden"], document["activation"]) == (4, [8], "relu")


def test_a_shared_part_is_written_once_and_stays_shared() -> None:
    network = vk.networks.MLP(2, hidden=(3,))
    model = vk.VAE(
        vk.priors.StandardNormal(2), vk.posteriors.Diagonal(network, 2), vk.likelihoods.Gaussian(network, (2,))
    )
    document = json.loads(json.dumps(to_document(model)))
    assert document["likelihood"]["network"] == {"same": "/posterior/network"}
    rebuilt = from_document(document)
    assert rebuilt.likelihood.network is rebuilt.posterior.network
    check_rebuilds(model, lambda one: one.draw(vk.Batch(torch.zeros(2, 2))).log_px)


def test_what_was_put_in_the_place_of_a_part_is_written() -> None:
    """Also by a copy: a run measures the model that was trained."""
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Diagonal(vk.networks.MLP(4, (8,)), 2),
        vk.likelihoods.Bernoulli(vk.networks.MLP(2, (8,)), (4,)),
    )
    model.prior = vk.priors.MixtureOfGaussians(2, 3)
    model.likelihood.network = vk.networks.MLP(2, (8,), activation="tanh")
    for one in (model, copy.deepcopy(model), from_document(to_document(model))):
        document = to_document(one)
        assert document["prior"]["part"] == "prior/mixture"
        assert document["likelihood"]["network"]["activation"] == "tanh"
    model.prior = torch.nn.Identity()
    assert to_document(model)["prior"] == {"foreign": "torch.nn.modules.linear.Identity", "modules": {}}


def test_a_part_may_have_arguments_called_map_and_same() -> None:
    @part("test/odd-names")
    class OddNames:
        def __init__(self, map: dict[str, int], same: str) -> None:
            self.map, self.same = map, same

    rebuilt = from_document(json.loads(json.dumps(to_document(OddNames({"a": 1}, "x")))))
    assert (rebuilt.map, rebuilt.same) == ({"a": 1}, "x")


MALICIOUS = [
    "os.system",
    "antigravity",
    "builtins.eval",
    "torch.nn.Linear",
    "vaekit.models.VAE",
    "prior",
    "",
    None,
    3,
    ["a"],
]


@pytest.mark.parametrize("name", MALICIOUS)
def test_what_is_not_registered_is_refused_and_not_imported(name: object) -> None:
    before = set(sys.modules)
    for document in ({"part": name, "command": "echo owned"}, {"part": "model/vae", "prior": {"part": name}}):
        with pytest.raises(vk.UserError, match="which is not registered; it was not imported"):
            from_document(document)
    assert set(sys.modules) == before


def test_reading_a_document_imports_nothing_even_in_a_fresh_process() -> None:
    code = (
        "import sys; from vaekit.parts.record import from_document; from vaekit.errors import UserError\n"
        "before = set(sys.modules)\n"
        "try: from_document({'part': 'antigravity'})\n"
        "except UserError: print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "document, match",
    [
        ({"part": "prior/standard-normal"}, "does not fit it"),
        ({"part": "prior/standard-normal", "latent_dim": 2, "colour": "red"}, "does not fit it"),
        ({"part": "prior/mixture", "latent_dim": 2, "num_components": 0}, "num_components must be at least 1"),
        ({"part": "prior/mixture", "latent_dim": {"same": "/elsewhere"}}, "which is not there"),
        ({"no": "part"}, "not registered"),
    ],
)
def test_documents_that_do_not_fit_are_a_users_mistake(document: dict, match: str) -> None:
    with pytest.raises(vk.UserError, match=match):
        from_document(document)


def test_a_document_gains_what_its_parts_have_gained() -> None:
    whole = to_document(vk.priors.Vamp(vk.posteriors.Diagonal(vk.networks.MLP(9), 2), (9,)))
    whole = json.loads(json.dumps(whole))

    def older(document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        return {key: older(item) for key, item in document.items() if key not in ("weights", "minimum_scale", "hidden")}

    assert older(whole) != whole
    assert completed(older(whole)) == whole
    assert completed(whole) == whole
    assert completed({"part": "prior/not-registered", "a": [1]}) == {"part": "prior/not-registered", "a": [1]}


def test_tensors_are_not_written_into_documents() -> None:
    @part("test/tensor")
    class WithTensor(nn.Module):
        def __init__(self, value: torch.Tensor) -> None:
            super().__init__()

    with pytest.raises(TypeError, match=r"the argument at /value is a Tensor"):
        to_document(WithTensor(torch.zeros(2)))


class Mine(nn.Module):
    """Of no registered class."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 1), nn.ReLU())


def test_a_module_that_is_no_part_is_named_and_never_made() -> None:
    mine = Mine()
    model = vk.VAE(
        mine, vk.posteriors.Diagonal(vk.networks.MLP(4), 2), vk.likelihoods.Bernoulli(vk.networks.MLP(2), (4,))
    )
    document = json.loads(json.dumps(to_document(model)))
    modules = {"layers": "Sequential", "layers.0": "Linear", "layers.1": "ReLU"}
    assert document["prior"] == {"foreign": f"{__name__}.Mine", "modules": modules}
    assert list(foreign_values(document)) == [("/prior", f"{__name__}.Mine")]
    with pytest.raises(vk.UserError, match=r"at '/prior' names .*Mine, a class that is no registered part") as refused:
        from_document(document)
    assert "vk.load(folder, model=model)" in refused.value.hint


def test_a_foreign_module_in_two_places_is_written_once() -> None:
    mine = Mine()
    document = to_document({"a": mine, "b": [mine]})
    assert document["map"]["b"] == [{"same": "/a"}]


def test_a_subclass_of_a_part_is_no_part_of_that_name() -> None:
    class Mine(vk.networks.MLP):
        pass

    assert not is_part(Mine(4))
    assert to_document(Mine(4))["foreign"].endswith("Mine")


def test_constructors_may_call_themselves_what_they_like_and_take_any_arguments() -> None:
    @part("test/odd-arguments")
    class Odd:
        def __init__(this, first, /, *widths: int, named: int = 1, **options: int) -> None:
            this.given = (first, widths, named, options)

    one = Odd(1, 2, 3, named=4, other=5)
    document = json.loads(json.dumps(to_document(one)))
    assert "this" not in document
    assert from_document(document).given == one.given == (1, (2, 3), 4, {"other": 5})


def test_foreign_classes_are_told_apart_by_their_own_names() -> None:
    """The same class comes from __main__ in a notebook and from a file elsewhere."""
    one = {"foreign": "__main__.Mine", "modules": {"0": "ReLU"}}
    same, other = one | {"foreign": "my.file.Mine"}, one | {"foreign": "__main__.Other"}
    assert list(differences({"prior": one}, {"prior": same}, "model")) == []
    assert list(differences({"prior": one}, {"prior": other}, "model")) == [("model/prior", "Mine", "Other")]
    changed = one | {"modules": {"0": "Tanh"}}
    assert list(differences(one, changed, "model")) == [("model/modules/0", "ReLU", "Tanh")]
    named = {"part": "prior/mixture"}
    assert list(differences(one, named, "model")) == [("model", "Mine", "mixture")]


def test_a_name_is_taken_once_and_a_redefinition_replaces_itself() -> None:
    def define() -> type:
        @part("test/twice")
        @dataclass(frozen=True)
        class Twice:
            number: int = 1

        return Twice

    first, second = define(), define()
    assert first is not second
    assert parts("test")["twice"] is second
    with pytest.raises(ValueError, match="is taken by"):

        @part("test/twice")
        class Other:
            pass


def test_slots_and_parts() -> None:
    assert {"prior", "posterior", "likelihood", "objective", "network", "model", "schedule", "kind"} <= set(slots())
    assert "standard-normal" in parts("prior")
    assert parts("no-such-slot") == {}
    assert is_part(vk.priors.StandardNormal(2))
    assert not is_part(nn.Linear(1, 1))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("vamp", ("vamp", {})),
        ("mixture:num_components=50", ("mixture", {"num_components": 50})),
        ("mixture:num-components=50,spread=0.5", ("mixture", {"num_components": 50, "spread": 0.5})),
        ("mlp:hidden=300/200", ("mlp", {"hidden": (300, 200)})),
        ("gaussian:scale=learned", ("gaussian", {"scale": "learned"})),
        ("x:a=true,b=False,c=none", ("x", {"a": True, "b": False, "c": None})),
        ("elbo:beta=linear(0,1,epochs=100)", ("elbo", {"beta": Linear(0, 1, epochs=100)})),
        ("x:rate=1e-3", ("x", {"rate": 1e-3})),
    ],
)
def test_the_small_form(text: str, expected: tuple) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["mixture:50", "mixture:=5", "mixture:a=1,b"])
def test_the_small_form_says_where_it_is_wrong(text: str) -> None:
    with pytest.raises(vk.UserError, match="is not of the form"):
        parse(text)


@pytest.mark.parametrize(
    "text, match",
    [
        ("elbo:beta=linear(0,1,epochs=2", "a parenthesis in .* is not closed"),
        ("elbo:beta=linear(0,1,epochs=2))", "a parenthesis in .* is not opened"),
        ("elbo:beta=linear(0,1)(2)", "a parenthesis in .* is not opened"),
        ("mixture:num_components=1,num-components=2", "gives num_components twice"),
        ("elbo:beta=linear(0,1,epochs=2,epochs=3)", "gives epochs twice"),
        ("elbo:beta=linear(0,1,2,epochs=3)", "the schedule 'linear' is given epochs twice"),
        ("elbo:beta=linear(0,1,2,3)", "the schedule 'linear' takes start, end, epochs: 4 values are too many"),
    ],
)
def test_the_small_form_leaves_nothing_out(text: str, match: str) -> None:
    with pytest.raises(vk.UserError, match=match):
        parse(text)


def test_build_takes_options_first_and_then_the_context() -> None:
    prior = build("prior", "mixture", {"latent_dim": 3, "num_components": 9}, None, {"num_components": 2})
    assert prior.loc.shape == (2, 3)


def test_one_number_is_a_tuple_of_one() -> None:
    network = build("network", "mlp", {"in_shape": 3}, None, {"hidden": 7})
    assert network.features == 7
    plan = vk.recipes.make("vq-vae", vk.data.load("digits"), {"channels": 8, "num_codes": 4, "code_dim": 2})
    assert plan.model.posterior.network._part_arguments["channels"] == (8,)


@pytest.mark.parametrize(
    "arguments, match",
    [
        (("prior", "mixtur", {}), "did you mean mixture"),
        (("prior", "mixture", {"latent_dim": 2}, None, {"num_component": 3}), "did you mean num_components"),
        (("prior", "mixture", {}), "needs latent_dim"),
        (("prior", "mixture", {"latent_dim": 2}, None, {"latent_dim": 3}), "known: num_components, spread"),
        (("network", "mlp", {"in_shape": 2, "condition_dim": 0}, None, {"condition_dim": 3}), "known: activation"),
        (("prior", "mixture", {"latent_dim": 2}, None, {"num_components": 0}), "must be at least 1"),
        (("network", "mlp", {"in_shape": 2}, None, {"activation": "sin"}), "activation must be one of"),
    ],
)
def test_build_answers_a_mistake_with_a_sentence(arguments: tuple, match: str) -> None:
    with pytest.raises(vk.UserError) as caught:
        build(*arguments)
    assert match in str(caught.value)
