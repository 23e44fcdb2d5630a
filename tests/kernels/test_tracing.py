"""What is computed while it is written down is what is computed otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.distributions.bernoulli import bernoulli_log_prob
from vaekit.kernels import Shape, linear, transposed
from vaekit.kernels.tracing import traced, tracing
from vaekit.training.optimizers import total_norm


def written(compute: Callable[[], Tensor]) -> Tensor:
    assert not traced()
    with tracing():
        assert traced()
        return compute()


@pytest.mark.parametrize("dims", [1, 7, 8, 19])
@pytest.mark.parametrize("bits", [True, False])
def test_log_p_of_bits_and_its_gradient(dims: int, bits: bool) -> None:
    """Of small and of large logits, in groups of eight and with a rest, to torch's cross entropy in float64."""
    generator = torch.Generator().manual_seed(dims)
    logits = (torch.randn(50, dims, generator=generator).double() * 20).requires_grad_()
    x = torch.rand(50, dims, generator=generator).double()
    x = (x < 0.5).double() if bits else x
    exact = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    found = written(lambda: bernoulli_log_prob(logits, x))
    torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(found.sum(), logits)
    torch.testing.assert_close(slope, x - logits.detach().sigmoid(), rtol=1e-12, atol=1e-12)


def test_logits_that_are_very_large() -> None:
    logits, x = torch.tensor([[1e4, -1e4, 1e4, -1e4] * 4]), torch.tensor([[1.0, 0.0, 0.0, 1.0] * 4])
    assert written(lambda: bernoulli_log_prob(logits, x)).tolist() == [-8e4]


@pytest.mark.parametrize("bias", [True, False])
def test_layers(bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, shift = torch.randn(5, 8), torch.randn(3, 8), torch.randn(3) if bias else None
    torch.testing.assert_close(written(lambda: linear(x, weight, shift)), F.linear(x, weight, shift))
    maps, kernel = torch.randn(2, 4, 5, 5), torch.randn(4, 3, 3, 3)
    shape = Shape(stride=(2, 2), padding=(1, 1), output_padding=(1, 1), crop=1, rectified=True)
    whole = F.conv_transpose2d(maps, kernel, shift, 2, 1, 1)
    torch.testing.assert_close(
        written(lambda: transposed(maps, kernel, shift, shape)), whole[..., :-1, :-1].relu(), rtol=1e-5, atol=1e-5
    )


def test_a_norm() -> None:
    tensors = [torch.tensor([[1.0, 2.0]]), torch.tensor(2.0), torch.zeros(3)]
    assert written(lambda: total_norm(tensors)).item() == 3
    assert not written(lambda: total_norm([torch.tensor([torch.nan])])).isfinite()
