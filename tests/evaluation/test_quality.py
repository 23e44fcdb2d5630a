"""Distances, balls and features against formulas and loops, and of a model whose p(x) is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import Tensor
from torch.distributions import Independent, Normal

import vaekit as vk
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary, Counts, Kind, Real
from vaekit.errors import UserError
from vaekit.evaluation import SampleQuality, evaluate, frechet_distance, kernel_distance, moments, neighbourhoods
from vaekit.evaluation import quality as quality_module
from vaekit.evaluation.features import Encoded, compared, values
from vaekit.evaluation.quality import Moments
from vaekit.testing import linear_gaussian, seeded
from vaekit.testing.statistics import assert_equal, assert_mean

# --- Fréchet distance -------------------------------------------------------------------------------------------------


def draws(*shape: int, seed: int = 0) -> Tensor:
    with seeded(seed):
        return torch.randn(*shape, dtype=torch.float64)


def covariance(dims: int, rank: int, seed: int) -> Tensor:
    factor = draws(dims, rank, seed=seed)
    return factor @ factor.T


def test_frechet_of_commuting_covariances() -> None:
    """In the common axes it is the distance of the means and of the standard deviations."""
    axes = torch.linalg.qr(draws(4, 4)).Q
    a, b = draws(4, seed=1).abs(), draws(4, seed=2).abs()
    m, n = draws(4, seed=3), draws(4, seed=4)
    one, other = (Moments(mean, axes @ spread.square().diag() @ axes.T) for mean, spread in ((m, a), (n, b)))
    expected = (m - n).square().sum() + (a - b).square().sum()
    assert_equal(frechet_distance(one, other), expected, "the distance")
    assert_equal(frechet_distance(other, one), expected, "the distance the other way")


def test_frechet_of_numbers() -> None:
    one, other = (Moments(torch.tensor([m]).double(), torch.tensor([[s * s]]).double()) for m, s in ((1, 2), (4, 0.5)))
    assert_equal(frechet_distance(one, other), 9 + 1.5**2, "the distance")


def test_frechet_of_any_covariances() -> None:
    a, b = covariance(5, 7, 0), covariance(5, 6, 1)
    assert (a @ b - b @ a).abs().max() > 1
    m, n = draws(5, seed=2), draws(5, seed=3)
    root = linalg.sqrtm((a @ b).numpy())
    expected = (m - n).square().sum() + a.trace() + b.trace() - 2 * np.trace(root).real
    assert frechet_distance(Moments(m, a), Moments(n, b)) == pytest.approx(expected.item(), abs=1e-8)


def test_frechet_of_singular_covariances() -> None:
    """Of two lines u uᵀ and v vᵀ the trace of the root is |u·v|; of a point with anything it is 0."""
    zero = torch.zeros(40).double()
    u, v = draws(40, seed=1), draws(40, seed=2)
    line, other, point = (Moments(zero, torch.outer(w, w)) for w in (u, v, zero))
    expected = u.square().sum() + v.square().sum() - 2 * (u @ v).abs()
    assert_equal(frechet_distance(line, other), expected, "two lines")
    assert_equal(frechet_distance(line, point), u.square().sum(), "a line and a point")
    assert frechet_distance(point, point) == 0
    # A subspace and the whole of space around it, in common axes.
    axes = torch.linalg.qr(draws(40, 40)).Q
    spread = draws(40, seed=3).abs()
    flat = torch.where(torch.arange(40) < 10, spread, torch.zeros(40).double())
    one, whole = (Moments(zero, axes @ each.square().diag() @ axes.T) for each in (flat, spread + 1))
    assert frechet_distance(one, whole) == pytest.approx((flat - spread - 1).square().sum().item(), rel=1e-6)


@pytest.mark.parametrize("rows", [5, 100])
def test_frechet_of_the_same_rows_is_nothing(rows: int) -> None:
    """Also of fewer rows than features."""
    x = draws(rows, 20)
    distance = frechet_distance(moments(x), moments(x.flip(0)))
    assert 0 <= distance < 1e-8


@pytest.mark.parametrize("shift", [0.0, 1e7])
@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_moments_are_those_of_numpy(shift: float, at_once: int) -> None:
    """In whatever chunks, and about a mean that is large beside the spread."""
    x = draws(53, 4) @ draws(4, 4, seed=1) + shift
    found = moments(x, at_once)
    assert_equal(found.mean, torch.from_numpy(x.numpy().mean(0)), "the mean")
    off = (found.covariance - torch.from_numpy(np.cov(x.numpy().T))).abs().max()
    assert off < (1e-12 if shift == 0 else 1e-7)
    single = moments((x - shift).float(), at_once)
    assert single.covariance.dtype == torch.float64
    assert_equal(single.covariance, torch.from_numpy(np.cov((x - shift).float().double().numpy().T)), "in float32")


# --- kernel distance --------------------------------------------------------------------------------------------------


def looped(x: Tensor, y: Tensor) -> float:
    """MMD² by two loops over pairs."""

    def k(a: Tensor, b: Tensor) -> float:
        return (a @ b / len(a) + 1).item() ** 3

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_kernel_distance_is_the_mean_over_blocks_of_the_loops() -> None:
    x, y = draws(43, 3), draws(31, 3, seed=1) + 0.5
    each = [looped(a, b) for a, b in zip(x.tensor_split(10), y.tensor_split(10), strict=True)]
    for at_once in (1, 10**6):
        found = kernel_distance(x, y, at_once)
        assert_equal(found.value, np.mean(each), "the value")
        assert_equal(found.error or 0.0, np.std(each, ddof=1) / math.sqrt(10), "the error")
    assert_equal(kernel_distance(x[:3], y[:9]).value, looped(x[:3], y[:9]), "a single block")
    assert kernel_distance(x[:3], y[:9]).error is None


def test_blocks_are_no_larger_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_module, "BLOCK", 3)
    x, y = draws(50, 2), draws(45, 2, seed=1)
    each = [looped(a, b) for a, b in zip(x.tensor_split(15), y.tensor_split(15), strict=True)]
    assert_equal(kernel_distance(x, y).value, np.mean(each), "blocks of 3")


def test_kernel_distance_has_no_bias_and_an_honest_error() -> None:
    """Of one distribution it is 0 in the mean; pairs of a row with itself would make it larger by 2 Var k / n."""
    found = [kernel_distance(draws(40, 2, seed=2 * i), draws(30, 2, seed=2 * i + 1)) for i in range(400)]
    value, error = torch.tensor(found).double().T
    assert_mean(value, 0.0, "the distance of a distribution from itself")
    assert (value < 0).any()
    assert error.square().mean().sqrt().item() == pytest.approx(value.std().item(), rel=0.15)


def test_kernel_distance_of_two_normal_distributions() -> None:
    """In one dimension k(x, y) = Σ_j C(3, j) xʲ yʲ, so that MMD² = Σ_j C(3, j) (E xʲ − E yʲ)²."""
    x = torch.stack([draws(40, 1, seed=2 * i) for i in range(400)])
    y = torch.stack([draws(60, 1, seed=2 * i + 1) for i in range(400)]) * 0.5 + 1
    # E y = 1, E y² = 1.25, E y³ = 1 + 3/4.
    expected = 3 * 1**2 + 3 * (1 - 1.25) ** 2 + 1.75**2
    value = torch.tensor([kernel_distance(a, b).value for a, b in zip(x, y, strict=True)])
    assert_mean(value, expected, "the distance")


# --- neighbours -------------------------------------------------------------------------------------------------------


def by_loops(rows: np.ndarray, samples: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density, coverage from all distances, as the papers define them."""

    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((a[:, None] - b[None]) ** 2).sum(-1)

    def reach(points: np.ndarray) -> np.ndarray:
        return np.array([np.sort(np.delete(squared(points, points)[i], i))[k - 1] for i in range(len(points))])

    between = squared(rows, samples)
    in_rows, in_samples = between <= reach(rows)[:, None], between <= reach(samples)[None]
    return in_rows.any(0).mean(), in_samples.any(1).mean(), in_rows.sum() / (k * len(samples)), in_rows.any(1).mean()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("distances", [1, 100, 10**6])
def test_neighbourhoods_are_those_of_the_loops(k: int, distances: int) -> None:
    rows, samples = draws(60, 3), 0.7 * draws(45, 3, seed=1) + 0.8
    expected = by_loops(rows.numpy(), samples.numpy(), k)
    assert all(0.1 < figure < 0.95 for figure in expected[:2]), "figures that are all or nothing show little"
    found = neighbourhoods(rows, samples, k, distances=distances)
    assert found == pytest.approx(expected, abs=1e-12)
    assert neighbourhoods(rows + 1e6, samples + 1e6, k, distances=distances) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1 / 255, 0.3])
def test_ties_are_inside(scale: float) -> None:
    """Of a few levels most distances are equal to others and many are 0: rounding must not part them."""
    generator = np.random.RandomState(0)
    rows, samples = generator.randint(0, 5, (60, 4)), generator.randint(1, 8, (70, 4))
    rows[:5], samples[:5] = 0, 7  # duplicates, whose balls are points
    expected = by_loops(rows, samples, 2)
    assert all(0 < figure < 1 for figure in expected)
    as_seen = [torch.from_numpy((each - 0.7) * scale).float() for each in (rows, samples)]
    assert neighbourhoods(*as_seen, k=2) == pytest.approx(expected, abs=1e-12)


def test_copies_far_away_and_crowds() -> None:
    rows = draws(50, 4)
    copies = neighbourhoods(rows, rows.flip(0))
    assert copies[:2] == (1, 1)
    assert copies.coverage == 1
    assert copies.density == pytest.approx(6 / 5)  # five neighbours and itself
    assert neighbourhoods(rows, rows + 100) == (0, 0, 0, 0)
    crowd = neighbourhoods(rows, 0.01 * draws(50, 4, seed=1))
    assert crowd.precision == 1
    assert crowd.density > 1.5
    assert crowd.recall < 0.1
    assert crowd.coverage < 1


def test_rows_are_told_as_they_finish() -> None:
    told: list[int] = []
    neighbourhoods(draws(50, 2), draws(20, 2), distances=500, progress=told.append)
    assert sum(told) == 50
    assert len(told) == 5


# --- of a model -------------------------------------------------------------------------------------------------------


def marginal(oracle: linear_gaussian.LinearGaussian, noise: bool = True) -> Moments:
    """Moments of p(x), or of the means of p(x|z)."""
    spread = oracle.weight @ oracle.weight.T
    return Moments(oracle.bias, spread + noise * oracle.scale**2 * torch.eye(len(oracle.bias)).double())


def data_of(x: Tensor, kind: Kind | None = None) -> Dataset:
    split = Split(x.numpy())
    return Dataset("rows", kind or Real(), split, split, split, by_name=False)


def figures_of(oracle: linear_gaussian.LinearGaussian, x: Tensor, seed: int = 0, **options: Any) -> dict[str, Any]:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # what a kind makes of its values, and so the type of the model
    try:
        return evaluate(oracle.model, data_of(x), samples=1, seed=seed, estimators=[SampleQuality(**options)])
    finally:
        torch.set_default_dtype(default)


def test_a_model_is_near_its_own_data_and_as_far_from_others_as_the_formula_says() -> None:
    oracle, other = linear_gaussian.exact(), linear_gaussian.exact(scale=0.5, seed=3)
    own = [figures_of(oracle, oracle.sample(2000, seed), seed + 50, samples=2000) for seed in range(8)]
    # Two exact samples of this size are as far apart.
    pairs = torch.tensor(
        [frechet_distance(moments(oracle.sample(2000, i)), moments(oracle.sample(2000, 100 + i))) for i in range(30)]
    )
    assert_mean(torch.tensor([each["quality_frechet"] for each in own]), pairs.mean(), "own", pairs.std() / 30**0.5)
    kernel = torch.tensor([each["quality_kernel"] for each in own])
    assert_mean(kernel, 0.0, "the kernel distance from own data")
    for name in ("precision", "recall", "coverage"):
        assert min(each[f"quality_{name}"] for each in own) > 0.9
    density = torch.tensor([each["quality_density"] for each in own])
    assert_mean(density, 1.0, "the density of one distribution", 0.01)

    far = [figures_of(oracle, other.sample(2000, seed), seed + 50, samples=2000) for seed in range(8)]
    distance = torch.tensor([each["quality_frechet"] for each in far])
    expected = frechet_distance(marginal(oracle), marginal(other))
    assert expected > 1
    assert_mean(distance, expected, "the distance from another model's data", 0.01)


def test_means_are_another_distribution_than_draws() -> None:
    oracle = linear_gaussian.exact()
    expected = frechet_distance(marginal(oracle), marginal(oracle, noise=False))
    assert expected > 0.3
    found = [figures_of(oracle, oracle.sample(2000, s), s + 50, samples=2000, mean=True) for s in range(8)]
    assert_mean(torch.tensor([each["quality_frechet"] for each in found]), expected, "the distance of means", 0.01)
    assert {each["quality_samples_are"] for each in found} == {"means of p(x|z)"}
    assert "from which even the true model is apart" in SampleQuality(mean=True).lines(found[0])[0][2]
    assert "the true model" not in SampleQuality().lines(found[0])[0][2]


def test_one_seed_one_answer_and_no_random_number_is_taken() -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(40)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = figures_of(oracle, x, samples=600)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    assert figures_of(oracle, x, samples=600) == first
    assert figures_of(oracle, x, 1, samples=600)["quality_frechet"] != first["quality_frechet"]
    assert first["quality_samples"] == 600
    assert first["quality_examples"] == 40
    assert first["quality_dimensions"] == 3


class Told:
    """A model without latents worth the name: x is the condition, or what it is told to draw.

    Args:
        x: what is drawn in turn where there is no condition.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.asked: list[int] = []

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        self.asked.append(count)
        start = sum(self.asked[:-1])
        return {"z": self.x[torch.arange(start, start + count) % len(self.x)] if condition is None else condition}

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        return Independent(Normal(z, 1e-9), 1)


def test_conditions_are_those_of_the_rows_each_as_often() -> None:
    condition = torch.arange(8.0).unsqueeze(1)
    batches = [vk.Batch(draws(5, 1), None, condition[:5]), vk.Batch(draws(3, 1), None, condition[5:])]
    model = Told(condition)
    with seeded():
        result = compared(model, batches, values, 1200)
        few = compared(model, batches, values, 4)
    assert torch.bincount(result.samples.flatten().round().long()).tolist() == [150] * 8
    assert max(model.asked) <= 500
    # In random order, so that few samples are of rows from anywhere, and not one beside its own row.
    assert len(few.samples.flatten().round().unique()) == 4
    assert not torch.equal(few.samples.flatten().round(), condition[:4, 0])
    expected = torch.cat([batch.x for batch in batches])
    assert torch.equal(result.rows.sort(0).values, expected.sort(0).values)
    assert not torch.equal(result.rows, expected)


def test_draws_are_independent_where_the_plain_ones_are_not() -> None:
    model = Told(torch.zeros(3, 1))
    model.independent_latents = lambda count, condition: {"z": torch.ones(count, 1)}  # type: ignore[attr-defined]
    with seeded():
        assert compared(model, [vk.Batch(torch.zeros(2, 1))], values, 3).samples.mean().round() == 1


def test_what_is_not_finite_is_a_sentence() -> None:
    broken = Told(torch.tensor([[0.0], [torch.inf]]))
    with seeded(), pytest.raises(UserError, match="the samples cannot be compared: their features are not all finite"):
        compared(broken, [vk.Batch(torch.zeros(2, 1))], values, 3)


# --- in the eyes of a reference ---------------------------------------------------------------------------------------


def reference(model: Any, kind: Kind, shape: tuple[int, ...], condition_dim: int = 0) -> Any:
    """What features need of a run."""
    document = {"shape": list(shape), "condition_dim": condition_dim}
    run = SimpleNamespace(folder=Path("runs/reference"), model=model, kind=kind, config={"data": document})
    run.to = lambda device: run
    return run


CPU = torch.device("cpu")


def test_features_of_a_chain_are_its_means_side_by_side() -> None:
    oracle = linear_gaussian.hierarchy()
    x = oracle.sample(6)
    features = Encoded(reference(oracle.model, Real(), (3,)), Real(), (3,), CPU)
    with torch.no_grad():
        mean = oracle.model.encode(x).mean
        assert_equal(features(x), torch.cat(list(mean.values()), 1), "the features")  # type: ignore[attr-defined]


def test_the_reference_sees_numbers_as_it_was_trained_on_them() -> None:
    """Standardised by its own mean and scale, and with the columns in its order."""
    seen: list[Tensor] = []
    oracle = linear_gaussian.exact(data_dim=2)
    theirs = Real((1.0, 2.0), (3.0, 4.0), ("b", "a"))
    ours = Real((5.0, 6.0), (7.0, 8.0), ("a", "b"))

    def encode(x: Tensor) -> Any:
        seen.append(x)
        return oracle.model.posterior(x.double())

    model = SimpleNamespace(encode=encode, abilities={"encode"})
    raw = draws(9, 2)
    Encoded(reference(model, theirs, (2,)), ours, (2,), CPU)(ours.prepare(raw))
    assert_equal(seen[0], theirs.prepare(raw[:, [1, 0]]), "what it sees")
    counts = [Counts(("b", "a")), Counts(("a", "b"))]
    Encoded(reference(model, counts[0], (2,)), counts[1], (2,), CPU)(raw)
    assert_equal(seen[1], raw[:, [1, 0]], "what it sees of counts")
    Encoded(reference(model, ours, (2,)), ours, (2,), CPU)(raw)
    assert seen[2] is raw


def test_a_reference_that_does_not_fit_is_a_sentence() -> None:
    model = linear_gaussian.exact().model
    wrong = {
        r"runs/reference cannot give the features: it was made for examples of shape \(4,\), and these are \(3,\)\.": (
            reference(model, Real(), (4,))
        ),
        "it was made for binary, static binarisation, and these are real numbers": reference(model, Binary(), (3,)),
        "its encoder needs a condition beside x": reference(model, Real(), (3,), condition_dim=2),
        "its model does not encode": reference(SimpleNamespace(abilities=frozenset()), Real(), (3,)),
    }
    for sentence, run in wrong.items():
        with pytest.raises(UserError, match=sentence):
            Encoded(run, Real(), (3,), CPU)
    named = reference(model, Real(columns=("a", "b", "c")), (3,))
    with pytest.raises(UserError, match="does not have the columns that the model was made for"):
        Encoded(named, Real(columns=("a", "b", "d")), (3,), CPU)


# --- what has no answer -----------------------------------------------------------------------------------------------


def question(x: Tensor, model: Any = None, **columns: Any) -> vk.evaluation.EvaluationContext:
    from vaekit.data.loader import Loader

    loader = Loader(Split(x.numpy(), **columns), Real())
    return vk.evaluation.EvaluationContext(model or linear_gaussian.exact().model, loader, None, 1, 0)


def test_what_does_not_apply_is_said_before_anything_is_computed() -> None:
    x = draws(7, 3).float()
    assert SampleQuality().not_applicable(question(x)) is None
    assert SampleQuality(neighbours=6).not_applicable(question(x)) == "it needs 8 rows or more, and there are 7"
    silent = SimpleNamespace(abilities=frozenset({"encode"}), training=False)
    assert SampleQuality().not_applicable(question(x, silent)) == "the model draws no samples"
    masked = question(x, mask=np.ones((7, 3), bool))
    assert SampleQuality().not_applicable(masked) == "rows have missing cells"
    assert SampleQuality().not_applicable(question(torch.zeros(7, 4096))) is None
    wide = SampleQuality().not_applicable(question(torch.zeros(7, 1, 17, 241)))
    assert wide is not None
    assert wide.startswith("4,097 values are more than the 4,096 whose covariance is affordable; give a run folder")
    with pytest.raises(UserError, match=r"cannot be opened from here: ask by Run\.evaluate"):
        SampleQuality(features="runs/reference").not_applicable(question(x))
    given = replace(question(x), open_run=lambda name: reference(linear_gaussian.exact().model, Real(), (2,)))
    with pytest.raises(UserError, match="was made for examples of shape"):
        SampleQuality(features="runs/reference").not_applicable(given)


def test_options_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        SampleQuality(neighbours=0)
    with pytest.raises(ValueError, match=r"samples must be at least neighbours \+ 2 = 7, got 6"):
        SampleQuality(samples=6)
    assert SampleQuality(samples=7).samples == 7
