"""Evidence lower bound with a floor under the KL (free bits)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.models.draw import Draw, Latent
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/free-bits", paper="Kingma et al. 2016, appendix C.8")
@dataclass(frozen=True)
class FreeBits(Objective):
    """E_q log p(x|z) − Σ_j max(λ, E_batch KL_j): nothing is gained by a KL below λ.

    j runs over groups of dimensions of a latent where its KL splits over them (both sides factorise), and
    is the whole latent otherwise.

    Args:
        nats: λ, in nats for each j.
        samples: draws for each row.
        per: what j is: ``dimension``, ``level`` (each latent of a chain as a whole), or a number of neighbouring
            dimensions.
    """

    nats: float = 0.1
    samples: int = 1
    per: int | str = "dimension"

    def __post_init__(self) -> None:
        at_least("nats", self.nats, 0)
        if self.per not in ("dimension", "level") and not (isinstance(self.per, int) and self.per >= 1):
            raise ValueError(f"per must be 'dimension', 'level' or a number of dimensions from 1, got {self.per!r}")
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        terms = draw.terms
        floored = torch.stack([self._floored(draw, latent) for latent in draw.latents.values()]).sum(0)
        return Value(draw.penalized(terms["log_px"] - floored), {**terms, "kl_floored": floored})

    def _floored(self, draw: Draw, latent: Latent) -> Tensor:
        """Σ_j max(λ, E_batch KL_j), ``(batch,)``: rows differ, their mean is the term of the formula."""
        kl = latent.kl.unsqueeze(-1) if latent.kl_dims is None else latent.kl_dims
        width = {"dimension": 1, "level": kl.shape[-1]}.get(self.per, self.per)  # type: ignore[call-overload]
        kl = torch.stack([group.sum(-1) for group in kl.split(width, dim=-1)], dim=-1)
        # expect() sums branches on the second last axis: dimensions go first for its sake.
        kl = draw.expect(kl.movedim(-1, 0))
        kl = kl.mean(-2) if kl.dim() == 3 else kl  # samples; an enumerated latent has none
        return torch.where(kl.mean(-1, keepdim=True) > self.nats, kl, torch.full_like(kl, self.nats)).sum(0)
