"""Gaussians around encodings."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vaekit.errors import UserError
from vaekit.priors import KernelDensity, MixtureOfGaussians
from vaekit.testing import assert_equal, check_prior, seeded


def test_it_is_the_mean_of_its_kernels() -> None:
    with seeded():
        prior = KernelDensity(2, num_points=30).double()
        prior.fit(torch.randn(30, 2).double(), torch.randn(50, 2).double())
        z = torch.randn(5, 2).double()
    kernels = Independent(Normal(prior.points, prior.scale.expand_as(prior.points)), 1)
    expected = MixtureSameFamily(Categorical(logits=torch.zeros(30).double()), kernels)
    assert_equal(prior().log_prob(z), expected.log_prob(z), "log p(z)")
    check_prior(prior, 2)


def test_the_width_is_the_one_under_which_other_encodings_are_likeliest() -> None:
    with seeded():
        z, held_out = torch.randn(2, 400, 1).double() * 3
        prior = KernelDensity(1, num_points=400).double()
        prior.fit(z, held_out)
    chosen = prior().log_prob(held_out).mean()
    # Silverman's rule of thumb for a Gaussian.
    assert prior.scale.item() / z.std().item() == pytest.approx(1.06 * 400**-0.2, rel=0.6)
    for factor in (0.4, 2.5):
        other = KernelDensity(1, num_points=400).double()
        other.points.copy_(prior.points)
        other.scale.copy_(factor * prior.scale)
        assert other().log_prob(held_out).mean() < chosen


def test_few_encodings_are_taken_several_times() -> None:
    with seeded():
        z = torch.randn(7, 2)
        prior = KernelDensity(2, num_points=20)
        prior.fit(z, torch.randn(5, 2))
    assert torch.equal(prior.points, torch.cat([z, z, z])[:20])
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        KernelDensity(2, num_points=1)


def test_a_mixture_fits_itself_by_em() -> None:
    from sklearn.mixture import GaussianMixture

    with seeded():
        centres = 4 * torch.randn(3, 2).double()
        z = centres[torch.randint(3, (600,))] + 0.3 * torch.randn(600, 2).double()
        prior = MixtureOfGaussians(2, num_components=3).double()
    prior.fit(z, z)
    em = GaussianMixture(3, covariance_type="diag", random_state=0, max_iter=300).fit(z.numpy())
    assert_equal(prior().log_prob(z), torch.from_numpy(em.score_samples(z.numpy())), "log p(z) beside scikit-learn")
    with pytest.raises(UserError, match="3 components cannot be fitted to 2 encodings"):
        prior.fit(z[:2], z)
