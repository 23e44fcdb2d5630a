"""Sparse coding against p(x) summed over every set of causes, and the bars."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.classical import Binary, Slab, SparseCoding
from vaekit.classical.sparse_coding import set_table
from vaekit.testing import seeded
from vaekit.testing.statistics import assert_equal, assert_mean

CAUSES = {"binary": Binary(), "slab": Slab()}


def known(kind: str, **options: int) -> SparseCoding:
    with seeded(1):
        weight = torch.randn(3, 4).double()
    return SparseCoding(4, CAUSES[kind], **options).given(weight, noise=0.6, active=0.3)


def enumerated(kind: str, model: SparseCoding, x: Tensor, sets: Tensor) -> Tensor:
    """log p(x, set) by dense Gaussians, ``(rows, sets)``."""
    weight, active = model.weight, model.active
    columns = []
    for on in sets:
        here = weight * on
        noise = model.variance * torch.eye(3).double()
        mean, covariance = (
            (here.sum(1), noise) if kind == "binary" else (torch.zeros(3).double(), noise + here @ here.T)
        )
        prior = on.sum() * active.log() + (4 - on.sum()) * (1 - active).log()
        columns.append(MultivariateNormal(mean, covariance).log_prob(x) + prior)
    return torch.stack(columns, 1)


@pytest.mark.parametrize("kind", CAUSES)
def test_density_codes_and_samples(kind: str) -> None:
    model = known(kind)
    x = model.sample(50)
    sets = set_table(4, 4)
    assert sorted(map(tuple, sets.tolist())) == sorted(itertools.product([0.0, 1.0], repeat=4))
    joint = enumerated(kind, model, x, sets)
    assert_equal(model.score(x), joint.logsumexp(1), "log p(x)")
    means = []
    for on in sets:
        here = model.weight * on
        precision = torch.eye(4).double() + here.T @ here / model.variance
        means.append(on.expand(50, -1) if kind == "binary" else x @ here / model.variance @ torch.linalg.inv(precision))
    assert_equal(model.encode(x), (joint.softmax(1).unsqueeze(-1) * torch.stack(means, 1)).sum(1), "E[s|x]")
    many = model.sample(20_000, seed=1)
    active = model.active.item()
    variance = active * (1 - active) if kind == "binary" else active
    covariance = variance * model.weight @ model.weight.T + model.variance * torch.eye(3).double()
    centred = many - (active * model.weight.sum(1) if kind == "binary" else 0.0)
    assert_mean(centred, 0.0, "the mean of draws")
    assert_mean(centred.unsqueeze(-1) * centred.unsqueeze(-2), covariance, "their covariance")


@pytest.mark.parametrize("kind", CAUSES)
def test_em_never_falls_and_ends_where_the_gradient_is_zero(kind: str) -> None:
    x = known(kind).sample(300)
    fitted = SparseCoding(4, CAUSES[kind]).fit(x, steps=400, seed=1)
    assert min(after - before for before, after in itertools.pairwise(fitted.course)) > -1e-7
    assert fitted.course[-1] > fitted.course[0]
    # EM is slow at its end: what is left to climb along the gradient is small.
    weight = fitted.weight.clone().requires_grad_()
    fitted.weight = weight
    fitted.score(x).mean().backward()
    assert weight.grad is not None
    assert weight.grad.abs().max() < 0.02


@pytest.mark.parametrize("kind", CAUSES)
def test_one_step_is_the_e_and_m_step_by_enumeration(kind: str) -> None:
    x = known(kind).sample(100)
    start, after = (SparseCoding(4, CAUSES[kind]).fit(x, steps=steps, seed=2) for steps in (0, 1))
    sets = set_table(4, 4)
    weight = enumerated(kind, start, x, sets).softmax(1)
    cross, second = torch.zeros(3, 4).double(), torch.zeros(4, 4).double()
    for on, share in zip(sets, weight.T, strict=True):
        here = start.weight * on
        covariance = torch.linalg.inv(torch.eye(4).double() + here.T @ here / start.variance) * torch.outer(on, on)
        mean = on.expand(100, -1) if kind == "binary" else x @ here / start.variance @ covariance
        cross += (share.unsqueeze(-1) * x).T @ mean
        second += (share.unsqueeze(-1) * mean).T @ mean + (0 if kind == "binary" else share.sum() * covariance)
    new = cross @ torch.linalg.inv(second)
    residual = x.square().sum() - 2 * (new * cross).sum() + (new @ second * new).sum()
    # EM adds 1e-9 to the diagonal of Σ⟨ssᵀ⟩.
    assert (after.weight - new).abs().max() < 1e-7
    assert abs(after.variance - residual / x.numel()) < 1e-7
    assert_equal(after.active, (weight @ sets).mean(), "π")


@pytest.mark.parametrize("kind", CAUSES)
def test_fewer_candidates_give_a_lower_bound(kind: str) -> None:
    whole = known(kind)
    x = whole.sample(40)
    scores = [known(kind, candidates=c, most_active=m).score(x) for c, m in ((2, 1), (3, 2), (4, 3), (4, 4))]
    for smaller, larger in itertools.pairwise(scores):
        assert bool((smaller <= larger + 1e-12).all())
    assert_equal(scores[-1], whole.score(x), "all sets")
    # Each row's own candidates are those that alone explain most of it.
    best = enumerated(kind, whole, x, torch.eye(4).double()).argsort(1, descending=True)[:, :2]
    chosen = known(kind, candidates=2).candidates(x @ whole.weight, whole.weight.T @ whole.weight)
    assert torch.equal(chosen.sort(1).values, best.sort(1).values)


@pytest.mark.parametrize("kind", CAUSES)
def test_truncated_em_in_parts_is_that_of_all_rows_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = known(kind).sample(60)
    fit = lambda: SparseCoding(4, CAUSES[kind], candidates=3, most_active=2).fit(x, steps=5).course  # noqa: E731
    whole = fit()
    monkeypatch.setattr("vaekit.classical.sparse_coding.VALUES", 7 * 7 * 9)
    assert fit() == pytest.approx(whole, rel=1e-9)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="must hold, got 3, 2, 4"):
        SparseCoding(4, Binary(), candidates=2, most_active=3)
    with pytest.raises(ValueError, match="finite numbers"):
        SparseCoding(2, Binary()).fit(torch.full((3, 2), torch.nan))
