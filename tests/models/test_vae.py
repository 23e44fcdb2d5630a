"""The laws of the VAE, whatever its parts."""

from __future__ import annotations

import part_cases
import pytest
import torch
from test_combinations import PAIRS, fits
from torch import nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal

import vaekit as vk
from vaekit.evaluation.likelihood import log_likelihood
from vaekit.schedules import Step
from vaekit.testing import assert_equal, check_model, check_rebuilds, enumerable, linear_gaussian, seeded

BATCH = vk.Batch(torch.rand(4, *part_cases.SHAPE, generator=torch.Generator().manual_seed(0)).round())


def vae(prior: str = "standard-normal", posterior: str = "diagonal") -> vk.VAE:
    q = part_cases.make("posterior", posterior)
    return vk.VAE(part_cases.prior_of(prior, q), q, part_cases.make("likelihood", "bernoulli"))


def hierarchy(bottom_up: bool = False) -> vk.VAE:
    torch.manual_seed(0)
    top, low = part_cases.encoder(), part_cases.encoder(condition_dim=2)
    levels = {"z2": vk.posteriors.Diagonal(top, 2), "z1": vk.posteriors.Diagonal(low, 2)}
    if bottom_up:
        levels = {"z1": vk.posteriors.Diagonal(top, 2), "z2": vk.posteriors.Diagonal(low, 2)}
    prior = vk.priors.Chain({"z2": vk.priors.StandardNormal(2), "z1": vk.posteriors.Diagonal(part_cases.decoder(), 2)})
    likelihood = vk.likelihoods.Bernoulli(vk.networks.Concatenate(part_cases.decoder(4)), part_cases.SHAPE)
    return vk.VAE(prior, vk.posteriors.Chain(levels), likelihood)


@pytest.mark.parametrize("posterior, prior", [pair for pair in PAIRS if fits(*pair)])
def test_laws(posterior: str, prior: str) -> None:
    check_model(vae(prior, posterior), BATCH)


@pytest.mark.parametrize("bottom_up", [False, True])
def test_laws_of_hierarchies(bottom_up: bool) -> None:
    check_model(hierarchy(bottom_up), BATCH)
    check_model(linear_gaussian.hierarchy(bottom_up).model, vk.Batch(linear_gaussian.hierarchy().sample(4)))


def test_laws_where_the_levels_of_the_posterior_do_not_look_at_each_other() -> None:
    for name in ("diagonal", "cholesky"):
        levels = {
            "z2": part_cases.make("posterior", "diagonal"),
            "z1": part_cases.Blind(part_cases.make("posterior", name)),
        }
        dependent = hierarchy()
        check_model(vk.VAE(dependent.prior, vk.posteriors.Chain(levels), dependent.likelihood), BATCH)


def test_laws_of_a_quantised_model() -> None:
    case = enumerable.quantized()
    check_model(case.model, vk.Batch(case.every_x[:4]))


def test_laws_under_a_condition() -> None:
    torch.manual_seed(0)
    model = vk.VAE(
        part_cases.make("prior", "standard-normal"),
        part_cases.make("posterior", "diagonal", condition_dim=3),
        part_cases.make("likelihood", "bernoulli", condition_dim=3),
    )
    check_model(model, BATCH._replace(condition=torch.randn(4, 3)))


def test_a_condition_that_is_left_out_is_noticed() -> None:
    """The numbers would be those of neither p(x) nor p(x|c)."""
    model = vk.VAE(
        part_cases.make("prior", "standard-normal"),
        part_cases.make("posterior", "diagonal", condition_dim=3),
        part_cases.make("likelihood", "bernoulli", condition_dim=3),
    )
    for ask in (lambda: model.draw(BATCH), lambda: model.encode(BATCH.x), lambda: model.generate(2)):
        with pytest.raises(vk.UserError, match=r"^a network that was made for a condition was given none\."):
            ask()


def test_a_mask_reaches_the_likelihood_and_nothing_else() -> None:
    model = vae()
    mask = torch.rand(4, *part_cases.SHAPE, generator=torch.Generator().manual_seed(1)) < 0.5
    with seeded():
        masked = model.draw(BATCH._replace(mask=mask), 3)
    with seeded():
        plain = model.draw(BATCH, 3)
    assert torch.equal(masked.kl, plain.kl)
    p = model.likelihood(plain.latents["z"].value)
    expected = (p.base_dist.log_prob(BATCH.x) * mask).sum((-2, -1))
    torch.testing.assert_close(masked.log_px, expected)


def test_importance_weights_are_unbiased_for_the_enumerated_p() -> None:
    enumerable.check_unbiased(enumerable.binary_vae())


def test_chain_of_one_level_is_the_plain_model() -> None:
    plain = vae("mixture")
    chain = vk.VAE(vk.priors.Chain({"z": plain.prior}), vk.posteriors.Chain({"z": plain.posterior}), plain.likelihood)
    figures = []
    for model in (plain, chain):
        with seeded():
            draw = model.draw(BATCH, 3)
            value = vk.objectives.ELBO()(model, BATCH, Step()).objective
        figures.append((draw.log_w, draw.elbo, value, *torch.autograd.grad(value.sum(), list(plain.parameters()))))
    for one, other in zip(*figures, strict=True):
        assert torch.equal(one, other)
    with seeded():
        sampled = plain.generate(3).mean
    with seeded():
        assert torch.equal(chain.generate(3).mean, sampled)
    assert torch.equal(chain.decode(chain.encode(BATCH.x).mean).mean, plain.decode(plain.encode(BATCH.x).mean).mean)


def test_elbo_of_a_hierarchy_by_hand() -> None:
    model = hierarchy().double()
    batch = vk.Batch(BATCH.x.double())
    with seeded():
        draw = model.draw(batch, 5)
    z2, z1 = draw.latents["z2"].value, draw.latents["z1"].value
    q2 = model.posterior.levels["z2"](batch.x)
    q1 = model.posterior.levels["z1"](batch.x, z2)
    p2, p1 = vk.priors.StandardNormal(2).double()(), model.prior.levels["z1"](z2)
    log_px = model.likelihood({"z2": z2, "z1": z1}).log_prob(batch.x)
    kl = torch.distributions.kl_divergence
    assert_equal(draw.latents["z2"].kl, kl(q2, p2).expand(5, -1), "KL of the top level, analytic")
    assert_equal(draw.latents["z1"].kl, kl(q1, p1), "KL of the lower level given the top, analytic")
    assert_equal(draw.elbo, log_px - kl(q2, p2) - kl(q1, p1), "the evidence lower bound")
    log_w = log_px + p2.log_prob(z2) + p1.log_prob(z1) - q2.log_prob(z2) - q1.log_prob(z1)
    assert_equal(draw.log_w, log_w, "log w")


def test_bottom_up_inference_is_analytic_only_where_it_may_be() -> None:
    model = hierarchy(bottom_up=True).double()
    batch = vk.Batch(BATCH.x.double())
    with seeded():
        draw = model.draw(batch, 5)
    z2, z1 = draw.latents["z2"].value, draw.latents["z1"].value
    assert list(draw.latents) == ["z2", "z1"], "the order is that of the prior"
    q1 = model.posterior.levels["z1"](batch.x)
    q2 = model.posterior.levels["z2"](batch.x, z1)
    p2, p1 = vk.priors.StandardNormal(2).double()(), model.prior.levels["z1"](z2)
    # z1 was drawn before z2, which its prior looks at: no formula holds for it.
    assert_equal(draw.latents["z1"].kl, q1.log_prob(z1) - p1.log_prob(z1), "KL of the lower level, by Monte Carlo")
    assert draw.latents["z1"].kl_dims is None
    assert_equal(draw.latents["z2"].kl, torch.distributions.kl_divergence(q2, p2), "KL of the top level, analytic")
    assert draw.latents["z2"].kl_dims is not None


def test_latents_of_several_levels_are_decoded_in_any_order() -> None:
    model = hierarchy(bottom_up=True)
    z = model.encode(BATCH.x).mean
    assert list(z) == ["z1", "z2"]
    swapped = {name: z[name] for name in ("z2", "z1")}
    assert torch.equal(model.decode(z).mean, model.likelihood(swapped).mean)
    assert torch.equal(model.decode(swapped).mean, model.likelihood(swapped).mean)


def test_latents_that_are_not_those_of_the_model_are_refused() -> None:
    model = hierarchy()
    with pytest.raises(vk.UserError, match="the model has the latents z2, z1, and was given z"):
        model.decode({"z": torch.zeros(3, 4)})
    with pytest.raises(vk.UserError, match="a map of them by name, and was given one of shape \\(3, 4\\)"):
        model.decode(torch.zeros(3, 4))


def test_levels_must_have_the_same_names() -> None:
    model = vk.VAE(part_cases.make("prior", "chain"), part_cases.make("posterior", "diagonal"), vae().likelihood)
    with pytest.raises(vk.UserError, match="must have the same names"):
        model.draw(BATCH)


def test_without_a_density_bounds_are_refused_in_a_sentence() -> None:
    draw = vae(posterior="point").draw(BATCH)
    for figure in ("log_w", "elbo"):
        with pytest.raises(vk.UserError, match="needs the density of the posterior, and that of z has none"):
            getattr(draw, figure)
    assert torch.equal(draw.kl, torch.zeros(1, 4))


def test_shared_code_book_stays_shared() -> None:
    model = enumerable.quantized().model
    rebuilt = check_rebuilds(model, lambda part: part.draw(vk.Batch(enumerable.quantized().every_x[:3])).log_px)
    assert rebuilt.prior.codebook is rebuilt.posterior.codebook
    rebuilt.posterior.codebook.embedding.zero_()
    assert rebuilt.prior.codebook.embedding.abs().sum() == 0


def test_quantised_model_in_training_is_asked_for_the_codes_it_drew() -> None:
    case = enumerable.quantized(3)
    model = case.model.train()
    before = model.posterior.codebook.embedding.clone()
    draw = model.draw(vk.Batch(case.every_x))
    assert not torch.equal(model.posterior.codebook.embedding, before), "the code book moved"
    z = draw.latents["z"].value
    distance = (z.unsqueeze(-4) - before[:, :, None, None]).square().sum(-3)
    assert_equal(
        distance.amin(-3), torch.zeros_like(distance[..., 0, :, :]), "what was drawn are codes before the move"
    )
    expected = model.prior.log_prob(distance.argmin(-3))
    assert_equal(draw.latents["z"].log_pz, expected, "log p of the codes that were drawn")


def test_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^samples must be at least 1, got 0$"):
        vae().draw(BATCH, samples=0)
    with pytest.raises(ValueError, match=r"^samples must be at least 1, got 0$"):
        log_likelihood(vae(), [BATCH], 0)


class Gives(nn.Module):
    """A part that answers with one distribution whatever it is asked."""

    has_density = True

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        self.distribution = distribution

    def forward(self, x: torch.Tensor | None, condition: torch.Tensor | None = None) -> Distribution:
        return self.distribution


@pytest.mark.parametrize("frozen", [False, True])
def test_a_latent_whose_numbers_are_no_event_is_refused(frozen: bool) -> None:
    """Two rows and two latents would broadcast, and the bound be a wrong number."""
    q, p = Normal(torch.zeros(2, 2), 1.0), Normal(torch.zeros(2), 1.0)
    for posterior, prior, whose in ((q, p, "posterior"), (Independent(q, 1), p, "prior")):
        model = vk.VAE(Gives(prior), Gives(posterior), vae().likelihood)
        with pytest.raises(vk.UserError, match=rf"the {whose} has an event of shape \(\)") as error:
            model.draw(vk.Batch(BATCH.x[:2]), frozen_q=frozen)
        assert "Independent(…, 1)" in (error.value.hint or "")


@pytest.mark.parametrize("event", [(), (4,), (1, 1), (1, *part_cases.SHAPE)])
def test_a_likelihood_of_another_shape_than_x_is_refused(event: tuple[int, ...]) -> None:
    p = Independent(Normal(torch.zeros(1, 4, *event), 1.0), len(event))
    model = vk.VAE(part_cases.make("prior", "standard-normal"), part_cases.make("posterior", "diagonal"), Gives(p))
    with pytest.raises(vk.UserError, match=r"p\(x\|z\) is over values of shape .* row of x has the shape \(3, 4\)"):
        _ = model.draw(BATCH).log_px


@pytest.mark.parametrize("mask", [torch.ones(4).bool(), torch.ones(3, 4).bool(), torch.ones(4, 3, 4)])
def test_a_mask_of_another_shape_or_type_is_refused(mask: torch.Tensor) -> None:
    with pytest.raises(vk.UserError, match="does not fit elements of shape"):
        _ = vae().draw(BATCH._replace(mask=mask)).log_px


def test_p_of_x_given_z_is_made_when_it_is_asked_for_and_once() -> None:
    model, made = vae(), []
    model.likelihood.register_forward_hook(lambda *_: made.append(1))
    draw = model.draw(BATCH, 2)
    assert (draw.z.shape, draw.kl.shape, made) == ((2, 4, 2), (2, 4), [])
    draw.log_px.sum().backward()
    assert draw.px is draw.px
    assert made == [1]
    with torch.no_grad():
        draw = model.draw(BATCH)
    assert not draw.log_px.requires_grad  # as the draw itself, wherever it is asked
    draw = model.draw(BATCH)
    with torch.no_grad():
        _ = draw.px
    assert draw.log_px.requires_grad


def test_a_draw_of_log_p_alone_says_so() -> None:
    draw = vk.models.Draw(vae().draw(BATCH).latents, torch.zeros(1, 4))
    assert draw.log_px.shape == (1, 4)
    with pytest.raises(vk.UserError, match=r"holds log p\(x\|z\) and not p\(x\|z\)"):
        _ = draw.px


def test_a_posterior_without_rsample_is_refused_in_a_sentence() -> None:
    q = MixtureSameFamily(Categorical(torch.ones(4, 3)), Independent(Normal(torch.zeros(4, 3, 2), 1.0), 1))
    with pytest.raises(vk.UserError, match="the posterior of z is a MixtureSameFamily, which has no rsample"):
        vk.VAE(part_cases.make("prior", "standard-normal"), Gives(q), vae().likelihood).draw(BATCH)
