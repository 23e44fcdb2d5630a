"""Rezende et al. 2014: diagonal against rank-one posteriors, and the linear sigmoid model, on binarised digits."""

from __future__ import annotations

from vaekit.papers.experiment import Budget, Difference, Experiment, Figure, Variant, elbo_of_test, nll_of_test
from vaekit.papers.paper import UNVERIFIED
from vaekit.papers.perform import register
from vaekit.papers.planned import by_recipe

NLL, ELBO = "test −log p(x)", "test ELBO"
QUOTED = f"{UNVERIFIED}: quoted from a reading note, not seen in the paper"
# All test rows: the first thousand of the static images have more ink than the rest, and cost eight nats more.
MEASURED = {"quick": nll_of_test(500), "paper": nll_of_test(5000)}
# The sizes of the published models could not be confirmed: these are of their kind.
SIZES = {"latent_dim": 100, "network": "mlp:hidden=300/300"}


def _variant(name: str, system: str, published: float, expected: dict[str, str], **options: str | int) -> Variant:
    return Variant(
        name,
        system,
        "mnist:binarization=static",
        by_recipe("dlgm", {"batch_size": 200}, **{**SIZES, **options}),
        (
            Figure(NLL, "nats", MEASURED, published, QUOTED, expected),
            Figure(ELBO, "nats", elbo_of_test()),
        ),
    )


# On the published schedule: within two nats of the published figures. The factor-analysis row is quoted of what is a
# linear sigmoid model, for which 104 to 108 is foreseen. Quick is one level of noise, for which some 90 nats are
# foreseen after 40 epochs, the first half of them with a growing weight of the KL: with 10 in place of 20 the rank-one
# posterior kept 14 units alive, one direction served all rows, and a run was a nat behind. Two levels after 12 epochs
# were at 108.7 and, with rank one, 114.1, which tells nothing yet.
DLGM = register(
    Experiment(
        name="dlgm",
        title="deep latent Gaussian models: diagonal and rank-one posteriors, and no hidden layer at all",
        citation="Rezende, Mohamed & Wierstra 2014, Stochastic Backpropagation and Approximate Inference",
        budgets={
            "quick": Budget(40, {"objective": "elbo:beta=linear(0,1,epochs=20)", "num_levels": 1}),
            "paper": Budget(300, {"objective": "elbo:beta=linear(0,1,epochs=30)"}, {"patience": 50}, seeds=3),
        },
        variants=[
            _variant("diagonal", "diagonal posterior", 87.30, {"quick": "≤ 94.0", "paper": "≤ 89.0"}),
            _variant(
                "rank-one",
                "rank-one posterior",
                86.60,
                {"quick": "≤ 94.0", "paper": "≤ 88.5"},
                posterior="rank-one",
            ),
            _variant(
                "linear",
                "sigmoid of a linear map",
                106.00,
                {"quick": "≤ 110.0", "paper": "≤ 108.0"},
                num_levels=1,
                decoder="linear",
            ),
        ],
        differences=[
            Difference("rank-one", "diagonal", NLL, -0.70, QUOTED, {"quick": "< 0.0", "paper": "< 0.0"}),
            Difference("linear", "diagonal", NLL, 18.70, QUOTED, {"quick": "> 4.0", "paper": "> 10.0"}),
        ],
    )
)
