"""p(x|z): modules that map latents to a distribution over data, ``likelihood(z, condition=None)``."""

from vaekit.likelihoods.bernoulli import Bernoulli
from vaekit.likelihoods.categorical import Categorical
from vaekit.likelihoods.counts import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from vaekit.likelihoods.discretized_logistic import DiscretizedLogistic
from vaekit.likelihoods.gaussian import Gaussian, OptimalGaussian
from vaekit.likelihoods.laplace import Laplace
from vaekit.likelihoods.logistic_mixture import LogisticMixture
from vaekit.likelihoods.ordinal import Ordinal
from vaekit.likelihoods.pixelcnn import PixelCNN, PixelCNNLevels
from vaekit.likelihoods.student_t import StudentT
from vaekit.likelihoods.unit_gaussian import UnitGaussian

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "LogisticMixture",
    "NegativeBinomial",
    "OptimalGaussian",
    "Ordinal",
    "PixelCNN",
    "PixelCNNLevels",
    "Poisson",
    "UnitGaussian",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
]
