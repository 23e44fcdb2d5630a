"""Findings, the same in training and afterwards."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing found.

    Attributes:
        name: a word for programs.
        what: what it is, with the figures that show it.
        cure: what usually helps.
    """

    name: str
    what: str
    cure: str

    @property
    def line(self) -> str:
        """All of it in a line of talk."""
        return f"{self.what} ({self.name}); usual cure: {self.cure}."


def collapse(where: str) -> Finding:
    """Nothing of x is in z.

    Args:
        where: which latents, with what shows it.
    """
    return Finding(
        "posterior-collapse",
        f"the posterior has collapsed onto the prior ({where}): z says nothing about x there",
        "warm the KL up (--objective 'elbo:beta=linear(0,1,epochs=20)') or use --objective free-bits, a smaller β or "
        "--learning-rate, a weaker decoder, or train longer",
    )


def overfitting(evidence: str) -> Finding:
    """What is learned of the training rows does not hold for others.

    Args:
        evidence: the two figures.
    """
    return Finding(
        "validation-gap",
        f"it fits the training rows better than others: {evidence}",
        "stop earlier (--patience 20), a smaller network, --weight-decay, or more data",
    )
