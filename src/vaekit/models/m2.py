"""M2: a class label and a continuous latent; the label is observed for some rows and summed out for the others."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, OneHotCategorical
from torch.nn.functional import one_hot

from vaekit.data.batch import Batch
from vaekit.distributions.chain import Chain
from vaekit.distributions.comparison import log_prob
from vaekit.models.draw import Draw, Latent, draw_latents
from vaekit.models.dry_run import try_dry_run
from vaekit.networks.network import observed
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("model/m2", paper="Kingma, Rezende, Mohamed & Welling 2014, section 2")
class M2(nn.Module):
    """p(x, y, z) = p(y) p(z) p(x|y, z) with q(y|x) q(z|x, y); y is uniform over the classes.

    The label is an enumerated axis of the draw, with q(y|x) as its probabilities where it is not
    observed and with all of the probability on the observed one where it is. So the bound is
    L(x, y) = E_q(z|x,y)[log p(x|y, z)] + log p(y) − KL on labelled rows, and
    U(x) = Σ_y q(y|x) L(x, y) + H[q(y|x)] on the others (equations 6 and 7), by one code path.

    Args:
        classifier: network from x to features for q(y|x).
        posterior: q(z|x, y); its network takes the one-hot label as condition.
        likelihood: p(x|y, z); its network takes the one-hot label as condition.
        prior: p(z).
        num_classes: number of labels.
    """

    def __init__(
        self,
        classifier: nn.Module,
        posterior: nn.Module,
        likelihood: nn.Module,
        prior: nn.Module,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.classifier = as_network(classifier, self)
        self.classifier_head = self.classifier.head((num_classes,))
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.num_classes = num_classes
        self.num_branches = num_classes  # decoded for each draw
        try_dry_run(self)

    @property
    def abilities(self) -> frozenset[str]:
        """What evaluators may ask for."""
        return frozenset({"density", "encode", "decode", "sample", "classify"})

    @property
    def recognition(self) -> tuple[nn.Module, ...]:
        """What infers latents from data; the rest of the model makes data from latents."""
        return (self.classifier, self.classifier_head, self.posterior)

    def classify(self, x: Tensor, mask: Tensor | None = None, length: Tensor | None = None) -> Categorical:
        """q(y|x), batch shape ``(batch,)``; mask and length go to a network that asks for them."""
        features = self.classifier(x, **observed(self.classifier, mask, length))
        return Categorical(logits=self.classifier_head(features), validate_args=False)

    def draw(self, batch: Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        """Draw z for every class and row; densities have shape ``(samples, classes, batch)``.

        With ``frozen_q`` the parameters of q(z|x, y) are held still in its density; q(y|x) is summed, not drawn.
        """
        x = batch.x
        every_class = torch.eye(self.num_classes, dtype=x.dtype, device=x.device).unsqueeze(1)
        condition = every_class.expand(-1, len(x), -1)  # (classes, batch, classes)
        q = self.posterior(x, condition, **observed(self.posterior, batch.mask, batch.length))
        latents, penalty = draw_latents(q, self.prior(), samples, frozen_q)

        log_qy = self.classify(x, batch.mask, batch.length).logits  # (batch, classes), normalised
        known = None if batch.label is None else batch.label >= 0
        if known is not None and batch.label is not None:
            certain = one_hot(batch.label.clamp_min(0), self.num_classes).to(x.dtype).log()
            log_branch = torch.where(known[:, None], certain, log_qy).T
            # An observed label costs nothing: all of q's mass is on it.
            log_qy = torch.where(known[:, None], torch.zeros_like(log_qy), log_qy).T
        else:
            log_branch = log_qy = log_qy.T
        log_py = torch.full_like(log_qy, -math.log(self.num_classes))
        label = Latent(condition, log_py, log_qy)
        z = latents["z"].value
        return Draw(
            {"y": label, **latents},
            lambda p: log_prob(p, x, batch.mask),
            penalty,
            log_branch,
            px=lambda: self.likelihood(z, condition),
        )

    def encode(
        self, x: Tensor, condition: Tensor | None = None, mask: Tensor | None = None, length: Tensor | None = None
    ) -> Distribution:
        """q(y|x) q(z|x, y) over {"y": one-hot, "z": …}."""
        q_y = OneHotCategorical(logits=self.classify(x, mask, length).logits, validate_args=False)
        asked = observed(self.posterior, mask, length)
        return Chain({"y": lambda before: q_y, "z": lambda before: self.posterior(x, before["y"], **asked)})

    def decode(self, z: dict[str, Tensor], condition: Tensor | None = None) -> Distribution:
        """p(x|y, z) for {"y": one-hot, "z": …}; a condition, one-hot, stands in the place of y."""
        return self.likelihood(z["z"], z["y"] if condition is None else condition)

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        """Draws of z, and the classes: those of the condition, one-hot, or in turn: rows 0, 1, 2 … are of 0, 1, 2 …"""
        with torch.no_grad():
            z = self.prior().sample(torch.Size([count]))
        if condition is not None:
            return {"y": condition, "z": z}
        y = one_hot(torch.arange(count, device=z.device) % self.num_classes, self.num_classes).to(z.dtype)
        return {"y": y, "z": z}

    def independent_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        """Draws of z and of the class: :meth:`sample_latents` goes through the classes in turn."""
        if condition is None:
            like = next(self.parameters())
            label = torch.randint(self.num_classes, (count,), device=like.device)
            condition = one_hot(label, self.num_classes).to(like.dtype)
        return self.sample_latents(count, condition)

    def generate(self, count: int, condition: Tensor | None = None) -> Distribution:
        """p(x|y, z) for :meth:`sample_latents`, batch shape ``(count,)``."""
        with torch.no_grad():
            return self.decode(self.sample_latents(count, condition))
