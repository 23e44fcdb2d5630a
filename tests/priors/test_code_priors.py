"""Priors over grids of codes, small enough that every grid can be written out."""

from __future__ import annotations

import math

import pytest
import torch

import vaekit as vk
from vaekit.networks.masked import MaskedConvolution
from vaekit.testing import assert_equal, check_prior
from vaekit.testing.finite import code_vectors, every_grid


def autoregressive(num_codes: int = 2, grid: tuple[int, int] = (2, 2)) -> vk.priors.AutoregressiveCodes:
    torch.manual_seed(0)
    codebook = vk.networks.MovingAverageCodebook(num_codes, 2)
    prior = vk.priors.AutoregressiveCodes(codebook, grid, channels=6, num_layers=2).double()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter)  # far from uniform
    return prior


@pytest.mark.parametrize("num_codes, grid", [(2, (2, 2)), (3, (2, 2)), (2, (2, 3)), (2, (1, 4))])
def test_sums_to_one_and_samples_follow_it(num_codes: int, grid: tuple[int, int]) -> None:
    prior = autoregressive(num_codes, grid)
    check_prior(prior, (2, *grid))
    spread = prior.log_prob(every_grid(num_codes, grid)).std()
    assert spread > 0.5, "the grids are nearly alike: the test would not notice a wrong prior"


@pytest.mark.parametrize("place", range(9))
def test_a_later_index_does_not_change_earlier_logits(place: int) -> None:
    prior = autoregressive(3, (3, 3))
    indices = torch.randint(3, (4, 3, 3))
    changed = indices.flatten(1).clone()
    changed[:, place] = (changed[:, place] + 1) % 3
    before, after = (prior.logits(grid).flatten(-2) for grid in (indices, changed.reshape(-1, 3, 3)))
    assert torch.equal(before[..., : place + 1], after[..., : place + 1]), "a place sees itself or what comes after it"
    if place < 8:
        assert not torch.equal(before[..., place + 1], after[..., place + 1]), "a place does not see the one before it"


def test_uniform_gives_all_grids_the_same_mass() -> None:
    prior = vk.priors.UniformCodes(vk.networks.MovingAverageCodebook(3, 2), (2, 2)).double()
    p = prior()
    log_p = p.log_prob(code_vectors(p, every_grid(3, (2, 2))))
    assert_equal(log_p, torch.full((81,), -4 * math.log(3), dtype=torch.float64), "log p of every grid")


def test_no_gradient_reaches_the_code_book() -> None:
    codebook = vk.networks.GradientCodebook(2, 2)
    prior = vk.priors.AutoregressiveCodes(codebook, (2, 2), channels=4, num_layers=1)
    z = codebook.embedding[torch.zeros(3, 2, 2, dtype=torch.long)].movedim(-1, -3)
    prior().log_prob(z).sum().backward()
    assert codebook.embedding.grad is None


@pytest.mark.parametrize("sees_centre", [False, True])
def test_masked_convolution_sees_what_it_may(sees_centre: bool) -> None:
    convolution = MaskedConvolution(1, 1, kernel_size=3, sees_centre=sees_centre)
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    convolution(x)[0, 0, 1, 1].backward()
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).tolist()
    assert seen == [[True, True, True], [True, sees_centre, False], [False, False, False]]
