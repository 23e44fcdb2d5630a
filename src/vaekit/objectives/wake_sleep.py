"""Wake–sleep and reweighted wake–sleep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.draw import bare, encoded
from vaekit.objectives.objective import Objective, Player, Value, from_prior, sides
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/wake-sleep", paper="Hinton et al. 1995; Kingma & Welling 2013, section 5 (compared with)")
@dataclass(frozen=True)
class WakeSleep(Objective):
    """Awake, the model climbs E_q log p(x, z) for the data; asleep, q climbs log q(z|x) for dreams x, z ~ p(x, z).

    Two players: ``generative`` (prior and likelihood) climbs the evidence lower bound, whose gradient for it is the
    wake phase; ``recognition`` (q, and what the prior shares with it) the sleep phase, one dream for each row. The
    sleep phase minimises KL(p(z|x)‖q(z|x)) for x ~ p(x): no bound is climbed by both.

    Args:
        samples: draws for each row.
    """

    samples: int = 1
    needs_density = True

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def players(self, model: nn.Module) -> dict[str, Player]:
        infers, generates = sides(model)
        return {"generative": Player(generates, self), "recognition": Player(infers, self.sleep)}

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        return Value(draw.penalized(draw.elbo.mean(0)), draw.terms)

    def sleep(self, model: Any, batch: Batch, step: Step) -> Value:
        """log q(z|x) of what the model dreams."""
        z = from_prior(model, batch)
        with torch.no_grad():
            x = model.decode(z, batch.condition).sample()
        return Value(_log_q(model, x, batch, z), {})


@part("objective/reweighted-wake-sleep", paper="Bornschein & Bengio 2015")
@dataclass(frozen=True)
class ReweightedWakeSleep(Objective):
    """The model climbs log (1/K) Σ_k w_k; q climbs Σ_k v_k log q(z_k|x), v_k = w_k / Σ w, for the same data.

    Two players, ``generative`` and ``recognition``, as of :class:`WakeSleep`. The draws stand for the posterior
    p(z|x) by importance weighting (the wake phase of q); no gradient goes through z, so that no latent need be
    continuous.

    Args:
        samples: K.
    """

    samples: int = 5
    needs_density = True
    differentiable = False  # weights and draws are held still

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def players(self, model: nn.Module) -> dict[str, Player]:
        infers, generates = sides(model)
        return {"generative": Player(generates, self), "recognition": Player(infers, self.infer)}

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        return Value(draw.penalized(draw.importance_weighted), draw.terms)

    def infer(self, model: Any, batch: Batch, step: Step) -> Value:
        """Σ_k v_k log q(z_k|x), over the branches of a latent that is summed out, too."""
        with torch.no_grad():
            draw = model.draw(batch, self.samples)
            log_w = draw.log_w_branches
            weight = log_w.flatten(0, -2).softmax(0).reshape(log_w.shape)
        log_q = _log_q(model, batch.x, batch, {name: latent.value for name, latent in draw.latents.items()})
        return Value((weight * log_q).flatten(0, -2).sum(0), {})


def _log_q(model: Any, x: Tensor, batch: Batch, z: dict[str, Tensor]) -> Tensor:
    """log q(z|x), ``(*leading, batch)``.

    Raises:
        UserError: if q has no density that parameters could climb.
    """
    fixed = [module for module in model.recognition if getattr(module, "deterministic", False)]
    if "density" not in model.abilities or fixed:
        raise UserError(
            "wake–sleep needs the density of the posterior, and this one puts all mass in one place.",
            hint="use a posterior with a density (diagonal, cholesky), or another objective.",
        )
    return encoded(model, batch._replace(x=x)).log_prob(bare(z))
