"""Sentence VAE: an LSTM reads sequences of any length, another one says them step by step; padding has no part."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, constraints
from torch.nn.functional import one_hot

import vaekit as vk
from vaekit.objectives import ELBO, Objective


@vk.part("network/lstm", paper="Bowman et al. 2016, section 3")
class LSTMEncoder(nn.Module):
    """State of an LSTM after the last step of each row ``(batch, steps, symbols)``.

    Args:
        symbols: number of symbols.
        hidden: length of the state.
    """

    def __init__(self, symbols: int, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell = nn.LSTM(symbols, hidden, batch_first=True)

    def forward(self, x: Tensor, condition: Tensor | None = None, length: Tensor | None = None) -> Tensor:
        states, _ = self.cell(x)
        last = torch.full((len(x),), x.shape[1] - 1, device=x.device) if length is None else length - 1
        return states[torch.arange(len(x), device=x.device), last]

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.Linear(self.hidden, math.prod(out_shape)), nn.Unflatten(-1, tuple(out_shape)))


class Steps(Distribution):
    """p(x) = Π_t p(x_t | x_<t), one-hot symbols ``(steps, symbols)``; it leaves unobserved steps out itself."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.one_hot, 1)

    def __init__(self, likelihood: LSTMLikelihood, z: Tensor) -> None:
        self.likelihood, self.z = likelihood, z
        super().__init__(z.shape[:-1], torch.Size(likelihood.shape), validate_args=False)

    def log_prob(self, value: Tensor, mask: Tensor | None = None) -> Tensor:
        x = value.expand(*self.batch_shape, *self.event_shape)
        before = torch.cat([torch.zeros_like(x[..., :1, :]), x[..., :-1, :]], -2)  # each step is told those before it
        z = self.z.unsqueeze(-2).expand(*x.shape[:-1], -1)
        states, _ = self.likelihood.cell(torch.cat([before, z], -1).flatten(0, -3))
        log_p = self.likelihood.out(states).log_softmax(-1).reshape(x.shape)
        each = (log_p * x).sum(-1)
        return (each if mask is None else torch.where(mask, each, 0.0)).sum(-1)

    def _say(self, shape: torch.Size, choose: Any) -> Tensor:
        """Step by step: what ``choose`` makes of the log-probabilities, ``(*shape, *batch, steps, symbols)``."""
        z = self.z.expand(*shape, *self.z.shape)
        rows = z.reshape(-1, 1, z.shape[-1])
        said, state, kept = rows.new_zeros(len(rows), 1, self.event_shape[1]), None, []
        for _ in range(self.event_shape[0]):
            h, state = self.likelihood.cell(torch.cat([said, rows], -1), state)
            said, value = choose(self.likelihood.out(h).log_softmax(-1))
            kept.append(value)
        return torch.cat(kept, 1).reshape(*z.shape[:-1], *self.event_shape)

    @property
    def mean(self) -> Tensor:
        """Probabilities along the likeliest symbols."""
        return self._say(
            torch.Size(), lambda log_p: (one_hot(log_p.argmax(-1), log_p.shape[-1]).to(log_p.dtype), log_p.exp())
        )

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        def choose(log_p: Tensor) -> tuple[Tensor, Tensor]:
            drawn = one_hot(Categorical(logits=log_p).sample(), log_p.shape[-1]).to(log_p.dtype)
            return drawn, drawn

        return self._say(sample_shape, choose)


@vk.part("likelihood/lstm", paper="Bowman et al. 2016, section 3")
class LSTMLikelihood(nn.Module):
    """p(x|z) = Π_t p(x_t | x_<t, z) by an LSTM that is told z at each step.

    Args:
        shape: ``(steps, symbols)``.
        latent_dim: length of z.
        hidden: length of the state.
    """

    discrete = True

    def __init__(self, shape: tuple[int, ...], latent_dim: int, hidden: int = 16) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.cell = nn.LSTM(shape[1] + latent_dim, hidden, batch_first=True)
        self.out = nn.Linear(hidden, shape[1])

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Steps:
        return Steps(self, z)


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of the data, and what it climbs."""
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Diagonal(LSTMEncoder(data.shape[1]), 2),
        LSTMLikelihood(data.shape, 2),
    )
    return model, ELBO()
