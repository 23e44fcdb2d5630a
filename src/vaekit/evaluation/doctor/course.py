"""Checks of the records of the epochs. Each is about the last epoch of those it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from vaekit.evaluation.doctor.finding import Finding, collapse, overfitting

Records = Sequence[Mapping[str, Any]]

WINDOW = 10  # epochs that are looked back on
SETTLED = 5  # epochs in a row that make a state
IDLE = 0.01  # nats: a latent with less carries nothing
OBJECTIVE, LOG_PX, WATCHED, KL = "train_model_objective", "validation_log_px", "watched", "validation_kl"


def settled(records: Records) -> list[Mapping[str, Any]]:
    """The records of the last phase since its warm-up: figures of another goal are no measure for this one."""
    phase = records[-1].get("phase") if records else None
    return [record for record in records if record.get("phase") == phase and not record.get("warming")]


def figures(records: Records, key: str) -> list[float]:
    """Those figures of the settled records that are there and finite."""
    return [record[key] for record in settled(records) if record.get(key) is not None]


def learning_rate_too_high(records: Records) -> Finding | None:
    """A training that is thrown about, not led."""
    evidence = _plunge(records[-2:]) or _flung(records[-1:]) or _thrown(records[-WINDOW - 1 :])
    if not evidence:
        return None
    return Finding("learning-rate", evidence, "a smaller --learning-rate, a schedule ('cosine(0.001)'), or --clip-norm")


def _plunge(records: Records) -> str:
    """Whether reconstructions became hopeless within an epoch."""
    values = figures(records, LOG_PX)
    if len(values) < 2 or values[1] > values[0] - abs(values[0]) - 10:
        return ""
    epoch = records[-1]["epoch"]
    return f"log p(x|z) on validation fell from {values[0]:.1f} to {values[1]:.1f} nats within epoch {epoch}"


def _flung(records: Records) -> str:
    """Whether the posterior lies absurdly far from the prior, where the objective counts the KL at all."""
    log_px, watched, kl = (figures(records, key) for key in (LOG_PX, WATCHED, KL))
    if not (log_px and watched and kl) or log_px[0] - watched[0] < 100 + 10 * abs(log_px[0]):
        return ""
    return f"the posterior was flung far from the prior: KL {kl[0]:,.0f} nats, with log p(x|z) {log_px[0]:,.1f}"


def _thrown(records: Records) -> str:
    """Whether the training objective keeps rising and falling."""
    values = figures(records, OBJECTIVE)
    falls = [later < earlier - max(1.0, 0.05 * abs(earlier)) for earlier, later in pairwise(values)]
    turns = sum(fell and not before for before, fell in pairwise(falls))
    if turns < max(3.0, 0.25 * len(values)):
        return ""
    return f"the training objective rose and fell again by more than 5 % {turns} times in {len(values)} epochs"


def no_information(records: Records) -> Finding | None:
    """A latent whose KL has been next to nothing for some epochs carries nothing (Bowman et al. 2016)."""
    recent = settled(records[-SETTLED:])
    if len(recent) < SETTLED:
        return None
    levels = [key for key in recent[-1] if key.startswith(f"{KL}_")] or [KL]
    gone = [key for key in levels if all((record.get(key) or 0.0) < IDLE and key in record for record in recent)]
    if not gone:
        return None
    told = ", ".join(f"{recent[-1][key] or 0.0:.4f} nats{key.removeprefix(KL).replace('_', ' in ', 1)}" for key in gone)
    return collapse(f"KL {told}, below {IDLE} for {SETTLED} epochs")


def growing_gap(records: Records) -> Finding | None:
    """The figure by which epochs are compared falls on validation rows while the objective still rises on others."""
    phase = [record for record in settled(records) if record.get(WATCHED) is not None]
    if len(phase) < 2 * SETTLED:
        return None
    place = max(range(len(phase)), key=lambda index: phase[index][WATCHED])
    best, later = phase[place], phase[place + 1 :][-SETTLED:]
    if len(phase) - 1 - place < WINDOW or any(record.get(OBJECTIVE) is None for record in (best, *later)):
        return None
    now, fitted = fmean(record[WATCHED] for record in later), fmean(record[OBJECTIVE] for record in later)
    least = max(1.0, 0.05 * abs(best[WATCHED]))
    if best[WATCHED] - now < least or fitted < best[OBJECTIVE]:
        return None
    # While latents wake up the KL comes before what it buys: then reconstructions still get better.
    log_px = figures(phase, LOG_PX)
    if max(log_px) - fmean(log_px[-SETTLED:]) < 1.0:
        return None
    return overfitting(
        f"since epoch {best['epoch']} the bound on validation has fallen from {best[WATCHED]:.2f} to {now:.2f} nats, "
        f"while the training objective went from {best[OBJECTIVE]:.2f} to {fitted:.2f}"
    )


def skipped_steps(records: Records) -> Finding | None:
    """Steps that were not finite."""
    skipped = records[-1]["skipped"] if records else 0
    if not skipped:
        return None
    cause = records[-1].get("skipped_cause")
    return Finding(
        "not-finite",
        f"{skipped} step{'s were' if skipped > 1 else ' was'} skipped"
        + (f"; the first: {cause}" if cause else " because something in them was not finite"),
        "look at the rows that are named, use a smaller --learning-rate or --clip-norm",
    )


def still_improving(records: Records) -> Finding | None:
    """The last epochs were still getting better."""
    values = figures(records, "validation_elbo") or figures(records, LOG_PX)
    if len(values) < SETTLED:
        return None
    tail = max(2, len(values) // 5)
    gain = values[-1] - values[-1 - tail]
    if gain < max(0.5, 0.01 * abs(values[-1])):
        return None
    return Finding(
        "still-improving",
        f"it was still getting better: {gain:.2f} nats on validation in the last {tail} epochs",
        "train longer: vaekit train --resume RUN --epochs MORE",
    )


def ever(check: Callable[[Records], Finding | None], records: Records) -> Finding | None:
    """What a check says at the first epoch at which it says anything."""
    return next((found for end in range(1, len(records) + 1) if (found := check(records[:end]))), None)
