"""What training maximises: frozen values ``(model, batch, step) -> Value``, in nats per example."""

from vaekit.objectives.adversarial import Adversarial
from vaekit.objectives.classified import Classified
from vaekit.objectives.elbo import ELBO
from vaekit.objectives.free_bits import FreeBits
from vaekit.objectives.iwae import IWAE
from vaekit.objectives.log_prior import LogPrior
from vaekit.objectives.objective import Objective, Player, Value

__all__ = ["ELBO", "IWAE", "Adversarial", "Classified", "FreeBits", "LogPrior", "Objective", "Player", "Value"]
