"""The figures of a chunk by a program are those of the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaekit as vk
from vaekit.acceleration import program as programs
from vaekit.evaluation import log_likelihood
from vaekit.evaluation.likelihood import captured_figures
from vaekit.testing import assert_equal, enumerable, linear_gaussian

FIGURES = "log_p", "elbo", "log_px", "kl", "effective_samples"


@pytest.fixture
def as_written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Programs run as they are written down; the graphs, once for every run."""
    runs: list[Any] = []

    def made(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        return lambda *given: (runs.append(graph), graph(*given))

    monkeypatch.setattr(programs, "inductor", made)
    return runs


def model_of(seed: int = 0) -> vk.VAE:
    torch.manual_seed(seed)
    network = vk.networks.MLP
    posterior = vk.posteriors.Diagonal(network(19, hidden=(16,)), 3)
    return vk.VAE(vk.priors.StandardNormal(3), posterior, vk.likelihoods.Bernoulli(network(3, hidden=(16,)), (19,)))


def assert_the_same(model: Any, batches: list[vk.Batch], chunk: Any, samples: int = 20, **options: Any) -> None:
    one = log_likelihood(model, batches, samples, chunk=chunk, **options)
    other = log_likelihood(model, batches, samples, **options)
    for name in FIGURES:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-4)
    assert one.kl_dims.keys() == other.kl_dims.keys()
    for name, dims in one.kl_dims.items():
        torch.testing.assert_close(dims, other.kl_dims[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("budget", [19 * 20, 19 * 7, 19 * 100])
def test_the_same_draws_give_the_same_figures(budget: int, as_written: list[Any]) -> None:
    """Of whole batches and of the last, smaller one; of draws in pieces of two sizes."""
    x = (torch.rand(23, 19) < 0.4).float()
    said: list[str] = []
    model = model_of()
    batches = [vk.Batch(part) for part in x.split(10)]
    assert_the_same(model, batches, captured_figures(model, said.append), budget=budget)
    assert len({id(graph) for graph in as_written}) >= 1
    assert not said


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_what_the_compiler_makes_gives_the_same_figures(own_cache: Path) -> None:
    x = (torch.rand(23, 19) < 0.4).float()
    said: list[str] = []
    model = model_of()
    chunk = captured_figures(model, said.append)
    assert_the_same(model, [vk.Batch(part) for part in x.split(10)], chunk, budget=19 * 20)
    assert list(own_cache.rglob("*.so"))
    assert not said


def test_it_is_exact_where_the_posterior_is(as_written: list[Any]) -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(12)
    chunk = captured_figures(oracle.model, print)
    result = log_likelihood(oracle.model, [vk.Batch(part) for part in x.split(3)], samples=7, chunk=chunk)
    assert as_written
    assert_equal(result.log_p, oracle.log_p(x), "the estimate")


def test_every_column_of_the_batch_is_shown(as_written: list[Any]) -> None:
    """A mask changes from row to row, and a program must not remember the one that it was made with."""
    case = enumerable.binary_vae()
    x = case.every_x
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    batches = [vk.Batch(row, mask=here) for row, here in zip(x.split(1), mask.split(1), strict=True)]
    assert_the_same(case.model, batches, captured_figures(case.model, print))
    assert len(as_written) > len(x) // 2


def test_a_model_that_asks_for_a_number_is_evaluated_all_the_same(as_written: list[Any]) -> None:
    model, said = model_of(), []
    draw = model.draw

    def asking(batch: vk.Batch, samples: int = 1) -> Any:
        assert batch.x.sum().item() >= 0
        return draw(batch, samples)

    model.draw = asking  # type: ignore[method-assign]
    batches = [vk.Batch(torch.ones(2, 19)) for _ in range(4)]
    assert_the_same(model, batches, captured_figures(model, said.append))
    assert len(said) == 1
    assert "the estimate is not compiled" in said[0]
    assert not as_written


def test_a_compiler_that_is_a_little_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a hundredth in one figure."""

    def wrong(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
        def run(*given: Tensor) -> None:
            graph(*given)
            given[1].mul_(1.01)

        return run

    monkeypatch.setattr(programs, "inductor", wrong)
    model, said = model_of(), []
    assert_the_same(model, [vk.Batch(torch.ones(2, 19)) for _ in range(4)], captured_figures(model, said.append))
    assert len(said) == 1
    assert "the compiler has made something else" in said[0]
