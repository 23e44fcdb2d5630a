"""The Gaussian with full covariance, against torch's."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal, kl_divergence

from vaekit.distributions import CholeskyNormal
from vaekit.distributions import kl as divergence
from vaekit.testing import assert_equal, check_density


def pair(seed: int = 0, batch: tuple[int, ...] = (4,), dims: int = 3) -> tuple[CholeskyNormal, MultivariateNormal]:
    torch.manual_seed(seed)
    loc = torch.randn(*batch, dims).double()
    lower = torch.randn(*batch, dims, dims).double().tril(-1) + torch.diag_embed(
        torch.rand(*batch, dims).double() + 0.2
    )
    return CholeskyNormal(loc, lower), MultivariateNormal(loc, scale_tril=lower)


def test_log_prob_right_after_drawing_uses_the_noise_and_is_right() -> None:
    q, reference = pair()
    z = q.rsample(torch.Size([7]))
    assert_equal(q.log_prob(z), reference.log_prob(z), "log q of the value just drawn")
    assert_equal(q.log_prob(z), q.log_prob(z.clone()), "log q by the noise and by solving for it")


def test_log_prob_of_other_values() -> None:
    q, reference = pair()
    first = q.rsample()
    q.rsample()  # the noise that is remembered is now another's
    other = torch.randn(7, 4, 3).double()
    assert_equal(q.log_prob(first), reference.log_prob(first), "log q of a value drawn before the last one")
    assert_equal(q.log_prob(other), reference.log_prob(other), "log q of a value that was not drawn")


def test_gradient_of_log_prob_after_drawing_is_that_of_the_whole_expression() -> None:
    # Both paths see the same z(θ): dz/dθ and dlog q/dθ together.
    gradients = []
    for cached in (True, False):
        torch.manual_seed(0)
        loc = torch.randn(4, 3).double().requires_grad_()
        lower = (torch.randn(4, 3, 3).double().tril(-1) + torch.eye(3)).requires_grad_()
        q = CholeskyNormal(loc, lower)
        z = q.rsample(torch.Size([5]))
        log_q = q.log_prob(z if cached else z.clone())
        gradients.append(torch.autograd.grad((log_q + z.square().sum(-1)).sum(), [loc, lower]))
    for one, other in zip(*gradients, strict=True):
        assert_equal(one.tril(), other.tril(), "the gradient")


def test_moments_and_entropy() -> None:
    q, reference = pair()
    assert_equal(q.mean, reference.mean, "the mean")
    assert_equal(q.variance, reference.variance, "the variance")
    assert_equal(q.entropy(), reference.entropy(), "the entropy")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_density_integrates_to_one_and_samples_follow_it(dims: int) -> None:
    q, _ = pair(batch=(), dims=dims)
    check_density(q.log_prob, q.sample(torch.Size([20_000])), "CholeskyNormal")


def test_divergence_from_another_full_gaussian() -> None:
    (q, q_reference), (p, p_reference) = pair(0), pair(1)
    assert_equal(kl_divergence(q, p), kl_divergence(q_reference, p_reference), "KL(q‖p)")
    assert_equal(kl_divergence(q, q), torch.zeros(4), "KL(q‖q)")


def test_divergence_from_a_diagonal_gaussian() -> None:
    q, reference = pair()
    loc, scale = torch.randn(3).double(), torch.rand(3).double() + 0.5
    expected = kl_divergence(reference, MultivariateNormal(loc, torch.diag(scale.square())))
    assert_equal(kl_divergence(q, Independent(Normal(loc, scale), 1)), expected, "KL(q‖p)")


def test_no_divergence_from_what_is_not_gaussian() -> None:
    q, _ = pair()
    assert divergence(q, Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)) is None
    assert divergence(q, Independent(Normal(torch.zeros(4, 3), torch.ones(4, 3)), 2)) is None
