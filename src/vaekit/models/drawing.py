"""Drawing a chain of latents from the posterior, and evaluating both sides along it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions.chain import levels
from vaekit.distributions.divergence import divergence
from vaekit.distributions.supports import in_words, space_of
from vaekit.distributions.trail import Trail
from vaekit.errors import UserError
from vaekit.models.draw import Latent
from vaekit.models.frozen import frozen_log_prob


class Drawn(dict[str, Latent]):
    """The latents of a draw, by name, in the order of the prior.

    Attributes:
        trail: their values, and what prior and posterior have computed along them: what a likelihood is given.
    """

    trail: Trail


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
    drawn = Trail()
    given: dict[str, Trail] = {}
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
    latents.trail = values.again()
    for name, conditional in p_levels.items():
        p, q = conditional(latents.trail), q_of[name]
        if frozen_q:
            latents[name] = _evaluate_frozen(p, q, values, name, given[name])
        else:
            analytic_holds = all(order.index(parent) < order.index(name) for parent in latents.trail)
            latents[name] = _evaluate(p, q, values[name], analytic_holds)
        latents.trail[name] = values[name]
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


def _nodes(values: Trail) -> Trail:
    """The same values, each as a node of its own in the graph, on a trail of their own."""
    return Trail({name: value.view_as(value) for name, value in values.items()})


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
    """
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
