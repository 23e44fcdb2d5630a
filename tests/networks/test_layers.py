"""Layers with a faster way are torch's layers, to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit.networks.layer import ConvTranspose2d, Linear


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
def test_a_transposed_convolution(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    theirs = nn.ConvTranspose2d(4, 6, **options).double()  # type: ignore[arg-type]
    mine = ConvTranspose2d(4, 6, **options).double()  # type: ignore[arg-type]
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 4, 7, 6, dtype=torch.float64, requires_grad=True)
    y = mine(x)
    torch.testing.assert_close(y, theirs(x))
    direction = torch.randn_like(y)
    wanted = torch.autograd.grad(theirs(x), (x, *theirs.parameters()), direction)
    for one, other in zip(torch.autograd.grad(y, (x, *mine.parameters()), direction), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_linear_layer_in_double_precision_is_exactly_torchs() -> None:
    torch.manual_seed(0)
    theirs = nn.Linear(700, 500).double()
    mine = Linear(700, 500).double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 5, 700, dtype=torch.float64)
    assert torch.equal(mine(x), theirs(x))
