"""Every route gives the same layer, its gradient and the gradient of that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from vaekit import kernels
from vaekit.kernels import Route, onednn, route
from vaekit.kernels.machine import machine

SHAPES = [(128, 784, 512), (1, 784, 512), (7, 600, 301), (1000, 300, 784), (513, 1024, 1)]
needs_onednn = pytest.mark.skipif(not onednn.available(), reason="this torch has no oneDNN")


@pytest.fixture(autouse=True)
def chosen_again() -> Iterator[None]:
    yield
    kernels.use(None)


def tensors(rows: int, inner: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (rows, inner), (columns, inner), (columns,)
    x, weight, bias = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    return x, weight, bias


@needs_onednn
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_value_and_gradients(shape: tuple[int, int, int], with_bias: bool) -> None:
    x, weight, bias = tensors(*shape)
    inputs = (x, weight, bias) if with_bias else (x, weight)
    true = F.linear(*(tensor.detach().double().requires_grad_() for tensor in inputs))
    direction = torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    y = onednn.linear(x, weight, bias if with_bias else None)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), true, rtol=1e-4, atol=1e-3)
    wanted = torch.autograd.grad(F.linear(*inputs), inputs, direction)
    for mine, theirs in zip(torch.autograd.grad(y, inputs, direction), wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-3)


@needs_onednn
def test_leading_axes_and_strides() -> None:
    x, weight, bias = tensors(24, 600, 600)
    lead = x.view(2, 3, 4, 600).transpose(0, 1)
    wide = torch.randn(4, 600).unsqueeze(0).expand(5, 4, 600)
    every_other = torch.randn(600, 1200)[:, ::2]
    for arguments in ((lead, weight.t(), bias), (wide, weight, bias), (x, every_other, bias)):
        torch.testing.assert_close(onednn.linear(*arguments), F.linear(*arguments), rtol=1e-4, atol=1e-3)


@needs_onednn
def test_the_gradient_can_be_differentiated() -> None:
    """A gradient penalty: d‖∂ f/∂x‖²/dW."""
    x, weight, bias = tensors(5, 12, 7)

    def penalty(layer: object) -> torch.Tensor:
        (slope,) = torch.autograd.grad(layer(x, weight, bias).pow(3).sum(), x, create_graph=True)  # type: ignore[operator]
        return slope.square().sum()

    mine = torch.autograd.grad(penalty(onednn.linear), (x, weight, bias))
    theirs = torch.autograd.grad(penalty(F.linear), (x, weight, bias))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@needs_onednn
def test_only_large_float32_layers_go_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = onednn.linear
    monkeypatch.setattr(onednn, "linear", lambda *given, **more: calls.append(1) or plain(*given, **more))
    kernels.use(Route.ONEDNN)
    x, weight, bias = tensors(128, 300, 300)
    kernels.linear(x, weight, bias)
    assert calls == [1]
    kernels.linear(x[:2], weight, bias)
    kernels.linear(x.double(), weight.double(), bias.double())
    with torch.autocast("cpu", torch.float16):
        assert kernels.linear(x, weight, bias).dtype == torch.float16
    kernels.use(Route.TORCH)
    kernels.linear(x, weight, bias)
    assert calls == [1]


def test_no_rows() -> None:
    _, weight, bias = tensors(1, 784, 512)
    kernels.use(Route.ONEDNN)
    assert kernels.linear(torch.zeros(0, 784), weight, bias).shape == (0, 512)
    assert kernels.linear(torch.zeros(3, 0, 784), weight, bias).shape == (3, 0, 512)


class TestChoice:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("VAEKIT_LINEAR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        kernels.use(None)

    def test_it_is_measured_once_and_written_down(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = kernels.chosen()
        (entry,) = json.loads((tmp_path / "vaekit/kernels.json").read_text()).items()
        assert entry == (machine(), first.value)
        assert [path.name for path in (tmp_path / "vaekit").iterdir()] == ["kernels.json"]
        kernels.use(None)
        monkeypatch.setattr(route, "measure", lambda: pytest.fail("measured again"))
        assert kernels.chosen() is first

    def test_it_can_be_measured_where_nothing_is_learned(self) -> None:
        with torch.no_grad():
            first = kernels.chosen()
        kernels.use(None)
        with torch.inference_mode():
            assert kernels.chosen() is first

    @pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 3}', "\x00"])
    def test_a_damaged_table_is_replaced(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "vaekit").mkdir()
        (tmp_path / "vaekit/kernels.json").write_text(content)
        kernels.chosen()
        assert machine() in json.loads((tmp_path / "vaekit/kernels.json").read_text())

    def test_the_variable_goes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(route, "measure", lambda: pytest.fail("measured"))
        monkeypatch.setenv("VAEKIT_LINEAR", "torch")
        assert kernels.chosen() is Route.TORCH

    def test_without_onednn_it_is_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onednn, "available", lambda: False)
        monkeypatch.setenv("VAEKIT_LINEAR", "onednn")
        assert kernels.chosen() is Route.TORCH
        kernels.use(Route.ONEDNN)
        assert kernels.chosen() is Route.TORCH
        assert kernels.measure() == (Route.TORCH, {})

    def test_it_works_where_nothing_can_be_written(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert kernels.chosen() in set(Route)

    @pytest.mark.parametrize("seconds, wanted", [(0.5, Route.ONEDNN), (0.875, Route.TORCH), (2.0, Route.TORCH)])
    def test_only_a_clear_gain_counts(self, monkeypatch: pytest.MonkeyPatch, seconds: float, wanted: Route) -> None:
        if not onednn.available():
            pytest.skip("this torch has no oneDNN")
        clock = [0.0]
        monkeypatch.setattr(route.time, "perf_counter", lambda: clock[0])
        backward = torch.Tensor.backward

        def timed(tensor: torch.Tensor, *arguments: torch.Tensor) -> None:
            clock[0] += seconds if type(tensor.grad_fn).__name__ in ("ViewBackward0", "ProductBackward") else 1.0
            backward(tensor, *arguments)

        monkeypatch.setattr(torch.Tensor, "backward", timed)
        faster, best = kernels.measure(rounds=2)
        assert best == {"torch": 1.0, "onednn": seconds}
        assert faster is wanted
