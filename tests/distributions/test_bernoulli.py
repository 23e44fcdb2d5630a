"""The fast log p of zeros and ones is torch's, with its gradient and the gradient of that."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent

from vaekit.distributions import IndependentBernoulli, bernoulli
from vaekit.distributions import log_prob as masked_log_prob
from vaekit.distributions.bernoulli import FACTORS, bernoulli_log_prob

DIMS = [1, 3, 4, 5, FACTORS - 1, FACTORS, FACTORS + 1, 784]


def tensors(dims: int, scale: float = 3.0, *leading: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(dims)
    logits = scale * torch.randn(*leading, 3, dims, generator=generator, dtype=torch.float64)
    return logits, torch.rand(3, dims, generator=generator, dtype=torch.float64)


def of_torch(logits: Tensor, x: Tensor) -> Tensor:
    return Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False).log_prob(x)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("grey", [True, False])
def test_it_is_torchs_to_rounding(dims: int, grey: bool) -> None:
    logits, x = tensors(dims, 3.0, 2)
    x = x if grey else x.round()
    torch.testing.assert_close(bernoulli_log_prob(logits, x), of_torch(logits, x), rtol=1e-13, atol=1e-13)
    with torch.enable_grad():
        with_gradient = bernoulli_log_prob(logits.requires_grad_(), x)
    torch.testing.assert_close(with_gradient, of_torch(logits, x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0, 100.0])
def test_float32_is_as_near_as_torchs(scale: float) -> None:
    logits, _ = tensors(784, scale, 200)
    logits = logits.float()
    x = torch.bernoulli(torch.sigmoid(logits), generator=torch.Generator().manual_seed(0))
    true = of_torch(logits.double(), x.double())
    error, torchs = (one.double() - true for one in (bernoulli_log_prob(logits, x), of_torch(logits, x)))
    assert error.abs().max() < 2 * torchs.abs().max()
    # The roundings must not all go one way: an estimate of log p(x) would be off by their sum.
    assert error.mean().abs() < 1e-5


@pytest.mark.parametrize("dims", [1, FACTORS, FACTORS + 3])
@pytest.mark.parametrize("leading", [(), (2,)])
def test_gradients(dims: int, leading: tuple[int, ...]) -> None:
    logits, x = tensors(dims, 1.0, *leading)
    inputs = logits.requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(bernoulli_log_prob, inputs)
    assert torch.autograd.gradgradcheck(bernoulli_log_prob, inputs)


@pytest.mark.parametrize("scale", [0.1, 5.0, 50.0])
def test_both_forms_agree_where_the_first_is_finite(scale: float) -> None:
    logits, x = tensors(784, scale, 20)
    logits, x = logits.float(), x.round().float()
    bits, shades = bernoulli._of_bits(logits, x), bernoulli._of_shades(logits, x)
    torch.testing.assert_close(bits[bits.isfinite()], shades[bits.isfinite()], rtol=1e-5, atol=1e-4)
    assert bits.isfinite().all() == (scale < 10)
    assert torch.equal(bernoulli_log_prob(logits, x), bits if scale < 10 else shades)
    # One draw for a row: it is not worth a look whether x is of zeros and ones.
    assert torch.equal(bernoulli_log_prob(logits[0], x), bernoulli._of_shades(logits[0], x))


def test_large_logits_are_finite_and_right() -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4, 1e30, 0.0]], requires_grad=True)
    right = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    log_p = bernoulli_log_prob(logits, right)
    torch.testing.assert_close(log_p, torch.tensor([0.5]).log())  # only the last one is not sure
    (slope,) = torch.autograd.grad(log_p.sum(), logits)
    torch.testing.assert_close(slope, torch.tensor([[0.0, 0, 0, 0, 0, 0.5]]))
    wrong = bernoulli_log_prob(logits[:, :2], 1 - right[:2])
    torch.testing.assert_close(wrong, torch.tensor([-2e4]))
    every = bernoulli_log_prob(torch.zeros(10 * FACTORS), torch.ones(10 * FACTORS))
    torch.testing.assert_close(every, -10 * FACTORS * torch.tensor(2.0).log())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_numbers_go_torchs_way(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, x = (tensor.to(dtype) for tensor in tensors(12))
    expected = of_torch(logits, x)
    monkeypatch.setattr(bernoulli, "_forward", lambda logits, x: pytest.fail("the fast way"))
    assert torch.equal(bernoulli_log_prob(logits, x), expected)


def test_leading_axes_broadcast_either_way() -> None:
    logits, x = tensors(70)
    many = torch.stack([x, 1 - x])
    for one, other in ((logits, many), (logits.unsqueeze(1), x), (logits[:1], x)):
        torch.testing.assert_close(bernoulli_log_prob(one, other), of_torch(one, other))
    assert bernoulli_log_prob(logits[:0], x[:0]).shape == (0,)


@pytest.mark.parametrize("event_dims", [0, 1, 3])
def test_distribution(event_dims: int) -> None:
    torch.manual_seed(0)
    event = (2, 3, 3)[:event_dims]
    base = Bernoulli(logits=torch.randn(5, 4, *event), validate_args=False)
    fast, slow = (kind(base, event_dims, validate_args=False) for kind in (IndependentBernoulli, Independent))
    x = torch.rand(4, *event).round()
    assert fast.log_prob(x).shape == fast.batch_shape == slow.batch_shape
    torch.testing.assert_close(fast.log_prob(x), slow.log_prob(x))
    mask = torch.rand(4, *event) < 0.5
    assert torch.equal(masked_log_prob(fast, x, mask), masked_log_prob(slow, x, mask))
    assert torch.equal(masked_log_prob(fast, x), fast.log_prob(x))
    wider = torch.Size([2]) + fast.batch_shape
    torch.testing.assert_close(fast.expand(wider).log_prob(x), slow.expand(wider).log_prob(x))


def test_transforms_of_torch_func() -> None:
    """Per-row gradients and the curvature of log p(x|z), as for a Laplace approximation."""
    torch.manual_seed(0)
    x, logits = torch.rand(5, 9).round(), torch.randn(5, 9)
    slopes = torch.func.vmap(torch.func.grad(bernoulli_log_prob))(logits, x)
    torch.testing.assert_close(slopes, x - logits.sigmoid())
    curvature = torch.func.vmap(torch.func.hessian(bernoulli_log_prob))(logits, x)
    torch.testing.assert_close(curvature, torch.diag_embed(-logits.sigmoid() * (-logits).sigmoid()))
