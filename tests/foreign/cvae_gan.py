"""CVAE-GAN: a conditional VAE whose pictures must please a critic and a classifier."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

import vaekit as vk
from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.draw import bare
from vaekit.objectives import Objective, Value
from vaekit.objectives.objective import Matching, Player, from_prior, sides
from vaekit.schedules import Step


@vk.part("objective/cvae-gan", paper="Bao et al. 2017, section 3, algorithm 1")
class CVAEGAN(nn.Module, Matching):
    """−KL − ½|x − x̂|² and the same in the features of critic and classifier, − the distance of their mean features.

    Four players: ``encoder`` and ``decoder`` climb the value, ``critic`` tells x from x_p (decoded from the prior), and
    ``classifier`` learns the label of x. The condition is the label, one-hot.

    Args:
        shape: shape of one example.
        num_classes: number of labels.
        hidden: widths of critic and classifier; their last layers are the features.
    """

    def __init__(self, shape: tuple[int, ...], num_classes: int, hidden: tuple[int, ...] = (32,)) -> None:
        super().__init__()
        self.critic = vk.networks.MLP(shape, hidden, activation="leaky-relu")
        self.critic_head = self.critic.head((1,))
        self.classifier = vk.networks.MLP(shape, hidden)
        self.classifier_head = self.classifier.head((num_classes,))

    def players(self, model: nn.Module) -> dict[str, Player]:
        infers, makes = sides(model)
        critic = [*self.critic.parameters(), *self.critic_head.parameters()]
        classifier = [*self.classifier.parameters(), *self.classifier_head.parameters()]
        return {
            "encoder": Player(infers, self),
            "decoder": Player(makes, self),
            "critic": Player(critic, self.discriminate),
            "classifier": Player(classifier, self.classify),
        }

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        if batch.mask is not None:
            raise UserError("a critic of whole rows cannot leave out what is missing in them.")
        draw = model.draw(batch)
        fake, fantasy = draw.px.mean[0], self.fantasies(model, batch)
        value = -draw.kl.mean(0) - 0.5 * (batch.x - fake).flatten(1).square().sum(-1)
        for features in (self.critic, self.classifier):
            value = value - 0.5 * (features(batch.x) - features(fake)).square().sum(-1)
            value = value - 0.5 * (features(batch.x).mean(0) - features(fantasy).mean(0)).square().sum()
        return Value(draw.penalized(value), {"kl": draw.kl.mean(0)})

    def discriminate(self, model: Any, batch: Batch, step: Step) -> Value:
        """The critic's value: log D(x) + log(1 − D(x_p))."""
        with torch.no_grad():
            fantasy = self.fantasies(model, batch)
        real, fake = (self.critic_head(self.critic(x)).squeeze(-1) for x in (batch.x, fantasy))
        return Value(logsigmoid(real) + logsigmoid(-fake), {})

    def classify(self, model: Any, batch: Batch, step: Step) -> Value:
        """The classifier's value: log C(y|x) of the rows whose label is known."""
        if batch.condition is None:
            raise UserError("the labels are the condition: conditioned() makes it of them.")
        log_c = log_softmax(self.classifier_head(self.classifier(batch.x)), -1)
        return Value((log_c * batch.condition).sum(-1), {})

    def fantasies(self, model: Any, batch: Batch) -> Tensor:
        """Means of p(x|z, y), z from the prior, ``(batch, *shape)``."""
        return model.decode(bare(from_prior(model, batch)), batch.condition).mean


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of data that has its label as condition, and what it climbs."""
    classes = data.condition_dim
    model = vk.VAE(
        vk.priors.StandardNormal(3),
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(16,), condition_dim=classes), 3),
        vk.likelihoods.Bernoulli(vk.networks.MLP(3, hidden=(16,), condition_dim=classes), data.shape),
    )
    return model, CVAEGAN(data.shape, classes)
