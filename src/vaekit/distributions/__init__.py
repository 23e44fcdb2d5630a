"""What ``torch.distributions`` lacks."""

from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.autoregressive_mixture import AutoregressiveMixture
from vaekit.distributions.chain import Chain, levels
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.chosen import Chosen
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.divergence import divergence
from vaekit.distributions.each import log_prob_each, register_each
from vaekit.distributions.independent_bernoulli import IndependentBernoulli
from vaekit.distributions.logistic_mixture import ChannelMixture, LogisticMixture
from vaekit.distributions.marginal import Marginal
from vaekit.distributions.masked import log_prob
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.optimal_normal import OptimalNormal
from vaekit.distributions.ordinal import Ordinal
from vaekit.distributions.point_mass import PointMass
from vaekit.distributions.zero_inflated import ZeroInflated

__all__ = [
    "Autoregressive",
    "AutoregressiveMixture",
    "Chain",
    "ChannelMixture",
    "CholeskyNormal",
    "Chosen",
    "DiscretizedLogistic",
    "IndependentBernoulli",
    "LogisticMixture",
    "Marginal",
    "Mixture",
    "OptimalNormal",
    "Ordinal",
    "PointMass",
    "ZeroInflated",
    "centre",
    "divergence",
    "levels",
    "log_prob",
    "log_prob_each",
    "moments",
    "register_each",
]
