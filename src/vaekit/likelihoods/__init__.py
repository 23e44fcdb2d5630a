"""p(x|z): modules that map latents to a distribution over data, ``likelihood(z, condition=None)``."""

from vaekit.likelihoods.bernoulli import Bernoulli
from vaekit.likelihoods.categorical import Categorical
from vaekit.likelihoods.counts import NegativeBinomial, Poisson
from vaekit.likelihoods.discretized_logistic import DiscretizedLogistic
from vaekit.likelihoods.gaussian import Gaussian, OptimalGaussian
from vaekit.likelihoods.laplace import Laplace
from vaekit.likelihoods.unit_gaussian import UnitGaussian

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "NegativeBinomial",
    "OptimalGaussian",
    "Poisson",
    "UnitGaussian",
]
