"""Ladders: a deterministic path that prior, posterior and likelihood share."""

from __future__ import annotations

from collections import Counter

import part_cases
import pytest
import torch
from torch import nn

import vaekit as vk
from vaekit.distributions import LatentCache, cached_state
from vaekit.objectives import ELBO, IWAE, FreeBits
from vaekit.parts.record import from_document, to_document
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, check_model, linear_gaussian, seeded
from vaekit.testing.linear_gaussian import LinearGaussian, conditional

POSTERIORS = {"ladder": vk.posteriors.Ladder, "precision-weighted": vk.posteriors.PrecisionWeighted}
BATCH = vk.Batch(torch.rand(4, *part_cases.SHAPE, generator=torch.Generator().manual_seed(0)).round())
IMAGES = vk.Batch(torch.rand(4, *part_cases.IMAGE, generator=torch.Generator().manual_seed(0)).round())


def dense(posterior: str = "ladder", condition_dim: int = 0) -> vk.VAE:
    with seeded():
        path = part_cases.ladder(condition_dim=condition_dim)
        q = POSTERIORS[posterior](part_cases.bottom_up(condition_dim), path)
        return vk.VAE(vk.priors.Ladder(path), q, vk.likelihoods.Bernoulli(path, part_cases.SHAPE))


def grid(posterior: str = "ladder") -> vk.VAE:
    with seeded():
        path = part_cases.ladder(grid=True)
        encoder = vk.networks.GridBottomUp(part_cases.IMAGE, ((2, 2), part_cases.IMAGE[1:]), width=4)
        q = POSTERIORS[posterior](encoder, path)
        return vk.VAE(vk.priors.Ladder(path), q, vk.likelihoods.Bernoulli(path, part_cases.IMAGE))


def linear(widened: float = 1.0, scale: float = 0.75) -> LinearGaussian:
    """Three levels of one unit and three values, all maps linear, with the exact posterior (if not widened).

    The path carries every z beside −z: GELU(z) − GELU(−z) = z makes its blocks linear.
    """
    levels, data = 3, 3
    width = 2 * (levels + data)
    with seeded(3):
        between = torch.randn(levels, levels).double().tril(-1)  # z_i given those above it
        offset, weight, bias = (
            torch.randn(levels).double(),
            torch.randn(data, levels).double(),
            torch.randn(data).double(),
        )
    spread = torch.tensor([1.0, 0.5, 0.8]).double()
    # z = between z + offset + spread e, so z = factor e + mean.
    inverse = torch.linalg.inv(torch.eye(levels).double() - between)
    factor, mean_z = inverse @ torch.diag(spread), inverse @ offset
    covariance_z = factor @ factor.T
    cross = covariance_z @ weight.T
    covariance_x = weight @ cross + scale**2 * torch.eye(data).double()
    joint = torch.cat([torch.cat([covariance_z, cross], 1), torch.cat([cross.T, covariance_x], 1)])
    mean = torch.cat([mean_z, weight @ mean_z + bias])

    path = vk.networks.Ladder([vk.networks.DenseRung(1, width) for _ in range(levels)]).double()
    encoder = vk.networks.DenseBottomUp(data, levels, width).double()
    posterior = vk.posteriors.Ladder(encoder, path).double()
    likelihood = vk.likelihoods.Gaussian(path, (data,), scale=scale).double()
    pairs = torch.eye(width // 2).double().repeat_interleave(2, 0)  # (width, values): each value, twice
    pairs[1::2] *= -1
    x_pairs, z_pairs = pairs[:, levels:], pairs[:, :levels]
    undo = pairs.T  # GELU(v) − GELU(−v) = v

    def linear_map(block: nn.Module, matrix: torch.Tensor, constant: torch.Tensor) -> None:
        """Set a block to matrix · values + constant of the pairs that its inputs carry."""
        for layer in block.first:  # type: ignore[union-attr]
            layer.weight.copy_(pairs @ undo)
        block.last.weight.copy_(matrix @ undo)  # type: ignore[union-attr]
        block.last.bias.copy_(constant)  # type: ignore[union-attr]

    with torch.no_grad():
        for module in (path, encoder):
            for parameter in module.parameters():
                parameter.zero_()
        raw = linear_gaussian._raw(spread, path.minimum_scale)
        for index, (rung, head) in enumerate(zip(path.rungs, posterior.heads, strict=True)):
            matrix, constant = torch.zeros(2 + width, width // 2).double(), torch.zeros(2 + width).double()
            matrix[0, :levels] = between[index]
            constant[0], constant[1] = offset[index], raw[index]
            linear_map(rung.prior, matrix, constant)
            rung.projection.weight.copy_(z_pairs[:, index : index + 1])
            above = list(range(index))
            values = list(range(levels, levels + data))
            exact = conditional(mean, joint, [index], above + values)
            matrix, constant = torch.zeros(2, width // 2).double(), torch.zeros(2).double()
            matrix[0, above + values] = exact.matrix[0]
            constant[0] = exact.offset[0]
            constant[1] = linear_gaussian._raw(widened * exact.covariance[0].sqrt(), posterior.minimum_scale)[0]
            linear_map(head.block, matrix, constant)
        encoder.first.weight.copy_(x_pairs)
        likelihood.head[1].linear.weight.copy_(weight @ undo[:levels])
        likelihood.head[1].linear.bias.copy_(bias)
    model = vk.VAE(vk.priors.Ladder(path), posterior, likelihood)
    return LinearGaussian(model, weight @ factor, weight @ mean_z + bias, scale, None)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_laws(posterior: str) -> None:
    check_model(dense(posterior), BATCH)
    check_model(grid(posterior), IMAGES)


def test_laws_under_a_condition() -> None:
    check_model(dense(condition_dim=3), BATCH._replace(condition=torch.randn(4, 3)))


def test_laws_of_one_level() -> None:
    with seeded():
        path = vk.networks.Ladder([vk.networks.DenseRung(2, width=6)])
        q = vk.posteriors.Ladder(vk.networks.DenseBottomUp(part_cases.SHAPE, num_levels=1, width=6), path)
    check_model(vk.VAE(vk.priors.Ladder(path), q, vk.likelihoods.Bernoulli(path, part_cases.SHAPE)), BATCH)


@pytest.mark.parametrize("make", [dense, grid])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_path_is_gone_along_once_a_draw(make, posterior: str) -> None:
    model = make(posterior)
    calls: Counter[str] = Counter()
    watched = {
        f"rung {i} {name}": getattr(rung, name)
        for i, rung in enumerate(model.prior.ladder.rungs)
        for name in ("prior", "projection", "residual")
    }
    watched |= {f"head {i}": head for i, head in enumerate(model.posterior.heads)}
    watched |= {"encoder": model.posterior.encoder}
    for name, module in watched.items():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    draw = model.draw(BATCH if make is dense else IMAGES, 3)
    assert draw.log_w.shape == draw.elbo.shape == draw.kl.shape == (3, 4)
    assert calls == dict.fromkeys(watched, 1)
    # A chain that is drawn by itself goes along once too.
    calls.clear()
    prior = model.prior()
    prior.sample(torch.Size([5]))
    last = len(model.prior.ladder.rungs) - 1
    assert calls == {
        f"rung {i} {name}": 1
        for i in range(last + 1)
        for name in ("prior", "projection", "residual")
        if (i, name) != (last, "projection") and (i, name) != (last, "residual")
    }


@pytest.mark.parametrize("make", [dense, grid])
def test_a_draw_is_what_its_parts_say_one_by_one(make) -> None:
    model = make().double()
    batch = vk.Batch((BATCH if make is dense else IMAGES).x.double())
    with seeded():
        draw = model.draw(batch, 3)
    z = {name: latent.value for name, latent in draw.latents.items()}
    assert list(z) == ["z2", "z1"]
    # Plain dicts: every level computes its path from the top.
    q, p = model.posterior(batch.x).levels, model.prior().levels
    for name, before in (("z2", {}), ("z1", {"z2": z["z2"]})):
        q_level, p_level = q[name](before), p[name](before)
        assert_equal(draw.latents[name].log_qz, q_level.log_prob(z[name]), f"log q of {name}")
        assert_equal(draw.latents[name].log_pz, p_level.log_prob(z[name]).expand(3, 4), f"log p of {name}")
        kl = torch.distributions.kl_divergence(q_level, p_level)
        assert_equal(draw.latents[name].kl, kl.expand(3, 4), f"KL of {name}, analytic")
        assert draw.latents[name].kl_dims is not None
    assert_equal(draw.log_px, model.decode(z).log_prob(batch.x), "log p(x|z)")
    assert_equal(draw.kl, draw.latents["z2"].kl + draw.latents["z1"].kl, "the KL is the sum over levels")


def test_the_ladder_stays_shared() -> None:
    model = dense()
    document = to_document(model)
    assert document["posterior"]["ladder"] == document["likelihood"]["network"] == {"same": "/prior/ladder"}
    rebuilt = from_document(document)
    assert rebuilt.prior.ladder is rebuilt.posterior.ladder is rebuilt.likelihood.network


@pytest.mark.parametrize("samples", [1, 7])
def test_linear_ladder_with_the_exact_posterior_is_log_p_to_rounding(samples: int) -> None:
    oracle = linear()
    x = oracle.sample(5)
    with seeded(), torch.no_grad():
        draw = oracle.model.draw(vk.Batch(x), samples)
        bound = IWAE(samples)(oracle.model, vk.Batch(x), Step()).objective
    assert_equal(draw.log_w, oracle.log_p(x).expand(samples, -1), "log w")
    assert_equal(bound, oracle.log_p(x), "the importance-weighted bound")


def test_linear_ladder_the_bound_is_log_p_in_the_mean_with_analytic_divergences() -> None:
    oracle = linear()
    x = oracle.sample(3)
    with seeded(), torch.no_grad():
        draw = oracle.model.draw(vk.Batch(x), 20_000)
    assert_mean(draw.elbo, oracle.log_p(x), "the evidence lower bound")
    for name, latent in draw.latents.items():
        assert latent.log_qz is not None
        assert_mean(latent.log_qz - latent.log_pz - latent.kl, torch.zeros(3), f"the KL of {name}")
    parts = sum(latent.kl for latent in draw.latents.values())
    assert_equal(draw.kl, parts, "the KL is the sum over levels")


def test_linear_ladder_importance_weights_are_unbiased() -> None:
    oracle = linear(widened=1.3)
    x = oracle.sample(3)
    with seeded(), torch.no_grad():
        log_w = oracle.model.draw(vk.Batch(x), 20_000).log_w
    assert (log_w.std(0) > 0.1).all()
    assert_mean((log_w - oracle.log_p(x)).exp(), torch.ones(3), "w / p(x)")


def test_precision_weighting_is_the_product_of_two_gaussians() -> None:
    model = dense("precision-weighted").double()
    x = BATCH.x.double()
    z2 = torch.randn(4, 1).double()
    q = model.posterior(x).levels["z1"]({"z2": z2}).base_dist
    p = model.prior().levels["z1"]({"z2": z2}).base_dist
    loc, raw = model.posterior.heads[1](model.posterior.encoder(x)[1]).unbind(-2)
    said = torch.distributions.Normal(loc, vk.networks.network.positive(raw, model.posterior.minimum_scale))
    z = torch.randn(9, 4, 2).double()
    # Up to its constant, the product's log density is the sum.
    apart = q.log_prob(z) - said.log_prob(z) - p.log_prob(z)
    assert_equal(apart, apart[:1].expand_as(apart), "log q − log N(μ̂, σ̂²) − log p as a function of z")


def test_blocks_start_in_the_scale_of_their_depth() -> None:
    """Before training p(z_l|z_>l) = N(0, I), and the path's variance is that of a sum of N terms of weight 1/N."""
    variances = {}
    for depth in (4, 64):
        with seeded():
            rungs = [vk.networks.DenseRung(8, 32, scale=depth**-0.5) for _ in range(depth)]
            path = vk.networks.Ladder(rungs).double()
            drawn = vk.priors.Ladder(path)().sample(torch.Size([200]))
            for name in path.names:
                place = path.place({above: drawn[above] for above in path.names[: path.names.index(name)]})
                assert_equal(place.prior[0], torch.zeros_like(place.prior[0]), f"the mean of {name}")
                assert_equal(place.prior[1], torch.ones_like(place.prior[1]), f"the scale of {name}")
            variances[depth] = path(drawn).var().item()
    assert 0.5 < variances[64] / variances[4] < 2


def test_states_hold_for_the_tensors_that_led_to_them() -> None:
    steps: list[int] = []

    def step(index: int, state: float, z: torch.Tensor) -> float:
        steps.append(index)
        return state + z.item()

    def go(cache: dict[str, torch.Tensor]) -> float:
        return cached_state(cache, ("a", "b"), "who", lambda: 0.0, step)

    cache = LatentCache({"a": torch.tensor(1.0)})
    assert (go(cache), go(cache), steps) == (1.0, 1.0, [0])
    cache["b"] = torch.tensor(2.0)
    assert (go(cache), steps) == (3.0, [0, 1])
    again = cache.again()
    assert (go(again), steps) == (0.0, [0, 1])
    again["a"] = cache["a"]
    assert (go(again), steps) == (1.0, [0, 1])
    again["a"] = torch.tensor(5.0)
    assert (go(again), steps) == (5.0, [0, 1, 0])
    assert go({"a": torch.tensor(1.0), "b": torch.tensor(1.0)}) == 2.0
    assert cached_state(cache, ("b",), "another", lambda: 10.0, step) == 12.0


@pytest.mark.parametrize("objective", [ELBO(), FreeBits(0.1), IWAE(3)])
def test_every_objective_moves_every_parameter(objective: object) -> None:
    model = grid()
    value = objective(model, IMAGES, Step()).objective  # type: ignore[operator]
    gradients = torch.autograd.grad(value.mean(), list(model.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_ladder_needs_a_rung() -> None:
    with pytest.raises(ValueError, match="at least one rung"):
        vk.networks.Ladder([])


def test_with_the_exact_posterior_held_still_the_gradient_vanishes_on_every_draw() -> None:
    """Roeder et al. 2017: with q exact, log w does not depend on z, so that nothing moves q but noise of the score."""
    oracle = linear()
    batch = vk.Batch(oracle.sample(3))
    moved = list(oracle.model.posterior.heads.parameters())
    values = []
    for frozen_q in (True, False):
        with seeded():
            log_w = oracle.model.draw(batch, 5, frozen_q=frozen_q).log_w
        gradients = torch.autograd.grad(log_w.sum(), moved, allow_unused=True)
        values.append((log_w.detach(), sum(g.abs().sum().item() for g in gradients if g is not None)))
    assert_equal(values[0][0], values[1][0], "log w, with q held still or not")
    assert values[0][1] < 1e-9 < 1e-2 < values[1][1]
