"""The conformance suite: the laws of each slot, for every part, yours included.

Call the check of the slot from a test of your own; it raises ``AssertionError`` with a sentence that
says which law is broken and by how much. Random comparisons are judged in standard errors, with fixed
seeds; exact ones to rounding. Parts are copied first: they come out as they went in.

>>> import vaekit as vk
>>> vk.testing.check_prior(vk.priors.MixtureOfGaussians(2, num_components=3), latent_dim=2)

Where the truth is known: :mod:`vaekit.testing.linear_gaussian` (log p(x) in closed form) and
:mod:`vaekit.testing.enumerable` (p(x) as a sum).
"""

from vaekit.testing import enumerable, linear_gaussian
from vaekit.testing.bound import check_bound
from vaekit.testing.density import check_density, check_mass, check_on_sphere
from vaekit.testing.gradients import check_gradient
from vaekit.testing.likelihood import check_likelihood
from vaekit.testing.model import check_model
from vaekit.testing.network import check_network
from vaekit.testing.objective import check_objective
from vaekit.testing.posterior import check_posterior
from vaekit.testing.prior import check_prior
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, assert_mean, assert_mean_at_most, assert_same, seeded

__all__ = [
    "assert_equal",
    "assert_mean",
    "assert_mean_at_most",
    "assert_same",
    "check_bound",
    "check_density",
    "check_gradient",
    "check_likelihood",
    "check_mass",
    "check_model",
    "check_network",
    "check_objective",
    "check_on_sphere",
    "check_posterior",
    "check_prior",
    "check_rebuilds",
    "enumerable",
    "linear_gaussian",
    "seeded",
]
