"""Likelihoods whose elements depend on each other given z: summed over all images there can be."""

from __future__ import annotations

import part_cases
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent

import vaekit as vk
from vaekit.distributions import log_prob
from vaekit.testing import assert_equal, check_likelihood, seeded
from vaekit.testing.density import check_mass
from vaekit.testing.finite import every_grid

CASES = {
    "binary": (vk.likelihoods.PixelCNN, (1, 2, 3), 2, {"channels": 4, "num_layers": 3}),
    "binary, two channels": (vk.likelihoods.PixelCNN, (2, 2, 2), 2, {"channels": 4, "num_layers": 2}),
    "binary, a row": (vk.likelihoods.PixelCNN, (5,), 2, {"channels": 4, "num_layers": 2}),
    "levels": (vk.likelihoods.PixelCNNLevels, (1, 2, 2), 3, {"channels": 4, "num_layers": 2, "num_components": 2}),
    "colours": (vk.likelihoods.PixelCNNLevels, (3, 1, 2), 3, {"channels": 4, "num_layers": 2, "num_components": 2}),
    "mixture of colours": (vk.likelihoods.LogisticMixture, (3, 1, 1), 5, {"num_components": 3}),
    "mixture of two channels": (vk.likelihoods.LogisticMixture, (2, 2, 1), 4, {"num_components": 2}),
}


def case(name: str) -> tuple[torch.nn.Module, Tensor, Tensor]:
    """The likelihood, all images that can be and some latents."""
    cls, shape, levels, options = CASES[name]
    if levels > 2:
        options = options | {"levels": levels}
    with seeded(1):
        likelihood = cls(part_cases.decoder(), shape, **options).double().eval()
        for parameter in likelihood.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        z = torch.randn(3, part_cases.LATENT_DIM).double()
    places = torch.Size(shape).numel()
    every = every_grid(levels, (1, places)).reshape(-1, *shape).double() / (levels - 1)
    return likelihood, every, z


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str) -> None:
    likelihood, every, z = case(name)
    check_likelihood(likelihood, z, every[torch.tensor([1, 7, len(every) - 1])])


@pytest.mark.parametrize("name", CASES)
def test_probabilities_of_all_images_sum_to_one_and_samples_follow_them(name: str) -> None:
    likelihood, every, z = case(name)
    with torch.no_grad():
        log_p = likelihood(z.unsqueeze(1)).log_prob(every)  # (latents, images)
        assert_equal(log_p.logsumexp(1), torch.zeros(3).double(), "log Σ_x p(x|z)")
        with seeded():
            drawn = likelihood(z).sample(torch.Size([3000]))
    for index in range(len(z)):
        number = torch.cdist(drawn[:, index].flatten(1), every.flatten(1)).argmin(-1)
        check_mass(log_p[index], number, f"{name}, latent {index}")


@pytest.mark.parametrize(
    "name", [name for name, (cls, *_) in CASES.items() if cls is not vk.likelihoods.LogisticMixture]
)
def test_density_is_the_product_of_what_sampling_sees(name: str) -> None:
    """One pass over the whole image says the same of each place as the image grown place by place."""
    likelihood, every, z = case(name)
    x = every[torch.tensor([3, 8, len(every) - 2])]
    images, log_p = x.reshape(3, *likelihood.grid), []
    p = likelihood(z)

    def follow(place: torch.distributions.Distribution) -> tuple[Tensor, Tensor]:
        row, column = divmod(len(log_p), likelihood.grid[2])
        value = images[..., row : row + 1, column : column + 1]
        log_p.append(place.log_prob(value))
        return value, value

    assert torch.equal(p.places.grow(torch.Size(), follow), images)
    assert_equal(p.log_prob(x), torch.stack(log_p).sum(0), "Π_i p(x_i | x_<i, z)")


@pytest.mark.parametrize("name", ["binary", "colours"])
def test_a_place_sees_only_those_before_it(name: str) -> None:
    likelihood, every, z = case(name)
    x = every[:1].reshape(1, *likelihood.grid).requires_grad_()
    p = likelihood(z[:1]).places.given(x)
    middle = (p.base_dist.logits if name == "binary" else p.log_weight)[..., -1, -1, ...].sum()
    gradient = torch.autograd.grad(middle, x)[0][0].abs().sum(0)
    assert gradient.flatten()[-1] == 0, "a place sees itself"
    assert (gradient.flatten()[:-1] > 0).any(), "nothing of the places before is seen"


def test_context_reaches_the_first_place() -> None:
    likelihood, every, z = case("binary")
    first = likelihood(z.requires_grad_()).places.given(every[:1]).base_dist.logits[..., 0, 0].sum()
    assert torch.autograd.grad(first, z)[0].abs().min() > 0


def test_means_of_mixtures_are_near_the_exact_ones() -> None:
    for name in ("mixture of colours", "mixture of two channels"):
        likelihood, every, z = case(name)
        p = likelihood(z)
        exact = torch.einsum("zn,n...->z...", likelihood(z.unsqueeze(1)).log_prob(every).exp(), every)
        assert_equal(p.mean[:, 0], exact[:, 0], "the first channel")
        assert (p.mean - exact).abs().max() < 0.1, "those after it stand at means of means"
    levels = vk.distributions.LogisticMixture(torch.randn(9, 3), torch.rand(9, 3), 0.02 + 0.3 * torch.rand(9, 3), 256)
    values = levels.enumerate_support()
    assert_equal(levels.mean, (levels.log_prob(values).exp() * values).sum(0), "the mean of 256 levels")


def test_one_component_is_the_discretised_logistic() -> None:
    logits, loc, scale = torch.zeros(7, 1), torch.rand(7, 1), 0.1 + torch.rand(7, 1)
    one = vk.distributions.LogisticMixture(logits, loc, scale, 256)
    plain = vk.distributions.DiscretizedLogistic(loc[:, 0], scale[:, 0], 256)
    x = torch.linspace(0, 1, 256).unsqueeze(1)
    assert_equal(one.log_prob(x), plain.log_prob(x), "one component")


def test_channels_move_with_those_before_them_by_hand() -> None:
    torch.manual_seed(0)
    logits, loc, scale = torch.randn(2, 2, 4).double(), torch.rand(3, 2, 2, 4).double(), torch.rand(3, 2, 2, 4).double()
    coefficients = torch.randn(3, 2, 2, 4).double()
    p = vk.distributions.ChannelMixture(logits, loc, scale, coefficients, 17)
    x = torch.randint(17, (3, 2, 2)).double() / 16
    by_hand = torch.zeros((), dtype=torch.float64)
    for row in range(2):
        for column in range(2):
            red, green, _ = x[:, row, column]
            of_green_red, of_blue_red, of_blue_green = coefficients[:, row, column]
            at = loc[:, row, column].clone()
            at[1] += of_green_red * (red - 0.5)
            at[2] += of_blue_red * (red - 0.5) + of_blue_green * (green - 0.5)
            components = vk.distributions.DiscretizedLogistic(at, scale[:, row, column], 17)
            joint = components.log_prob(x[:, row, column, None]).sum(0).exp()
            by_hand = by_hand + (logits[row, column].softmax(0) * joint).sum().log()
    assert_equal(p.log_prob(x), by_hand, "Σ_places log Σ_k π_k Π_c P_k(x_c | x_<c)")


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("loc", [-30.0, 0.3, 1.0, 50.0])
def test_tails_and_edges_are_finite_in_single_precision(loc: float, scale: float) -> None:
    loc_, scale_ = torch.full((3, 1, 1, 2), loc).requires_grad_(), torch.full((3, 1, 1, 2), scale).requires_grad_()
    p = vk.distributions.ChannelMixture(torch.zeros(1, 1, 2), loc_, scale_, torch.zeros(3, 1, 1, 2), 256)
    for level in (0, 1, 128, 254, 255):
        log_p = p.log_prob(torch.full((3, 1, 1), level / 255))
        assert log_p.isfinite()
        assert log_p <= 0
        gradients = torch.autograd.grad(log_p, [loc_, scale_])
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_samples_have_leading_axes_and_a_convolutional_decoder_fits() -> None:
    torch.manual_seed(0)
    network = vk.networks.ConvolutionalDecoder(2, (1, 6, 5), channels=(3,))
    likelihood = vk.likelihoods.PixelCNN(network, (1, 6, 5), channels=4, num_layers=2)
    z = torch.randn(4, 3, 2)
    p = likelihood(z)
    assert p.sample(torch.Size([2])).shape == (2, 4, 3, 1, 6, 5)
    assert p.log_prob(torch.rand(3, 1, 6, 5).round()).shape == (4, 3)
    check_likelihood(likelihood, z[0], torch.rand(3, 1, 6, 5).round())


def test_masks_are_refused() -> None:
    for name in ("binary", "colours", "mixture of colours"):
        likelihood, every, z = case(name)
        p = likelihood(z)
        assert not isinstance(p, Independent)
        with pytest.raises(vk.UserError, match="missing values need a likelihood that factorises"):
            log_prob(p, every[:3], torch.ones_like(every[:3], dtype=torch.bool))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"reads images \(channels, height, width\), got the shape \(1, 2, 3, 4\)"):
        vk.likelihoods.PixelCNN(part_cases.decoder(), (1, 2, 3, 4))
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        vk.likelihoods.PixelCNN(part_cases.decoder(), (1, 2, 2), num_layers=0)
    with pytest.raises(ValueError, match="num_components must be at least 1, got 0"):
        vk.likelihoods.LogisticMixture(part_cases.decoder(), (3,), num_components=0)
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        vk.likelihoods.PixelCNNLevels(part_cases.decoder(), (1, 2, 2), levels=1)
