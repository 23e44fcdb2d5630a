"""q(z|x): modules that map data to a distribution over latents, ``posterior(x, condition=None)``."""

from vaekit.posteriors.chain import Chain
from vaekit.posteriors.cholesky import Cholesky
from vaekit.posteriors.diagonal import Diagonal
from vaekit.posteriors.independent import Independent
from vaekit.posteriors.ladder import Ladder, PrecisionWeighted
from vaekit.posteriors.point import Point
from vaekit.posteriors.quantized import Quantized

__all__ = ["Chain", "Cholesky", "Diagonal", "Independent", "Ladder", "Point", "PrecisionWeighted", "Quantized"]
