"""Deep latent Gaussian models: noise at every layer, and a posterior that takes it level by level."""

from __future__ import annotations

import part_cases
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

import vaekit as vk
from vaekit.testing import assert_equal, assert_mean, check_model, linear_gaussian, seeded
from vaekit.testing.linear_gaussian import Conditional, LinearGaussian

BATCH = vk.Batch(torch.rand(4, *part_cases.SHAPE, generator=torch.Generator().manual_seed(0)).round())
SCALE = 0.75


def model(posterior: str, num_levels: int) -> vk.VAE:
    with seeded():
        names = [f"z{number}" for number in range(num_levels, 0, -1)]
        generator = vk.networks.DeepLatent(
            part_cases.decoder(), [part_cases.decoder() for _ in names[1:]], [2] * num_levels
        )
        return vk.VAE(
            vk.priors.Independent({name: vk.priors.StandardNormal(2) for name in names}),
            vk.posteriors.Independent({name: part_cases.make("posterior", posterior) for name in names}),
            vk.likelihoods.Bernoulli(generator, part_cases.SHAPE),
        )


def linear(num_levels: int) -> tuple[LinearGaussian, MultivariateNormal]:
    """All maps linear, two units a level; q has the exact posterior's marginals. Also p(ξ|x) of five rows."""
    dims, data = 2, 3
    size = dims * num_levels
    with seeded(5):
        noise = [torch.randn(dims, dims).double() for _ in range(num_levels)]
        maps = [(torch.randn(dims, dims).double(), torch.randn(dims).double()) for _ in noise[1:]]
        weight, bias = torch.randn(data, dims).double(), torch.randn(data).double()
    # h_1 = factor ξ + mean, one level after the other.
    factor, mean = torch.zeros(dims, size).double(), torch.zeros(dims).double()
    factor[:, :dims] = noise[0]
    for index, (matrix, offset) in enumerate(maps, start=1):
        factor, mean = matrix @ factor, matrix @ mean + offset
        factor[:, index * dims : (index + 1) * dims] = noise[index]
    whole, constant = weight @ factor, weight @ mean + bias
    exact = linear_gaussian.exact_conditional(whole, constant, SCALE)

    def level(index: int) -> nn.Module:
        own = slice(index * dims, (index + 1) * dims)
        marginal = Conditional(exact.matrix[own], exact.offset[own], exact.covariance[own, own])
        return linear_gaussian._gaussian(data, 0, marginal)

    generator = vk.networks.DeepLatent(
        vk.networks.Affine(dims), [vk.networks.Affine(dims) for _ in maps], [dims] * num_levels
    ).double()
    with torch.no_grad():
        for layer, matrix in zip(generator.noise, noise, strict=True):
            layer.weight.copy_(matrix)
        for head, (matrix, offset) in zip(generator.heads, maps, strict=True):
            head.linear.weight.copy_(matrix)
            head.linear.bias.copy_(offset)
    names = [f"z{number}" for number in range(num_levels, 0, -1)]
    model = vk.VAE(
        vk.priors.Independent({name: vk.priors.StandardNormal(dims) for name in names}),
        vk.posteriors.Independent({name: level(index) for index, name in enumerate(names)}),
        linear_gaussian._likelihood(generator, weight, bias, SCALE),
    ).double()
    oracle = LinearGaussian(model, whole, constant, SCALE, None)
    return oracle, oracle.exact_posterior(oracle.sample(5))


@pytest.mark.parametrize("posterior", ["diagonal", "cholesky"])
@pytest.mark.parametrize("num_levels", [1, 3])
def test_laws(posterior: str, num_levels: int) -> None:
    check_model(model(posterior, num_levels), BATCH)


def test_one_linear_level_with_the_exact_posterior_is_log_p_to_rounding() -> None:
    oracle, _ = linear(1)
    x = oracle.sample(5)
    with seeded(), torch.no_grad():
        draw = oracle.model.draw(vk.Batch(x), 7)
    assert_equal(draw.log_w, oracle.log_p(x).expand(7, -1), "log w")


@pytest.mark.parametrize("num_levels", [2, 3])
def test_the_bound_of_linear_levels_is_below_log_p_by_the_divergence(num_levels: int) -> None:
    oracle, exact = linear(num_levels)
    x = oracle.sample(5)
    blocks = torch.block_diag(*(exact.covariance_matrix[0, i : i + 2, i : i + 2] for i in range(0, 2 * num_levels, 2)))
    gap = kl_divergence(MultivariateNormal(exact.mean, blocks.expand(5, -1, -1)), exact)
    assert gap.min() > 0.3
    with seeded(), torch.no_grad():
        draw = oracle.model.draw(vk.Batch(x), 20_000)
    assert_mean(draw.elbo, oracle.log_p(x) - gap, "the evidence lower bound")


def test_weights_of_linear_levels_are_unbiased() -> None:
    oracle, _ = linear(2)
    x = oracle.sample(3)
    wider = oracle.model
    with seeded(), torch.no_grad():
        for level in wider.posterior.levels.values():
            level.head.linear.bias[2:4] += 0.4  # the scales: a proposal must be wider than its target
        log_w = wider.draw(vk.Batch(x), 40_000).log_w
    assert_mean((log_w - oracle.log_p(x)).exp(), torch.ones(3), "w / p(x)")


def test_the_divergence_is_that_of_the_noise() -> None:
    """½ Σ_l [‖μ_l‖² + tr C_l − log|C_l| − K], Rezende et al. 2014, section 4."""
    vae = model("diagonal", 2).double()
    x = BATCH.x.double()
    with seeded():
        draw = vae.draw(vk.Batch(x), 3)
    expected = torch.zeros(4).double()
    for level in vae.posterior.levels.values():
        q = level(x).base_dist
        expected += 0.5 * (q.loc.square() + q.scale.square() - q.scale.square().log() - 1).sum(-1)
    assert_equal(draw.kl, expected.expand(3, -1), "KL")
    assert draw.latents["z1"].kl_dims is not None


def test_as_many_transforms_as_steps() -> None:
    with pytest.raises(ValueError, match="2 latents need one transform fewer, got 2"):
        vk.networks.DeepLatent(part_cases.decoder(), [part_cases.decoder(), part_cases.decoder()], [2, 2])
