"""p(z): modules that give a distribution over latents, ``prior(condition=None)``."""

from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.chain import Chain
from vaekit.priors.hyperspherical_uniform import HypersphericalUniform
from vaekit.priors.independent import Independent
from vaekit.priors.ladder import Ladder
from vaekit.priors.mixture import MixtureOfGaussians
from vaekit.priors.standard_normal import StandardNormal
from vaekit.priors.uniform_categorical import UniformCategorical
from vaekit.priors.uniform_codes import UniformCodes

__all__ = [
    "AutoregressiveCodes",
    "Chain",
    "Independent",
    "Ladder",
    "MixtureOfGaussians",
    "StandardNormal",
    "HypersphericalUniform",
    "UniformCategorical",
    "UniformCodes",
]
