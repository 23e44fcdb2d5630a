"""Distributions that ``torch.distributions`` lacks, and what is asked of any: moments, KL, masked log-probability."""

from vaekit.distributions.autoregressive import Autoregressive, AutoregressiveMixture
from vaekit.distributions.bernoulli import IndependentBernoulli
from vaekit.distributions.categorical import OneHots, Ordinal
from vaekit.distributions.chain import Chain, LatentCache, cached_state, levels
from vaekit.distributions.comparison import divergence, log_prob
from vaekit.distributions.counts import ZeroInflated
from vaekit.distributions.flow import Flow
from vaekit.distributions.full_covariance import CholeskyNormal, HouseholderNormal, LowRankNormal, RankOneNormal
from vaekit.distributions.logistic import ChannelMixture, DiscretizedLogistic, LogisticMixture
from vaekit.distributions.mixture import Chosen, Marginal, Mixture, log_prob_each, register_each
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.normal import OptimalNormal
from vaekit.distributions.point_mass import PointMass
from vaekit.distributions.von_mises_fisher import HypersphericalUniform, VonMisesFisher

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
    "LatentCache",
    "VonMisesFisher",
    "ZeroInflated",
    "centre",
    "divergence",
    "cached_state",
    "levels",
    "log_prob",
    "log_prob_each",
    "moments",
    "register_each",
]
