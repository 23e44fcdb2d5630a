"""Relatives of the variational autoencoder that are fitted in closed form or by EM, never by its loop.

Each is fitted once (``fit``), and then has log p(x) of rows in nats (``score``) and draws (``sample``). They are small
enough to be exact, so that they also serve as truths for others to be held against.
"""

from vaekit.classical.causes import Binary, Slab
from vaekit.classical.factor_analysis import FactorAnalysis
from vaekit.classical.factors import Factors, Moments, moments_of
from vaekit.classical.information import cross_entropy, entropy, kl_divergence, self_information
from vaekit.classical.pca import ProbabilisticPCA
from vaekit.classical.regression import LeastSquares, Ridge
from vaekit.classical.sparse_coding import SparseCoding

__all__ = [
    "Binary",
    "FactorAnalysis",
    "Factors",
    "LeastSquares",
    "Moments",
    "ProbabilisticPCA",
    "Ridge",
    "Slab",
    "SparseCoding",
    "cross_entropy",
    "entropy",
    "kl_divergence",
    "moments_of",
    "self_information",
]
