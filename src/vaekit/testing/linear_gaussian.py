"""Linear-Gaussian models: every bound on log p(x) has a closed form to be held against.

p(z) = N(0, I), p(x|z) = N(Wz + b, σ²I), so that p(x) = N(b, WWᵀ + σ²I) and p(z|x) = N(Λ⁻¹Wᵀ(x − b)/σ², Λ⁻¹)
with Λ = I + WᵀW/σ². They are ordinary vaekit models in float64 whose networks have no layers and whose
weights are set by hand.

>>> from vaekit.data.batch import Batch
>>> oracle = exact()
>>> x = oracle.sample(3)
>>> bool((oracle.model.draw(Batch(x), samples=5).log_w - oracle.log_p(x)).abs().max() < 1e-10)
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from vaekit.likelihoods import Gaussian
from vaekit.models.vae import VAE
from vaekit.networks import Affine, Concatenate
from vaekit.posteriors import Chain as ChainPosterior
from vaekit.posteriors import Cholesky, Diagonal
from vaekit.priors import Chain as ChainPrior
from vaekit.priors import StandardNormal
from vaekit.testing.statistics import seeded


class Conditional(NamedTuple):
    """N(matrix · given + offset, covariance)."""

    matrix: Tensor
    offset: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class LinearGaussian:
    """A model and what is known of it.

    Attributes:
        model: the VAE.
        weight: W, ``(data, latent)``.
        bias: b, ``(data,)``.
        scale: σ.
        posterior: q(z|x) as it was set, given x; ``None`` for a chain.
    """

    model: VAE
    weight: Tensor
    bias: Tensor
    scale: float
    posterior: Conditional | None

    def log_p(self, x: Tensor) -> Tensor:
        """log p(x) = log N(x; b, WWᵀ + σ²I) in nats, ``(batch,)``."""
        return self._marginal.log_prob(x)

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Rows of data from p(x), ``(count, data)``."""
        with seeded(seed):
            return self._marginal.sample(torch.Size([count]))

    def gap(self, x: Tensor) -> Tensor:
        """KL(q(z|x)‖p(z|x)) in nats, ``(batch,)``: how far the evidence lower bound is below log p(x)."""
        assert self.posterior is not None
        q = MultivariateNormal(x @ self.posterior.matrix.T + self.posterior.offset, self.posterior.covariance)
        return kl_divergence(q, self.exact_posterior(x))

    def exact_posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z|x), batch shape ``(batch,)``."""
        matrix, offset, covariance = exact_conditional(self.weight, self.bias, self.scale)
        return MultivariateNormal(x @ matrix.T + offset, covariance)

    @property
    def mean_field_gap(self) -> float:
        """½ [Σ log Λ_ii − log|Λ|]: the gap of the best posterior with independent dimensions, for every x."""
        precision = _precision(self.weight, self.scale)
        return 0.5 * (precision.diagonal().log().sum() - torch.linalg.slogdet(precision)[1]).item()

    @property
    def _marginal(self) -> MultivariateNormal:
        noise = self.scale**2 * torch.eye(len(self.bias), dtype=self.bias.dtype)
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + noise)


def exact(latent_dim: int = 2, data_dim: int = 3, scale: float = 0.75, seed: int = 0) -> LinearGaussian:
    """The posterior is exact: log_w is log p(x), whatever is drawn."""
    weight, bias = _random_map(latent_dim, data_dim, seed)
    return with_posterior(weight, bias, scale, exact_conditional(weight, bias, scale))


def wrong(
    latent_dim: int = 2, data_dim: int = 3, scale: float = 0.75, seed: int = 0, diagonal: bool = False
) -> LinearGaussian:
    """The posterior's mean is off by 0.3 and its scale is too large by a fifth."""
    weight, bias = _random_map(latent_dim, data_dim, seed)
    matrix, offset, covariance = exact_conditional(weight, bias, scale)
    if diagonal:
        covariance = torch.diag(covariance.diagonal())
    return with_posterior(weight, bias, scale, Conditional(matrix, offset + 0.3, 1.44 * covariance), diagonal)


def mean_field(latent_dim: int = 2, data_dim: int = 3, scale: float = 0.75, seed: int = 0) -> LinearGaussian:
    """The best posterior with independent dimensions: exact means, variances 1/Λ_ii."""
    weight, bias = _random_map(latent_dim, data_dim, seed)
    matrix, offset, _ = exact_conditional(weight, bias, scale)
    covariance = torch.diag(1 / _precision(weight, scale).diagonal())
    return with_posterior(weight, bias, scale, Conditional(matrix, offset, covariance), diagonal=True)


def with_posterior(
    weight: Tensor, bias: Tensor, scale: float, posterior: Conditional, diagonal: bool = False
) -> LinearGaussian:
    """The model with any linear-Gaussian posterior, set into ``Diagonal`` or ``Cholesky``."""
    data_dim, latent_dim = weight.shape
    q = _gaussian(data_dim, 0, posterior, diagonal)
    likelihood = _likelihood(Affine(latent_dim), weight, bias, scale)
    model = VAE(StandardNormal(latent_dim), q, likelihood).double()
    return LinearGaussian(model, weight, bias, scale, posterior)


def hierarchy(bottom_up: bool = False, scale: float = 0.75, seed: int = 0) -> LinearGaussian:
    """Two levels with the exact posterior: z2 ~ N(0, I), z1|z2 and x|z1, z2 linear-Gaussian.

    Args:
        bottom_up: q(z1|x) q(z2|x, z1) instead of q(z2|x) q(z1|x, z2).
        scale: σ of the data, a number that float32 holds exactly.
        seed: of the weights.
    """
    top, low, data = 2, 2, 3
    with seeded(seed):
        between, offset = torch.randn(low, top).double(), torch.randn(low).double()
        weight, bias = torch.randn(data, top + low).double(), torch.randn(data).double()
    spread = torch.tensor([0.5, 0.8]).double()  # standard deviations of z1 given z2
    # The joint of (z2, z1): z2 = e2, z1 = A z2 + a + s e1.
    mean_z = torch.cat([torch.zeros(top).double(), offset])
    factor = torch.zeros(top + low, top + low).double()
    factor[:top, :top] = torch.eye(top)
    factor[top:, :top], factor[top:, top:] = between, torch.diag(spread)
    covariance_z = factor @ factor.T
    mean = torch.cat([mean_z, weight @ mean_z + bias])
    cross = covariance_z @ weight.T
    covariance_x = weight @ cross + scale**2 * torch.eye(data).double()
    joint = torch.cat([torch.cat([covariance_z, cross], 1), torch.cat([cross.T, covariance_x], 1)])
    z2, z1, x = (list(range(a, b)) for a, b in ((0, top), (top, top + low), (top + low, top + low + data)))
    if bottom_up:
        order = {"z1": conditional(mean, joint, z1, x), "z2": conditional(mean, joint, z2, x + z1)}
    else:
        order = {"z2": conditional(mean, joint, z2, x), "z1": conditional(mean, joint, z1, x + z2)}
    levels = {name: _gaussian(data, given.matrix.shape[1] - data, given) for name, given in order.items()}
    prior = ChainPrior(
        {
            "z2": StandardNormal(top),
            "z1": _gaussian(top, 0, Conditional(between, offset, torch.diag(spread.square())), diagonal=True),
        }
    )
    likelihood = _likelihood(Concatenate(Affine(top + low)), weight, bias, scale)
    model = VAE(prior, ChainPosterior(levels), likelihood).double()
    # Seen from the data the two levels are one latent e ~ N(0, I): x = W (factor e + mean_z) + b + noise.
    return LinearGaussian(model, weight @ factor, weight @ mean_z + bias, scale, None)


def conditional(mean: Tensor, covariance: Tensor, of: list[int], given: list[int]) -> Conditional:
    """The conditional of some coordinates of a joint Gaussian, given others."""
    matrix = torch.linalg.solve(covariance[given][:, given], covariance[given][:, of]).T
    left = covariance[of][:, of] - matrix @ covariance[given][:, of]
    return Conditional(matrix, mean[of] - matrix @ mean[given], 0.5 * (left + left.T))


def exact_conditional(weight: Tensor, bias: Tensor, scale: float) -> Conditional:
    """p(z|x) of the one-level model."""
    covariance = torch.linalg.inv(_precision(weight, scale))
    matrix = covariance @ weight.T / scale**2
    return Conditional(matrix, -matrix @ bias, covariance)


def _precision(weight: Tensor, scale: float) -> Tensor:
    return torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / scale**2


def _random_map(latent_dim: int, data_dim: int, seed: int) -> tuple[Tensor, Tensor]:
    with seeded(seed):
        return torch.randn(data_dim, latent_dim).double(), torch.randn(data_dim).double()


def _raw(scale: Tensor, minimum: float) -> Tensor:
    """The inverse of :func:`vaekit.networks.network.positive`."""
    return torch.expm1(scale - minimum).log() - math.log(math.expm1(1 - minimum))


@torch.no_grad()
def _gaussian(data_dim: int, condition_dim: int, given: Conditional, diagonal: bool = False) -> nn.Module:
    """A posterior part whose distribution is N(matrix · [x, condition] + offset, covariance)."""
    latent_dim = len(given.offset)
    part = (Diagonal if diagonal else Cholesky)(Affine(data_dim, condition_dim), latent_dim).double()
    linear = part.head.linear
    assert isinstance(linear, nn.Linear)
    linear.weight.zero_()
    linear.weight[:latent_dim] = given.matrix
    if diagonal:
        linear.bias.copy_(torch.cat([given.offset, _raw(given.covariance.diagonal().sqrt(), part.minimum_scale)]))
    else:
        lower = torch.linalg.cholesky(given.covariance)
        raw = _raw(lower.diagonal(), part.minimum_scale)
        linear.bias.copy_(torch.cat([given.offset, raw, lower.flatten()]))
    return part


@torch.no_grad()
def _likelihood(network: nn.Module, weight: Tensor, bias: Tensor, scale: float) -> Gaussian:
    if torch.tensor(scale, dtype=torch.float32).item() != scale:
        raise ValueError(f"the scale must be a number that float32 holds exactly (0.5, 0.75 …), got {scale}")
    part = Gaussian(network, (len(bias),), scale=scale).double()
    linear = part.head.linear
    assert isinstance(linear, nn.Linear)
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)
    return part
