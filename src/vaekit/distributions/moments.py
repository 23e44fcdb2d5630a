"""Mean and standard deviation of any distribution, by formula or from draws."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions.chain import LatentCache, levels


def moments(distribution: Distribution, samples: int = 64) -> tuple[Tensor, Tensor]:
    """Its mean and standard deviation, each ``(*batch, *event)``; from draws where there is no formula (a flow).

    Args:
        distribution: a distribution of one latent.
        samples: how many draws, where they are needed.
    """
    try:
        return distribution.mean, distribution.stddev
    except NotImplementedError:
        drawn = distribution.sample(torch.Size([samples]))
        return drawn.mean(0), drawn.std(0)


def centre(distribution: Distribution) -> Tensor | dict[str, Tensor]:
    """The mean; of a chain, that of each level given the means of those before it, by name."""
    means = LatentCache()
    for name, conditional in levels(distribution).items():
        means[name] = moments(conditional(means))[0]
    return dict(means) if hasattr(distribution, "levels") else means["z"]
