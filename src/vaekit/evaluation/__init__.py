"""Evaluation of trained models. Every evaluator is written on ``draw`` and abilities, not on a class of models."""

from vaekit.evaluation.annealing import AIS, BDMC, annealed, sandwich
from vaekit.evaluation.bits import Dequantized
from vaekit.evaluation.context import Estimator, EvaluationContext
from vaekit.evaluation.evaluate import evaluate
from vaekit.evaluation.gaps import InferenceGaps, gaps
from vaekit.evaluation.likelihood import bound, log_likelihood
from vaekit.evaluation.neighbours import neighbourhoods
from vaekit.evaluation.parzen import ParzenWindow, parzen_window
from vaekit.evaluation.quality import SampleQuality, frechet_distance, kernel_distance, moments
from vaekit.evaluation.split import KLSplit, split_kl

__all__ = [
    "AIS",
    "BDMC",
    "Dequantized",
    "Estimator",
    "EvaluationContext",
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
