"""Does rounding the factors of products move the bound?

    python benchmarks/rounding.py [--epochs 20] [--save]

pythae's default VAE on MNIST, trained with ``--precision float32``, with ``bfloat16``, and with ``bfloat16 --compile``
from the same seed; the test bound and its terms, one draw for each image with the same noise, all computed in float32.
And the same trained model evaluated with rounded factors: how far reported nats would move if they were not computed in
float32.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from interleaved import environment, save

import vaekit as vk
from vaekit.data.loader import Loader
from vaekit.evaluation.likelihood import bound
from vaekit.kernels import rounding

HIDDEN, LATENT, BATCH = 512, 16, 128
CPU = torch.device("cpu")


WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, compiled": {"precision": "bfloat16", "compile": True},
}


def trained(data: vk.data.Dataset, way: str, epochs: int) -> Any:
    """The model after so many epochs: the last weights, so that all have taken as many steps."""
    torch.manual_seed(0)
    model = vk.VAE(
        vk.priors.StandardNormal(LATENT),
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(HIDDEN,)), LATENT),
        vk.likelihoods.Bernoulli(vk.networks.MLP(LATENT, hidden=(HIDDEN,)), data.shape),
    )
    options = {"batch_size": BATCH, "device": "cpu", "keep_best": False, **WAYS[way]}
    vk.fit(model, data, epochs=epochs, out=Path(tempfile.mkdtemp()) / "run", **options)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="of training (20)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/rounding.json")
    options = parser.parse_args()
    torch.set_flush_denormal(True)  # as the command line does, before the first sum
    data = vk.data.load("mnist")
    rows = Loader(data.test, data.kind, CPU, 1000)
    models = {way: trained(data, way, options.epochs) for way in WAYS}
    figures = {way: bound(model, rows) for way, model in models.items()}
    with rounding(CPU, "bfloat16"):
        figures["float32, evaluated with rounded factors"] = bound(models["float32"], rows)
    for name, each in figures.items():
        print(f"{name:<42}" + "".join(f"{key} {value:10.4f}  " for key, value in each.items()))
    plain = figures["float32"]["elbo"]
    differences = {
        "trained": abs(figures["bfloat16"]["elbo"] - plain),
        "trained, compiled": abs(figures["bfloat16, compiled"]["elbo"] - plain),
        "evaluated": abs(figures["float32, evaluated with rounded factors"]["elbo"] - plain),
    }
    print(f"difference of the bounds: {differences}")
    if options.save:
        save(
            "rounding",
            {"environment": environment(), "epochs": options.epochs, "figures": figures, "differences": differences},
        )


if __name__ == "__main__":
    main()
