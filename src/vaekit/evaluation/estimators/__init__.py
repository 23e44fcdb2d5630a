"""What ``vaekit evaluate --with`` can be asked for beside the figures of every evaluation.

An estimator is a frozen value, called with an :class:`EvaluationContext`. It gives a reason where it does not apply,
and words for its figures.
"""

from vaekit.evaluation.estimators.annealing import AIS, BDMC
from vaekit.evaluation.estimators.context import Estimator, EvaluationContext
from vaekit.evaluation.estimators.dequantized import Dequantized
from vaekit.evaluation.estimators.gaps import InferenceGaps
from vaekit.evaluation.estimators.parzen import ParzenWindow
from vaekit.evaluation.estimators.quality import SampleQuality
from vaekit.evaluation.estimators.split import KLSplit

__all__ = [
    "AIS",
    "BDMC",
    "Dequantized",
    "Estimator",
    "InferenceGaps",
    "KLSplit",
    "ParzenWindow",
    "EvaluationContext",
    "SampleQuality",
]
