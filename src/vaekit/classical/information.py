"""Self-information, entropy, cross-entropy and divergence of finite distributions (Shannon 1948).

Probabilities lie on the last axis; 0 log 0 is 0. ``base`` is that of the logarithm: e for nats, 2 for bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def self_information(p: Tensor, base: float = math.e) -> Tensor:
    """I = −log p of each outcome; infinite where p is 0.

    >>> import torch
    >>> self_information(torch.tensor([0.5, 0.25]), base=2)
    tensor([1., 2.])
    """
    return -_checked(p, sums=False).log() / math.log(base)


def entropy(p: Tensor, base: float = math.e) -> Tensor:
    """H(P) = −Σ p log p.

    >>> import torch
    >>> entropy(torch.tensor([0.25, 0.25, 0.25, 0.25]), base=2)
    tensor(2.)
    """
    return cross_entropy(p, p, base)


def cross_entropy(p: Tensor, q: Tensor, base: float = math.e) -> Tensor:
    """H(P, Q) = −Σ p log q: the mean length of a code made for Q; infinite where Q rules out what P has."""
    p, q = _checked(p), _checked(q)
    return -torch.special.xlogy(p, q).sum(-1) / math.log(base)


def kl_divergence(p: Tensor, q: Tensor, base: float = math.e) -> Tensor:
    """KL(P‖Q) = Σ p log (p/q) = H(P, Q) − H(P): never below 0, and 0 only for equal distributions; not symmetric."""
    p, q = _checked(p), _checked(q)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1) / math.log(base)


def _checked(p: Tensor, sums: bool = True) -> Tensor:
    """The same probabilities, if they are some.

    Raises:
        ValueError: if these are no probabilities.
    """
    if bool((p < 0).any()) or bool((p > 1 + 1e-5).any()) or bool(p.isnan().any()):
        raise ValueError("probabilities are numbers from 0 to 1")
    if sums and not torch.allclose(p.sum(-1), p.new_ones(()), atol=1e-5):
        raise ValueError("the probabilities on the last axis do not sum to 1")
    return p
