"""KL by formula, against quadrature, draws and torch's formulas; and which distributions are over the same values."""

from __future__ import annotations

import math

import part_cases
import pytest
import torch
from torch.distributions import (
    Categorical,
    Distribution,
    Gamma,
    Independent,
    Laplace,
    MixtureSameFamily,
    Normal,
    StudentT,
    kl_divergence,
)

import vaekit as vk
from vaekit.distributions import CholeskyNormal, HypersphericalUniform, OneHots, PointMass, VonMisesFisher, divergence
from vaekit.distributions.comparison import NormalDivergence, UnitNormalDivergence, in_words, space_of
from vaekit.distributions.normal import UnitNormal
from vaekit.distributions.von_mises_fisher import unit_vectors
from vaekit.testing import assert_equal, assert_mean

LOC = torch.tensor([[-2.0, 0.0, 0.3], [5.0, -1e-3, 1.0]], dtype=torch.float64)
SCALE = torch.tensor([[0.5, 1.0, 1e-4], [2.0, 0.9, 30.0]], dtype=torch.float64)
NORMAL = Independent(Normal(torch.zeros(2), 1.0), 1)
MIXTURE = MixtureSameFamily(Categorical(torch.ones(3)), Independent(Normal(torch.zeros(3, 2), 1.0), 1))


def gaussian(seed: int, *shape: int) -> Independent:
    torch.manual_seed(seed)
    return Independent(Normal(torch.randn(*shape).double(), torch.rand(*shape).double() + 0.3), 1)


def mixture() -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=torch.zeros(2).double()), gaussian(1, 2, 3))


def test_splits_over_dimensions_where_both_factorise() -> None:
    q, p = gaussian(0, 4, 3), gaussian(1, 3)
    result = divergence(q, p)
    assert result is not None
    total, dims = result
    assert dims is not None
    assert dims.shape == (4, 3)
    mu, s, m, t = q.base_dist.loc, q.base_dist.scale, p.base_dist.loc, p.base_dist.scale
    by_hand = (t / s).log() + (s.square() + (mu - m).square()) / (2 * t.square()) - 0.5
    assert_equal(dims, by_hand, "KL of each dimension")
    assert_equal(total, by_hand.sum(-1), "KL")


@pytest.mark.parametrize("p", [gaussian(1, 3), Independent(Laplace(torch.zeros(3).double(), 1.0), 1)])
def test_formula_is_the_monte_carlo_estimate(p: Independent) -> None:
    q = gaussian(0, 4, 3)
    z = q.sample(torch.Size([20_000]))
    result = divergence(q, p)
    assert result is not None
    assert_mean(q.log_prob(z) - p.log_prob(z), result[0], "KL(q‖p)")


@pytest.mark.parametrize("other_shape", [(3,), (4, 3), (1, 3)])
def test_gradient_of_the_formula_for_normals(other_shape: tuple[int, ...]) -> None:
    q, p = gaussian(0, 4, 3).base_dist, gaussian(1, *other_shape).base_dist
    inputs = [each.detach().clone().requires_grad_() for each in (q.loc, q.scale, p.loc, p.scale)]
    assert torch.autograd.gradcheck(NormalDivergence.apply, inputs)
    assert_equal(NormalDivergence.apply(*inputs), kl_divergence(q, p), "KL of normals")


def test_none_without_a_formula() -> None:
    q = gaussian(0, 4, 3)
    assert divergence(q, mixture()) is None
    assert divergence(PointMass(torch.zeros(4, 3)), gaussian(1, 3)) is None


def test_full_against_diagonal_has_a_formula_but_no_split() -> None:
    q = CholeskyNormal(torch.zeros(4, 3), torch.eye(3).expand(4, 3, 3))
    p = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    result = divergence(q, p)
    assert result is not None
    assert_equal(result[0], kl_divergence(p, p).expand(4), "KL of equal Gaussians")
    assert result[1] is None


def test_divergence_from_the_unit_normal_is_the_general_formula() -> None:
    general = kl_divergence(Normal(LOC, SCALE), Normal(torch.zeros_like(LOC), torch.ones_like(LOC)))
    torch.testing.assert_close(UnitNormalDivergence.apply(LOC, SCALE), general)


def test_divergence_from_the_unit_normal_is_the_integral() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    q, p = Normal(zero + 0.7, one * 0.4), UnitNormal(zero, one)
    integral = torch.trapezoid((q.log_prob(z) - p.log_prob(z)) * q.log_prob(z).exp(), z)
    exact = UnitNormalDivergence.apply(q.loc, q.scale)
    assert exact.item() == pytest.approx(integral.item(), abs=1e-9)
    assert exact.item() == pytest.approx(0.5 * (0.49 + 0.16 - 1) - math.log(0.4))


def test_gradient_of_the_divergence_from_the_unit_normal() -> None:
    parameters = LOC.clone().requires_grad_(), SCALE.clone().requires_grad_()
    assert torch.autograd.gradcheck(UnitNormalDivergence.apply, parameters)


def test_the_standard_normal_prior_has_the_short_formula() -> None:
    p, q = vk.priors.StandardNormal(3).double()(), Independent(Normal(LOC.clone().requires_grad_(), SCALE), 1)
    total, each = divergence(q, p) or (None, None)
    assert each is not None
    assert "UnitNormalDivergence" in type(each.grad_fn).__name__
    torch.testing.assert_close((total, each), divergence(q, Independent(Normal(p.mean, p.stddev), 1)))


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
