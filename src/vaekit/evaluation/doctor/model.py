"""Checks of the model itself, on rows of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.distributions.comparison import log_prob
from vaekit.distributions.moments import centre
from vaekit.evaluation import fitness
from vaekit.evaluation.doctor.course import IDLE
from vaekit.evaluation.doctor.finding import Finding, collapse, overfitting
from vaekit.evaluation.likelihood import bound, evaluating
from vaekit.models.draw import encoded

Batches = Sequence[Batch]
NEXT_TO_NOTHING = 0.05  # of the spread of the data: a scale below it makes a peak of the density


def collapsed_latents(kl: Mapping[str, Sequence[float]]) -> Finding | None:
    """Units whose KL is next to nothing carry nothing (Bowman et al. 2016; Burda et al. 2016).

    Args:
        kl: by latent, the mean KL of each unit, in nats.
    """
    idle = {name: sum(value < IDLE for value in values) for name, values in kl.items()}
    gone = [name for name, values in kl.items() if values and idle[name] == len(values)]
    if gone:
        which = ", ".join(f"all {len(kl[name])} units of {name}" for name in gone)
        return collapse(f"KL below {IDLE} nats in {which}")
    if not kl or sum(idle.values()) <= 0.5 * sum(map(len, kl.values())):
        return None
    where = ", ".join(f"{idle[name]} of {len(values)} in {name}" for name, values in kl.items())
    return Finding(
        "idle-latents",
        f"more than half of the units carry nothing (KL below {IDLE} nats: {where})",
        "harmless for the likelihood; a smaller --latent-dim trains faster, warm-up or free-bits wakes more of them",
    )


def not_finite(model: Any, batch: Batch, seed: int = 0) -> Finding | None:
    """Weights that ran away: no figure of the model means anything."""
    what = fitness.not_finite(model, batch, seed)
    return Finding("not-finite-model", what, f"train again with {fitness.CURE}") if what else None


def decoder_ignores_z(model: Any, batches: Batches, seed: int) -> Finding | None:
    """If p(x|z) hardly changes when the codes are swapped between rows, the decoder does not listen."""
    own = swapped = rows = 0.0
    with evaluating(model, seed):
        for batch in batches:
            if len(batch.x) < 2:
                continue
            z = centre(encoded(model, batch))
            other = {k: v.roll(1, 0) for k, v in z.items()} if isinstance(z, dict) else z.roll(1, 0)
            own += log_prob(model.decode(z, batch.condition), batch.x, batch.mask).sum().item()
            swapped += log_prob(model.decode(other, batch.condition), batch.x, batch.mask).sum().item()
            rows += len(batch.x)
    if not rows or own - swapped > 0.5 * rows:
        return None
    return Finding(
        "decoder-ignores-z",
        f"the decoder ignores z: with another row's code log p(x|z) falls by {max(0.0, own - swapped) / rows:.2f} nats",
        "train longer, warm the KL up, or give the decoder less freedom of its own",
    )


def validation_gap(model: Any, train: Batches, validation: Batches, seed: int) -> Finding | None:
    """The bound on training rows against that on validation rows, measured alike."""
    fitted, other = (bound(model, batches, seed=seed) for batches in (train, validation))
    figure = "elbo" if "elbo" in fitted else "log_px"
    gap = fitted[figure] - other[figure]
    if gap < 0.05 * abs(other[figure]) or gap < 1.0:
        return None
    return overfitting(f"{figure} {fitted[figure]:.2f} against {other[figure]:.2f} nats, a gap of {gap:.2f}")


def learns_its_scale(model: Any) -> bool:
    """Whether the likelihood has a scale that training moves, with a floor under it."""
    return hasattr(getattr(getattr(model, "likelihood", None), "scale", None), "minimum")


def vanishing_scale(model: Any, batch: Batch, seed: int = 0, columns: Sequence[str] = ()) -> Finding | None:
    """A density without an upper end: the scale of the likelihood runs to its floor, or down a column that is constant.

    Args:
        model: with a scale that training moves; any other has no such finding.
        batch: rows to look at.
        seed: of all random numbers.
        columns: names of the columns of a table.
    """
    if not learns_its_scale(model):
        return None
    with evaluating(model, seed):
        p = model.decode(centre(encoded(model, batch)), batch.condition)
    scale = getattr(getattr(p, "base_dist", p), "scale", None)
    if not isinstance(scale, Tensor):
        return None
    floor = model.likelihood.scale.minimum
    scale, x = scale.expand(batch.x.shape).flatten(1), batch.x.flatten(1)
    observed = torch.ones_like(x, dtype=torch.bool) if batch.mask is None else batch.mask.flatten(1)
    lowest, highest = (torch.where(observed, x, end) for end in (torch.inf, -torch.inf))
    constant = (lowest.amin(0) == highest.amax(0)) & (observed.sum(0) > 1)
    # A floor that is high enough keeps every density tame: then nothing is wrong with being there.
    tiny = NEXT_TO_NOTHING * x.std(correction=0)
    at_floor = (scale < 1.5 * floor) & (scale < tiny)
    sinking = constant & (scale.mean(0) < tiny)
    if at_floor.double().mean() < 0.01 and not sinking.any():
        return None
    places = (sinking | (at_floor.double().mean(0) > 0.5)).nonzero().flatten().tolist()
    smallest = scale[:, places].mean() if places else scale.min()
    what = f"the scale of p(x|z) is running to zero ({smallest:.3g}, its floor is {float(floor):g}) on "
    if places:
        shown = ", ".join(f"'{columns[place]}'" if len(columns) == x.shape[1] else f"{place}" for place in places[:3])
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        what += f"column{'s' * (len(places) > 1)} {shown}{more}"
    else:
        what += f"{at_floor.double().mean().item():.0%} of the values"
    reason = "never vary" if places and sinking[places].all() else "hardly vary"
    return Finding(
        "vanishing-scale",
        f"{what}: values that {reason} have a density without an upper end, and the bound is dominated by them",
        "drop constant columns, raise --likelihood …:minimum_scale=, or use one scale for all (scale=learned)",
    )


def unfit_likelihood(model: Any, batch: Batch, seed: int = 0) -> Finding | None:
    """A density over the reals where values are only 0 and 1, or means that leave the range of bounded values."""
    x = batch.x
    low, high = x.min(), x.max()
    if getattr(model.likelihood, "discrete", True) or x.numel() < 2 or low < 0 or high > 1 or low == high:
        return None
    cure = "leave --likelihood out for the one that fits the data (vaekit list parts shows them all)"
    if ((x == low) | (x == high)).all():
        what = f"the data holds only the values {low.item():g} and {high.item():g}, and p(x|z) is a density: on so few "
        return Finding("unfit-likelihood", f"{what}values it can grow without end", cure)
    with evaluating(model, seed):
        mean = model.decode(centre(encoded(model, batch._replace(x=x))), batch.condition).mean
    outside = ((mean < -0.05) | (mean > 1.05)).double().mean().item()
    if outside < 0.05:
        return None
    return Finding(
        "unfit-likelihood",
        f"the data lies between 0 and 1, and {outside:.0%} of the means of p(x|z) do not: the likelihood has no ends",
        cure,
    )
