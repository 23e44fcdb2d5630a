"""x = Ws + ε with few active causes, by EM over the sets of causes that may be active (Lücke & Sheikh 2012)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from vaekit.classical.causes import Binary, Causes, Expected, Slab

MOST_EXACT = 12  # causes whose 2^H sets are all enumerated
VALUES = 1 << 22  # of the largest array at once


def set_table(candidates: int, most_active: int) -> Tensor:
    """Every set of at most so many active candidates, ``(sets, candidates)`` of zeros and ones."""
    rows = [
        [float(index in active) for index in range(candidates)]
        for size in range(most_active + 1)
        for active in itertools.combinations(range(candidates), size)
    ]
    return torch.tensor(rows, dtype=torch.float64)


class SparseCoding:
    """p(s) = Π_h [π p(s_h|active) + (1 − π) δ(s_h)], p(x|s) = N(Ws, σ²I).

    Args:
        num_causes: H.
        causes: :class:`Binary` (an active cause is 1) or :class:`Slab` (N(0, 1): spike and slab).
        candidates: how many causes a row may have: those that explain most of it alone; all by default up to 12
            causes, else 6. With fewer than all the likelihood is a lower bound.
        most_active: of the candidates, at once; all by default.

    >>> import torch
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).repeat(20, 1)
    >>> SparseCoding(2, Binary()).fit(x, steps=20).score(x).shape
    torch.Size([80])
    """

    def __init__(
        self, num_causes: int, causes: Causes, candidates: int | None = None, most_active: int | None = None
    ) -> None:
        candidates = (num_causes if num_causes <= MOST_EXACT else 6) if candidates is None else candidates
        most_active = candidates if most_active is None else most_active
        if not 1 <= most_active <= candidates <= num_causes:
            raise ValueError(
                f"1 ≤ most_active ≤ candidates ≤ num_causes must hold, got {most_active}, {candidates}, {num_causes}"
            )
        self.causes = causes
        self.num_causes = num_causes
        self.sets = set_table(candidates, most_active)
        self.exact = candidates == most_active == num_causes
        self.course: list[float] = []
        self.weight = torch.empty(0)
        self.variance = self.active = torch.ones((), dtype=torch.float64)

    def candidates(self, inner: Tensor, gram: Tensor) -> Tensor:
        """Causes that alone explain most of a row, ``(rows, candidates)``; all of them where none is left out."""
        chosen = self.sets.shape[1]
        if chosen == self.num_causes:
            return torch.arange(chosen).unsqueeze(0)
        alone = torch.eye(self.num_causes, dtype=gram.dtype)
        return self.causes.expected(inner, gram.unsqueeze(0), alone, self.variance).gain.topk(chosen, -1).indices

    def log_joint(self, x: Tensor) -> tuple[Tensor, Expected, Tensor]:
        """log p(x, set) ``(rows, sets)``, what is expected given each set, and which causes the candidates are."""
        inner, gram = x @ self.weight, self.weight.T @ self.weight
        chosen = self.candidates(inner, gram)
        there = self.causes.expected(
            inner.gather(1, chosen.expand(len(x), -1)),
            gram[chosen.unsqueeze(-1), chosen.unsqueeze(-2)],
            self.sets,
            self.variance,
        )
        noise = -0.5 * (x.square().sum(-1) / self.variance + x.shape[1] * (2 * math.pi * self.variance).log())
        count = self.sets.sum(-1)
        prior = count * self.active.log() + (self.num_causes - count) * torch.log1p(-self.active)
        return noise.unsqueeze(-1) + there.gain + prior, there, chosen

    def fit(self, x: Tensor, steps: int = 100, hottest: float = 1.0, restarts: int = 1, seed: int = 0) -> SparseCoding:
        """EM; ``course`` keeps the mean of log Σ_sets p(x, set) before each step.

        Args:
            x: ``(rows, …)``.
            steps: of EM.
            hottest: temperature of the first step, which falls to 1 over half of them. At 1 the likelihood never falls.
            restarts: how many starts are tried; the one of the best likelihood is kept. EM ends where it can: often
                with two columns for one cause and none for another.
            seed: of the first W.

        Raises:
            ValueError: if the data are too few or not finite.
        """
        x = x.flatten(1).double()
        if x.dim() != 2 or len(x) < 2 or not bool(x.isfinite().all()):
            raise ValueError("at least two rows of finite numbers are needed")
        if restarts < 1 or hottest < 1:
            raise ValueError(f"restarts and hottest must be at least 1, got {restarts} and {hottest}")
        generator = torch.Generator().manual_seed(seed)
        tried = [self._run(x, steps, hottest, generator) for _ in range(restarts)]
        self.course, self.weight, self.variance, self.active = max(tried, key=lambda run: run[0][-1:])
        return self

    def _run(
        self, x: Tensor, steps: int, hottest: float, generator: torch.Generator
    ) -> tuple[list[float], Tensor, Tensor, Tensor]:
        """EM from one start: its course, W, σ² and π."""
        start = torch.randn(x.shape[1], self.num_causes, dtype=x.dtype, generator=generator)
        self.variance = x.var(0, correction=0).mean().clamp_min(1e-12)
        self.active = torch.tensor(min(0.5, 2 / self.num_causes), dtype=x.dtype)
        self.weight = x.mean(0).unsqueeze(-1) + start * self.variance.sqrt()
        self.course = []
        for step in range(steps):
            # Warm at first: sets share a row more evenly, and fewer causes are settled on by the luck of the start.
            self._step(x, max(1.0, hottest + (1 - hottest) * step / max(1, steps // 2)))
        return self.course, self.weight, self.variance, self.active

    def given(self, weight: Tensor, noise: float, active: float) -> SparseCoding:
        """With parameters that are known instead of fitted: W, σ, π."""
        self.weight = weight.double()
        self.variance = torch.tensor(noise**2, dtype=torch.float64)
        self.active = torch.tensor(active, dtype=torch.float64)
        return self

    def _step(self, x: Tensor, temperature: float) -> None:
        causes = self.num_causes
        cross, second = x.new_zeros(x.shape[1], causes), x.new_zeros(causes * causes)
        count = bound = x.new_zeros(())
        for some in x.split(self._rows_at_once):
            log_joint, there, chosen = self.log_joint(some)
            bound = bound + log_joint.logsumexp(-1).sum()
            weight = (log_joint / temperature).softmax(-1)
            mean, square = there.moments(weight)
            chosen = chosen.expand(len(some), -1)
            cross += some.T @ torch.zeros(len(some), causes, dtype=x.dtype).scatter(1, chosen, mean)
            second.index_add_(0, (chosen.unsqueeze(-1) * causes + chosen.unsqueeze(-2)).flatten(), square.flatten())
            count = count + (weight @ self.sets).sum()
        self.course.append((bound / len(x)).item())
        square = second.unflatten(0, (causes, causes))
        # A cause that is never active keeps what little it has: the ridge is far below one active row.
        square = square + 1e-9 * torch.eye(causes, dtype=x.dtype)
        self.weight = torch.linalg.solve(square, cross, left=False)
        residual = x.square().sum() - 2 * (self.weight * cross).sum() + ((self.weight @ square) * self.weight).sum()
        self.variance = (residual / x.numel()).clamp_min(1e-12)
        self.active = (count / (len(x) * causes)).clamp(1e-6, 1 - 1e-6)

    @property
    def _rows_at_once(self) -> int:
        sets, candidates = self.sets.shape
        return max(1, VALUES // (sets * candidates * (1 if self.exact else candidates)))

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, ``(rows,)``; a lower bound where sets are left out."""
        x = x.flatten(1).double()
        return torch.cat([self.log_joint(some)[0].logsumexp(-1) for some in x.split(self._rows_at_once)])

    def encode(self, x: Tensor) -> Tensor:
        """⟨s⟩ given x, ``(rows, causes)``."""
        x = x.flatten(1).double()
        pieces = []
        for some in x.split(self._rows_at_once):
            log_joint, there, chosen = self.log_joint(some)
            mean, _ = there.moments(log_joint.softmax(-1))
            blank = torch.zeros(len(some), self.num_causes, dtype=x.dtype)
            pieces.append(blank.scatter(1, chosen.expand(len(some), -1), mean))
        return torch.cat(pieces)

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """``count`` rows, ``(count, data)``."""
        generator = torch.Generator().manual_seed(seed)
        on = torch.rand(count, self.num_causes, dtype=torch.float64, generator=generator) < self.active
        s = self.causes.draw(on.double(), generator)
        rest = torch.randn(count, len(self.weight), dtype=torch.float64, generator=generator)
        return s @ self.weight.T + self.variance.sqrt() * rest


__all__ = ["Binary", "Slab", "SparseCoding", "set_table"]
