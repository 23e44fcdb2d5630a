"""Objectives: frozen values ``(model, batch, step) -> Value``, in nats per example."""

from vaekit.objectives.adversarial import Adversarial
from vaekit.objectives.aggregate import WAE, InfoVAE, SlicedWasserstein
from vaekit.objectives.classified import Classified
from vaekit.objectives.elbo import ELBO
from vaekit.objectives.free_bits import FreeBits
from vaekit.objectives.iwae import IWAE
from vaekit.objectives.log_prior import LogPrior
from vaekit.objectives.multiple import CIWAE, MIWAE, PIWAE
from vaekit.objectives.objective import Objective, Player, Value
from vaekit.objectives.path_gradients import DReG, StickingTheLanding, StickingTheLandingIWAE
from vaekit.objectives.renyi import Renyi, VRMax
from vaekit.objectives.wake_sleep import ReweightedWakeSleep, WakeSleep

__all__ = [
    "CIWAE",
    "ELBO",
    "IWAE",
    "MIWAE",
    "PIWAE",
    "WAE",
    "Adversarial",
    "Classified",
    "DReG",
    "FreeBits",
    "InfoVAE",
    "LogPrior",
    "Objective",
    "Player",
    "Renyi",
    "ReweightedWakeSleep",
    "SlicedWasserstein",
    "StickingTheLanding",
    "StickingTheLandingIWAE",
    "VRMax",
    "Value",
    "WakeSleep",
]
