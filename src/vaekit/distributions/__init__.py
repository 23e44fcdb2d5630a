"""What ``torch.distributions`` lacks."""

from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.chain import Chain, levels
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.chosen import Chosen
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.divergence import divergence
from vaekit.distributions.each import log_prob_each, register_each
from vaekit.distributions.independent_bernoulli import IndependentBernoulli
from vaekit.distributions.marginal import Marginal
from vaekit.distributions.masked import log_prob
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.moments import centre, moments
from vaekit.distributions.optimal_normal import OptimalNormal
from vaekit.distributions.point_mass import PointMass

__all__ = [
    "Autoregressive",
    "Chain",
    "CholeskyNormal",
    "Chosen",
    "DiscretizedLogistic",
    "IndependentBernoulli",
    "Marginal",
    "Mixture",
    "OptimalNormal",
    "PointMass",
    "centre",
    "divergence",
    "levels",
    "log_prob",
    "log_prob_each",
    "moments",
    "register_each",
]
