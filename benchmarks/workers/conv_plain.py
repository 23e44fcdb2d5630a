"""100 steps of the same convolutional VAE in a plain eager loop."""

from __future__ import annotations

import torch
from images import BATCH, images
from torch import nn
from torch.nn import functional
from worker import serve


class Crop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., :-1, :-1]


def main() -> None:
    torch.manual_seed(0)
    x = torch.from_numpy(images()[: 100 * BATCH]).float().view(-1, 1, 28, 28)
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(64 * 6 * 6, 4),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(2, 7 * 7 * 32), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 64, 3, stride=2), Crop(), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, stride=2), Crop(), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 3, padding=1),
    )  # fmt: skip
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=BATCH, shuffle=True)

    def epoch() -> float:
        total = 0.0
        for (batch,) in loader:
            m, s = encoder(batch).chunk(2, dim=1)
            logits = decoder(m + torch.randn_like(m) * (0.5 * s).exp())
            log_px = -functional.binary_cross_entropy_with_logits(logits, batch, reduction="none").sum((1, 2, 3))
            kl = -0.5 * (1 + s - m.square() - s.exp()).sum(-1)
            loss = (kl - log_px).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / len(loader)

    serve(epoch)


main()
