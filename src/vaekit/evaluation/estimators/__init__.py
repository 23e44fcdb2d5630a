"""What ``vaekit evaluate --with`` can be asked for beside the figures of every evaluation.

An estimator is a frozen value, called with a :class:`Question`. It says first why it does not apply, if it does not,
and it says its figures for a person.
"""

from vaekit.evaluation.estimators.annealing import AIS, BDMC
from vaekit.evaluation.estimators.dequantized import Dequantized
from vaekit.evaluation.estimators.gaps import InferenceGaps
from vaekit.evaluation.estimators.parzen import ParzenWindow
from vaekit.evaluation.estimators.quality import SampleQuality
from vaekit.evaluation.estimators.question import Estimator, Question
from vaekit.evaluation.estimators.split import KLSplit

__all__ = [
    "AIS",
    "BDMC",
    "Dequantized",
    "Estimator",
    "InferenceGaps",
    "KLSplit",
    "ParzenWindow",
    "Question",
    "SampleQuality",
]
