"""What a model is asked after training. Every evaluator is written on ``draw``, not on a class of models."""

from vaekit.evaluation.evaluate import evaluate
from vaekit.evaluation.likelihood import bound, log_likelihood

__all__ = ["bound", "evaluate", "log_likelihood"]
