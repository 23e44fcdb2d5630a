"""The laws of every registered likelihood, and those of single ones."""

from __future__ import annotations

import math

import part_cases
import pytest
import torch
from torch import Tensor

import vaekit as vk
from vaekit.distributions import log_prob
from vaekit.parts.specification import parse
from vaekit.testing import assert_equal, assert_mean, check_likelihood

ALL = [*part_cases.LIKELIHOODS, *part_cases.LIKELIHOOD_VARIANTS]
JOINT = ("optimal-gaussian", "pixelcnn", "pixelcnn-levels")  # elements depend on each other given z


def make(text: str, condition_dim: int = 0) -> torch.nn.Module:
    name, options = parse(text)
    likelihood = part_cases.make("likelihood", name, condition_dim, **options)
    torch.manual_seed(2)
    for parameter in likelihood.parameters():
        # Of a convolution by its inputs: many layers would saturate the last one.
        fan_in = parameter[0].numel() if parameter.dim() == 4 else 1
        torch.nn.init.normal_(parameter, std=0.7 / fan_in**0.5)
    return likelihood


def latents_and_data(likelihood: torch.nn.Module, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    z = torch.randn(4, part_cases.LATENT_DIM)
    x = likelihood.eval()(z, condition).sample()
    likelihood.train()
    assert x.shape == (4, *part_cases.SHAPE)
    return z, x


@pytest.mark.parametrize("text", ALL)
def test_laws(text: str) -> None:
    likelihood = make(text)
    check_likelihood(likelihood, *latents_and_data(likelihood))


@pytest.mark.parametrize("text", part_cases.LIKELIHOODS)
def test_laws_under_a_condition(text: str) -> None:
    likelihood = make(text, condition_dim=3)
    condition = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    check_likelihood(likelihood, *latents_and_data(likelihood, condition), condition)


def test_laws_with_convolutions() -> None:
    torch.manual_seed(0)
    for cls, x in [
        (vk.likelihoods.Bernoulli, torch.rand(3, 1, 4, 5).round()),
        (vk.likelihoods.DiscretizedLogistic, torch.randint(256, (3, 1, 4, 5)) / 255),
    ]:
        network = vk.networks.ConvolutionalDecoder(2, (1, 4, 5), channels=(3,))
        check_likelihood(cls(network, (1, 4, 5)), torch.randn(3, 2), x)


def test_laws_for_several_latents() -> None:
    torch.manual_seed(0)
    network = vk.networks.Concatenate(vk.networks.MLP(5, hidden=(8,)))
    z = {"z2": torch.randn(3, 2), "z1": torch.randn(3, 3)}
    check_likelihood(vk.likelihoods.Bernoulli(network, (4,)), z, torch.rand(3, 4).round())


def test_categorical_of_one_variable() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.Categorical(part_cases.decoder(), (3,))
    check_likelihood(likelihood, torch.randn(4, 2), torch.eye(3)[torch.tensor([0, 1, 2, 0])])


@pytest.mark.parametrize("scale", [0.5, "learned", "per-dimension", "network"])
@pytest.mark.parametrize("factor", [8.0, 1 / 128])  # a fixed scale is stored in float32: powers of two stay exact
@pytest.mark.parametrize("cls", [vk.likelihoods.Gaussian, vk.likelihoods.Laplace, vk.likelihoods.StudentT])
def test_change_of_units_shifts_the_density_by_its_jacobian(cls: type, scale: float | str, factor: float) -> None:
    torch.manual_seed(0)
    in_new_units = scale * factor if isinstance(scale, float) else scale
    # Hardly any smallest scale: it would be in the old units.
    before = cls(vk.networks.Affine(2), (3,), scale=scale, minimum_scale=1e-14).double()
    after = cls(vk.networks.Affine(2), (3,), scale=in_new_units, minimum_scale=1e-14).double()
    # Scales start at 1: the raw number that stands for ``factor``.
    raw = math.log(math.expm1(factor)) - math.log(math.expm1(1))
    with torch.no_grad():
        if scale == "network":
            before.head.linear.weight[3:] = 0
            before.head.linear.bias[3:] = 0
        after.load_state_dict(before.state_dict())
        after.head.linear.weight[:3] *= factor
        after.head.linear.bias[:3] *= factor
        if scale == "network":
            after.head.linear.bias[3:] = raw
        elif isinstance(scale, str):
            after.scale.raw.fill_(raw)
    z, x = torch.randn(4, 2).double(), torch.randn(4, 3).double()
    expected = before(z).log_prob(x) - 3 * math.log(factor)
    assert_equal(after(z).log_prob(factor * x), expected, "log p in other units")


def test_optimal_gaussian_is_the_best_fixed_gaussian() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.OptimalGaussian(vk.networks.Affine(2), (3,)).double()
    z, x = torch.randn(40, 2).double(), torch.randn(40, 3).double()
    best = likelihood(z).log_prob(x).mean()
    loc = likelihood(z).mean

    def fixed(scale: float) -> Tensor:
        return torch.distributions.Normal(loc, scale).log_prob(x).sum(-1).mean()

    optimum = (x - loc).square().mean().sqrt().item()
    assert_equal(best, fixed(optimum), "the bound at the best variance")
    assert max(fixed(0.99 * optimum), fixed(1.01 * optimum)) < best
    gradient = torch.autograd.grad(best, likelihood.head.linear.weight)[0]
    along = torch.autograd.grad(fixed(optimum), likelihood.head.linear.weight)[0]
    assert_equal(gradient, along, "its gradient: the derivative through σ² is zero")


def test_optimal_gaussian_keeps_its_variance_for_evaluation() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.OptimalGaussian(vk.networks.Affine(2), (3,)).double()
    seen = []
    for _ in range(3):
        z, x = torch.randn(5, 2).double(), torch.randn(5, 3).double()
        likelihood(z).log_prob(x)
        seen.append((x - likelihood(z).mean).square().mean())
    assert_equal(likelihood.variance, torch.stack(seen).mean(), "the mean of the variances seen")
    p = likelihood.eval()(z)
    assert_equal(p.stddev, torch.stack(seen).mean().sqrt().expand(5, 3), "σ in evaluation")
    p.log_prob(x)
    assert_equal(likelihood.variance, torch.stack(seen).mean(), "the variance after an evaluation")


def test_negative_binomial_has_the_variance_it_states() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.NegativeBinomial(vk.networks.Affine(2), (3,)).double()
    torch.nn.init.normal_(likelihood.raw_inverse_dispersion)
    z = torch.randn(4, 2).double()
    p = likelihood(z)
    r = vk.networks.network.positive(likelihood.raw_inverse_dispersion)
    mean = vk.networks.network.positive(likelihood.head(z).squeeze(1))
    assert_equal(p.mean, mean, "the mean, from the network alone")
    assert_equal(p.variance, p.mean + p.mean.square() / r, "μ + μ²/r")
    x = p.sample(torch.Size([20_000]))
    assert_mean(x, p.mean, "samples")
    assert_mean((x - p.mean).square(), p.variance, "squared deviations of samples")


def test_masks_are_refused_where_elements_do_not_factorise() -> None:
    likelihood = vk.likelihoods.OptimalGaussian(vk.networks.Affine(2), (3,))
    mask = torch.ones(4, 3, dtype=torch.bool)
    with pytest.raises(vk.UserError, match="missing values need a likelihood that factorises"):
        log_prob(likelihood(torch.zeros(4, 2)), torch.zeros(4, 3), mask)


@pytest.mark.parametrize("text", [text for text in ALL if parse(text)[0] not in JOINT])
def test_gradients_of_masked_values_are_those_of_the_observed(text: str) -> None:
    likelihood = make(text)
    z, x = latents_and_data(likelihood)
    likelihood.double().eval()
    z = z.double().requires_grad_()
    per_element = likelihood(z).base_dist.log_prob(x.double())
    mask = torch.rand(per_element.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = torch.autograd.grad(per_element[mask].sum(), z)[0]
    masked = torch.autograd.grad(log_prob(likelihood(z), x.double(), mask).sum(), z)[0]
    assert_equal(masked, expected, "the gradient")


@pytest.mark.parametrize("cls", [vk.likelihoods.Gaussian, vk.likelihoods.Laplace, vk.likelihoods.DiscretizedLogistic])
def test_wrong_scales_are_refused(cls: type) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        cls(part_cases.decoder(), (3,), scale=0.0)
    with pytest.raises(ValueError, match="'learned', 'per-dimension' or 'network'"):
        cls(part_cases.decoder(), (3,), scale="fixed")


def test_the_mean_of_a_unit_gaussian_is_a_logistic_function() -> None:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.UnitGaussian(vk.networks.Affine(2), (3, 4), scale=0.25).double()
    z, x = torch.randn(5, 2, dtype=torch.float64), torch.rand(5, 3, 4, dtype=torch.float64)
    mean = 1 / (1 + torch.exp(-likelihood.head(z).squeeze(-3)))
    expected = -0.5 * ((x - mean) / 0.25).square().sum((-1, -2)) - 12 * math.log(0.25 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(likelihood(z).log_prob(x), expected)
    torch.testing.assert_close(likelihood(z).mean, mean)
