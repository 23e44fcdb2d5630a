"""The laws of every registered prior, and those of single ones."""

from __future__ import annotations

import math

import part_cases
import pytest
import torch
from torch.distributions import Independent, Normal

import vaekit as vk
from vaekit.testing import assert_equal, check_prior

EVENTS = {"chain": 3, "independent": 3, "ladder": 3, "uniform-codes": (2, 2, 2), "autoregressive-codes": (2, 2, 2)}


@pytest.mark.parametrize("name", part_cases.names_of("prior"))
def test_laws(name: str) -> None:
    check_prior(part_cases.make("prior", name), EVENTS.get(name, part_cases.LATENT_DIM))


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_laws_in_other_dimensions(latent_dim: int) -> None:
    torch.manual_seed(0)
    check_prior(vk.priors.StandardNormal(latent_dim), latent_dim)
    check_prior(vk.priors.MixtureOfGaussians(latent_dim, num_components=4, spread=2.0), latent_dim)


def test_trained_mixture_keeps_the_laws() -> None:
    torch.manual_seed(1)
    prior = vk.priors.MixtureOfGaussians(2, num_components=3)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter)
    check_prior(prior, 2)


def test_mixture_of_one_is_that_gaussian_with_the_same_gradient() -> None:
    torch.manual_seed(0)
    prior = vk.priors.MixtureOfGaussians(3, num_components=1).double()
    torch.nn.init.normal_(prior.raw_scale)
    scale = vk.networks.network.positive(prior.raw_scale[0], minimum=1e-4)
    gaussian = Independent(Normal(prior.loc[0], scale), 1)
    z = torch.randn(5, 3).double()
    assert_equal(prior().log_prob(z), gaussian.log_prob(z), "a mixture of one")
    both = [torch.autograd.grad(p.log_prob(z).sum(), [prior.loc, prior.raw_scale]) for p in (prior(), gaussian)]
    for one, other in zip(*both, strict=True):
        assert_equal(one, other, "the gradient of a mixture of one")


def test_standard_normal_is_what_its_name_says() -> None:
    z = torch.tensor([[0.0, 0.0], [1.0, -2.0]]).double()
    expected = -0.5 * (z.square().sum(-1) + 2 * math.log(2 * math.pi))
    assert_equal(vk.priors.StandardNormal(2).double()().log_prob(z), expected, "log N(z; 0, I)")


def test_chain_of_one_level_is_that_level() -> None:
    single = vk.priors.MixtureOfGaussians(2, num_components=3)
    chain = vk.priors.Chain({"z": single})
    z = torch.randn(4, 2)
    assert torch.equal(chain().log_prob({"z": z}), single().log_prob(z))


def test_chain_under_a_condition_gives_it_to_every_level() -> None:
    torch.manual_seed(0)
    prior = vk.priors.Chain(
        {
            "z2": vk.posteriors.Diagonal(vk.networks.MLP(3, hidden=(4,)), 2),
            "z1": vk.posteriors.Diagonal(vk.networks.MLP(2, hidden=(4,), condition_dim=3), 1),
        }
    )
    # The first level reads the condition as its input, the others beside the latents above.
    condition = torch.randn(1, 3)
    check_prior(prior, 3, condition)


def test_too_few_components_are_refused() -> None:
    with pytest.raises(ValueError, match="num_components must be at least 1"):
        vk.priors.MixtureOfGaussians(2, num_components=0)
