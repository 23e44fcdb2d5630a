"""Mistakes that people make in parts of their own are noticed, and right parts of an unusual make are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Beta, Distribution, Gamma, Independent, LogNormal, Normal, constraints, kl
from torch.nn.functional import softplus

import vaekit as vk
from vaekit.models import Draw
from vaekit.parts import record as config
from vaekit.testing import check_likelihood, check_model, check_objective, check_posterior, check_prior


class Altered(Distribution):
    """A Gaussian of which something was changed."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)
    has_rsample = True

    def __init__(self, base: Distribution, **changes: Callable[..., Any]) -> None:
        self.base, self.changes = base, changes
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.changes.get("mean", lambda: self.base.mean)()

    @property
    def variance(self) -> Tensor:
        return self.changes.get("variance", lambda: self.base.variance)()

    def log_prob(self, value: Tensor) -> Tensor:
        return self.changes.get("log_prob", self.base.log_prob)(value)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.changes.get("rsample", self.base.rsample)(sample_shape)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)


class Divergent(Altered):
    """Its registered divergence has the wrong sign."""


@kl.register_kl(Independent, Divergent)
def _(q: Independent, p: Divergent) -> Tensor:
    return -kl.kl_divergence(q, p.base)


def gaussian(loc: Tensor, scale: Tensor) -> Independent:
    return Independent(Normal(loc, scale), 1)


Make = Callable[[Tensor, Tensor], Distribution]


@vk.part("prior/planted")
class Prior(nn.Module):
    def __init__(self, latent_dim: int, condition_dim: int = 0) -> None:
        super().__init__()
        self.loc = nn.Linear(condition_dim or 1, latent_dim)
        self.scale = nn.Parameter(torch.ones(latent_dim))

    make: Make = staticmethod(gaussian)

    def forward(self, condition: Tensor | None = None) -> Distribution:
        loc = self.loc(self.scale.new_ones(1) if condition is None else condition)
        return self.make(loc, self.scale.expand(loc.shape))


@vk.part("posterior/planted")
class Posterior(nn.Module):
    def __init__(self, latent_dim: int, condition_dim: int = 0) -> None:
        super().__init__()
        self.head = nn.Linear(3 + condition_dim, 2 * latent_dim)

    make: Make = staticmethod(gaussian)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Distribution:
        loc, raw = self.head(x if condition is None else torch.cat([x, condition], -1)).chunk(2, -1)
        return self.make(loc, softplus(raw) + 0.1)


@vk.part("likelihood/planted")
class Likelihood(nn.Module):
    discrete = False

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2 * dims)

    make: Make = staticmethod(gaussian)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        loc, raw = self.head(z).chunk(2, -1)
        return self.make(loc, softplus(raw) + 0.1)


# In the list of parts only for these tests: no other test is to see them.
PLANTED = {each.part_name: config._REGISTRY.pop(each.part_name) for each in (Prior, Posterior, Likelihood)}


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in PLANTED.items():
        monkeypatch.setitem(config._REGISTRY, name, cls)


def with_make(part: nn.Module, make: Make, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    monkeypatch.setattr(type(part), "make", staticmethod(make))
    return part


PRIORS: dict[str, tuple[Make, str]] = {
    "a divergence of the wrong sign": (lambda m, s: Divergent(gaussian(m, s)), "KL(q‖p) by Monte Carlo"),
    "a parameter that is held still": (lambda m, s: gaussian(m.detach() + 0 * m, s), "finite differences say"),
    "single precision": (lambda m, s: gaussian(m.float(), s.float()), "in float64 draws torch.float32"),
}


@pytest.mark.parametrize("name", PRIORS)
def test_priors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = PRIORS[name]
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=re.escape(said)):
        check_prior(with_make(Prior(2), make, monkeypatch), 2)


CONDITIONAL: dict[str, tuple[Make, str]] = {
    "ignored": (lambda m, s: gaussian(0 * m, s), "it does not matter"),
    "that of the first row for all": (lambda m, s: gaussian(m[:1].expand(m.shape), s), "alone, and beside another"),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditions_of_priors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = CONDITIONAL[name]
    torch.manual_seed(0)
    condition = torch.randn(1, 3)
    check_prior(Prior(2, 3), 2, condition)
    check_prior(Prior(2, 3), 2, torch.eye(3)[:1])
    with pytest.raises(AssertionError, match=said):
        check_prior(with_make(Prior(2, 3), make, monkeypatch), 2, condition)


def doubled(q: Independent) -> Callable[[torch.Size], Tensor]:
    def rsample(shape: torch.Size) -> Tensor:
        z = q.rsample(shape)
        return 2 * z - z.detach()

    return rsample


def still(q: Independent) -> Callable[[torch.Size], Tensor]:
    return lambda shape: q.mean + q.stddev.detach() * torch.randn(*shape, *q.mean.shape, dtype=torch.float64)


def alike(q: Independent) -> Callable[[torch.Size], Tensor]:
    """The same noise for all rows."""
    return lambda shape: q.mean + q.stddev * torch.randn(*shape, 1, q.mean.shape[-1], dtype=torch.float64)


POSTERIORS: dict[str, tuple[Make, str]] = {
    "a scale that is held still": (
        lambda m, s: Altered(gaussian(m, s), rsample=still(gaussian(m, s))),
        "by way of rsample",
    ),
    "a gradient twice as large": (
        lambda m, s: Altered(gaussian(m, s), rsample=doubled(gaussian(m, s))),
        "by way of rsample",
    ),
    "the same noise for all rows": (
        lambda m, s: Altered(gaussian(m, s), rsample=alike(gaussian(m, s))),
        "draws of two rows",
    ),
    "a scale of the batch": (lambda m, s: gaussian(m, s / s.mean(0)), "log_prob of the first row alone"),
    "another mean": (
        lambda m, s: Altered(gaussian(m, s), mean=lambda: m + 1),
        "the mean is .* standard deviations off",
    ),
    "a variance for stddev": (
        lambda m, s: Altered(gaussian(m, s), variance=lambda: s),
        "stddev is .* off that of its samples",
    ),
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = POSTERIORS[name]
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=said):
        check_posterior(with_make(Posterior(2), make, monkeypatch), torch.randn(4, 3))


def test_a_posterior_that_does_not_look_at_its_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, condition = torch.randn(4, 3), torch.randn(4, 2)
    check_posterior(Posterior(2, 2), x, condition)
    part = Posterior(2, 2)
    part.head.weight.data[:, 3:] = 0
    with pytest.raises(AssertionError, match="is given a condition, and it does not matter"):
        check_posterior(part, x, condition)


def no_mean(m: Tensor, s: Tensor) -> Distribution:
    def mean() -> Tensor:
        raise NotImplementedError

    return Altered(gaussian(m, s), mean=mean)


def test_what_a_posterior_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="Altered has no mean, by which rows are encoded"):
        check_posterior(with_make(Posterior(2), no_mean, monkeypatch), torch.randn(4, 3))
    mixture = lambda m, s: torch.distributions.MixtureSameFamily(  # noqa: E731
        torch.distributions.Categorical(m.new_ones(len(m), 1)), gaussian(m[:, None], s[:, None])
    )
    with pytest.raises(AssertionError, match="MixtureSameFamily has no rsample"):
        check_posterior(with_make(Posterior(2), mixture, monkeypatch), torch.randn(4, 3))


LIKELIHOODS: dict[str, tuple[Make, str]] = {
    "another constant": (
        lambda m, s: Altered(gaussian(m, s), log_prob=lambda x: gaussian(m, s).log_prob(x) + 0.3),
        "integral",
    ),
    "the mean over elements": (
        lambda m, s: Altered(gaussian(m, s), log_prob=lambda x: Normal(m, s).log_prob(x).mean(-1)),
        "integral",
    ),
    "draws of another scale": (lambda m, s: Altered(gaussian(m, s), rsample=gaussian(m, 2 * s).rsample), "integral"),
    "another mean": (lambda m, s: Altered(gaussian(m, s), mean=lambda: m + 1), "about its mean"),
    "a scale of the batch": (lambda m, s: gaussian(m, s * (1 + 0.1 * s.max())), "log_prob of the first row alone"),
    "a scale that is held still": (lambda m, s: gaussian(m, s.detach()), "finite differences say"),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = LIKELIHOODS[name]
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=said):
        check_likelihood(with_make(Likelihood(3), make, monkeypatch), torch.randn(4, 2), torch.randn(4, 3))


BOUNDED: dict[str, Make] = {
    "lognormal": lambda m, s: Independent(LogNormal(m, s), 1),
    "gamma": lambda m, s: Independent(Gamma(1.5 + softplus(m), s + 1), 1),
    "beta": lambda m, s: Independent(Beta(0.5 + softplus(m), 0.5 + s), 1),
    "steep": lambda m, s: Independent(Beta(0.2 + softplus(m - 3), 0.2 + 0 * s), 1),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_right_parts_over_an_interval_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    check_likelihood(with_make(Likelihood(3), BOUNDED[name], monkeypatch), torch.randn(4, 2), torch.rand(4, 3))
    if name not in ("beta", "steep"):  # whose density is without bound at the ends
        check_prior(with_make(Prior(2), BOUNDED[name], monkeypatch), 2)
        check_posterior(with_make(Posterior(2), BOUNDED[name], monkeypatch), torch.randn(4, 3))


def test_plain_parts_pass() -> None:
    torch.manual_seed(0)
    check_prior(Prior(2), 2)
    check_posterior(Posterior(2), torch.randn(4, 3))
    check_likelihood(Likelihood(3), torch.randn(4, 2), torch.randn(4, 3))


# --- objectives and models ------------------------------------------------------------------------------------------


def model(latent_dim: int = 1) -> vk.VAE:
    torch.manual_seed(0)
    return vk.VAE(
        vk.priors.StandardNormal(latent_dim),
        vk.posteriors.Diagonal(vk.networks.MLP(4, (8,), "tanh", condition_dim=2), latent_dim),
        vk.likelihoods.Bernoulli(vk.networks.MLP(latent_dim, (8,), "tanh", condition_dim=2), (4,)),
    )


def rows() -> vk.Batch:
    torch.manual_seed(0)
    return vk.Batch(torch.rand(6, 4).round(), condition=torch.eye(2).repeat(3, 1))


class Bound(vk.objectives.Objective):
    """The bound of what is left of a batch."""

    def __init__(self, keep: Callable[[vk.Batch], vk.Batch], penalized: bool = True) -> None:
        self.keep, self.penalized = keep, penalized

    def __call__(self, model: Any, batch: vk.Batch, step: Any) -> vk.objectives.Value:
        draw = model.draw(self.keep(batch))
        bound = (draw.log_px - draw.kl).mean(0)
        return vk.objectives.Value(draw.penalized(bound) if self.penalized else bound, {})


def test_objectives_that_drop_a_part_of_the_batch() -> None:
    check_objective(Bound(lambda batch: batch), model(), rows())
    with pytest.raises(AssertionError, match="does not heed a mask"):
        check_objective(Bound(lambda batch: batch._replace(mask=None)), model(), rows())
    first = torch.eye(2, dtype=torch.float64)[:1].expand(6, -1)
    with pytest.raises(AssertionError, match="does not heed a condition"):
        check_objective(Bound(lambda batch: batch._replace(condition=first)), model(), rows())


def test_an_objective_that_leaves_out_the_penalty() -> None:
    torch.manual_seed(0)
    codebook = vk.networks.GradientCodebook(3, 2)
    encoder = vk.networks.ConvolutionalEncoder((1, 4, 4), (3,))
    quantised = vk.VAE(
        vk.priors.UniformCodes(codebook, (2, 2)),
        vk.posteriors.Quantized(encoder, codebook, (2, 2)),
        vk.likelihoods.Bernoulli(vk.networks.ConvolutionalDecoder((2, 2, 2), (1, 4, 4), (3,)), (1, 4, 4)),
    )
    batch = vk.Batch(torch.rand(4, 1, 4, 4).round())
    check_objective(Bound(lambda batch: batch), quantised, batch, differentiable=False)
    with pytest.raises(AssertionError, match="leaves the penalty of the posterior out"):
        check_objective(Bound(lambda batch: batch, penalized=False), quantised, batch, differentiable=False)


def shifted_prior(draw: Draw) -> Draw:
    latent = draw.latents["z"]
    return draw.replace(latents={"z": latent.replace(log_pz=latent.log_pz - 0.7, divergence=lambda: None)})


def shifted_posterior(draw: Draw) -> Draw:
    latent = draw.latents["z"]
    assert latent.log_qz is not None
    return draw.replace(latents={"z": latent.replace(log_qz=latent.log_qz - 0.7, divergence=lambda: None)})


def another_px(draw: Draw) -> Draw:
    p = draw.px
    assert isinstance(p, Independent)
    return draw.replace(log_px=draw.log_px, px=Independent(torch.distributions.Bernoulli(p.mean / 2), 1))


MODELS: dict[str, tuple[Callable[[Draw], Draw], str]] = {
    "half of log p(x|z)": (lambda draw: draw.replace(log_px=draw.log_px / 2), "of a draw against decode: "),
    "p(x|z) of another decoder": (another_px, r"log p\(x\|z\) of a draw against its px"),
    "a prior of another constant": (shifted_prior, "the sum over every x of the importance weights"),
    "a posterior of another constant": (shifted_posterior, "the sum over every x of the importance weights"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, said = MODELS[name]
    check_model(model(), rows())
    plain = vk.VAE.draw
    monkeypatch.setattr(vk.VAE, "draw", lambda self, *args, **options: change(plain(self, *args, **options)))
    with pytest.raises(AssertionError, match=said):
        check_model(model(), rows())


def test_a_model_that_drops_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vk.VAE.draw
    monkeypatch.setattr(
        vk.VAE, "draw", lambda self, batch, *args, **options: plain(self, batch._replace(mask=None), *args, **options)
    )
    with pytest.raises(AssertionError, match="against decode under a mask"):
        check_model(model(), rows())


def test_a_generator_of_other_data_than_the_density_has(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = Independent(torch.distributions.Bernoulli(torch.full((1, 4), 0.9)), 1)
    monkeypatch.setattr(vk.VAE, "generate", lambda self, count, condition: ones.expand(torch.Size([count])))
    with pytest.raises(AssertionError, match=r"the share of each x in generate\(\)"):
        check_model(model(), rows())


class ReadsPadding(nn.Module):
    """It asks for lengths and reads all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 4)

    def forward(self, x: Tensor, condition: Tensor | None = None, length: Tensor | None = None) -> Tensor:
        return self.layer(x).mean(-2)


class HeedsLength(ReadsPadding):
    def forward(self, x: Tensor, condition: Tensor | None = None, length: Tensor | None = None) -> Tensor:
        h = self.layer(x)
        if length is None:
            return h.mean(-2)
        there = torch.arange(x.shape[-2]) < length[:, None]
        return (h * there[..., None]).sum(-2) / length[:, None]


class NoMask(Altered):
    """It takes a mask and leaves nothing out."""

    support = constraints.independent(constraints.real, 2)

    def log_prob(self, value: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.base.log_prob(value)


@vk.part("likelihood/planted-sequence")
class Sequence(vk.likelihoods.Gaussian):
    plain = True

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Any:
        p = super().forward(z, condition)
        return p if self.plain else NoMask(p)


del config._REGISTRY["likelihood/planted-sequence"]


def sequences(network: nn.Module) -> tuple[vk.VAE, vk.Batch]:
    torch.manual_seed(0)
    lengths = torch.tensor([3, 1, 2])
    mask = (torch.arange(3) < lengths[:, None])[..., None].expand(3, 3, 2)
    posterior = vk.posteriors.Diagonal(network, 2)
    model = vk.VAE(vk.priors.StandardNormal(2), posterior, Sequence(vk.networks.MLP(2, hidden=(4,)), (3, 2)))
    batch = vk.Batch(torch.randn(3, 3, 2), mask=mask, length=lengths)
    model.draw(batch)
    return model, batch


def test_padding_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.testing.model.check_rebuilds", lambda *_: None)  # the networks are no parts
    check_model(*sequences(HeedsLength()))
    with pytest.raises(AssertionError, match=r"mean of q\(z\|x\) with other values where nothing is observed"):
        check_model(*sequences(ReadsPadding()))
    monkeypatch.setattr(Sequence, "plain", False)
    with pytest.raises(AssertionError, match=r"log p\(x\|z\) with other values where nothing is observed"):
        check_model(*sequences(HeedsLength()))


class OneForAll(nn.Module):
    """It gives all rows the condition of the first one."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.head = network, network.head

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.network(z, None if condition is None else condition[:1].expand(condition.shape))


def test_conditions_that_do_not_go_with_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.testing.model.check_rebuilds", lambda *_: None)
    batch = vk.Batch(torch.rand(3, 7).round(), condition=torch.randn(3, 1, 2, 2))

    def conditional(wrap: Callable[[Any], Any]) -> vk.VAE:
        torch.manual_seed(0)
        encoder, decoder = (vk.networks.MLP(width, (4,), condition_dim=(1, 2, 2)) for width in (7, 2))
        likelihood = vk.likelihoods.Bernoulli(decoder, (7,))
        likelihood.network = wrap(decoder)
        return vk.VAE(vk.priors.StandardNormal(2), vk.posteriors.Diagonal(encoder, 2), likelihood)

    check_model(conditional(lambda network: network), batch)
    with pytest.raises(AssertionError, match="of a permuted batch"):
        check_model(conditional(OneForAll), batch)
