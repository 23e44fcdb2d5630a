"""What ``torch.distributions`` lacks."""

from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.chain import Chain, levels
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.divergence import divergence
from vaekit.distributions.independent_bernoulli import IndependentBernoulli
from vaekit.distributions.logistic_mixture import ChannelMixture, LogisticMixture
from vaekit.distributions.masked import log_prob
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.optimal_normal import OptimalNormal
from vaekit.distributions.ordinal import Ordinal
from vaekit.distributions.point_mass import PointMass
from vaekit.distributions.zero_inflated import ZeroInflated

__all__ = [
    "Autoregressive",
    "Chain",
    "ChannelMixture",
    "CholeskyNormal",
    "DiscretizedLogistic",
    "IndependentBernoulli",
    "LogisticMixture",
    "OptimalNormal",
    "Ordinal",
    "PointMass",
    "ZeroInflated",
    "centre",
    "divergence",
    "levels",
    "log_prob",
    "moments",
]
