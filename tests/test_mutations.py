"""Formulas broken on purpose: each must be noticed by the check of its slot."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import part_cases
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.distributions.kl import _KL_MEMOIZE, _KL_REGISTRY  # type: ignore[attr-defined]

import vaekit as vk
from vaekit.distributions import CholeskyNormal, DiscretizedLogistic
from vaekit.distributions.codes import Rounded
from vaekit.models.draw import Draw
from vaekit.networks.masked import MaskedConvolution
from vaekit.objectives import ELBO, IWAE, Objective, Value
from vaekit.testing import (
    check_bound,
    check_gradient,
    check_likelihood,
    check_model,
    check_network,
    check_objective,
    check_posterior,
    check_prior,
    check_rebuilds,
    enumerable,
    linear_gaussian,
    seeded,
)

Patch = pytest.MonkeyPatch


def shifted(cls: type, method: str, by: Callable[[Any, Any], Any], monkeypatch: Patch) -> None:
    """Replace a method by its answer and something done to it."""
    original = getattr(cls, method)
    monkeypatch.setattr(cls, method, lambda self, *args, **kwargs: by(self, original(self, *args, **kwargs)))


# --- priors -----------------------------------------------------------------------------------------------------------


def mixture() -> nn.Module:
    return part_cases.make("prior", "mixture")


def density_with_a_wrong_constant(monkeypatch: Patch) -> None:
    shifted(Normal, "log_prob", lambda self, log_p: log_p + 0.5 * math.log(2 * math.pi), monkeypatch)
    check_prior(vk.priors.StandardNormal(2), 2)


def density_slightly_too_large(monkeypatch: Patch) -> None:
    shifted(Normal, "log_prob", lambda self, log_p: log_p + 0.01, monkeypatch)
    check_prior(vk.priors.StandardNormal(3), 3)


def samples_from_a_wider_prior(monkeypatch: Patch) -> None:
    shifted(Normal, "sample", lambda self, z: self.loc + 1.05 * (z - self.loc), monkeypatch)
    check_prior(mixture(), 2)


def mean_over_latent_dimensions(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Independent, "log_prob", lambda self, z: self.base_dist.log_prob(z).mean(-1))
    check_prior(vk.priors.StandardNormal(2), 2)


def pixels_that_see_themselves(monkeypatch: Patch) -> None:
    def forward(self: MaskedConvolution, x: Tensor) -> Tensor:
        mask = self.mask.clone()
        mask[len(mask) // 2, len(mask) // 2] = 1
        return nn.functional.conv2d(x, self.weight * mask, self.bias, padding=self.padding)  # type: ignore[arg-type]

    monkeypatch.setattr(MaskedConvolution, "forward", forward)
    prior = part_cases.make("prior", "autoregressive-codes")
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(4)
    check_prior(prior, (2, 2, 2))


def code_samples_that_ignore_the_neighbours(monkeypatch: Patch) -> None:
    with seeded():
        prior = enumerable.quantized().model.prior
    monkeypatch.setattr(vk.priors.AutoregressiveCodes, "sample", lambda self, count: torch.randint(2, (count, 2, 2)))
    check_prior(prior, (2, 2, 2))


# --- posteriors -------------------------------------------------------------------------------------------------------

X = torch.rand(3, *part_cases.SHAPE, generator=torch.Generator().manual_seed(0))


def missing_jacobian(monkeypatch: Patch) -> None:
    shifted(CholeskyNormal, "log_prob", lambda self, log_q: log_q + self.log_det_scale, monkeypatch)
    check_posterior(part_cases.make("posterior", "cholesky"), X)


def noise_of_another_draw(monkeypatch: Patch) -> None:
    def rsample(self: CholeskyNormal, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        value = self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        self._drawn = (value, torch.randn_like(noise))
        return value

    monkeypatch.setattr(CholeskyNormal, "rsample", rsample)
    check_posterior(part_cases.make("posterior", "cholesky"), X)


def replace_divergence(pair: tuple[type, type], wrong: Callable, monkeypatch: Patch) -> None:
    right = _KL_REGISTRY[pair]
    monkeypatch.setitem(_KL_REGISTRY, pair, lambda q, p: wrong(right(q, p), q, p))
    _KL_MEMOIZE.clear()


def replace_divergence_of_normals(wrong: Callable, monkeypatch: Patch) -> None:
    module = sys.modules["vaekit.distributions.comparison"]
    right = module._of_factors
    monkeypatch.setattr(module, "_of_factors", lambda q, p: wrong(right, q, p))


def divergence_with_the_wrong_sign(monkeypatch: Patch) -> None:
    replace_divergence_of_normals(lambda right, q, p: -right(q, p), monkeypatch)
    check_posterior(part_cases.make("posterior", "diagonal"), X)


def divergence_the_wrong_way_round(monkeypatch: Patch) -> None:
    replace_divergence_of_normals(lambda right, q, p: right(p, q), monkeypatch)
    check_posterior(part_cases.make("posterior", "diagonal"), X)


def divergence_without_its_dimension(monkeypatch: Patch) -> None:
    replace_divergence((CholeskyNormal, Independent), lambda kl, q, p: kl + 0.5 * q.loc.shape[-1], monkeypatch)
    check_posterior(part_cases.make("posterior", "cholesky"), X)


def draws_without_a_gradient(monkeypatch: Patch) -> None:
    shifted(Normal, "rsample", lambda self, z: z.detach(), monkeypatch)
    check_posterior(part_cases.make("posterior", "diagonal"), X)


def scale_that_is_taken_for_a_variance(monkeypatch: Patch) -> None:
    original = Normal.rsample

    def rsample(self: Normal, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return original(Normal(self.loc, self.scale.sqrt()), sample_shape)

    monkeypatch.setattr(Normal, "rsample", rsample)
    check_posterior(part_cases.make("posterior", "diagonal"), X)


def rows_that_look_at_each_other(monkeypatch: Patch) -> None:
    shifted(vk.networks.MLP, "forward", lambda self, h: h - h.mean(0), monkeypatch)
    check_posterior(part_cases.make("posterior", "diagonal"), X)


def a_point_that_claims_a_density(monkeypatch: Patch) -> None:
    monkeypatch.setattr(vk.distributions.PointMass, "log_prob", lambda self, z: z.new_zeros(z.shape[:-1]))
    check_posterior(part_cases.make("posterior", "point"), X)


def codes_that_cost_something(monkeypatch: Patch) -> None:
    shifted(Rounded, "log_prob", lambda self, log_q: log_q - math.log(2), monkeypatch)
    images = torch.rand(3, *part_cases.IMAGE, generator=torch.Generator().manual_seed(0))
    check_posterior(part_cases.make("posterior", "quantized"), images)


# --- likelihoods ------------------------------------------------------------------------------------------------------

Z = torch.randn(3, part_cases.LATENT_DIM, generator=torch.Generator().manual_seed(0))


def ones(high: int = 2) -> Tensor:
    drawn = torch.randint(high, (3, *part_cases.SHAPE), generator=torch.Generator().manual_seed(0))
    return drawn.float()


def mean_over_pixels(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        vk.distributions.IndependentBernoulli, "log_prob", lambda self, x: self.base_dist.log_prob(x).mean((-2, -1))
    )
    check_likelihood(part_cases.make("likelihood", "bernoulli"), Z, ones())


def squared_error_without_its_constant(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Normal, "log_prob", lambda self, x: -0.5 * ((x - self.loc) / self.scale).square())
    check_likelihood(part_cases.make("likelihood", "gaussian"), Z, ones())


def positive_log_likelihood(monkeypatch: Patch) -> None:
    shifted(vk.distributions.IndependentBernoulli, "log_prob", lambda self, log_p: -log_p, monkeypatch)
    check_likelihood(part_cases.make("likelihood", "bernoulli"), Z, ones())


def bins_without_their_tails(monkeypatch: Patch) -> None:
    def log_prob(self: DiscretizedLogistic, x: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        upper, lower = (torch.sigmoid((x - self.loc + side * half) / self.scale) for side in (1, -1))
        return (upper - lower).log()

    monkeypatch.setattr(DiscretizedLogistic, "log_prob", log_prob)
    likelihood = part_cases.make("likelihood", "discretized-logistic", levels=5)
    check_likelihood(likelihood, Z, ones(5) / 4)


def bins_half_as_wide(monkeypatch: Patch) -> None:
    shifted(DiscretizedLogistic, "log_prob", lambda self, log_p: log_p - math.log(2), monkeypatch)
    check_likelihood(part_cases.make("likelihood", "discretized-logistic", levels=5), Z, ones(5) / 4)


def mean_of_bins_that_is_their_location(monkeypatch: Patch) -> None:
    monkeypatch.setattr(DiscretizedLogistic, "mean", property(lambda self: self.loc.clamp(0, 1)))
    check_likelihood(part_cases.make("likelihood", "discretized-logistic", levels=5), Z, ones(5) / 4)


def mean_that_is_not_of_the_density(monkeypatch: Patch) -> None:
    monkeypatch.setattr(torch.distributions.Laplace, "mean", property(lambda self: self.loc + 0.5 * self.scale))
    check_likelihood(part_cases.make("likelihood", "laplace"), Z, ones())


def counts_sampled_with_another_mean(monkeypatch: Patch) -> None:
    shifted(torch.distributions.Poisson, "sample", lambda self, x: x + (torch.rand(x.shape) < 0.2), monkeypatch)
    check_likelihood(part_cases.make("likelihood", "poisson"), Z, ones(4))


def masses_called_a_density(monkeypatch: Patch) -> None:
    monkeypatch.setattr(vk.likelihoods.Bernoulli, "discrete", False)
    check_likelihood(part_cases.make("likelihood", "bernoulli"), Z, ones())


def mask_that_leaves_unobserved_values_in(monkeypatch: Patch) -> None:
    import vaekit.testing.likelihood as checks

    monkeypatch.setattr(checks, "log_prob", lambda p, x, mask: p.log_prob(torch.where(mask, x, torch.zeros_like(x))))
    check_likelihood(part_cases.make("likelihood", "bernoulli"), Z, ones())


# --- networks ---------------------------------------------------------------------------------------------------------


def batch_statistics(monkeypatch: Patch) -> None:
    shifted(vk.networks.MLP, "forward", lambda self, h: h - h.mean(0), monkeypatch)
    check_network(part_cases.make("network", "mlp"), 4)


def condition_that_does_not_matter(monkeypatch: Patch) -> None:
    original = vk.networks.MLP.forward
    monkeypatch.setattr(vk.networks.MLP, "forward", lambda self, x, condition: original(self, x, 0 * condition))
    check_network(part_cases.make("network", "mlp", condition_dim=2), 4, 2)


def condition_that_may_be_left_out(monkeypatch: Patch) -> None:
    def forward(self: vk.networks.MLP, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return original(self, x, x.new_zeros(2) if condition is None else condition)

    original = vk.networks.MLP.forward
    monkeypatch.setattr(vk.networks.MLP, "forward", forward)
    check_network(part_cases.make("network", "mlp", condition_dim=2), 4, 2)


def leading_axes_that_are_flattened(monkeypatch: Patch) -> None:
    shifted(vk.networks.MLP, "forward", lambda self, h: h.reshape(-1, h.shape[-1]), monkeypatch)
    check_network(part_cases.make("network", "mlp"), 4)


# --- bounds and objectives --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula(Objective):
    """An objective from a formula on a draw."""

    formula: Callable[[Draw], Tensor]
    samples: int = 1

    def __call__(self, model: Any, batch: vk.Batch, step: object) -> Value:
        return Value(self.formula(model.draw(batch, self.samples)), {})


def bound_with_the_divergence_added(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: (draw.log_px + draw.kl).mean(0)))


def bound_without_the_divergence(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: draw.log_px.mean(0)), tight=False)


def bound_with_the_divergence_averaged_over_dimensions(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: (draw.log_px - draw.kl / 2).mean(0)))


def bound_with_half_a_reconstruction(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: (0.5 * draw.log_px - draw.kl).mean(0)), tight=False)


def importance_weights_without_log_k(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: draw.log_w.logsumexp(0), samples=5))


def importance_weights_with_the_best_alone(monkeypatch: Patch) -> None:
    check_bound(Formula(lambda draw: draw.log_w.amax(0), samples=5))


def importance_weights_with_the_worst_preferred(monkeypatch: Patch) -> None:
    # The soft-min of the bounds: −log (1/K) Σ 1/w.
    check_bound(Formula(lambda draw: math.log(5) - (-draw.log_w).logsumexp(0), samples=5))


def objective_that_is_a_loss(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()
    objective = Formula(lambda draw: -draw.elbo.mean(0))
    check_objective(objective, case.model, vk.Batch(case.every_x[:4]))


def objective_that_is_averaged_over_the_batch(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()
    check_objective(Formula(lambda draw: draw.elbo.mean()), case.model, vk.Batch(case.every_x[:4]))


def objective_that_leaves_a_part_of_its_gradient_out(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()
    objective = Formula(lambda draw: (draw.log_px - draw.kl.detach()).mean(0))
    check_objective(objective, case.model, vk.Batch(case.every_x[:4]))


def objective_that_weights_samples_without_normalising(monkeypatch: Patch) -> None:
    # The value of IWAE with the gradient of the plain mean.
    def formula(draw: Draw) -> Tensor:
        bound = draw.log_w.logsumexp(0) - math.log(5)
        plain = draw.log_w.mean(0)
        return bound.detach() + plain - plain.detach()

    case = enumerable.binary_vae()
    check_objective(Formula(formula, samples=5), case.model, vk.Batch(case.every_x[:4]))


def players_who_share_a_parameter(monkeypatch: Patch) -> None:
    def players(self: ELBO, model: nn.Module) -> dict[str, vk.objectives.Player]:
        player = vk.objectives.Player(list(model.parameters()), self)
        return {"one": player, "other": player}

    monkeypatch.setattr(ELBO, "players", players)
    case = enumerable.binary_vae()
    check_objective(ELBO(), case.model, vk.Batch(case.every_x[:4]))


def gradient_of_another_function(monkeypatch: Patch) -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    check_gradient(lambda: (x.detach() * x).sum(), [x], "a product with half of its gradient")


# --- models -----------------------------------------------------------------------------------------------------------


def draw_that(change: Callable[[Draw], Draw], case: Any, monkeypatch: Patch) -> None:
    shifted(type(case.model), "draw", lambda self, draw: change(draw), monkeypatch)


def model_with_twice_the_divergence(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()

    def change(draw: Draw) -> Draw:
        z = draw.latents["z"]
        return draw.replace(latents={"z": z.replace(divergence=lambda: (2 * z.kl, None))})

    draw_that(change, case, monkeypatch)
    check_model(case.model, vk.Batch(case.every_x[:4]))


def model_that_forgets_the_density_of_the_posterior(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()

    def change(draw: Draw) -> Draw:
        z = draw.latents["z"]
        return draw.replace(latents={"z": z.replace(log_qz=torch.zeros_like(z.log_pz))})

    draw_that(change, case, monkeypatch)
    check_model(case.model, vk.Batch(case.every_x[:4]))


def hierarchy_that_is_analytic_where_it_may_not(monkeypatch: Patch) -> None:
    import vaekit.models.draw as module

    # The formula of the level, although the prior looks at what is drawn after it and so is another in each sample.
    original = module._evaluate
    monkeypatch.setattr(module, "_evaluate", lambda p, q, z, analytic: original(p, q, z, True))
    oracle = linear_gaussian.hierarchy(bottom_up=True)
    check_model(oracle.model, vk.Batch(oracle.sample(4)))


def importance_weight_without_the_prior(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()
    monkeypatch.setattr(Draw, "log_w", property(lambda self: self.log_px - self.latents["z"].log_qz))
    check_model(case.model, vk.Batch(case.every_x[:4]))


def branches_that_are_not_weighted(monkeypatch: Patch) -> None:
    case = enumerable.m2()
    monkeypatch.setattr(
        Draw,
        "log_w",
        property(lambda self: self.elbo - 1.0),
    )
    check_model(case.model, vk.Batch(case.every_x[:4]))


def label_without_its_prior(monkeypatch: Patch) -> None:
    def change(draw: Draw) -> Draw:
        y = draw.latents["y"]
        return draw.replace(latents=draw.latents | {"y": y.replace(log_pz=torch.zeros_like(y.log_pz))})

    case = enumerable.m2()
    draw_that(change, case, monkeypatch)
    enumerable.check_unbiased(case)


def label_that_is_averaged_inside_out(monkeypatch: Patch) -> None:
    # The mean of the branches' log-weights: a bound, but no importance weight.
    case = enumerable.m2()
    monkeypatch.setattr(Draw, "log_w", property(lambda self: self.elbo))
    enumerable.check_unbiased(case)


def model_without_a_density_that_claims_one(monkeypatch: Patch) -> None:
    case = enumerable.binary_vae()
    model = vk.VAE(case.model.prior, part_cases.make("posterior", "point", latent_dim=1), case.model.likelihood)
    model.posterior = vk.posteriors.Point(vk.networks.MLP(4, hidden=(4,)), 1).double()
    monkeypatch.setattr(vk.VAE, "abilities", frozenset({"density", "encode", "decode", "sample"}))
    check_model(model, vk.Batch(case.every_x[:4]))


# --- rebuilding -------------------------------------------------------------------------------------------------------


@vk.part("test/forgetful")
class Forgetful(nn.Module):
    """Keeps a random number where no document and no file finds it."""

    def __init__(self) -> None:
        super().__init__()
        self.secret = torch.randn(2)

    def forward(self) -> Tensor:
        return self.secret


@vk.part("test/unsaved")
class Unsaved(nn.Module):
    """Has an argument that it changes after it was written down."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self) -> Tensor:
        return torch.tensor(self.factor)


def part_with_a_secret(monkeypatch: Patch) -> None:
    check_rebuilds(Forgetful(), lambda part: part())


def part_that_was_changed_behind_its_document(monkeypatch: Patch) -> None:
    part = Unsaved(2.0)
    part.factor = 3.0
    check_rebuilds(part, lambda part: part())


def part_that_is_none(monkeypatch: Patch) -> None:
    check_rebuilds(nn.Linear(1, 1), lambda part: part(torch.zeros(1)))


def part_with_an_argument_that_is_not_json(monkeypatch: Patch) -> None:
    part = part_cases.make("network", "mlp")
    part._part_arguments["hidden"] = torch.zeros(2)
    check_rebuilds(part, lambda part: part(torch.zeros(1, 4)))


MUTATIONS = [
    (density_with_a_wrong_constant, "the integral of the prior StandardNormal"),
    (density_slightly_too_large, "the integral of the prior StandardNormal"),
    (samples_from_a_wider_prior, "moments and entropy of samples of the prior MixtureOfGaussians"),
    (mean_over_latent_dimensions, "the integral of the prior StandardNormal"),
    (pixels_that_see_themselves, "the sum of the prior AutoregressiveCodes over its support"),
    (code_samples_that_ignore_the_neighbours, "frequencies of the prior AutoregressiveCodes"),
    (missing_jacobian, "the integral of the posterior Cholesky"),
    (noise_of_another_draw, "log_prob of a value just drawn, and of an equal one"),
    (divergence_with_the_wrong_sign, "KL\\(q‖p\\) by Monte Carlo against its formula"),
    (divergence_the_wrong_way_round, "KL\\(q‖p\\) by Monte Carlo against its formula"),
    (divergence_without_its_dimension, "KL\\(q‖p\\) by Monte Carlo against its formula"),
    (draws_without_a_gradient, "does not depend on any parameter"),
    (scale_that_is_taken_for_a_variance, "moments and entropy of samples of the posterior Diagonal"),
    (rows_that_look_at_each_other, "mean of the first row alone, and among others"),
    (a_point_that_claims_a_density, "has no density by its own account"),
    (codes_that_cost_something, "log q of a mass on one point"),
    (mean_over_pixels, "log_prob against the sum over its elements"),
    (squared_error_without_its_constant, "the integral of the likelihood Gaussian over an element"),
    (positive_log_likelihood, "of discrete data"),
    (bins_without_their_tails, "the sum of the likelihood DiscretizedLogistic"),
    (bins_half_as_wide, "the sum of the likelihood DiscretizedLogistic"),
    (mean_of_bins_that_is_their_location, "the mean of the likelihood DiscretizedLogistic less that of its masses"),
    (mean_that_is_not_of_the_density, "samples of the likelihood Laplace about its mean"),
    (counts_sampled_with_another_mean, "frequencies of the likelihood Poisson"),
    (masses_called_a_density, "says discrete = False"),
    (mask_that_leaves_unobserved_values_in, "log_prob of the observed elements"),
    (batch_statistics, "inputs with one leading axis instead of two"),
    (condition_that_does_not_matter, "has a condition that does not matter"),
    (condition_that_may_be_left_out, "has a condition, and answers without it"),
    (leading_axes_that_are_flattened, "the output has the shape"),
    (bound_with_the_divergence_added, "with the exact posterior, against log p\\(x\\)"),
    (bound_without_the_divergence, "with the exact posterior, against log p\\(x\\), is too large"),
    (bound_with_the_divergence_averaged_over_dimensions, "with the exact posterior, against log p\\(x\\)"),
    (bound_with_half_a_reconstruction, "against log p\\(x\\), is too large"),
    (importance_weights_without_log_k, "with the exact posterior, against log p\\(x\\)"),
    (importance_weights_with_the_best_alone, "with a wrong posterior, against log p\\(x\\), is too large"),
    (importance_weights_with_the_worst_preferred, "against KL − log p\\(x\\), is too large"),
    (objective_that_is_a_loss, "with a discrete likelihood is too large"),
    (objective_that_is_averaged_over_the_batch, "the shape is \\(\\), expected \\(4,\\)"),
    (objective_that_leaves_a_part_of_its_gradient_out, "finite differences say"),
    (objective_that_weights_samples_without_normalising, "finite differences say"),
    (players_who_share_a_parameter, "one own the same"),
    (gradient_of_another_function, "finite differences say"),
    (model_with_twice_the_divergence, "mean of log_w minus that of the bound"),
    (model_that_forgets_the_density_of_the_posterior, "mean of log_w minus that of the bound"),
    (hierarchy_that_is_analytic_where_it_may_not, "mean of log_w minus that of the bound"),
    (label_without_its_prior, "the mean importance weight, against p\\(x\\)"),
    (label_that_is_averaged_inside_out, "the mean importance weight, against p\\(x\\)"),
    (importance_weight_without_the_prior, "log_w against log p"),
    (branches_that_are_not_weighted, "the bound minus the log of the summed branches"),
    (model_without_a_density_that_claims_one, "claims a density, but its draw says otherwise"),
    (part_with_a_secret, "Forgetful rebuilt: the values differ"),
    (part_that_was_changed_behind_its_document, "Unsaved rebuilt: the values differ"),
    (part_that_is_none, "Linear is not a part"),
    (part_with_an_argument_that_is_not_json, "cannot be written as JSON"),
]


@pytest.mark.parametrize("mutation, match", MUTATIONS, ids=[mutation.__name__ for mutation, _ in MUTATIONS])
def test_mutation_is_noticed(mutation: Callable[[Patch], None], match: str, monkeypatch: Patch) -> None:
    try:
        with pytest.raises(AssertionError, match=match):
            mutation(monkeypatch)
    finally:
        monkeypatch.undo()
        _KL_MEMOIZE.clear()


def test_the_same_checks_pass_without_the_mutations() -> None:
    check_prior(mixture(), 2)
    check_prior(vk.priors.StandardNormal(3), 3)
    for name in ("cholesky", "diagonal", "point"):
        check_posterior(part_cases.make("posterior", name), X)
    check_likelihood(part_cases.make("likelihood", "bernoulli"), Z, ones())
    check_likelihood(part_cases.make("likelihood", "gaussian"), Z, ones())
    check_likelihood(part_cases.make("likelihood", "poisson"), Z, ones(4))
    check_likelihood(part_cases.make("likelihood", "discretized-logistic", levels=5), Z, ones(5) / 4)
    check_network(part_cases.make("network", "mlp", condition_dim=2), 4, 2)
    check_bound(Formula(lambda draw: draw.elbo.mean(0)))
    check_bound(Formula(lambda draw: draw.log_w.logsumexp(0) - math.log(5), samples=5))
    check_bound(IWAE(5))
    case = enumerable.binary_vae()
    check_objective(Formula(lambda draw: draw.elbo.mean(0)), case.model, vk.Batch(case.every_x[:4]))
    check_model(case.model, vk.Batch(case.every_x[:4]))
