"""What ``torch.distributions`` lacks."""

from vaekit.distributions import gaussian_kl as _formulas  # noqa: F401 - registers them
from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.autoregressive_mixture import AutoregressiveMixture
from vaekit.distributions.chain import Chain, levels
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.chosen import Chosen
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.divergence import divergence
from vaekit.distributions.each import log_prob_each, register_each
from vaekit.distributions.flow import Flow
from vaekit.distributions.householder_normal import HouseholderNormal
from vaekit.distributions.independent_bernoulli import IndependentBernoulli
from vaekit.distributions.logistic_mixture import ChannelMixture, LogisticMixture
from vaekit.distributions.low_rank_normal import LowRankNormal
from vaekit.distributions.marginal import Marginal
from vaekit.distributions.masked import log_prob
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.one_hots import OneHots
from vaekit.distributions.optimal_normal import OptimalNormal
from vaekit.distributions.ordinal import Ordinal
from vaekit.distributions.point_mass import PointMass
from vaekit.distributions.rank_one_normal import RankOneNormal
from vaekit.distributions.trail import Trail, follow
from vaekit.distributions.von_mises_fisher import HypersphericalUniform, VonMisesFisher
from vaekit.distributions.zero_inflated import ZeroInflated

__all__ = [
    "Autoregressive",
    "AutoregressiveMixture",
    "Chain",
    "ChannelMixture",
    "CholeskyNormal",
    "Chosen",
    "DiscretizedLogistic",
    "Flow",
    "HouseholderNormal",
    "HypersphericalUniform",
    "IndependentBernoulli",
    "LogisticMixture",
    "LowRankNormal",
    "Marginal",
    "Mixture",
    "OneHots",
    "OptimalNormal",
    "Ordinal",
    "PointMass",
    "RankOneNormal",
    "Trail",
    "VonMisesFisher",
    "ZeroInflated",
    "centre",
    "divergence",
    "follow",
    "levels",
    "log_prob",
    "log_prob_each",
    "moments",
    "register_each",
]
