"""One draw from the posterior, with every density that a bound or an estimator needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.errors import UserError
from vaekit.networks.concatenate import side_by_side

Lazy = Tensor | Callable[[], Tensor]


class Latent:
    """One latent of a draw. Densities in nats, shape ``(samples, [branches,] batch)``.

    A bound asks for the divergence, an importance weight for the densities: what is given as a function is computed
    when it is asked for, once.

    Args:
        value: z, ``(samples, [branches,] batch, *event)``.
        log_pz: log p(z | latents above).
        log_qz: log q(z | x, latents before); ``None`` where the posterior has no density.
        divergence: KL(q‖p) of this level by a formula, and its split over dimensions where both sides factorise;
            or a function that gives them, or ``None`` where there is no formula.
    """

    def __init__(
        self,
        value: Tensor,
        log_pz: Lazy,
        log_qz: Lazy | None,
        divergence: Callable[[], tuple[Tensor, Tensor | None] | None] = lambda: None,
    ) -> None:
        self.value = value
        self.has_density = log_qz is not None
        self._given = (log_pz, log_qz, divergence)

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z | latents above)."""
        return _value(self._given[0])

    @cached_property
    def log_qz(self) -> Tensor | None:
        """log q(z | x, latents before); ``None`` where the posterior has no density."""
        return None if self._given[1] is None else _value(self._given[1])

    @cached_property
    def _formula(self) -> tuple[Tensor, Tensor | None] | None:
        return self._given[2]()

    @property
    def kl(self) -> Tensor:
        """KL(q‖p) of this level: the formula where there is one, else ``log_qz − log_pz``; zero without a density."""
        if self._formula is not None:
            return self._formula[0]
        return torch.zeros_like(self.log_pz) if self.log_qz is None else self.log_qz - self.log_pz

    @property
    def kl_dims(self) -> Tensor | None:
        """The formula split over dimensions, ``(samples, [branches,] batch, latent)``; else ``None``."""
        return None if self._formula is None else self._formula[1]

    def replace(self, **changes: Any) -> Latent:
        """The same with another ``value``, ``log_pz``, ``log_qz`` or ``divergence``."""
        log_pz, log_qz, divergence = self._given
        return Latent(**{"value": self.value, "log_pz": log_pz, "log_qz": log_qz, "divergence": divergence} | changes)


def _value(given: Lazy) -> Tensor:
    return given() if callable(given) else given


def over_samples(value: Tensor) -> Tensor:
    """The mean over draws of ``(samples, *rest)``; of a single one it is that one."""
    return value[0] if len(value) == 1 else value.mean(0)


class Draw(NamedTuple):
    """What ``model.draw(batch, samples=K)`` returns. Every bound and estimator is written on it.

    Attributes:
        latents: by name, in the order of the prior.
        log_px: log p(x|z), ``(samples, [branches,] batch)``, in nats.
        penalty: what training subtracts from the bound beside the KL (commitment …), ``(batch,)``; not
            part of any density.
        log_branch: if a discrete latent is summed out instead of drawn: log q(branch|x), ``([samples,] branches,
            batch)``; an observed branch has 0 and the others −∞.
    """

    latents: dict[str, Latent]
    log_px: Tensor
    penalty: Tensor | float = 0.0
    log_branch: Tensor | None = None

    @property
    def z(self) -> Tensor:
        """All latents side by side, ``(samples, [branches,] batch, units)``."""
        return beside({name: latent.value for name, latent in self.latents.items()})

    def penalized(self, value: Tensor) -> Tensor:
        """A bound less what training subtracts from it beside the KL, ``(batch,)``."""
        return value - self.penalty if isinstance(self.penalty, Tensor) or self.penalty else value

    @property
    def has_density(self) -> bool:
        """Whether log q(z|x) exists, without which there is no bound on log p(x)."""
        return all(latent.has_density for latent in self.latents.values())

    def expect(self, value: Tensor) -> Tensor:
        """E over the enumerated branches of ``(samples, [branches,] batch)``; the only place that sums them."""
        if self.log_branch is None:
            return value
        weight = self.log_branch.exp()
        return (weight * torch.where(weight > 0, value, torch.zeros_like(value))).sum(-2)

    def log_expect(self, log_value: Tensor) -> Tensor:
        """log E over the enumerated branches of exp(log_value), ``(samples, [branches,] batch)``."""
        return log_value if self.log_branch is None else torch.logsumexp(log_value + self.log_branch, dim=-2)

    @property
    def kl(self) -> Tensor:
        """Σ over latents of KL(q‖p), ``(samples, batch)``, in nats."""
        each = [latent.kl for latent in self.latents.values()]
        return self.expect(each[0] if len(each) == 1 else torch.stack(torch.broadcast_tensors(*each)).sum(0))

    @property
    def elbo(self) -> Tensor:
        """E log p(x|z) − KL, ``(samples, batch)``, in nats: a lower bound on log p(x) (Kingma & Welling 2013, eq. 3).

        Raises:
            UserError: if the posterior has no density.
        """
        self._needs_density("an evidence lower bound")
        return self.expect(self.log_px) - self.kl

    @property
    def log_w(self) -> Tensor:
        """log importance weight log p(x, z) − log q(z|x), ``(samples, batch)``, in nats.

        With enumerated branches it is log Σ_b q(b|x) w_b: the branch is summed inside the logarithm, and
        exp(log_w) is an unbiased estimate of p(x) all the same.

        Raises:
            UserError: if the posterior has no density.
        """
        return self.log_expect(self.log_w_given_branch)

    @property
    def log_w_branches(self) -> Tensor:
        """log of what each branch adds to the weight, ``(samples, [branches,] batch)``, in nats.

        Raises:
            UserError: if the posterior has no density.
        """
        # A branch that cannot be has weight −∞, whatever its (finite) densities are.
        log_w = self.log_w_given_branch
        return log_w if self.log_branch is None else log_w + self.log_branch

    @property
    def log_w_given_branch(self) -> Tensor:
        """log importance weight of each branch if it were drawn, ``(samples, [branches,] batch)``, in nats.

        Raises:
            UserError: if the posterior has no density.
        """
        self._needs_density("an importance weight")
        log_w = self.log_px
        for latent in self.latents.values():
            log_w = log_w + latent.log_pz - latent.log_qz  # type: ignore[operator]
        return log_w

    @property
    def importance_weighted(self) -> Tensor:
        """log (1/K) Σ_k w_k over the draws, ``(batch,)``, in nats (Burda et al. 2016, equation 8).

        Raises:
            UserError: if the posterior has no density.
        """
        return torch.logsumexp(self.log_w, dim=0) - math.log(len(self.log_px))

    @property
    def terms(self) -> dict[str, Tensor]:
        """What training logs: E log p(x|z) as ``log_px`` and ``kl``, means over the draws, ``(batch,)``."""
        return {"log_px": over_samples(self.expect(self.log_px)), "kl": over_samples(self.kl)}

    def _needs_density(self, what: str) -> None:
        if not self.has_density:
            without = [name for name, latent in self.latents.items() if not latent.has_density]
            raise UserError(
                f"{what} needs the density of the posterior, and that of {', '.join(without)} has none (a point mass).",
                hint="use a posterior with a density (diagonal, cholesky), or an objective that needs none.",
            )


Latents = Tensor | dict[str, Tensor]


def bare(values: dict[str, Tensor]) -> Latents:
    """A single latent by itself, several as a dict: what a likelihood is given."""
    return next(iter(values.values())) if len(values) == 1 else values


def named(values: Latents) -> dict[str, Tensor]:
    """The latents by name; a single one is called ``z``."""
    return values if isinstance(values, dict) else {"z": values}


def beside(values: Latents) -> Tensor:
    """All latents on one last axis, ``(*leading, units)``."""
    return side_by_side(list(named(values).values()))
