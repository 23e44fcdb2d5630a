"""What more levels gain at the same number of weights: ladders of two, four and eight levels on binarised digits."""

from __future__ import annotations

from vaekit.papers.experiment import Budget, Difference, Experiment, Figure, Variant, elbo_of_test, nll_of_test
from vaekit.papers.perform import register
from vaekit.papers.planned import by_recipe

NLL, ELBO = "test −log p(x)", "test ELBO"
QUICK = {"objective": "elbo:beta=linear(0,1,epochs=8)", "rung": "dense"}
LONG = {"objective": "elbo:beta=linear(0,1,epochs=40)", "rung": "grid", "latent_channels": 8}
SETTINGS = {"ema_decay": 0.999, "patience": 60}


def _variant(levels: int, dense_width: int, grid_width: int, expected: str) -> Variant:
    """64 units in all for vectors; half of the levels on 7×7 and half on 14×14 places for images."""
    half = levels // 2
    return Variant(
        f"levels-{levels}",
        f"ladder of {levels} levels",
        "mnist:binarization=static",
        by_recipe("ladder", {"batch_size": 128}),
        (
            Figure(ELBO, "nats", {"quick": elbo_of_test(), "paper": elbo_of_test()}),
            Figure(NLL, "nats", {"quick": nll_of_test(200), "paper": nll_of_test(1000)}, expected={"paper": expected}),
        ),
        budgets={
            "quick": Budget(40, QUICK | {"blocks": f"{64 // levels}x{levels}", "width": dense_width}),
            "paper": Budget(400, LONG | {"blocks": f"7x{half}/14x{half}", "width": grid_width}, SETTINGS, seeds=3),
        },
    )


# Quick: deep ones take longer; after 24 epochs eight levels were not ahead of four, after 40 they are.
# Widths at which the three have as many weights, to 1.6 %: 832,464, 833,716 and 837,240 of vectors; 659,393, 658,569
# and 649,265 of images.
LADDER = register(
    Experiment(
        name="ladder",
        title="ladders of two, four and eight levels with equally many weights",
        citation="Sønderby et al. 2016, Ladder Variational Autoencoders; Child 2021, Very Deep VAEs",
        budgets={"quick": Budget(40), "paper": Budget(400, seeds=3)},
        variants=[_variant(2, 176, 192, "≤ 83.0"), _variant(4, 134, 144, "≤ 81.5"), _variant(8, 100, 106, "≤ 80.0")],
        differences=[
            Difference(f"levels-{more}", f"levels-{fewer}", ELBO, expected={"quick": "> 0.0", "paper": "> 0.0"})
            for fewer, more in ((2, 4), (4, 8))
        ],
    )
)
