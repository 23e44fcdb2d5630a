"""What ``torch.distributions`` lacks."""

from vaekit.distributions.chain import Chain, levels
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.divergence import divergence
from vaekit.distributions.independent_bernoulli import IndependentBernoulli
from vaekit.distributions.masked import log_prob
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.optimal_normal import OptimalNormal
from vaekit.distributions.point_mass import PointMass
from vaekit.distributions.trail import Trail, follow

__all__ = [
    "Chain",
    "CholeskyNormal",
    "DiscretizedLogistic",
    "IndependentBernoulli",
    "OptimalNormal",
    "Trail",
    "PointMass",
    "centre",
    "divergence",
    "follow",
    "levels",
    "log_prob",
    "moments",
]
