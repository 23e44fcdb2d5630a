"""q(z|x): modules that map data to a distribution over latents, ``posterior(x, condition=None)``."""

from vaekit.posteriors.categorical import Categorical
from vaekit.posteriors.chain import Chain
from vaekit.posteriors.cholesky import Cholesky
from vaekit.posteriors.committed import Committed
from vaekit.posteriors.diagonal import Diagonal
from vaekit.posteriors.flow import Coupling, InverseAutoregressive
from vaekit.posteriors.householder import Householder
from vaekit.posteriors.independent import Independent
from vaekit.posteriors.ladder import Ladder, PrecisionWeighted
from vaekit.posteriors.low_rank import LowRank
from vaekit.posteriors.point import Point
from vaekit.posteriors.quantized import Quantized
from vaekit.posteriors.rank_one import RankOne
from vaekit.posteriors.von_mises_fisher import VonMisesFisher

__all__ = [
    "Categorical",
    "Chain",
    "Cholesky",
    "Committed",
    "Coupling",
    "Diagonal",
    "Householder",
    "Independent",
    "InverseAutoregressive",
    "Ladder",
    "LowRank",
    "Point",
    "PrecisionWeighted",
    "Quantized",
    "RankOne",
    "VonMisesFisher",
]
