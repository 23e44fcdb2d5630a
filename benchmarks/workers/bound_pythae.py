"""pythae's default VAE on MNIST that is binarised anew at each access, after its README; weights are left each epoch.

    python bound_pythae.py IMAGES FOLDER EPOCHS SEED

IMAGES is MNIST's file of training images, FOLDER is where ``epoch.npz`` goes.
"""

from __future__ import annotations

import gzip
import logging
import os
import sys
from pathlib import Path

import numpy as np
import torch
from images import BATCH, LATENT
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

VALIDATION = 10_000


class Binarized(BaseDataset):
    """Grey levels as probabilities, drawn anew at each access."""

    def __getitem__(self, index: int) -> DatasetOutput:
        return DatasetOutput(data=torch.bernoulli(self.data[index]), labels=self.labels[index])


class Leave(TrainingCallback):
    """Leaves the weights after each epoch."""

    def __init__(self, model: torch.nn.Module, path: Path) -> None:
        self.model, self.path = model, path

    def on_epoch_end(self, training_config: object, **given: object) -> None:
        temporary = self.path.with_name("writing.npz")
        np.savez(temporary, **{name: tensor.numpy() for name, tensor in self.model.state_dict().items()})
        os.replace(temporary, self.path)


def main() -> None:
    source, folder, epochs, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    logging.disable(logging.CRITICAL)
    raw = source.read_bytes()
    content = gzip.decompress(raw) if source.suffix == ".gz" else raw
    grey = torch.from_numpy(np.frombuffer(content, np.uint8, offset=16).reshape(-1, 1, 28, 28) / np.float32(255))
    rows, rest = grey[:-VALIDATION], grey[-VALIDATION:]
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"))
    config = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=epochs,
        learning_rate=1e-3,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        optimizer_cls="Adam",
        no_cuda=True,
        seed=seed,
    )
    pipeline = TrainingPipeline(training_config=config, model=model)
    pipeline(
        train_data=Binarized(rows, torch.zeros(len(rows))),
        eval_data=Binarized(rest, torch.zeros(len(rest))),
        callbacks=[Leave(model, folder / "epoch.npz")],
    )


main()
