"""Annealed importance sampling of log p(x), and bidirectional Monte Carlo, which bounds its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.evaluation.context import EvaluationContext, Line, at_least, error_of, with_error
from vaekit.evaluation.hmc import density_at, move
from vaekit.evaluation.joint import Joint, why_not_real
from vaekit.evaluation.likelihood import budget_of, chunks, evaluating
from vaekit.kernels.double import double
from vaekit.models.draw import bare, named
from vaekit.parts.record import part

TARGET = 0.65  # acceptance at which a leapfrog path is worth most (Neal 2011)
FIRST_STEP = 0.5
SCALE_DRAWS = 64
SHARPNESS = 4.0


def linear(count: int) -> list[float]:
    """0 = β₀ < … < β_count = 1, evenly."""
    return [index / count for index in range(count + 1)]


def sigmoid(count: int) -> list[float]:
    """Closer together at both ends (Wu et al. 2017): σ(4 (2t/T − 1)), stretched to run from 0 to 1."""
    values = [1 / (1 + math.exp(-SHARPNESS * (2 * index / count - 1))) for index in range(count + 1)]
    return [(value - values[0]) / (values[-1] - values[0]) for value in values]


SCHEDULES: dict[str, Callable[[int], list[float]]] = {"linear": linear, "sigmoid": sigmoid}


class Path(NamedTuple):
    """From a density that can be drawn from to p(z) p(x|z), by steps.

    Attributes:
        temperatures: how many steps, T.
        chains: of each row.
        leapfrog: steps of a Hamiltonian move, one move at each temperature.
        schedule: ``sigmoid`` or ``linear``.
        start: ``posterior`` for q(z|x), ``prior`` for p(z).
    """

    temperatures: int = 1000
    chains: int = 16
    leapfrog: int = 10
    schedule: str = "sigmoid"
    start: str = "posterior"


PATH = Path()


class Annealed(NamedTuple):
    """Per-example figures, each ``(examples,)``.

    Attributes:
        log_p: log of the mean weight of the chains, in nats: in expectation a lower bound on log p(x).
        acceptance: mean probability of a move.
        effective_chains: (Σ w)² / Σ w².
    """

    log_p: Tensor
    acceptance: Tensor
    effective_chains: Tensor


class Sandwich(NamedTuple):
    """Per simulated example, each ``(examples,)``, in nats.

    Attributes:
        lower: annealed forwards: in expectation a lower bound on log p(x).
        upper: annealed backwards from the true z: in expectation an upper bound.
        acceptance: mean probability of a move, both ways.
    """

    lower: Tensor
    upper: Tensor
    acceptance: Tensor


def annealed(
    model: Any,
    batches: Iterable[Batch],
    path: Path = PATH,
    *,
    seed: int = 0,
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Annealed:
    """log p(x) by annealed importance sampling (Neal 2001; of decoders Wu et al. 2017).

    f_β(z) = f₀(z)^{1−β} (p(z) p(x|z))^β for β from 0 to 1; every chain starts from f₀, gathers
    Σ_t (β_t − β_{t−1}) [log p(x, z_{t−1}) − log f₀(z_{t−1})] and moves by Hamiltonian Monte Carlo under f_{β_t}.

    The length of a leapfrog step is found on the way by one more chain, a scout that nothing is estimated from. To the
    others it is a given number, so that adapting it takes nothing from the exactness of the weights.

    Args:
        model: with a density and real latents; a chain of levels is moved as one.
        batches: the rows; labels are not looked at.
        path: how.
        seed: of the random numbers.
        budget: most elements of x that are decoded at once; chosen for the device if not given.
        progress: told the number of rows finished.

    Raises:
        UserError: if the latents cannot be moved through real space, or log p(z) is itself an estimate.
    """
    columns = [Column() for _ in range(3)]
    with evaluating(model, seed):
        for batch in batches:
            _check(model, batch)
            for rows, counts in chunks(batch._replace(label=None), path.chains, _most(batch, budget), 1):
                joint = Joint(model, rows)
                runs = [_Annealing(joint, path).forward(count) for count in counts]
                log_w = double(torch.cat([run.log_w for run in runs]))
                total = log_w.logsumexp(0)
                effective = (2 * total - (2 * log_w).logsumexp(0)).exp()
                acceptance = torch.cat([run.acceptance for run in runs]).mean(0)
                for column, figure in zip(columns, (total - math.log(path.chains), acceptance, effective), strict=True):
                    column.add(figure.to(acceptance.dtype))
                progress(len(rows.x))
    return Annealed(*(column.value for column in columns))


def sandwich(
    model: Any,
    batches: Iterable[Batch],
    path: Path = PATH,
    *,
    seed: int = 0,
    budget: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Sandwich:
    """Bidirectional Monte Carlo (Grosse et al. 2015): how far annealing is from the truth, on data of the model's own.

    For x ~ p(x|z), z ~ p(z), this z is an exact draw from p(z|x). Chains that start there and run down to f₀ give
    an unbiased estimate of 1/p(x), by the same moves with the same lengths of step as the chains that ran up.

    Args:
        model: with a density and real latents.
        batches: how many rows to draw, and their conditions; what x they hold is not looked at.
        path, seed, budget, progress: as of :func:`annealed`.

    Raises:
        UserError: if the latents cannot be moved through real space, or log p(z) is itself an estimate.
    """
    columns = [Column() for _ in range(3)]
    with evaluating(model, seed):
        for batch in batches:
            _check(model, batch)
            latents = model.sample_latents(len(batch.x), batch.condition)
            x = model.decode(bare(latents), batch.condition).sample()
            simulated = Batch(x, None, batch.condition, None)
            first = 0
            for rows, counts in chunks(simulated, path.chains, _most(batch, budget), 1):
                joint = Joint(model, rows)
                some = {name: value[first : first + len(rows.x)] for name, value in named(latents).items()}
                first += len(rows.x)
                up, down = [], []
                for count in counts:
                    annealing = _Annealing(joint, path)
                    up.append(annealing.forward(count))
                    down.append(annealing.backward(joint.beside(some).expand(count, -1, -1)))
                lower = torch.cat([run.log_w for run in up]).logsumexp(0) - math.log(path.chains)
                upper = math.log(path.chains) - (-torch.cat([run.log_w for run in down])).logsumexp(0)
                acceptance = torch.cat([run.acceptance for run in up + down]).mean(0)
                for column, figure in zip(columns, (lower, upper, acceptance), strict=True):
                    column.add(figure)
                progress(len(rows.x))
    return Sandwich(*(column.value for column in columns))


def _most(batch: Batch, budget: int | None) -> int:
    return budget_of(batch.x.device) if budget is None else budget


def _check(model: Any, batch: Batch) -> None:
    if why := why_not_real(model, batch):
        raise UserError(f"annealed importance sampling moves latents by gradients, and {why}.")


class _Chains(NamedTuple):
    """log weights and mean acceptance, each ``(chains, batch)``."""

    log_w: Tensor
    acceptance: Tensor


class _Annealing:
    """Up and down one path for some rows; the way up leaves behind the lengths of steps that the way down takes."""

    def __init__(self, joint: Joint, path: Path) -> None:
        self.betas = SCHEDULES[path.schedule](path.temperatures)
        self.leapfrog = path.leapfrog
        self.draw = {"posterior": joint.start, "prior": joint.from_prior}[path.start]
        self.log_start = {"posterior": joint.log_q, "prior": joint.log_prior}[path.start]
        self.joint = joint
        # Draws of their own, so that no chain has a part in how it is moved.
        self.scale = joint.start(SCALE_DRAWS).std(0).clamp_min(1e-6)
        self.steps: list[Tensor] = []

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log f₀(z) and log p(x, z)."""
        return self.log_start(z), self.joint.log_prior(z) + self.joint.log_px(z)

    def move(self, z: Tensor, beta: float, step: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        return move(z, lambda z: density_at(z, self.parts, (1 - beta, beta)), step, self.scale, self.leapfrog)

    def forward(self, chains: int) -> _Chains:
        z = self.draw(1 + chains)  # the first is the scout
        log_w = z.new_zeros(z.shape[:2])
        accepted = torch.zeros_like(log_w)
        parts = self.parts(z)
        step = z.new_full(z.shape[1:2], FIRST_STEP)
        self.steps = []
        for number, (before, beta) in enumerate(zip(self.betas, self.betas[1:], strict=False), start=1):
            log_w += (beta - before) * (parts[1] - parts[0])
            if beta == 1:
                break
            self.steps.append(step)
            z, parts, probability = self.move(z, beta, step)
            accepted += probability
            step = step * ((0.05 + 1 / (number + 1)) * (probability[0] - TARGET)).exp()
        return _Chains(log_w[1:], accepted[1:] / max(1, len(self.steps)))

    def backward(self, z: Tensor) -> _Chains:
        log_w = z.new_zeros(z.shape[:2])
        accepted = torch.zeros_like(log_w)
        parts = self.parts(z)
        for index in range(len(self.betas) - 1, 0, -1):
            log_w += (self.betas[index] - self.betas[index - 1]) * (parts[1] - parts[0])
            if index == 1:
                break
            z, parts, probability = self.move(z, self.betas[index - 1], self.steps[index - 2])
            accepted += probability
        return _Chains(log_w, accepted / max(1, len(self.steps)))


@dataclass(frozen=True)
class Annealing:
    """What both are told of the path, and what they need of a model."""

    rows: int = 100
    temperatures: int = 1000
    chains: int = 16
    leapfrog: int = 10
    schedule: str = "sigmoid"
    start: str = "posterior"

    def __post_init__(self) -> None:
        at_least(1, self)
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be {' or '.join(SCHEDULES)}, got '{self.schedule}'")
        if self.start not in ("posterior", "prior"):
            raise ValueError(f"start must be posterior or prior, got '{self.start}'")

    @property
    def path(self) -> Path:
        return Path(self.temperatures, self.chains, self.leapfrog, self.schedule, self.start)

    def not_applicable(self, context: EvaluationContext) -> str | None:
        return context.why_not_real()

    def work(self, rows: int) -> int:
        return min(self.rows, rows)


@part("estimator/ais", paper="Neal 2001; Wu et al. 2017")
@dataclass(frozen=True)
class AIS(Annealing):
    """log p(x) by annealed importance sampling with Hamiltonian moves: a lower bound in expectation.

    Args:
        rows: so many of the rows that are evaluated, at even distances.
        temperatures: steps from the start to the joint density.
        chains: of each row.
        leapfrog: steps of a move; there is one move at each temperature.
        schedule: ``sigmoid`` or ``linear``.
        start: ``posterior`` for q(z|x), ``prior`` for p(z).
    """

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        rows = context.some(self.rows)
        result = annealed(context.model, rows, self.path, seed=context.seed, progress=context.progress)
        return {
            "ais_log_p": result.log_p.mean().item(),
            "ais_standard_error": error_of(result.log_p),
            "ais_acceptance": result.acceptance.mean().item(),
            "ais_effective_chains": result.effective_chains.mean().item(),
            "ais_examples": len(result.log_p),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        what = (
            f"log p(x) of {figures['ais_examples']:,} examples by annealing, {self.chains} chains, "
            f"{self.temperatures:,} temperatures, {figures['ais_acceptance']:.0%} accepted"
        )
        return [("log p(x), AIS", with_error(figures["ais_log_p"], figures["ais_standard_error"]), what)]


@part("estimator/bdmc", paper="Grosse et al. 2015; Wu et al. 2017")
@dataclass(frozen=True)
class BDMC(Annealing):
    """How exact annealing is: lower and upper bound on log p(x) of data that the model draws itself.

    Args:
        rows: how many are drawn.
        temperatures, chains, leapfrog, schedule, start: as of ``ais``.
    """

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        rows = context.some(self.rows)
        result = sandwich(context.model, rows, self.path, seed=context.seed, progress=context.progress)
        gap = result.upper - result.lower
        return {
            "bdmc_lower": result.lower.mean().item(),
            "bdmc_upper": result.upper.mean().item(),
            "bdmc_gap": gap.mean().item(),
            "bdmc_gap_standard_error": error_of(gap),
            "bdmc_acceptance": result.acceptance.mean().item(),
            "bdmc_examples": len(gap),
        }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        what = (
            f"between {figures['bdmc_lower']:.3f} and {figures['bdmc_upper']:.3f}: bounds on log p(x) of "
            f"{figures['bdmc_examples']:,} examples drawn from the model, {figures['bdmc_acceptance']:.0%} accepted"
        )
        return [("BDMC gap", with_error(figures["bdmc_gap"], figures["bdmc_gap_standard_error"]), what)]
