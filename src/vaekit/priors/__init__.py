"""p(z): modules that give a distribution over latents, ``prior(condition=None)``."""

from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.chain import Chain
from vaekit.priors.mixture import MixtureOfGaussians
from vaekit.priors.standard_normal import StandardNormal
from vaekit.priors.uniform_codes import UniformCodes
from vaekit.priors.vamp import Vamp

__all__ = ["AutoregressiveCodes", "Chain", "MixtureOfGaussians", "StandardNormal", "UniformCodes", "Vamp"]
