"""Distances between samples, and objectives that match the aggregate of q to the prior by them."""

from __future__ import annotations

import math

import part_cases
import pytest
import torch
from torch import Tensor

import vaekit as vk
from vaekit.objectives import WAE, InfoVAE, SlicedWasserstein
from vaekit.objectives.discrepancy import SCALES, gram, sliced_wasserstein, u_statistic
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, enumerable, linear_gaussian, seeded


def mmd(a: Tensor, b: Tensor, kernel: str) -> Tensor:
    return u_statistic(gram(a, a, kernel), gram(b, b, kernel), gram(a, b, kernel))


def k(a: Tensor, b: Tensor, kernel: str) -> float:
    apart = (a - b).square().sum().item()
    each = []
    for scale in SCALES:
        width = scale * 2 * len(a)
        each.append(math.exp(-apart / width) if kernel == "rbf" else width / (width + apart))
    return sum(each) / len(each)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_mmd_by_hand(kernel: str) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 3).double(), torch.randn(5, 3).double() + 1
    pairs = [(i, j) for i in range(5) for j in range(5)]
    within = [(k(a[i], a[j], kernel) + k(b[i], b[j], kernel)) / 20 for i, j in pairs if i != j]
    between = [2 * k(a[i], b[j], kernel) / 25 for i, j in pairs]
    assert_equal(mmd(a, b, kernel), sum(within) - sum(between), "MMD²")


def test_mmd_has_no_bias() -> None:
    """Against ∫∫ k under Gaussians, in closed form for the kernel rbf."""
    torch.manual_seed(0)
    dims, shift = 2, 1.5
    same = torch.stack([mmd(torch.randn(6, dims), torch.randn(6, dims), "rbf") for _ in range(2000)])
    assert_mean(same, 0.0, "MMD² of two samples of one law")
    apart = torch.stack([mmd(torch.randn(6, dims), torch.randn(6, dims) + shift, "rbf") for _ in range(2000)])

    def expected(distance: float) -> float:  # E k(a, b), where a − b ~ N(distance, 2I)
        widths = [scale * 2 * dims for scale in SCALES]
        terms = [(w / (w + 4)) ** (dims / 2) * math.exp(-dims * distance**2 / (w + 4)) for w in widths]
        return sum(terms) / len(terms)

    assert_mean(apart, 2 * expected(0) - 2 * expected(shift), "MMD² of two Gaussians")


def test_of_one_row_nothing_is_said() -> None:
    assert mmd(torch.randn(1, 3), torch.randn(1, 3), "imq") == 0


def test_sliced_wasserstein_of_a_shift_is_its_mean_projection() -> None:
    torch.manual_seed(0)
    a, shift = torch.randn(7, 4), torch.tensor([1.0, -2.0, 0.0, 0.5])
    order = torch.randperm(7)
    drawn = torch.stack([sliced_wasserstein(a, (a + shift)[order], 1) for _ in range(3000)])
    assert_mean(drawn, shift.square().sum() / 4, "E (u · shift)² = |shift|² / dims")
    assert sliced_wasserstein(a, a[order], 50) < 1e-10


def test_sliced_wasserstein_of_one_dimension_sorts() -> None:
    a, b = torch.tensor([[3.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    assert_equal(sliced_wasserstein(a, b, 3), (1.0 + 4.0) / 2, "(1 − 0)² and (3 − 1)²")


@pytest.mark.parametrize("posterior", ["point", "diagonal"])
def test_values_by_hand(posterior: str) -> None:
    with seeded():
        model = vk.VAE(
            part_cases.make("prior", "standard-normal"),
            part_cases.make("posterior", posterior),
            part_cases.make("likelihood", "bernoulli"),
        ).double()
        batch = vk.Batch(torch.rand(6, *part_cases.SHAPE).round().double())
    with seeded():
        draw = model.draw(batch)
        from_prior = model.prior().sample(torch.Size([6]))
        state = torch.get_rng_state()
    z, log_px, kl = draw.z[0], draw.log_px[0], draw.kl[0]
    with seeded():
        got = WAE(30.0)(model, batch, Step()).objective
        assert_equal(got, log_px - 30 * mmd(z, from_prior, "imq"), "log p(x|z) − λ MMD²")
    with seeded():
        got = InfoVAE(0.75, 8.0)(model, batch, Step()).objective
        expected = log_px - 0.25 * kl - (0.75 + 8 - 1) * mmd(z, from_prior, "rbf")
        assert_equal(got, expected, "log p(x|z) − (1 − α) KL − (α + λ − 1) MMD²")
    with seeded():
        got = SlicedWasserstein(3.0, directions=9)(model, batch, Step()).objective
        torch.set_rng_state(state)
        assert_equal(got, log_px - 3 * sliced_wasserstein(z, from_prior, 9), "log p(x|z) − λ SW²")


def test_branches_are_weighted_by_their_probabilities() -> None:
    case = enumerable.m2()
    for label in (None, torch.tensor([0, 2, -1, 1])):
        batch = vk.Batch(case.every_x[[1, 6, 9, 12]], label)
        with seeded():
            value = WAE(10.0)(case.model, batch, Step())
        with seeded():
            draw = case.model.draw(batch)
            from_prior = torch.cat([*case.model.independent_latents(4).values()], dim=-1)
        assert draw.log_branch is not None
        weight = draw.log_branch.exp()  # (classes, rows)
        z = draw.z[0]
        expected = 0.0
        for i in range(4):
            for j in range(4):
                for c in range(3):
                    if i == j:
                        continue
                    expected -= 2 * weight[c, i].item() * k(z[c, i], from_prior[j], "imq") / 16
                    for d in range(3):
                        both = weight[c, i] * weight[d, j]
                        expected += both.item() * k(z[c, i], z[d, j], "imq") / 12
                expected += k(from_prior[i], from_prior[j], "imq") / 12 if i != j else 0
            for c in range(3):
                expected -= 2 * weight[c, i].item() * k(z[c, i], from_prior[i], "imq") / 16
        assert_equal(value.terms["mmd"], expected, "MMD² with weights")
        assert_equal(value.objective, draw.expect(draw.log_px)[0] - 10 * expected, "the value")


def test_sliced_wasserstein_refuses_weights() -> None:
    case = enumerable.m2()
    with pytest.raises(vk.UserError, match="sorted projections need rows of equal weight"):
        SlicedWasserstein()(case.model, vk.Batch(case.every_x[:4]), Step())


def test_the_aggregate_comes_to_the_prior() -> None:
    """A posterior that is off moves towards the prior, whatever the distance."""
    for objective in (WAE(10.0, "imq"), WAE(10.0, "rbf"), SlicedWasserstein(1.0)):
        oracle = linear_gaussian.wrong(latent_dim=1)
        x = oracle.sample(400)
        shift = oracle.model.posterior.head.linear.bias
        with torch.no_grad():
            shift[0] += 1.5
        with seeded():
            value = objective(oracle.model, vk.Batch(x), Step())
        distance = value.terms.get("mmd", value.terms.get("distance"))
        assert distance is not None
        slope = torch.autograd.grad(distance, shift)[0]
        assert slope[0] > 0.01
