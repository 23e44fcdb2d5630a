"""An epoch of pythae's trainer with its default VAE."""

from __future__ import annotations

import logging
import tempfile

import torch
from images import BATCH, LATENT, images
from worker import serve


def main() -> None:
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.CRITICAL)
    torch.manual_seed(0)
    x = torch.from_numpy(images()).float().view(-1, 1, 28, 28)
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"))
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        num_epochs=1000,
        learning_rate=1e-3,
        per_device_train_batch_size=BATCH,
        optimizer_cls="Adam",
        no_cuda=True,
    )
    trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=config)
    trainer.prepare_training()
    trainer.callback_handler.callbacks = []
    counter = iter(range(1, 10**6))
    serve(lambda: float(trainer.train_step(next(counter))))


main()
