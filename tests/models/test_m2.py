"""M2, against its formulas and the enumerated p(x)."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import kl_divergence
from torch.nn.functional import one_hot

import vaekit as vk
from vaekit.objectives import ELBO, IWAE, Classified, FreeBits
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, assert_mean_at_most, check_model, enumerable, seeded
from vaekit.testing.enumerable import check_unbiased, m2_log_joint

CASE = enumerable.m2()
CLASSES = 3
X = CASE.every_x[[1, 6, 11, 13]]


def labelled_bound(x: torch.Tensor, z: torch.Tensor, label: int) -> torch.Tensor:
    """L(x, y) = log p(x|y, z) + log p(y) − KL(q(z|x, y)‖p(z)) for the z drawn for that class, ``(samples, batch)``."""
    model = CASE.model
    y = one_hot(torch.tensor(label), CLASSES).double().expand(len(x), -1)
    q = model.posterior(x, y)
    return model.likelihood(z, y).log_prob(x) - math.log(CLASSES) - kl_divergence(q, model.prior())


def draw(label: torch.Tensor | None, samples: int = 5) -> vk.models.Draw:
    with seeded(), torch.no_grad():
        return CASE.model.draw(vk.Batch(X, label), samples)


def test_laws() -> None:
    for label in (None, torch.tensor([0, 2, 1, 0]), torch.tensor([-1, 2, -1, 0])):
        check_model(CASE.model, vk.Batch(X, label))


@pytest.mark.parametrize("label", range(CLASSES))
def test_labelled_rows_by_hand(label: int) -> None:
    result = draw(torch.full((4,), label))
    expected = labelled_bound(X, result.latents["z"].value[:, label], label)
    assert_equal(result.elbo, expected, "L(x, y)")
    z, model = result.latents["z"].value[:, label], CASE.model
    y = one_hot(torch.full((4,), label), CLASSES).double()
    q = model.posterior(X, y)
    log_w = model.likelihood(z, y).log_prob(X) - math.log(CLASSES) + model.prior().log_prob(z) - q.log_prob(z)
    assert_equal(result.log_w, log_w, "log w of a labelled row")


def test_unlabelled_rows_by_hand() -> None:
    result = draw(None)
    log_qy = CASE.model.classify(X).logits
    bounds = [labelled_bound(X, result.latents["z"].value[:, label], label) for label in range(CLASSES)]
    entropy = -(log_qy.exp() * log_qy).sum(-1)
    expected = sum(log_qy[:, label].exp() * bounds[label] for label in range(CLASSES)) + entropy
    assert_equal(result.elbo, expected, "U(x) = Σ_y q(y) L(x, y) + H(q)")
    assert_equal(draw(torch.full((4,), -1)).elbo, result.elbo, "rows whose label is −1")


def test_labelled_and_unlabelled_rows_in_one_batch_are_as_apart() -> None:
    mixed, hidden, shown = (draw(torch.tensor(label)) for label in ([-1, 2, -1, 0], [-1] * 4, [0, 2, 1, 0]))
    for row, other in enumerate((hidden, shown, hidden, shown)):
        assert_equal(mixed.elbo[:, row], other.elbo[:, row], "the bound of a row")
        assert_equal(mixed.log_w[:, row], other.log_w[:, row], "log w of a row")
        assert_equal(mixed.kl[:, row], other.kl[:, row], "the KL of a row")


@pytest.mark.parametrize("objective", [ELBO(), ELBO(beta=2.0), IWAE(3), FreeBits(0.0), Classified(ELBO(), alpha=3.0)])
def test_gradient_of_a_mixed_batch_is_that_of_its_rows(objective: object) -> None:
    parameters = list(CASE.model.parameters())

    def rows(label: list[int]) -> torch.Tensor:
        with seeded():
            return objective(CASE.model, vk.Batch(X, torch.tensor(label)), Step()).objective  # type: ignore[operator]

    mixed, hidden, shown = rows([-1, 2, -1, 0]), rows([-1] * 4), rows([0, 2, 1, 0])
    apart = hidden[0] + shown[1] + hidden[2] + shown[3]
    pair = [torch.autograd.grad(value.sum(), parameters, retain_graph=True) for value in (mixed, apart)]
    for one, other in zip(*pair, strict=True):
        assert one.isfinite().all()
        assert_equal(one, other, "the gradient")


def test_importance_weights_are_unbiased_for_the_enumerated_p() -> None:
    check_unbiased(CASE)


@pytest.mark.parametrize("label", range(CLASSES))
def test_labelled_importance_weights_are_unbiased_for_the_joint(label: int) -> None:
    labels = torch.full((len(CASE.every_x),), label)
    with seeded(), torch.no_grad():
        weight = CASE.model.draw(vk.Batch(CASE.every_x, labels), 20_000).log_w.exp()
    assert_mean(weight, m2_log_joint(CASE.model, CASE.every_x, labels).exp(), "E w of labelled rows")
    assert_mean(weight.sum(1), 1 / CLASSES, "Σ_x E w = p(y)")


def test_bounds_are_ordered() -> None:
    with seeded(), torch.no_grad():
        draw = CASE.model.draw(vk.Batch(X), 20_000)
    assert_mean_at_most(draw.elbo, CASE.log_p(X), "the evidence lower bound")
    assert_mean_at_most(draw.log_w, CASE.log_p(X), "the bound with the label summed inside the logarithm")
    assert_mean_at_most(draw.elbo - draw.log_w, 0.0, "the first minus the second")


def test_classifier_learns_from_labelled_rows_only() -> None:
    label = torch.tensor([-1, 2, -1, 0])
    with seeded():
        plain = ELBO()(CASE.model, vk.Batch(X, label), Step())
    with seeded():
        classified = Classified(ELBO(), alpha=3.0)(CASE.model, vk.Batch(X, label), Step())
    log_qy = CASE.model.classify(X).logits
    expected = torch.stack([torch.zeros(()), log_qy[1, 2], torch.zeros(()), log_qy[3, 0]]) * 3
    assert_equal(classified.objective - plain.objective, expected, "α log q(y|x)")
    assert_equal(classified.terms["log_qy"], (log_qy[1, 2] + log_qy[3, 0]) / 2, "its mean over labelled rows")
    with seeded():
        without = Classified(ELBO(), alpha=3.0)(CASE.model, vk.Batch(X), Step())
    with seeded():
        assert_equal(without.objective, ELBO()(CASE.model, vk.Batch(X), Step()).objective, "without any labels")


def test_an_impossible_class_leaves_gradients_finite() -> None:
    model = enumerable.m2(seed=1).model
    with torch.no_grad():
        model.classifier_head.linear.bias[0] = -1e4  # q(y = 0|x) is 0 in float64
    value = ELBO()(model, vk.Batch(X), Step()).objective
    assert value.isfinite().all()
    for gradient in torch.autograd.grad(value.sum(), list(model.parameters())):
        assert gradient.isfinite().all()


def test_classes_are_generated_in_turn() -> None:
    with seeded():
        p = CASE.model.generate(7)
    with seeded():
        z = CASE.model.prior().sample(torch.Size([7]))
    expected = CASE.model.likelihood(z, one_hot(torch.arange(7) % CLASSES, CLASSES).double())
    assert torch.equal(p.mean, expected.mean)


def test_independent_latents_have_classes_drawn_at_random() -> None:
    model = enumerable.m2().model
    with seeded():
        y = model.independent_latents(3000)["y"]
    assert y.dtype == torch.float64
    assert_mean(y, torch.full((3,), 1 / 3), "each class")
    condition = torch.eye(3).double()[[2, 2]]
    assert torch.equal(model.independent_latents(2, condition)["y"], condition)
