"""Monte-Carlo EM: latents drawn from the posterior by Hamiltonian Monte Carlo, weights climbed given them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit.atomic import load_module_tensors, module_tensors, read_tensors, write_tensors
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.distributed.device import choose_device
from vaekit.errors import Interrupted
from vaekit.evaluation.hmc import density_at, move
from vaekit.papers.experiment import Job, Trained
from vaekit.progress import Bar, say
from vaekit.signals import listening

LEAPFROG, ACCEPTANCE, UPDATES, BATCH, RATE = 10, 0.9, 5, 100, 1e-3
STATE = "state/mcem.safetensors"


class MCEM:
    """Kingma & Welling 2013, section 5: a chain of latents for each training row, of a model of one latent vector.

    For each batch a move of 10 leapfrog steps in p(z|x), whose length is tuned to an acceptance of 90 %, then 5 steps
    of Adam on −log p(x, z) at the latents that were drawn. The posterior of the model is not looked at.

    Args:
        model: what is trained.
        job: data, epochs, seed and folder.
    """

    def __init__(self, model: Any, job: Job) -> None:
        self.model = model.to(choose_device("auto"))
        self.job = job
        self.device = next(model.parameters()).device
        self.weights = [*model.prior.parameters(), *model.likelihood.parameters()]
        self.optimizer = torch.optim.Adam(self.weights, RATE)
        self.loader = Loader(job.data.train, job.data.kind, self.device, BATCH)
        self.chains = self.model.sample_latents(len(job.data.train.x))["z"]
        self.step = torch.tensor(0.1)
        self.epoch, self.seconds, self.accepted = 0, 0.0, 0.0
        self.stop = False

    @property
    def path(self) -> Path:
        """Where the state is kept."""
        return self.job.folder / STATE

    def run(self) -> None:
        """Train to the last epoch, from wherever the state is.

        Raises:
            Interrupted: on Ctrl-C, with the state of the last epoch saved.
        """
        if self.path.exists():
            self.restore()
        epochs = self.job.budget.epochs
        with listening(self.ask), Bar("training", epochs, "epochs", done=self.epoch) as bar:
            while self.epoch < epochs:
                started = time.monotonic()
                self.one_epoch()
                self.epoch, self.seconds = self.epoch + 1, self.seconds + time.monotonic() - started
                bar.advance()
                if self.stop or self.epoch == epochs or self.epoch % 10 == 0:
                    self.save()
                if self.stop and self.epoch < epochs:
                    raise Interrupted(f"stopped after epoch {self.epoch}; the state is saved.", self.job.folder)

    def ask(self) -> None:
        self.stop = True

    def one_epoch(self) -> None:
        """Every batch once."""
        accepted = []
        for picked in self.loader.epoch(self.job.seed, self.epoch):
            rows, batch = picked.rows, picked.batch
            at = partial(density_at, parts_of=lambda z, x=batch.x: (self.log_joint(z, x),), weights=(1.0,))
            z = self.chains[rows].unsqueeze(0)
            step = self.step.to(self.device).expand(len(rows))
            z, _, probability = move(z, at, step, torch.ones_like(z[0]), LEAPFROG)
            self.chains[rows] = z[0]
            accepted.append(probability.mean().item())
            self.step = self.step * (1.02 if accepted[-1] > ACCEPTANCE else 1 / 1.02)
            for _ in range(UPDATES):
                self.optimizer.zero_grad()
                (-self.log_joint(z, batch.x).mean()).backward()
                self.optimizer.step()
        self.accepted = sum(accepted) / len(accepted)

    def log_joint(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x, z), ``(chains, batch)``."""
        return self.model.prior().log_prob(z) + self.model.likelihood(z).log_prob(x)

    def save(self) -> None:
        """Weights, moments of Adam, chains, step, random numbers and counters, in one file."""
        tensors = {f"model/{name}": tensor for name, tensor in module_tensors(self.model).items()}
        for place, weight in enumerate(self.weights):
            tensors |= {f"adam/{place}/{name}": value for name, value in self.optimizer.state[weight].items()}
        tensors |= {"chains": self.chains, "step": self.step, "random": torch.get_rng_state()}
        counters = {"epoch": self.epoch, "seconds": self.seconds, "accepted": self.accepted}
        write_tensors(self.path, tensors, {name: f"{value}" for name, value in counters.items()})

    def restore(self) -> None:
        """What :meth:`save` wrote."""
        tensors, counters = read_tensors(self.path)
        own = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
        load_module_tensors(self.model, own, self.path)
        for place, weight in enumerate(self.weights):
            start = f"adam/{place}/"
            # Adam's own count of steps stays where it is; moments lie beside the weights.
            self.optimizer.state[weight] = {
                name.removeprefix(start): value.to(weight.device) if value.dim() else value
                for name, value in tensors.items()
                if name.startswith(start)
            }
        self.chains, self.step = tensors["chains"].to(self.device), tensors["step"]
        torch.set_rng_state(tensors["random"])
        self.epoch, self.seconds = int(counters["epoch"]), float(counters["seconds"])
        self.accepted = float(counters["accepted"])


def mcem(make: Callable[[Dataset], Any]) -> Callable[[Job], Trained]:
    """Train what ``make(data)`` gives by Monte-Carlo EM."""

    def train(job: Job) -> Trained:
        say(f"training {job.folder.name}")
        torch.manual_seed(job.seed)
        training = MCEM(make(job.data), job)
        training.run()
        words = (
            f"{len(job.data.train.x):,} training rows, {job.data.kind.describe()}; {job.budget.epochs} epochs, batch "
            f"{BATCH}: a move of {LEAPFROG} leapfrog steps (step {training.step.item():.3f}, accepted "
            f"{training.accepted:.2f}), then {UPDATES} steps of adam at {RATE:g}; last weights"
        )
        return Trained(training.model.eval(), job.data, job.seed, training.seconds, words)

    return train
