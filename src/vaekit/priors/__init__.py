"""p(z): modules that give a distribution over latents, ``prior(condition=None)``."""

from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.autoregressive_latents import Autoregressive
from vaekit.priors.chain import Chain
from vaekit.priors.flow import Flow
from vaekit.priors.hyperspherical_uniform import HypersphericalUniform
from vaekit.priors.independent import Independent
from vaekit.priors.kernel_density import KernelDensity
from vaekit.priors.ladder import Ladder
from vaekit.priors.mixture import MixtureOfGaussians
from vaekit.priors.standard_normal import StandardNormal
from vaekit.priors.two_stage import TwoStage
from vaekit.priors.uniform_categorical import UniformCategorical
from vaekit.priors.uniform_codes import UniformCodes
from vaekit.priors.vamp import Vamp

__all__ = [
    "Autoregressive",
    "AutoregressiveCodes",
    "Chain",
    "Flow",
    "HypersphericalUniform",
    "Independent",
    "KernelDensity",
    "Ladder",
    "MixtureOfGaussians",
    "StandardNormal",
    "TwoStage",
    "UniformCategorical",
    "UniformCodes",
    "Vamp",
]
