"""Joint density log p(x, z) and log q(z|x) as functions of all latents side by side."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaekit.data.batch import Batch
from vaekit.distributions.chain import LatentCache, levels
from vaekit.distributions.comparison import log_prob
from vaekit.evaluation.likelihood import prior_is_bound, without_chance
from vaekit.models.draw import bare, beside, encoded, named


def why_no_ratio(model: Any, batch: Batch) -> str | None:
    """Why there is no q(z|x) / p(z) to take apart, as a clause; ``None`` if there is.

    Args:
        model: what is asked about.
        batch: a row that it may encode.
    """
    if "density" not in model.abilities:
        return "the model has no density (its posterior is a point)"
    if without_chance(model):
        return "the posterior is without chance (a code for each row)"
    if getattr(model, "prior", None) is None:
        return "the model does not name its prior"
    if not getattr(encoded(model, batch), "has_density", True):
        return "the density of z is known only together with that of its momentum"
    return None


def why_not_real(model: Any, batch: Batch) -> str | None:
    """Why latents cannot be moved through real space by log p(x, z), as a clause; ``None`` if they can be.

    Args:
        model: what is asked about.
        batch: a row that it may encode.
    """
    if reason := why_no_ratio(model, batch):
        return reason
    # E[p̂(z)] = p(z), but neither its powers nor moves that are accepted by it are those of p(z) in the mean.
    if prior_is_bound(model):
        return "log p(z) of its prior is itself an estimate, with draws of its own"
    before = LatentCache()
    for name, conditional in levels(encoded(model, batch)).items():
        q = conditional(before)
        support = _support(q)
        if getattr(support, "is_discrete", False):
            return f"the latent {name} is discrete"
        if support is not None and not isinstance(support, type(constraints.real)):
            return f"the latent {name} is confined to a part of space"
        before[name] = q.sample()
    return None


def _support(q: Distribution) -> Any:
    """The constraint on one number of a value, ``None`` where the distribution does not say."""
    try:
        support = q.support
    except NotImplementedError:
        return None
    while hasattr(support, "base_constraint"):
        support = support.base_constraint  # type: ignore[union-attr]
    return support


class Joint:
    """The densities of a batch; latents z are ``(draws, batch, units)``, all levels on the last axis.

    Args:
        model: with real latents and a density that can be computed, see :func:`why_not_real`.
        batch: the rows.
    """

    def __init__(self, model: Any, batch: Batch) -> None:
        self._model = model
        self._batch = batch
        self._q = encoded(model, batch)
        self._p = model.prior(batch.condition)
        # Side by side in the order of the prior, the shape of each.
        some = named(self._q.sample(torch.Size([1])))
        self._shapes = {name: some[name].shape[2:] for name in levels(self._p)}

    def start(self, draws: int) -> Tensor:
        """z ~ q(z|x), ``(draws, batch, units)``."""
        return self.beside(named(self._q.sample(torch.Size([draws]))))

    def from_prior(self, draws: int) -> Tensor:
        """z ~ p(z), ``(draws, batch, units)``."""
        rows = [] if self._p.batch_shape else [len(self._batch.x)]
        return self.beside(named(self._p.sample(torch.Size([draws, *rows]))))

    def beside(self, values: dict[str, Tensor]) -> Tensor:
        """Latents by name as one tensor, in the order of the prior."""
        return beside({name: values[name].flatten(-len(shape)) for name, shape in self._shapes.items()})

    def apart(self, z: Tensor) -> dict[str, Tensor]:
        """The latents by name."""
        ends = list(itertools.accumulate(shape.numel() for shape in self._shapes.values()))
        pieces = torch.tensor_split(z, ends[:-1], dim=-1)
        return {
            name: piece.reshape(*z.shape[:-1], *shape)
            for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)
        }

    def log_q(self, z: Tensor) -> Tensor:
        """log q(z|x), ``(draws, batch)``."""
        return self._q.log_prob(bare(self.apart(z)))

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), ``(draws, batch)``."""
        return self._p.log_prob(bare(self.apart(z)))

    def log_px(self, z: Tensor) -> Tensor:
        """log p(x|z), ``(draws, batch)``."""
        batch = self._batch
        return log_prob(self._model.decode(bare(self.apart(z)), batch.condition), batch.x, batch.mask)
