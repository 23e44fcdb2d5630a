"""The autoregressive density of continuous latents."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

import vaekit as vk
from vaekit.priors import Autoregressive
from vaekit.testing import assert_equal, check_prior, seeded


def prior(latent_dim: int = 3, **options: int) -> Autoregressive:
    with seeded():
        made = Autoregressive(latent_dim, num_components=3, hidden=(16, 16), **options)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_laws(latent_dim: int) -> None:
    check_prior(prior(latent_dim), latent_dim)


def test_no_dimension_sees_itself_or_what_comes_after_it() -> None:
    made = prior(4).double()
    z = torch.randn(4).double()
    for dim in range(4):
        jacobian = torch.autograd.functional.jacobian(lambda z: torch.cat(made._conditionals(None, z), -1), z)
        assert (jacobian[dim, :, dim:] == 0).all()
        assert dim == 0 or (jacobian[dim, :, :dim] != 0).any(0).all()


def test_density_is_the_product_of_the_conditionals() -> None:
    made = prior(3).double()
    z = torch.randn(5, 3).double()
    logits, loc, scale = made._conditionals(None, z)
    each = MixtureSameFamily(Categorical(logits=logits), Normal(loc, scale)).log_prob(z)
    assert_equal(made().log_prob(z), each.sum(-1), "Σ_d log p(z_d|z_<d)")


def test_a_condition_moves_every_dimension() -> None:
    made = prior(2, condition_dim=3)
    # Not any condition: some make a density that is too thin here and too wide there for a grid.
    check_prior(made, 2, torch.tensor([[0.5, -1.0, 0.2]]))
    loc = made._conditionals(torch.eye(3), torch.zeros(3, 2))[1]
    assert (loc[0] != loc[1]).all()


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        vk.priors.Autoregressive(2, num_components=0)
