"""The modules of the peers' default VAE in a plain loop, as anybody would write it."""

from __future__ import annotations

import torch
from images import BATCH, HIDDEN, LATENT, PIXELS, images
from torch import nn
from torch.nn import functional
from worker import serve


def main() -> None:
    torch.manual_seed(0)
    x = torch.from_numpy(images()).float()
    encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU())
    mean, log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid())
    modules = nn.ModuleList([encoder, mean, log_variance, decoder])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=BATCH, shuffle=True)

    def epoch() -> float:
        total = 0.0
        for (batch,) in loader:
            h = encoder(batch)
            m, s = mean(h), log_variance(h)
            z = m + torch.randn_like(m) * (0.5 * s).exp()
            log_px = -functional.binary_cross_entropy(decoder(z), batch, reduction="none").sum(-1)
            kl = -0.5 * (1 + s - m.square() - s.exp()).sum(-1)
            loss = (kl - log_px).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / len(loader)

    serve(epoch)


main()
