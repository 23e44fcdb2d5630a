"""Whether two distributions are over the same values."""

from __future__ import annotations

import part_cases
import pytest
import torch
from torch.distributions import Categorical, Distribution, Gamma, Independent, MixtureSameFamily, Normal, StudentT

import vaekit as vk
from vaekit.distributions import CholeskyNormal, HypersphericalUniform, OneHots, VonMisesFisher
from vaekit.distributions.supports import in_words, space_of, unit_vectors

NORMAL = Independent(Normal(torch.zeros(2), 1.0), 1)
MIXTURE = MixtureSameFamily(Categorical(torch.ones(3)), Independent(Normal(torch.zeros(3, 2), 1.0), 1))


def test_over_real_vectors() -> None:
    for other in (
        MIXTURE,
        CholeskyNormal(torch.zeros(4, 2), torch.eye(2).expand(4, 2, 2)),
        Independent(StudentT(torch.ones(2)), 1),
        Independent(Gamma(torch.ones(2), 1.0), 1),
    ):
        assert space_of(other) == space_of(NORMAL)
    assert space_of(NORMAL) != space_of(Independent(Normal(torch.zeros(3), 1.0), 1))
    assert space_of(NORMAL) != space_of(Independent(Normal(torch.zeros(2, 1), 1.0), 2))


def test_over_other_spaces() -> None:
    sphere = VonMisesFisher(torch.tensor([[1.0, 0.0]]), torch.ones(1))
    assert space_of(sphere) == space_of(HypersphericalUniform(torch.zeros(2)))
    pairs, quadruple = OneHots(torch.zeros(2, 2)), OneHots(torch.zeros(1, 4))
    assert pairs.event_shape == quadruple.event_shape
    spaces = [space_of(each) for each in (NORMAL, sphere, pairs, quadruple)]
    assert len(set(spaces)) == 4
    assert space_of(OneHots(torch.ones(5, 2, 2))) == space_of(pairs)
    assert space_of(Distribution(validate_args=False)) is None


def test_unit_vectors() -> None:
    assert unit_vectors.check(torch.tensor([[0.6, 0.8], [1.0, 0.1]])).tolist() == [True, False]


def test_in_words() -> None:
    assert in_words(MIXTURE) == "real vectors of length 2"
    assert in_words(HypersphericalUniform(torch.zeros(3))) == "unit vectors of length 3"
    assert in_words(OneHots(torch.zeros(2, 2))) == "one-hot vectors of 2 categories, side by side, of length 4"


@pytest.mark.parametrize(
    "posterior, prior, says",
    [
        (
            "von-mises-fisher",
            "standard-normal",
            "over unit vectors of length 2, the prior over real vectors",
        ),
        (
            "diagonal",
            "hyperspherical-uniform",
            "over real vectors of length 2, the prior over unit vectors",
        ),
        ("categorical", "mixture", "over one-hot vectors of 2 categories, side by side, of length 2, the prior over"),
    ],
)
def test_a_model_of_two_spaces_is_refused(posterior: str, prior: str, says: str) -> None:
    model = vk.VAE(
        part_cases.make("prior", prior),
        part_cases.make("posterior", posterior),
        part_cases.make("likelihood", "bernoulli"),
    )
    with pytest.raises(vk.UserError, match=f"the posterior is {says}") as caught:
        model.draw(vk.Batch(torch.ones(2, *part_cases.SHAPE)))
    assert str(caught.value).count("\nhint: ") == 1


def test_another_length_is_refused() -> None:
    model = vk.VAE(
        vk.priors.StandardNormal(3),
        part_cases.make("posterior", "diagonal"),
        part_cases.make("likelihood", "bernoulli"),
    )
    with pytest.raises(vk.UserError, match="of length 2, the prior over real vectors of length 3"):
        model.draw(vk.Batch(torch.ones(2, *part_cases.SHAPE)))
