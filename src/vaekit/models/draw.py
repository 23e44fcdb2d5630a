"""Draw: one draw from the posterior with every density that a bound or an estimator needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Batch
from vaekit.distributions.chain import LatentCache, levels
from vaekit.distributions.comparison import divergence, in_words, space_of
from vaekit.errors import UserError
from vaekit.models.frozen import frozen_log_prob
from vaekit.networks.network import parameters_of, side_by_side

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


class Draw:
    """What ``model.draw(batch, samples=K)`` returns. Every bound and estimator is written on it.

    p(x|z) is made when it, or log p(x|z), is asked for, once: an objective that reads latents alone decodes nothing.

    Args:
        latents: by name, in the order of the prior.
        log_px: log p(x|z), ``(samples, [branches,] batch)``, in nats; or a function of ``px`` that gives it.
        penalty: what training subtracts from the bound beside the KL (commitment …), ``(batch,)``; not
            part of any density.
        log_branch: if a discrete latent is summed out instead of drawn: log q(branch|x), ``([samples,] branches,
            batch)``; an observed branch has 0 and the others −∞.
        px: p(x|z), batch shape ``(samples, [branches,] batch)``, or a function that makes it.
    """

    def __init__(
        self,
        latents: dict[str, Latent],
        log_px: Tensor | Callable[[Distribution], Tensor],
        penalty: Tensor | float = 0.0,
        log_branch: Tensor | None = None,
        px: Distribution | Callable[[], Distribution] | None = None,
    ) -> None:
        self.latents, self.penalty, self.log_branch = latents, penalty, log_branch
        self._log_px, self._px = log_px, px
        self._has_gradient = torch.is_grad_enabled()

    @property
    def px(self) -> Distribution:
        """p(x|z) at the latents, batch shape ``(samples, [branches,] batch)``.

        Raises:
            UserError: if the model gave log p(x|z) alone.
        """
        if self._px is None:
            raise UserError(
                "the draw holds log p(x|z) and not p(x|z) itself.",
                hint="make it with both: Draw(latents, lambda p: log_prob(p, batch.x), px=lambda: likelihood(z)).",
            )
        if not isinstance(self._px, Distribution):
            # With a gradient or without as the draw itself; what it was made from is let go.
            with torch.set_grad_enabled(self._has_gradient):
                self._px = self._px()
        return self._px

    @property
    def log_px(self) -> Tensor:
        """log p(x|z), ``(samples, [branches,] batch)``, in nats."""
        if not isinstance(self._log_px, Tensor):
            p = self.px
            with torch.set_grad_enabled(self._has_gradient):
                self._log_px = self._log_px(p)
        return self._log_px

    def replace(self, **changes: Any) -> Draw:
        """The same with another ``latents``, ``log_px``, ``penalty``, ``log_branch`` or ``px``."""
        given = {"latents": self.latents, "log_px": self._log_px, "penalty": self.penalty}
        return Draw(**given | {"log_branch": self.log_branch, "px": self._px} | changes)

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
        if not each:
            return torch.zeros_like(self.expect(self.log_px))
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


class Drawn(dict[str, Latent]):
    """The latents of a draw, by name, in the order of the prior.

    Attributes:
        cache: their values, and what prior and posterior have computed along them: what a likelihood is given.
    """

    cache: LatentCache


def draw_latents(
    posterior: Distribution, prior: Distribution, samples: int, frozen_q: bool = False
) -> tuple[Drawn, Tensor | float]:
    """Draw every latent from the posterior, reparameterised, and evaluate it under both.

    A plain distribution is a chain of one level. Level by level the KL is analytic where torch has a
    formula and the level's prior does not look at what is drawn after it; Monte Carlo elsewhere.

    With ``frozen_q`` no gradient of a density reaches the parameters of q but through the values of the latents:
    log q(z|x) is evaluated with its parameters held still, and no formula stands for it. Each value is then a node
    of its own between how it was drawn and what looks at it, so that a hook on it sees the direct dependence of
    prior, likelihood and log q on this latent, and not what passes through the latents drawn from it.

    Args:
        posterior: q(z|x), batch shape ``(batch,)``.
        prior: p(z), batch shape ``()`` or ``(batch,)``.
        samples: number of draws K.
        frozen_q: hold the parameters of q still in log q(z|x).

    Returns:
        The latents in the order of the prior, and the sum of the posteriors' penalties, ``(batch,)``.

    Raises:
        ValueError: if there are no samples.
        UserError: if prior and posterior do not name the same latents or are over different spaces, or a posterior
            has no ``rsample``.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    q_levels, p_levels = levels(posterior), levels(prior)
    if set(q_levels) != set(p_levels):
        raise UserError(
            f"the prior has the latents {', '.join(p_levels)} and the posterior has {', '.join(q_levels)}; "
            "they must have the same names."
        )
    drawn = LatentCache()
    given: dict[str, LatentCache] = {}
    q_of: dict[str, Distribution] = {}
    penalty: Tensor | float = 0.0
    axes: int | None = None
    for name, conditional in q_levels.items():
        given[name] = _nodes(drawn) if frozen_q else drawn
        q = q_of[name] = conditional(given[name])
        axes = len(q.batch_shape) if axes is None else axes
        # A level that does not look at the latents before it has no sample axis from them.
        looks_back = len(q.batch_shape) > axes
        drawn[name] = _reparameterised(q, torch.Size() if looks_back else torch.Size([samples]), name)
        penalty = penalty + getattr(q, "penalty", 0.0)

    order = list(q_levels)
    values = _nodes(drawn) if frozen_q else drawn
    latents = Drawn()
    latents.cache = values.again()
    for name, conditional in p_levels.items():
        p, q = conditional(latents.cache), q_of[name]
        if frozen_q:
            latents[name] = _evaluate_frozen(p, q, values, name, given[name])
        else:
            analytic_holds = all(order.index(parent) < order.index(name) for parent in latents.cache)
            latents[name] = _evaluate(p, q, values[name], analytic_holds)
        latents.cache[name] = values[name]
    return latents, penalty


def _reparameterised(q: Distribution, shape: torch.Size, name: str) -> Tensor:
    try:
        return q.rsample(shape)
    except NotImplementedError as error:
        if q.has_rsample:
            raise
        raise UserError(
            f"the posterior of {name} is a {type(q).__name__}, which has no rsample: no gradient passes "
            "through its draws.",
            hint="use a distribution that draws by a differentiable function of noise.",
        ) from error


def _nodes(values: LatentCache) -> LatentCache:
    """The same values, each as a node of its own in the graph, on a cache of their own."""
    return LatentCache({name: value.view_as(value) for name, value in values.items()})


def _evaluate_frozen(
    p: Distribution, q: Distribution, values: dict[str, Tensor], name: str, given: dict[str, Tensor]
) -> Latent:
    z = values[name]
    if not getattr(q, "has_density", True):
        return Latent(z, lambda: p.log_prob(z), None)
    check_one_space(p, q)
    before = [(values[other], node) for other, node in given.items()]
    return Latent(z, lambda: p.log_prob(z), lambda: frozen_log_prob(q, z, before))


def _evaluate(p: Distribution, q: Distribution, z: Tensor, analytic_holds: bool) -> Latent:
    def formula() -> tuple[Tensor, Tensor | None] | None:
        found = divergence(q, p) if analytic_holds else None
        if found is None:
            return None
        kl, kl_dims = found
        shape = np.broadcast_shapes(z.shape[: z.dim() - len(q.event_shape)], kl.shape)
        return kl.expand(shape), None if kl_dims is None else kl_dims.expand(*shape, kl_dims.shape[-1])

    if not getattr(q, "has_density", True):
        return Latent(z, lambda: p.log_prob(z), None)
    check_one_space(p, q)
    return Latent(z, lambda: p.log_prob(z), lambda: q.log_prob(z), formula)


def check_one_space(p: Distribution, q: Distribution) -> None:
    """Check that prior and posterior are over the same space.

    Raises:
        UserError: if prior and posterior are over different spaces: the ratio of their densities would mean nothing;
            or over single numbers, whose axis would be taken for one of rows.
    """
    if not (q.event_shape and p.event_shape):
        raise UserError(
            f"a latent is one event of each row, and the {'prior' if q.event_shape else 'posterior'} has an event of "
            "shape () and a batch of shape "
            f"{tuple((p if q.event_shape else q).batch_shape)}.",
            hint="torch's Independent(…, 1) makes the last axis of a batch the event.",
        )
    ours, theirs = space_of(q), space_of(p)
    if ours is not None and theirs is not None and ours != theirs:
        raise UserError(
            f"the posterior is over {in_words(q)}, the prior over {in_words(p)}; both must be over the same latents.",
            hint=f"choose a prior over {in_words(q)}, or another posterior (vaekit list parts).",
        )


def encoded(model: Any, batch: Batch) -> Any:
    """q(z|x), batch shape ``(batch,)``; ``mask`` and ``length`` are given to an ``encode`` that has such parameters."""
    return model.encode(batch.x, batch.condition, **_asked_by(model.encode, batch))


def classified(model: Any, batch: Batch) -> Any:
    """q(y|x), batch shape ``(batch,)``; ``mask`` and ``length`` are given to a ``classify`` that asks for them."""
    return model.classify(batch.x, **_asked_by(model.classify, batch))


def _asked_by(method: Any, batch: Batch) -> dict[str, Tensor | None]:
    """Mask and length of a batch that has them, by name, as far as a method asks for them."""
    if batch.mask is None and batch.length is None:
        return {}
    asked, _ = parameters_of(getattr(method, "__func__", method))
    there = {"mask": batch.mask, "length": batch.length}
    return {name: there[name] for name in asked}
