"""Layers with a faster way are torch's layers, to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit.kernels import Shape, transposed
from vaekit.kernels.convolution import plain
from vaekit.networks.network import Conv2d, ConvTranspose2d, Linear


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3},
        {"kernel_size": (2, 5), "padding": (1, 3)},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "stride": (1, 2), "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 3, "dilation": 2},
        {"kernel_size": 3, "groups": 2},
        {"kernel_size": 3, "padding": 1, "bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_transposed_convolution(options: dict[str, object], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    theirs = nn.ConvTranspose2d(4, 6, **options).to(dtype)  # type: ignore[arg-type]
    mine = ConvTranspose2d(4, 6, **options).to(dtype)  # type: ignore[arg-type]
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 4, 7, 6, dtype=dtype, requires_grad=True)
    y = mine(x)
    torch.testing.assert_close(y, theirs(x))
    direction = torch.randn_like(y)
    wanted = torch.autograd.grad(theirs(x), (x, *theirs.parameters()), direction)
    for one, other in zip(torch.autograd.grad(y, (x, *mine.parameters()), direction), wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="without oneDNN it is torch's own way")
@pytest.mark.parametrize("channels_last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("out", "kernel", "shape"),
    [
        (6, 3, Shape((2, 2))),
        (6, 3, Shape((2, 2), crop=1)),
        (6, 3, Shape((2, 2), crop=2, rectified=True)),
        (6, 3, Shape((2, 1), (1, 1), (1, 0), rectified=True)),
        (1, 3, Shape(padding=(1, 1))),
        (1, 4, Shape(padding=(3, 2), rectified=True)),
        (1, 3, Shape(crop=1)),
        (1, 3, Shape(padding=(2, 0))),
        (1, 3, Shape((2, 2), (1, 1), (1, 1))),
    ],
    ids=str,
)
def test_the_fast_transposed_convolution_and_its_gradients(
    out: int, kernel: int, shape: Shape, bias: bool, channels_last: bool
) -> None:
    """float32 beside torch's own, the gradient and the gradient of the gradient too."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(3, 4, 7, 6).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(4, out, kernel, kernel).contiguous(memory_format=layout).requires_grad_()
    offset = torch.randn(out, requires_grad=True) if bias else None
    terms = [x, weight, *([] if offset is None else [offset])]
    fast, slow = (way(x, weight, offset, shape) for way in (transposed, plain))
    assert fast.grad_fn is not None
    assert "Transposed" in fast.grad_fn.name()
    torch.testing.assert_close(fast, slow)
    direction = torch.randn_like(slow, requires_grad=True)
    once = [torch.autograd.grad(y, terms, direction.detach(), retain_graph=True) for y in (fast, slow)]
    torch.testing.assert_close(*once)
    twice = []
    for y in (fast, slow):
        gradient = torch.stack([g.square().mean() for g in torch.autograd.grad(y, terms, direction, create_graph=True)])
        twice.append(torch.autograd.grad(gradient.sum(), [*terms, direction], materialize_grads=True))
    torch.testing.assert_close(*twice)


@pytest.mark.parametrize("needed", [(True, False), (False, True)], ids=["input only", "weight only"])
def test_only_the_gradients_that_are_wanted(needed: tuple[bool, bool]) -> None:
    x, weight = (
        torch.randn(size).requires_grad_(need) for size, need in zip([(2, 4, 5, 5), (4, 3, 3, 3)], needed, strict=True)
    )
    transposed(x, weight, None, Shape((2, 2), crop=1, rectified=True)).sum().backward()
    assert [x.grad is not None, weight.grad is not None] == list(needed)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (2, 5), "padding": (1, 3)},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "padding": 4},
        {"kernel_size": 3, "padding": 1, "bias": False},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_a_convolution_to_one_channel(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    theirs, mine = nn.Conv2d(4, 1, **options), Conv2d(4, 1, **options)  # type: ignore[arg-type]
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 4, 7, 6, requires_grad=True)
    y = mine(x)
    torch.testing.assert_close(y, theirs(x))
    direction = torch.randn_like(y)
    wanted = torch.autograd.grad(theirs(x), (x, *theirs.parameters()), direction)
    torch.testing.assert_close(torch.autograd.grad(y, (x, *mine.parameters()), direction), wanted)


def test_a_linear_layer_in_double_precision_is_exactly_torchs() -> None:
    torch.manual_seed(0)
    theirs = nn.Linear(700, 500).double()
    mine = Linear(700, 500).double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 5, 700, dtype=torch.float64)
    assert torch.equal(mine(x), theirs(x))
