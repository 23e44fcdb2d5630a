"""The laws of every registered network."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.networks.network import ACTIVATIONS, positive
from vaekit.testing import check_network

INPUTS = {
    "concatenate": {"a": 2, "b": 3},
    "deep-latent": {"a": 2, "b": 3},
    "ladder": {"z2": 1, "z1": 2},
    "only-latent": {"z2": 2, "z1": 3},
    "convolutional-encoder": (2, 5, 7),
    "tutorial-encoder": (2, 7, 9),
    "gated-convolutional-encoder": (2, 5, 7),
}
CONDITIONS = {"only-condition": 3}
HEADS = {
    "convolutional-decoder": (3, 2, 5, 7),
    "gated-convolutional-decoder": (3, 2, 5, 7),
    "tutorial-decoder": (3, 1, 4, 8),
}


@pytest.mark.parametrize("name", part_cases.names_of("network"))
def test_laws(name: str) -> None:
    network = part_cases.make("network", name)
    inputs, condition, head = INPUTS.get(name, 4), CONDITIONS.get(name, 0), HEADS.get(name, (2, 3))
    check_network(network, inputs, condition, head, positive=name == "log-input")


def test_networks_that_look_at_one_thing() -> None:
    torch.manual_seed(0)
    inner = vk.networks.MLP(3, hidden=(4,))
    x, z1 = torch.randn(5, 9), torch.randn(2, 5, 3)
    assert torch.equal(vk.networks.OnlyCondition(inner)(x, z1), inner(z1))
    assert torch.equal(vk.networks.OnlyLatent(inner, "z1")({"z2": x, "z1": z1}), inner(z1))
    with pytest.raises(vk.UserError, match="condition"):
        vk.networks.OnlyCondition(inner)(x)


@pytest.mark.parametrize("name", part_cases.from_context("network"))
def test_laws_under_a_condition(name: str) -> None:
    check_network(part_cases.make("network", name, condition_dim=2), 4, 2)


CONVOLUTIONAL = [
    (vk.networks.ConvolutionalEncoder, (1, 8, 8), (1, 8, 8), (5,)),
    (vk.networks.ConvolutionalEncoder, (3, 5, 9), (3, 5, 9), (4, 3, 3)),  # a head on the grid
    (vk.networks.ConvolutionalDecoder, 3, (1, 8, 8), (1, 1, 8, 8)),
    (vk.networks.ConvolutionalDecoder, (2, 2, 3), (1, 5, 9), (2, 1, 5, 9)),
]


@pytest.mark.parametrize("cls, in_shape, image, out_shape", CONVOLUTIONAL)
@pytest.mark.parametrize("condition_dim", [0, 2])
def test_laws_of_convolutions(cls: type, in_shape: object, image: tuple, out_shape: tuple, condition_dim: int) -> None:
    torch.manual_seed(0)
    arguments = (in_shape,) if cls is vk.networks.ConvolutionalEncoder else (in_shape, image)
    network = cls(*arguments, channels=(3, 4), condition_dim=condition_dim, activation="tanh")
    check_network(network, in_shape, condition_dim, out_shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("condition_dim", [0, 2])
def test_laws_of_gated_convolutions(condition_dim: int) -> None:
    torch.manual_seed(0)
    encoder = vk.networks.GatedConvolutionalEncoder((1, 5, 9), (3, 4, 2), hidden=6, condition_dim=condition_dim)
    check_network(encoder, (1, 5, 9), condition_dim, (2, 3))
    decoder = vk.networks.GatedConvolutionalDecoder(3, (1, 5, 9), (3, 4), hidden=6, condition_dim=condition_dim)
    check_network(decoder, 3, condition_dim, (2, 1, 5, 9))


def test_gated_convolutions_have_the_published_sizes() -> None:
    """32-32-64-64-6 with kernels 7, 3, 5, 3, 3, of which the second and fourth halve: 6 · 7 · 7 features of a digit."""
    encoder = vk.networks.GatedConvolutionalEncoder((1, 28, 28))
    kernels = [(layer.both.kernel_size[0], layer.both.stride[0]) for layer in encoder.layers]
    assert kernels == [(7, 1), (3, 2), (5, 1), (3, 2), (3, 1)]
    assert [layer.both.out_channels // 2 for layer in encoder.layers] == [32, 32, 64, 64, 6]
    assert encoder(torch.zeros(1, 1, 28, 28)).shape == (1, 294)
    # Frey faces: 210 of 28 × 20.
    assert vk.networks.GatedConvolutionalEncoder((1, 28, 20))(torch.zeros(1, 1, 28, 20)).shape == (1, 210)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("initialization", ["torch", "glorot", "he", "small"])
def test_activations_and_initializations(name: str, initialization: str) -> None:
    torch.manual_seed(0)
    network = vk.networks.MLP(4, hidden=(6, 5), activation=name, initialization=initialization)
    check_network(network, 4)
    if initialization == "small":
        assert network.first.weight.std() < 0.02


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"activation": "rellu"}, "activation must be one of"),
        ({"initialization": "xavier"}, "initialization must be one of"),
        ({"hidden": ()}, "hidden must be widths from 1"),
    ],
)
def test_unknown_words_are_refused(arguments: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        vk.networks.MLP(4, **arguments)


def test_a_grid_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        vk.networks.ConvolutionalDecoder((2, 3, 3), (1, 8, 8), channels=(3, 4))


def test_affine_is_an_affine_map() -> None:
    torch.manual_seed(0)
    network = vk.networks.Affine((2, 3), condition_dim=1)
    head = network.head((4,))
    x, y, c, d = torch.randn(2, 3), torch.randn(2, 3), torch.randn(1), torch.randn(1)

    def f(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return head(network(x, c))

    zero = f(torch.zeros(2, 3), torch.zeros(1))
    torch.testing.assert_close(f(x + 2 * y, c + 2 * d) - zero, f(x, c) - zero + 2 * (f(y, d) - zero))


def test_positive_is_one_at_zero_and_above_its_minimum() -> None:
    raw = torch.tensor([0.0, -100.0, 50.0]).double()
    value = positive(raw, minimum=0.01)
    assert abs(value[0] - 1) < 1e-12
    assert value[1] == 0.01
    assert (positive(raw + 1) > positive(raw)).logical_or(raw < -50).all()


def test_log_input_reads_the_logarithm() -> None:
    inner = vk.networks.Affine(2)
    x = torch.tensor([[0.0, 9.0]])
    assert torch.equal(vk.networks.LogInput(inner)(x), torch.log1p(x))
