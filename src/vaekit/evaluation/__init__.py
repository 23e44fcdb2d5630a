"""What a model is asked after training. Every evaluator is written on ``draw``, not on a class of models."""

from vaekit.evaluation.annealing import annealed, sandwich
from vaekit.evaluation.estimators import AIS, BDMC, Dequantized, InferenceGaps, KLSplit, ParzenWindow, SampleQuality
from vaekit.evaluation.evaluate import evaluate
from vaekit.evaluation.gaps import gaps
from vaekit.evaluation.likelihood import bound, log_likelihood
from vaekit.evaluation.neighbours import neighbourhoods
from vaekit.evaluation.parzen import parzen_window
from vaekit.evaluation.quality import frechet_distance, kernel_distance, moments
from vaekit.evaluation.split import split_kl

__all__ = [
    "AIS",
    "BDMC",
    "Dequantized",
    "InferenceGaps",
    "KLSplit",
    "ParzenWindow",
    "SampleQuality",
    "annealed",
    "bound",
    "evaluate",
    "frechet_distance",
    "gaps",
    "kernel_distance",
    "log_likelihood",
    "moments",
    "neighbourhoods",
    "parzen_window",
    "sandwich",
    "split_kl",
]
