"""pythae's ``get_nll`` of some rows, with networks of the same size: the first tenth of the rows."""

from __future__ import annotations

import itertools
import logging

import torch
from images import images
from likelihood import DRAWS, HIDDEN, LATENT, PEER_SHARE, PIXELS, ROWS
from torch import nn
from worker import serve


def main() -> None:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    logging.disable(logging.CRITICAL)

    def layers(*widths: int) -> nn.Sequential:
        pairs = itertools.pairwise(widths)
        return nn.Sequential(*(layer for a, b in pairs for layer in (nn.Linear(a, b), nn.ReLU())))

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.layers = layers(PIXELS, *HIDDEN)
            self.mean, self.scale = nn.Linear(HIDDEN[-1], LATENT), nn.Linear(HIDDEN[-1], LATENT)

        def forward(self, x: torch.Tensor) -> ModelOutput:
            h = self.layers(x.reshape(len(x), -1))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.scale(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.layers = nn.Sequential(layers(LATENT, *HIDDEN), nn.Linear(HIDDEN[-1], PIXELS), nn.Sigmoid())

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    config = VAEConfig(input_dim=(PIXELS,), latent_dim=LATENT, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder()).eval()
    x = torch.from_numpy(images()[: ROWS // PEER_SHARE]).float()

    def work() -> float:
        with torch.no_grad():
            return float(model.get_nll(x, n_samples=DRAWS, batch_size=100))

    serve(work)


main()
