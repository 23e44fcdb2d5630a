"""The model of mlp_vaekit.py in a loop that is tuned by hand; the argument may be ``compile``.

Rows stay in memory as floats, an epoch's order and each batch go into tensors that are there already, Adam is fused,
the density takes logits, gradients are set to none, and no figure is read before the end of the epoch.
"""

from __future__ import annotations

import math
import sys

import torch
from images import BATCH, HIDDEN, LATENT, PIXELS, images
from torch import Tensor, nn
from torch.nn import functional
from worker import serve

MINIMUM = 1e-4  # of the scale of q(z|x)
SHIFT = math.log(math.expm1(1 - MINIMUM))  # the scale is 1 where the network says 0


class Bound(nn.Module):
    """Minus the evidence lower bound with one draw, the mean over the rows, in nats."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        loc, raw = self.encoder(x).chunk(2, -1)
        scale = functional.softplus(raw + SHIFT) + MINIMUM
        logits = self.decoder(loc + scale * noise)
        nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = (0.5 * (loc.square() + scale.square() - 1) - scale.log()).sum()
        return (nll + kl) / len(x)


def main() -> None:
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = Bound()
    bound = torch.compile(model, dynamic=False) if "compile" in sys.argv else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    rows = torch.from_numpy(images()).float()
    order = torch.empty(len(rows), dtype=torch.int64)
    batch, noise, total = torch.empty(BATCH, PIXELS), torch.empty(BATCH, LATENT), torch.zeros(())

    def epoch() -> float:
        torch.randperm(len(rows), out=order)
        total.zero_()
        for chosen in order.split(BATCH):
            size = len(chosen)
            x = torch.index_select(rows, 0, chosen, out=batch[:size])
            loss = bound(x, noise[:size].normal_())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total.add_(loss.detach(), alpha=size)
        return total.item() / len(rows)

    serve(epoch)


if __name__ == "__main__":
    main()
