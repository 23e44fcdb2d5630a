"""Enumerable models, whose p(x) is a sum.

x has a few binary elements, so that Σ_x p(x) can be written out; the latent is one number, so that its
integral is a quadrature, or a grid of a few codes, so that it is a sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.likelihoods import Bernoulli
from vaekit.models.m2 import M2
from vaekit.models.vae import VAE
from vaekit.networks import MLP, ConvolutionalDecoder, ConvolutionalEncoder, MovingAverageCodebook
from vaekit.posteriors import Diagonal, Quantized
from vaekit.priors import AutoregressiveCodes, StandardNormal
from vaekit.testing.finite import code_vectors, every_binary, every_grid
from vaekit.testing.statistics import assert_equal, assert_mean, reproducible, seeded

LATENT_POINTS = 2001


@dataclass(frozen=True)
class Enumerable:
    """A model in float64 and its p(x).

    Attributes:
        model: the model.
        every_x: all data that can be, ``(values, *event)``.
        log_p: log p(x) of rows ``(batch, *event)`` in nats, exact, ``(batch,)``.
    """

    model: nn.Module
    every_x: Tensor
    log_p: Callable[[Tensor], Tensor]


@reproducible
def check_unbiased(case: Enumerable, samples: int = 20_000) -> None:
    """The importance weight exp(log_w) has the mean p(x), for every x, and so Σ_x of its means is one.

    Args:
        case: a model whose ``every_x`` is all data that can be.
        samples: draws for each x.

    Raises:
        AssertionError: if p(x) does not sum to one, or the weights are not unbiased for it.
    """
    log_p = case.log_p(case.every_x)
    assert_equal(log_p.logsumexp(0), 0.0, "log Σ_x p(x)")
    model: Any = case.model
    with seeded(), torch.no_grad():
        weight = model.draw(Batch(case.every_x), samples).log_w.exp()
    assert_mean(weight, log_p.exp(), "the mean importance weight, against p(x),")
    assert_mean(weight.sum(1), 1.0, "the sum over every x of the importance weights")


def binary_vae(dims: int = 4, seed: int = 0) -> Enumerable:
    """A VAE with one latent number and binary data; p(x) = ∫ p(z) p(x|z) dz by trapezia."""
    with seeded(seed):
        model = VAE(
            StandardNormal(1),
            Diagonal(MLP(dims, hidden=(8,), activation="tanh"), 1),
            Bernoulli(MLP(1, hidden=(8,), activation="tanh"), (dims,)),
        )
        _spread(model.likelihood)
    model = model.double().eval()
    return Enumerable(model, every_binary(dims), lambda x: _integrate(lambda z: model.likelihood(z), x))


def m2(dims: int = 4, num_classes: int = 3, seed: int = 0) -> Enumerable:
    """M2 with one latent number and binary data; p(x) = Σ_y p(y) ∫ p(z) p(x|y, z) dz.

    With ``label`` set, :func:`m2_log_joint` gives log p(x, y).
    """
    with seeded(seed):
        model = M2(
            classifier=MLP(dims, hidden=(8,), activation="tanh"),
            posterior=Diagonal(MLP(dims, hidden=(8,), activation="tanh", condition_dim=num_classes), 1),
            likelihood=Bernoulli(MLP(1, hidden=(8,), activation="tanh", condition_dim=num_classes), (dims,)),
            prior=StandardNormal(1),
            num_classes=num_classes,
        )
        _spread(model.likelihood)
    model = model.double().eval()

    def log_p(x: Tensor) -> Tensor:
        labels = [torch.full((len(x),), label) for label in range(num_classes)]
        return torch.stack([m2_log_joint(model, x, label) for label in labels]).logsumexp(0)

    return Enumerable(model, every_binary(dims), log_p)


def m2_log_joint(model: M2, x: Tensor, label: Tensor) -> Tensor:
    """log p(x, y) = log p(y) + log ∫ p(z) p(x|y, z) dz in nats, ``(batch,)``."""
    y = nn.functional.one_hot(label, model.num_classes).to(x.dtype)
    return _integrate(lambda z: model.likelihood(z.expand(-1, len(x), -1), y), x) - math.log(model.num_classes)


def quantized(num_codes: int = 2, seed: int = 0) -> Enumerable:
    """A quantised VAE of 4 × 4 binary images with codes on a 2 × 2 grid; p(x) = Σ_codes p(codes) p(x|codes)."""
    image, channels, grid = (1, 4, 4), (3,), (2, 2)
    with seeded(seed):
        codebook = MovingAverageCodebook(num_codes, code_dim=2)
        model = VAE(
            AutoregressiveCodes(codebook, grid, channels=4, num_layers=2),
            Quantized(ConvolutionalEncoder(image, channels), codebook, grid),
            Bernoulli(ConvolutionalDecoder((2, *grid), image, channels), image),
        )
        _spread(model.likelihood)
        _spread(model.prior)
        x = torch.rand(64, *image).round().double()
    model = model.double().eval()
    indices = every_grid(num_codes, grid)

    def log_p(x: Tensor) -> Tensor:
        prior = model.prior()
        codes = code_vectors(prior, indices)
        return (prior.log_prob(codes)[:, None] + model.likelihood(codes.unsqueeze(1)).log_prob(x)).logsumexp(0)

    return Enumerable(model, x, log_p)


def _integrate(p_given: Callable[[Tensor], torch.distributions.Distribution], x: Tensor) -> Tensor:
    """log ∫ N(z; 0, 1) p(x|z) dz by trapezia over ±10, ``(batch,)``."""
    z = torch.linspace(-10, 10, LATENT_POINTS, dtype=x.dtype).reshape(-1, 1, 1)
    log_pz = -0.5 * (z[..., 0].square() + math.log(2 * math.pi))
    step = 20 / (LATENT_POINTS - 1)
    return (log_pz + p_given(z).log_prob(x)).logsumexp(0) + math.log(step)


@torch.no_grad()
def _spread(module: nn.Module) -> None:
    """Larger weights, so that the latent matters."""
    for parameter in module.parameters():
        parameter.mul_(2)
