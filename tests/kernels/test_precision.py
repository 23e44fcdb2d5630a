"""Products of rounded factors: the exact product of what the factors are rounded to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from vaekit import kernels
from vaekit.kernels import Route, rounding

CPU = torch.device("cpu")
needs_units = pytest.mark.skipif(not kernels.rounds_on_processors(), reason="this processor does not round to bfloat16")


@pytest.fixture(autouse=True)
def _route():
    yield
    kernels.use(None)


def near(mine: torch.Tensor, exact: torch.Tensor) -> None:
    assert mine.dtype == torch.float32
    torch.testing.assert_close(mine.double(), exact, rtol=1e-4, atol=1e-3)


@needs_units
@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_linear_layer(route: Route, with_bias: bool) -> None:
    kernels.use(route)
    generator = torch.Generator().manual_seed(0)
    x, weight, bias, direction = (
        torch.randn(*shape, generator=generator) for shape in [(64, 300), (200, 300), (200,), (64, 200)]
    )
    inputs = [x, weight, bias] if with_bias else [x, weight]
    for each in inputs:
        each.requires_grad_()
    with rounding(CPU, "bfloat16"):
        y = kernels.linear(x, weight, bias if with_bias else None)
        gradients = torch.autograd.grad(y, inputs, direction)
    a, b, g = (tensor.detach().bfloat16().double() for tensor in (x, weight, direction))
    near(y - bias if with_bias else y, a @ b.t())
    near(gradients[0], g @ b)
    near(gradients[1], g.t() @ a)
    if with_bias:
        near(gradients[2], direction.sum(0).double())
    # Rounding is seen: what is near the rounded product is far from the plain one.
    assert (y.double() - torch.nn.functional.linear(*(each.double() for each in inputs))).abs().max() > 1e-2


@needs_units
def test_a_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(8, 16, 9, 9, generator=generator), torch.randn(32, 16, 3, 3, generator=generator)
    with rounding(CPU, "bfloat16"):
        y = torch.nn.functional.conv2d(x, weight)
    near(y, torch.nn.functional.conv2d(x.bfloat16().double(), weight.bfloat16().double()))


def test_afterwards_nothing_is_rounded() -> None:
    x = torch.randn(64, 300, generator=torch.Generator().manual_seed(0))
    before = x @ x.t()
    with pytest.raises(KeyError), rounding(CPU, "bfloat16"):
        raise KeyError
    with rounding(CPU, "float32"):
        assert torch.equal(x @ x.t(), before)
    assert torch.equal(x @ x.t(), before)


ASKED = "from vaekit.kernels import rounds_on_processors; print(rounds_on_processors())"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these sets of instructions are of x86")
@pytest.mark.parametrize("instructions", ["AVX512_CORE", "AVX2", "SSE41"])
def test_a_processor_without_units_for_bfloat16_is_seen(instructions: str) -> None:
    """torch's own flag is true of the first, where nothing is rounded."""
    variables = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
    done = subprocess.run([sys.executable, "-c", ASKED], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_to_ask_consumes_no_random_numbers_and_leaves_no_switch_behind() -> None:
    kernels.rounds_on_processors.cache_clear()
    switch = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = torch.get_rng_state(), switch.fp32_precision
    kernels.rounds_on_processors()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert switch.fp32_precision == before[1]
