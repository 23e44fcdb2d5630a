"""Approximation and amortization gap: what the bound loses by the form of q, and by an encoder that guesses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.evaluation.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.joint import Joint, why_not_real
from vaekit.evaluation.likelihood import budget_of, chunks, evaluating
from vaekit.parts.record import part

START_DRAWS = 256
SMALLEST = 1e-4  # standard deviation of a start


class Gaps(NamedTuple):
    """Per-example figures in nats, each ``(examples,)``.

    Attributes:
        log_p: an importance-weighted estimate of log p(x), with draws from the even mixture of both posteriors.
        elbo_free: L[q*] of the best diagonal Gaussian that was found for the row.
        elbo: L[q] of the encoder's posterior.
    """

    log_p: Tensor
    elbo_free: Tensor
    elbo: Tensor

    @property
    def approximation(self) -> Tensor:
        """log p(x) − L[q*]: what no diagonal Gaussian can do better."""
        return self.log_p - self.elbo_free

    @property
    def amortization(self) -> Tensor:
        """L[q*] − L[q]: what the encoder loses; negative where its posterior is richer than a diagonal Gaussian."""
        return self.elbo_free - self.elbo


def gaps(
    model: Any,
    batches: Iterable[Batch],
    *,
    samples: int = 1000,
    steps: int = 500,
    draws: int = 10,
    learning_rate: float = 0.05,
    seed: int = 0,
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Gaps:
    """Both gaps of inference (Cremer et al. 2018): a free q* = N(μ, diag σ²) is fitted to every row.

    It starts from mean and standard deviation of the encoder's q and goes up the bound by Adam, with the gradient
    that vanishes at the exact posterior (Roeder et al. 2017) and a length of step that falls to zero.

    Args:
        model: with a density and real latents; of a chain all levels are one Gaussian.
        batches: the rows; labels are not looked at.
        samples: draws from each posterior for the figures.
        steps: of Adam.
        draws: for each step.
        learning_rate: of the first step: of the mean in units of the standard deviation, and of its logarithm.
        seed: of the random numbers.
        budget: most elements of x that are decoded at once; chosen for the device if not given.
        progress: told the number of rows finished.

    Raises:
        UserError: if the latents are not real, or log p(z) is itself an estimate.
    """
    columns = [Column() for _ in range(3)]
    with evaluating(model, seed):
        for batch in batches:
            if why := why_not_real(model, batch):
                raise UserError(f"a posterior of its own is fitted to every row by gradients, and {why}.")
            most = budget_of(batch.x.device) if budget is None else budget
            for rows, _ in chunks(batch._replace(label=None), draws, most, 1):
                joint = Joint(model, rows)
                free = _fit(joint, steps, draws, learning_rate)
                at_once = max(1, most // (len(rows.x) * rows.x[0].numel()))
                of_free, of_encoder = (
                    _densities(joint, free, draw, samples, at_once)
                    for draw in (lambda count, free=free: free.sample(torch.Size([count])), joint.start)
                )
                log_joint, log_free, log_q = torch.cat([of_free, of_encoder], 1)
                # All draws as if from the mixture of both, so that a poor encoder's do no harm (Veach & Guibas 1995).
                log_w = log_joint - torch.logaddexp(log_free, log_q) + math.log(2)
                log_p = log_w.logsumexp(0) - math.log(2 * samples)
                elbo_free, elbo = of_free[0] - of_free[1], of_encoder[0] - of_encoder[2]
                for column, figure in zip(columns, (log_p, elbo_free.mean(0), elbo.mean(0)), strict=True):
                    column.add(figure)
                progress(len(rows.x))
    return Gaps(*(column.value for column in columns))


def _densities(joint: Joint, free: Independent, draw: Callable[[int], Tensor], samples: int, at_once: int) -> Tensor:
    """log p(x, z), log q*(z) and log q(z|x) of that many draws, ``(3, samples, batch)``."""
    pieces = []
    for start in range(0, samples, at_once):
        z = draw(min(at_once, samples - start))
        pieces.append(torch.stack([joint.log_prior(z) + joint.log_px(z), free.log_prob(z), joint.log_q(z)]))
    return torch.cat(pieces, 1)


def _fit(joint: Joint, steps: int, draws: int, learning_rate: float) -> Independent:
    """The best diagonal Gaussian for each row."""
    some = joint.start(START_DRAWS)
    centre, spread = some.mean(0), some.std(0).clamp_min(SMALLEST)
    # The mean moves in units of the present scale, so that one length of step suits all latents and any start.
    shift, log_scale = nn.Parameter(torch.zeros_like(centre)), nn.Parameter(spread.log())
    optimizer = torch.optim.Adam([shift, log_scale], lr=learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for _ in range(steps):
        with torch.enable_grad():
            scale = log_scale.exp()
            z = _normal(centre + scale.detach() * shift, scale).rsample(torch.Size([draws]))
            value = joint.log_prior(z) + joint.log_px(z) - _normal(centre, scale.detach()).log_prob(z)
            shift.grad, log_scale.grad = torch.autograd.grad(-value.mean(0).sum(), (shift, log_scale))
        optimizer.step()
        falling.step()
        centre = centre + scale.detach() * shift
        shift.zero_()
    return _normal(centre, log_scale.exp())


def _normal(loc: Tensor, scale: Tensor) -> Independent:
    return Independent(Normal(loc, scale, validate_args=False), 1)


@part("estimator/gaps", paper="Cremer et al. 2018; Roeder et al. 2017")
@dataclass(frozen=True)
class InferenceGaps:
    """What the bound loses by q being a diagonal Gaussian, and by being guessed from x by an encoder.

    Args:
        rows: so many of the rows that are evaluated, at even distances.
        steps: of the fit of a posterior to each row.
        draws: for each step.
        samples: draws for the figures.
    """

    rows: int = 100
    steps: int = 500
    draws: int = 10
    samples: int = 1000

    def __post_init__(self) -> None:
        at_least(1, self)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        return context.why_not_real()

    def work(self, rows: int) -> int:
        return min(self.rows, rows)

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        result = gaps(
            context.model,
            context.some(self.rows),
            samples=self.samples,
            steps=self.steps,
            draws=self.draws,
            seed=context.seed,
            progress=context.progress,
        )
        return {
            "approximation_gap": result.approximation.mean().item(),
            "approximation_gap_standard_error": error_of(result.approximation),
            "amortization_gap": result.amortization.mean().item(),
            "amortization_gap_standard_error": error_of(result.amortization),
            "gaps_log_p": result.log_p.mean().item(),
            "gaps_elbo_free": result.elbo_free.mean().item(),
            "gaps_elbo": result.elbo.mean().item(),
            "gaps_examples": len(result.log_p),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        of = f"of {figures['gaps_examples']:,} examples"
        said = {
            "approximation_gap": ("approx. gap", f"log p(x) − bound of the best diagonal Gaussian of each row, {of}"),
            "amortization_gap": ("amort. gap", f"that bound − bound of the encoder, {of}"),
        }
        return [
            (name, with_error(figures[key], figures[f"{key}_standard_error"]), what)
            for key, (name, what) in said.items()
        ]
