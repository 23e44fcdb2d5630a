"""One-hot vectors and their relaxation."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import OneHotCategorical, RelaxedOneHotCategorical, kl_divergence

from vaekit.distributions import OneHots
from vaekit.distributions.categorical import variables_of
from vaekit.testing import assert_equal, assert_mean, assert_same, check_gradient, check_mass, seeded

LOGITS = torch.tensor([[[0.3, -1.0, 2.0], [0.0, 0.5, -0.5]], [[1.0, 1.0, 1.0], [-3.0, 0.0, 4.0]]]).double()


def test_masses_of_all_values_and_frequencies_of_samples() -> None:
    q = OneHots(LOGITS)
    values = q.enumerate_support()
    assert values.shape == (9, 2, 6)
    log_q = q.log_prob(values)
    for row in range(2):
        for method in (q.sample, q.rsample):
            with seeded():
                drawn = method(torch.Size([20_000]))[:, row]
            check_mass(log_q[:, row], torch.cdist(drawn, values[:, row]).argmin(-1), "OneHots")


def test_it_is_torchs_categorical_for_each_variable() -> None:
    q, each = OneHots(LOGITS), OneHotCategorical(logits=LOGITS)
    z = each.sample(torch.Size([5]))
    assert_equal(q.log_prob(z.flatten(-2)), each.log_prob(z).sum(-1), "log q")
    assert_equal(q.entropy(), each.entropy().sum(-1), "the entropy")
    assert_equal(q.mean, each.mean.flatten(-2), "the mean")
    assert_equal(q.variance, each.variance.flatten(-2), "the variance")
    p = OneHots(torch.zeros(2, 3).double())
    expected = kl_divergence(each, OneHotCategorical(logits=torch.zeros(2, 3).double())).sum(-1)
    assert_equal(kl_divergence(q, p), expected, "KL(q‖p)")
    assert_equal(kl_divergence(q, q), torch.zeros(2), "KL(q‖q)")
    shifted = OneHots(LOGITS + torch.randn(2, 2, 1).double())
    assert_equal(shifted.log_prob(z.flatten(-2)), q.log_prob(z.flatten(-2)), "log q of shifted logits")


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_soft_samples_are_of_the_concrete_distribution(temperature: float) -> None:
    """Means of functions of ours and of torch's agree."""
    count = 40_000
    with seeded(1):
        ours = OneHots(LOGITS, temperature, hard=False).rsample(torch.Size([count])).unflatten(-1, (2, 3))
        theirs = RelaxedOneHotCategorical(torch.tensor(temperature).double(), logits=LOGITS).sample(torch.Size([count]))
    assert_same(ours.sum(-1).round(decimals=6), torch.ones(count, 2, 2).double(), "the sum over the categories")
    for function in (lambda z: z, torch.square, lambda z: z.clamp_min(1e-6).log()):
        assert_mean(function(ours) - function(theirs), 0.0 * LOGITS, "functions of soft samples")


def test_hard_samples_are_one_hot_to_the_bit_and_pass_the_gradient_of_soft_ones() -> None:
    logits = LOGITS.clone().requires_grad_()
    weight = torch.arange(6).double()
    gradients = {}
    for hard in (True, False):
        with seeded():
            z = OneHots(logits, 0.7, hard=hard).rsample(torch.Size([3]))
        assert hard == bool(OneHots(LOGITS).support.check(z).all())
        gradients[hard] = torch.autograd.grad((z * weight).sum(), logits)[0]
    assert_same(gradients[True], gradients[False], "the gradient")
    assert set(OneHots(LOGITS).rsample(torch.Size([50])).unique().tolist()) == {0.0, 1.0}


def test_the_largest_of_soft_and_hard_is_the_same() -> None:
    with seeded():
        hard = OneHots(LOGITS, 0.1).rsample(torch.Size([100])).unflatten(-1, (2, 3))
    with seeded():
        soft = OneHots(LOGITS, 5.0, hard=False).rsample(torch.Size([100])).unflatten(-1, (2, 3))
    assert torch.equal(hard.argmax(-1), soft.argmax(-1))


def test_gradients_of_soft_samples_and_divergence() -> None:
    logits = LOGITS.clone().requires_grad_()

    def value() -> torch.Tensor:
        q = OneHots(logits, 0.8, hard=False)
        with seeded():
            z = q.rsample(torch.Size([4]))
        return z.square().sum() + kl_divergence(q, OneHots(torch.zeros(2, 3).double())).sum() + q.entropy().sum()

    check_gradient(value, [logits], "a function of soft samples")


def test_support() -> None:
    support = OneHots(LOGITS).support
    good = torch.tensor([0.0, 1, 0, 0, 0, 1])
    assert support.check(good)
    for bad in ([0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1], [0, 0.5, 0.5, 0, 0, 1], [0, 2, -1, 0, 0, 1]):
        assert not support.check(torch.tensor(bad).float())


def test_what_makes_no_whole_number_of_variables_is_refused() -> None:
    assert variables_of(12, 3) == 4
    with pytest.raises(ValueError, match="no multiple of 3 categories; take 9"):
        variables_of(7, 3)
    with pytest.raises(ValueError, match="categories must be at least 2"):
        variables_of(4, 1)
