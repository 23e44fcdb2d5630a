"""Any module from rows to features is a network: shapes, leading axes, conditions, sentences for what does not fit."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import vaekit as vk
from vaekit.networks.plain import PlainNetwork, as_network, has_lazy_parameters
from vaekit.testing import check_model


def encoder(width: int = 16, rows: int = 64) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(rows, width), nn.ReLU())


def decoder(latents: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(latents, 16), nn.ReLU())


def images() -> tuple[nn.Module, nn.Module]:
    """Convolutions with statistics of batches, to features on a grid and back."""
    down = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1))
    up = nn.Sequential(nn.Linear(3, 20), nn.Unflatten(1, (5, 2, 2)), nn.ReLU(), nn.ConvTranspose2d(5, 4, 4, 4))
    return down, up


def vae(network: nn.Module, other: nn.Module, shape: tuple[int, ...]) -> vk.VAE:
    q, p = vk.posteriors.Diagonal(network, 3), vk.likelihoods.Bernoulli(other, shape)
    return vk.VAE(vk.priors.StandardNormal(3), q, p)


class Conditional(nn.Module):
    """A user's own: the condition beside the input, one axis of rows."""

    def __init__(self, inputs: int, condition_dim: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs + condition_dim, 7)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        assert x.dim() == condition.dim() == 2
        return self.layer(torch.cat([x, condition], 1)).tanh()


def parameters_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in module.named_parameters()}


def takers(folder: object) -> list[type]:
    """Classes with a network among their arguments."""
    classes = [each for each in vars(folder).values() if isinstance(each, type)]
    return [cls for cls in classes if "network" in inspect.signature(cls).parameters]


@pytest.mark.parametrize("cls", takers(vk.posteriors), ids=lambda cls: cls.__name__)
def test_every_posterior_takes_a_plain_module(cls: type) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU())
    if cls is vk.posteriors.Quantized:
        q = cls(network, vk.networks.MovingAverageCodebook(8, 4), (4, 4))
    else:
        q = cls(network, 4)
    z = q(torch.rand(5, 1, 8, 8)).rsample((2,))
    assert z.shape[:2] == (2, 5)
    assert not has_lazy_parameters(q)


@pytest.mark.parametrize("cls", takers(vk.likelihoods), ids=lambda cls: cls.__name__)
def test_every_likelihood_takes_a_plain_module(cls: type) -> None:
    shape = (7, 4) if cls is vk.likelihoods.Categorical else (1, 4, 4)
    p = cls(decoder(), shape).eval()(torch.randn(2, 5, 3))
    assert (p.batch_shape, p.event_shape) == ((2, 5), shape)
    assert p.log_prob(p.sample()).shape == (2, 5)


def test_the_takers_are_found() -> None:
    assert {vk.posteriors.Diagonal, vk.posteriors.Coupling, vk.posteriors.Quantized} <= {*takers(vk.posteriors)}
    assert {vk.likelihoods.Bernoulli, vk.likelihoods.PixelCNN, vk.likelihoods.StudentT} <= {*takers(vk.likelihoods)}


def test_all_parameters_are_there_once_a_model_is_made() -> None:
    torch.manual_seed(0)
    model = vae(encoder(), decoder(), (64,))
    assert parameters_of(model) == {
        "posterior.network.module.1.weight": (16, 64),
        "posterior.network.module.1.bias": (16,),
        "posterior.head.linear.weight": (6, 16),
        "posterior.head.linear.bias": (6,),
        "likelihood.network.module.0.weight": (16, 3),
        "likelihood.network.module.0.bias": (16,),
        "likelihood.head.linear.weight": (64, 16),
        "likelihood.head.linear.bias": (64,),
    }
    assert all(module.training for module in model.modules())
    heads = [model.posterior.head.linear.weight, model.likelihood.head.linear.weight]
    assert not torch.equal(heads[0].flatten()[:96], heads[1].flatten()[:96])  # not of the same random numbers
    torch.manual_seed(0)
    again = vae(encoder(), decoder(), (64,))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_plain_modules_draw_is_that_of_registered_networks_with_the_same_weights() -> None:
    mlp, other = vk.networks.MLP(64, (16,)), vk.networks.MLP(3, (16,))
    model, plain = vae(mlp, other, (64,)), vae(encoder(), decoder(), (64,))
    for ours, theirs in zip(plain.parameters(), model.parameters(), strict=True):
        ours.data.copy_(theirs)
    batch = vk.Batch(torch.rand(5, 64).round())
    torch.manual_seed(0)
    expected = model.draw(batch, 2).log_w
    torch.manual_seed(0)
    assert torch.allclose(plain.draw(batch, 2).log_w, expected, atol=1e-5)


def test_features_on_the_grid_of_the_data_are_mapped_at_each_place() -> None:
    """A flat head of 32 × 32 images would have millions of weights."""
    model = vae(*images(), (1, 8, 8))
    head = parameters_of(model.likelihood.head)
    assert head == {"linear.weight": (1, 4), "linear.bias": (1,)}
    features, weight = torch.randn(2, 5, 4, 8, 8), model.likelihood.head.linear.weight
    expected = torch.einsum("sbchw,oc->sbohw", features, weight) + model.likelihood.head.linear.bias
    assert torch.allclose(model.likelihood.head(features).squeeze(2), expected, atol=1e-6)
    assert parameters_of(model.posterior.head)["linear.weight"] == (6, 5 * 2 * 2)


def test_any_leading_axes() -> None:
    torch.manual_seed(0)
    down, _ = images()
    network = as_network(down).eval()
    x = torch.randn(3, 5, 1, 8, 8)
    with pytest.raises(vk.UserError, match="does not take rows"):  # the first input has one axis of rows
        as_network(copy.deepcopy(down))(x)
    flat = network(x.flatten(0, 1))
    assert torch.allclose(network(x), flat.unflatten(0, (3, 5)), atol=1e-6)
    assert torch.allclose(network(x[0, 0]), flat[0], atol=1e-6)


def test_latents_are_vectors_however_they_come_first() -> None:
    p = vk.likelihoods.Bernoulli(decoder(), (4,))
    assert p(torch.randn(6, 2, 5, 3)).batch_shape == (6, 2, 5)
    assert p(torch.randn(3)).batch_shape == ()
    codes = vk.likelihoods.Bernoulli(nn.Sequential(nn.Conv2d(4, 5, 1), nn.ReLU()), (1, 2, 2))
    assert codes(torch.randn(6, 5, 4, 2, 2)).batch_shape == (6, 5)
    flattened = vk.likelihoods.Bernoulli(nn.Sequential(nn.Flatten(), nn.Linear(16, 5)), (4,))
    assert flattened(torch.randn(6, 5, 4, 2, 2)).batch_shape == (6, 5)


def test_several_latents_are_read_side_by_side() -> None:
    levels = {"z2": vk.priors.StandardNormal(1), "z1": vk.priors.StandardNormal(2)}
    q = {name: vk.posteriors.Diagonal(encoder(rows=9), size) for name, size in (("z2", 1), ("z1", 2))}
    model = vk.VAE(
        vk.priors.Independent(levels), vk.posteriors.Independent(q), vk.likelihoods.Bernoulli(decoder(), (9,))
    )
    assert not has_lazy_parameters(model)
    assert model.draw(vk.Batch(torch.ones(5, 9)), 2).log_w.shape == (2, 5)


def test_modules_in_wrappers_and_levels() -> None:
    given_z2 = vk.posteriors.Diagonal(vk.networks.OnlyCondition(nn.Linear(2, 8)), 3)
    q = vk.posteriors.Chain({"z2": vk.posteriors.Diagonal(encoder(rows=9), 2), "z1": given_z2})
    prior = vk.priors.Chain(
        {"z2": vk.priors.StandardNormal(2), "z1": vk.posteriors.Diagonal(nn.Sequential(nn.Linear(2, 8), nn.ReLU()), 3)}
    )
    p = vk.likelihoods.Bernoulli(vk.networks.OnlyLatent(decoder(), "z1"), (9,))
    model = vk.VAE(prior, q, p)
    assert not has_lazy_parameters(model)
    assert model.draw(vk.Batch(torch.ones(5, 9)), 4).log_w.shape == (4, 5)
    deep = vk.networks.DeepLatent(decoder(), [nn.Linear(2, 6)], latent_dims=(2, 3))
    assert deep({"z2": torch.zeros(4, 5, 2), "z1": torch.zeros(4, 5, 3)}).shape == (4, 5, 16)


def test_a_ladder_takes_any_way_up() -> None:
    class Up(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(9, 8), nn.Linear(8, 8)])

        def forward(self, x: Tensor) -> list[Tensor]:
            low = self.layers[0](x).relu()
            return [self.layers[1](low), low]

    ladder = vk.networks.Ladder([vk.networks.DenseRung(2, width=8), vk.networks.DenseRung(3, width=8)])
    p = vk.likelihoods.Bernoulli(ladder, (9,))
    model = vk.VAE(vk.priors.Ladder(ladder), vk.posteriors.Ladder(Up(), ladder), p)
    assert model.draw(vk.Batch(torch.ones(5, 9)), 2).log_w.shape == (2, 5)
    with pytest.raises(vk.UserError, match="the encoder of the posterior ladder, a Up, takes no condition"):
        model.encode(torch.ones(5, 9), torch.ones(5, 2)).sample()


def test_a_condition_reaches_a_forward_that_asks_for_it() -> None:
    torch.manual_seed(0)
    model = vae(Conditional(4), Conditional(3), (4,))
    assert has_lazy_parameters(model)  # without a condition nothing can be tried
    batch = vk.Batch(torch.ones(5, 4), condition=torch.randn(5, 2))
    draw = model.draw(batch, 3)
    assert draw.log_w.shape == (3, 5)
    rows = batch.x, batch.condition
    direct = model.posterior.head(model.posterior.network.module(*rows))
    assert torch.allclose(model.posterior(*rows).mean, direct[:, 0])
    with pytest.raises(vk.UserError, match="takes a condition, and was given none"):
        model.draw(vk.Batch(torch.ones(5, 4)))


def test_conditions_with_axes_of_draws_and_of_any_shape() -> None:
    drawn = vk.likelihoods.Bernoulli(Conditional(3), (4,))
    assert drawn(torch.randn(6, 5, 3), torch.randn(6, 5, 2)).batch_shape == (6, 5)
    assert drawn(torch.randn(5, 3), torch.randn(6, 5, 2)).batch_shape == (6, 5)

    class OfImages(Conditional):
        def forward(self, x: Tensor, condition: Tensor) -> Tensor:
            assert condition.dim() == 4
            return super().forward(x, condition.flatten(1))

    q = vk.posteriors.Diagonal(OfImages(4, 6), 3)
    assert q(torch.ones(5, 4), torch.randn(5, 1, 2, 3)).batch_shape == (5,)
    assert q(torch.ones(5, 4), torch.randn(7, 5, 1, 2, 3)).batch_shape == (7, 5)


def test_a_label_that_is_summed_out_reaches_modules_as_a_condition() -> None:
    q = vk.posteriors.Diagonal(Conditional(4, 3), 2)
    model = vk.M2(nn.Linear(4, 5), q, vk.likelihoods.Bernoulli(Conditional(2, 3), (4,)), vk.priors.StandardNormal(2), 3)
    assert not has_lazy_parameters(model)
    check_model(model, vk.Batch(torch.rand(4, 4).round()))


def test_a_condition_for_a_module_that_takes_none() -> None:
    model = vae(encoder(), decoder(), (64,))
    with pytest.raises(vk.UserError, match="network of the posterior diagonal, a Sequential, takes no condition"):
        model.draw(vk.Batch(torch.ones(5, 64), condition=torch.ones(5, 2)))


@pytest.mark.parametrize("kind", ["flat", "images"])
def test_laws(kind: str) -> None:
    torch.manual_seed(0)
    modules, shape = ((encoder(rows=6), decoder()), (6,)) if kind == "flat" else (images(), (1, 8, 8))
    check_model(vae(*modules, shape), vk.Batch(torch.rand(4, *shape).round()))


def test_statistics_of_batches_are_those_of_training_alone() -> None:
    model = vae(*images(), (1, 8, 8))
    norm = model.posterior.network.module[1]
    assert norm.num_batches_tracked == 0
    alone = vk.posteriors.Diagonal(images()[0], 3)
    alone(torch.rand(5, 1, 8, 8))
    assert alone.network.module[1].num_batches_tracked == 1
    model.draw(vk.Batch(torch.rand(5, 1, 8, 8)), 1)
    assert norm.num_batches_tracked == 1
    with pytest.raises(vk.UserError, match=r"does not take a single row .* BatchNorm1d.* says: Expected more than 1"):
        vae(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)), decoder(), (4,)).draw(vk.Batch(torch.ones(1, 4)))


class TestBeforeTheFirstInput:
    """A posterior alone does not know its rows."""

    def test_parameters_are_announced_and_keep_their_identity(self) -> None:
        q = vk.posteriors.Diagonal(nn.Sequential(nn.Linear(64, 16), nn.Tanh()), 3)
        assert [name for name, each in q.named_parameters() if is_lazy(each)] == [
            "head.linear.weight",
            "head.linear.bias",
        ]
        optimizer = torch.optim.SGD(q.parameters(), lr=0.1)
        q(torch.rand(5, 64)).mean.sum().backward()
        before = q.head.linear.weight.detach().clone()
        optimizer.step()
        assert (q.head.linear.weight[:3] != before[:3]).all()

    def test_it_can_be_copied_and_moved(self) -> None:
        q = vk.posteriors.Diagonal(encoder(), 3)
        other = copy.deepcopy(q).double()
        assert other(torch.rand(5, 64, dtype=torch.float64)).mean.dtype == torch.float64
        assert has_lazy_parameters(q)
        assert not has_lazy_parameters(other)
        q(torch.rand(5, 64))
        meta = q.to("meta")
        assert meta(torch.rand(5, 64, device="meta")).mean.device.type == "meta"
        assert all(each.device.type == "meta" for each in meta.parameters())

    def test_weights_can_be_loaded(self) -> None:
        q, other = (vk.posteriors.Diagonal(encoder(), 3) for _ in range(2))
        x = torch.rand(5, 64)
        expected = q(x).mean
        other.load_state_dict(q.state_dict())
        assert torch.equal(other(x).mean, expected)

    def test_inference_mode_leaves_weights_that_can_be_trained(self) -> None:
        q = vk.posteriors.Diagonal(encoder(), 3)
        with torch.inference_mode():
            q(torch.rand(5, 64))
        q(torch.rand(5, 64)).mean.sum().backward()

    def test_lazy_layers_of_torch_are_made_too(self) -> None:
        model = vae(nn.LazyLinear(7), nn.Sequential(nn.LazyLinear(5), nn.BatchNorm1d(5)), (4,))
        assert parameters_of(model)["posterior.network.module.weight"] == (7, 4)
        assert not has_lazy_parameters(model)


def test_what_makes_heads_is_left_alone() -> None:
    class WithHead(nn.Module):
        def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            return x

        def head(self, out_shape: tuple[int, ...]) -> nn.Module:
            return vk.networks.Affine(4).head(out_shape)

    class WithLayerOfThatName(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x)

    mlp, own = vk.networks.MLP(4), WithHead()
    assert as_network(mlp) is mlp
    assert as_network(own) is own
    assert isinstance(as_network(WithLayerOfThatName()), PlainNetwork)
    with pytest.raises(TypeError, match=r"a network is a torch\.nn\.Module"):
        vk.posteriors.Diagonal(nn.Linear, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("modules", "shape", "said", "hint"),
    [
        (
            (nn.Sequential(nn.Linear(64, 5)), decoder()),
            (1, 8, 8),
            "the network of the posterior diagonal, a Sequential, does not take rows of shape (1, 8, 8): its layer "
            "'0', Linear(in_features=64, out_features=5, bias=True), expects (…, 64), and was given (2, 1, 8, 8).",
            "let the network begin with torch.nn.Flatten().",
        ),
        (
            (encoder(), nn.Sequential(nn.ReLU(), nn.Linear(4, 5))),
            (64,),
            "the network of the likelihood bernoulli, a Sequential, does not take rows of shape (3,): its layer '1', "
            "Linear(in_features=4, out_features=5, bias=True), expects (…, 4), and was given (2, 3).",
            "",
        ),
        (
            (nn.Sequential(nn.Conv2d(3, 4, 3)), decoder()),
            (1, 8, 8),
            "its layer '0', Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1)), expects (rows, 3, height, width), and was "
            "given (2, 1, 8, 8).",
            "",
        ),
        (
            (nn.Sequential(nn.Conv2d(1, 4, 3)), decoder()),
            (64,),
            "expects (rows, 1, height, width), and was given (2, 64).",
            "let the network begin with torch.nn.Unflatten(1, (channels, height, width)), or give it images.",
        ),
        (
            (nn.LSTM(8, 4, batch_first=True), decoder()),
            (8, 8),
            "the network of the posterior diagonal, a LSTM, answered two rows of shape (8, 8) with tuple: features are "
            "a tensor with a row for each.",
            "",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    modules: tuple[nn.Module, nn.Module], shape: tuple[int, ...], said: str, hint: str
) -> None:
    with pytest.raises(vk.UserError) as refused:
        vae(*modules, shape)
    assert refused.value.message.endswith(said)
    assert refused.value.hint == hint


def test_rows_of_another_shape_later() -> None:
    model = vae(encoder(), decoder(), (1, 8, 8))
    with pytest.raises(vk.UserError, match=r"takes rows of shape \(1, 8, 8\), and was given \(5, 64\)"):
        model.encode(torch.rand(5, 64))
