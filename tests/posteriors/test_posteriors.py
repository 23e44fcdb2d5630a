"""The laws of every registered posterior, and those of single ones."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.testing import assert_equal, check_posterior


def data_for(name: str) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(4, *(part_cases.IMAGE if name == "quantized" else part_cases.SHAPE))


@pytest.mark.parametrize("name", part_cases.names_of("posterior"))
def test_laws(name: str) -> None:
    check_posterior(part_cases.make("posterior", name), data_for(name))


@pytest.mark.parametrize("name", part_cases.VECTOR_POSTERIORS)
def test_laws_under_a_condition(name: str) -> None:
    torch.manual_seed(0)
    posterior = part_cases.make("posterior", name, condition_dim=3)
    check_posterior(posterior, data_for(name), torch.randn(4, 3))


FROM_TWO = {"categorical", "coupling", "householder", "von-mises-fisher"}


@pytest.mark.parametrize("name", part_cases.VECTOR_POSTERIORS)
@pytest.mark.parametrize("latent_dim", [1, 4])
def test_laws_in_other_dimensions(name: str, latent_dim: int) -> None:
    torch.manual_seed(0)
    if latent_dim == 1 and name in FROM_TWO:
        with pytest.raises(vk.UserError, match="take 2" if name == "categorical" else "latent_dim must be at least 2"):
            part_cases.make("posterior", name, latent_dim=latent_dim)
        return
    check_posterior(part_cases.make("posterior", name, latent_dim=latent_dim), data_for(name))


def test_cholesky_without_a_lower_triangle_is_diagonal() -> None:
    torch.manual_seed(0)
    network = vk.networks.Affine(5)
    cholesky = vk.posteriors.Cholesky(network, 3).double()
    diagonal = vk.posteriors.Diagonal(network, 3).double()
    with torch.no_grad():
        # Heads: location, raw scale and rows of the triangle; location and raw scale.
        cholesky.head.linear.weight[6:] = 0
        cholesky.head.linear.bias[6:] = 0
        diagonal.head.linear.weight.copy_(cholesky.head.linear.weight[:6])
        diagonal.head.linear.bias.copy_(cholesky.head.linear.bias[:6])
    x, z = torch.randn(4, 5).double(), torch.randn(4, 3).double()
    q, expected = cholesky(x), diagonal(x)
    assert_equal(q.log_prob(z), expected.log_prob(z), "log q")
    assert_equal(q.mean, expected.mean, "the mean")
    assert_equal(q.stddev, expected.stddev, "the standard deviation")
    both = [
        torch.autograd.grad(part(x).log_prob(z).sum(), [part.head.linear.weight, part.head.linear.bias])
        for part in (cholesky, diagonal)
    ]
    for one, other in zip(*both, strict=True):
        assert_equal(one[:6], other, "the gradient")


@pytest.mark.parametrize("name", ["diagonal", "cholesky"])
def test_smallest_scale_is_kept(name: str) -> None:
    posterior = part_cases.make("posterior", name, minimum_scale=0.01)
    with torch.no_grad():
        posterior.head.linear.weight.zero_()
        posterior.head.linear.bias.fill_(-1e3)
    stddev = posterior(data_for(name)).stddev
    assert stddev.min() >= 0.01 * (1 - 1e-6)


def test_chain_that_does_not_look_back_draws_each_sample_afresh() -> None:
    torch.manual_seed(0)
    posterior = part_cases.make("posterior", "chain")
    independent = vk.posteriors.Chain(
        {
            "z2": part_cases.make("posterior", "diagonal"),
            "z1": part_cases.Blind(part_cases.make("posterior", "cholesky")),
        }
    )
    for part in (posterior, independent):
        z = part(data_for("chain")).rsample(torch.Size([3]))
        assert z["z2"].shape[:2] == z["z1"].shape[:2] == (3, 4)
        assert not torch.equal(z["z1"][0], z["z1"][1])
    check_posterior(independent, data_for("chain"))


def test_an_untrained_rank_one_direction_is_no_more_certain_for_more_latents() -> None:
    def gained(latent_dim: int) -> float:
        torch.manual_seed(0)
        q = vk.posteriors.RankOne(vk.networks.MLP(30), latent_dim)(torch.rand(50, 30))
        return (q.direction.square() / q.precision_diag).sum(-1).mean().item()

    assert gained(1000) < 3 * gained(10)
