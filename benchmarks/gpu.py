"""How fast is training on a GPU, a small model and a wide one?

    python benchmarks/gpu.py [--rounds 7] [--save]

The small one is the VAE of benchmarks/training.py: epochs of 60,000 rows in batches of 128. The wide one has residual
layers of 8,192 on both sides, trained in bfloat16 on batches of 16,384: the operations of its matrix products a second,
forwards and backwards, as a share of what torch's own product of two 8,192 × 8,192 matrices reaches in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from interleaved import environment, save
from torch.profiler import ProfilerActivity, profile

import vaekit as vk

sys.path.insert(0, str(Path(__file__).parent / "workers"))
from epochs import epochs
from images import BATCH, PIXELS, ROWS, default_vae, images

WIDTH, DEPTH, WIDE_LATENT, WIDE_BATCH, WIDE_STEPS, SQUARE = 8192, 2, 64, 16_384, 6, 8192
IN_A_ROW = 20  # products, so that the start of one hides behind the one before
MOST_KERNELS = 12  # shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured (7)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/gpu.json")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no GPU is here: nothing was measured.")
    rates, kernels = small_model(options.rounds)
    wide = wide_model(options.rounds)
    for name, value in {**rates, **wide}.items():
        print(f"{name:<90}{value:10.4g}")
    for name, row in kernels.items():
        print(f"{row['microseconds']:9.2f} microseconds {row['number']:7.2f} times a step  {name}")
    report = {
        "epochs a second": max(rates.values()),
        "share of the peak": wide["wide residual VAE, bfloat16, share of the peak"],
        "figures": {name: {"measured": value} for name, value in {**rates, **wide}.items()},
        "kernels": kernels,
    }
    if options.save:
        save("gpu", {"environment": environment(gpu=torch.cuda.get_device_name()), **report})


def timed(work: Callable[[], Any], rounds: int) -> float:
    """The median seconds of a piece of work, after two that do not count."""
    seconds = []
    for _ in range(2 + rounds):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


def small_model(rounds: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Epochs a second by precision and with compiled steps, and which kernels a step of the fastest is made of."""
    rates: dict[str, float] = {}
    kernels: dict[str, dict[str, float]] = {}
    for compile in (False, True):
        for words, precision, product in (
            ("float32", "float32", "highest"),
            ("float32, products in TF32 (set_float32_matmul_precision('high'))", "float32", "high"),
            ("bfloat16", "bfloat16", "highest"),
        ):
            torch.set_float32_matmul_precision(product)
            torch.manual_seed(0)
            settings = {"batch_size": BATCH, "device": "cuda", "precision": precision, "compile": compile}
            epoch = epochs(default_vae(), images(), **settings)
            words += ", --compile" if compile else ""
            rates[f"default VAE, {words}, epochs a second"] = rate = 1 / timed(epoch, rounds)
            print(f"{words}: {rate:.2f} epochs a second", flush=True)
            if rate == max(rates.values()):
                kernels = seen(epoch, -(-ROWS // BATCH))
    torch.set_float32_matmul_precision("highest")
    return rates, kernels


def seen(work: Callable[[], Any], steps: int) -> dict[str, dict[str, float]]:
    """The kernels that take longest, microseconds and number a step; and all together."""
    with profile(activities=[ProfilerActivity.CUDA]) as events:
        work()
    rows = sorted(events.key_averages(), key=lambda event: -event.self_device_time_total)
    whole = sum(each.self_device_time_total for each in rows), sum(each.count for each in rows)
    longest = {each.key[:100]: (each.self_device_time_total, each.count) for each in rows[:MOST_KERNELS]}
    return {
        name: {"microseconds": microseconds / steps, "number": number / steps}
        for name, (microseconds, number) in {"all": whole, **longest}.items()
    }


def wide_model(rounds: int) -> dict[str, float]:
    """The rate of the wide model and of a product alone."""
    network, half = vk.networks.ResidualMLP, torch.bfloat16
    with torch.device("cuda"):
        torch.manual_seed(0)
        model = vk.VAE(
            vk.priors.StandardNormal(WIDE_LATENT),
            vk.posteriors.Diagonal(network(PIXELS, width=WIDTH, depth=DEPTH), WIDE_LATENT),
            vk.likelihoods.Bernoulli(network(WIDE_LATENT, width=WIDTH, depth=DEPTH), (PIXELS,)),
        )
        one, other = (torch.randn(SQUARE, SQUARE, dtype=half) for _ in range(2))
    weights = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() == 2)
    # Three products for each weight, but for the first layer's, which needs no gradient of its input.
    products = WIDE_BATCH * 2 * (3 * weights - PIXELS * WIDTH)
    rows = images()[:WIDE_BATCH].repeat(WIDE_STEPS, axis=0)
    epoch = epochs(model, rows, 1e-5, batch_size=WIDE_BATCH, device="cuda", precision="bfloat16")
    reached = products * WIDE_STEPS / timed(epoch, rounds)
    peak = IN_A_ROW * 2 * SQUARE**3 / timed(lambda: [one @ other for _ in range(IN_A_ROW)], rounds)
    return {
        "wide residual VAE, bfloat16, share of the peak": reached / peak,
        f"wide residual VAE of {weights / 1e6:.0f} million weights, bfloat16, TFLOP/s": reached / 1e12,
        "a product alone, bfloat16, TFLOP/s": peak / 1e12,
    }


if __name__ == "__main__":
    main()
