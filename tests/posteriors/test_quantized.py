"""The quantised posterior and its code books."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.distributions.codes import nearest_on_grid
from vaekit.testing import assert_equal, enumerable, seeded
from vaekit.testing.finite import code_vectors, every_grid, grid_number
from vaekit.testing.statistics import assert_mean


def quantized(codebook: torch.nn.Module, commitment: float = 0.25) -> vk.posteriors.Quantized:
    torch.manual_seed(0)
    return vk.posteriors.Quantized(part_cases.grid_encoder(), codebook, part_cases.GRID, commitment).double()


def images(rows: int = 5) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(rows, *part_cases.IMAGE).double()


@pytest.mark.parametrize("num_codes", [1, 4])
def test_values_are_the_nearest_codes(num_codes: int) -> None:
    posterior = quantized(vk.networks.GradientCodebook(num_codes, 2))
    x = images()
    vectors, drawn = posterior.head(posterior.network(x)), posterior(x).rsample()
    book = posterior.codebook.embedding
    assert isinstance(book, torch.Tensor)
    for place in [(0, 0), (1, 1)]:
        vector = vectors[:, :, *place]
        nearest = book[torch.cdist(vector, book).argmin(1)]
        assert_equal(drawn[:, :, *place], nearest, "the code")


def test_gradient_goes_straight_through() -> None:
    posterior = quantized(vk.networks.MovingAverageCodebook(4, 2))
    x = images()
    weight = torch.randn(5, 2, 2, 2).double()
    parameters = list(posterior.parameters())
    through = torch.autograd.grad((weight * posterior(x).rsample()).sum(), parameters)
    plain = torch.autograd.grad((weight * posterior.head(posterior.network(x))).sum(), parameters)
    for one, other in zip(through, plain, strict=True):
        assert torch.equal(one, other)


def test_penalty_is_commitment_and_code_book_loss() -> None:
    posterior = quantized(vk.networks.GradientCodebook(4, 2), commitment=0.5)
    x = images()
    q = posterior(x)
    vectors = posterior.head(posterior.network(x))
    distance = (vectors - q.codes).square().sum((1, 2, 3))
    assert_equal(q.penalty, 1.5 * distance, "½ ‖z − sg e‖² + ‖sg z − e‖²")
    book = posterior.codebook.embedding
    gradient, *_ = torch.autograd.grad(q.penalty.sum(), [book], retain_graph=True)  # type: ignore[list-item]
    expected = torch.zeros_like(gradient)
    for place in [(row, column) for row in range(2) for column in range(2)]:
        index = q.indices[:, *place]
        expected.index_add_(0, index, 2 * (q.codes - vectors)[:, :, *place].detach())
    assert_equal(gradient, expected, "the gradient of the code book: 2 Σ (e − z) over the vectors rounded to e")
    encoder = torch.autograd.grad(q.penalty.sum(), list(posterior.network.parameters()))
    pulled = torch.autograd.grad(0.5 * (vectors - q.codes).square().sum(), list(posterior.network.parameters()))
    for one, other in zip(encoder, pulled, strict=True):
        assert_equal(one, other, "the gradient of the encoder: that of the commitment alone")


def test_moving_average_follows_its_formula() -> None:
    torch.manual_seed(0)
    book = vk.networks.MovingAverageCodebook(3, 2, decay=0.9, restart_below=0.0).double()
    start = book.embedding.clone()
    book.count.copy_(torch.tensor([2.0, 1.0, 4.0]))
    book.total.copy_(start * book.count[:, None])
    vectors = torch.randn(4, 5, 2).double()
    indices = torch.randint(2, (4, 5))  # the third code is not used
    assert torch.equal(book.update(vectors, indices), torch.zeros(4).double())
    for code in range(3):
        mine = vectors[indices == code]
        count = 0.9 * [2.0, 1.0, 4.0][code] + 0.1 * len(mine)
        total = 0.9 * [2.0, 1.0, 4.0][code] * start[code] + 0.1 * mine.sum(0)
        assert_equal(book.count[code], count, "N ← γN + (1 − γ)n")
        assert_equal(book.embedding[code], total / count, "code = m / N")
    assert_equal(book.embedding[2], start[2], "a code that is not used stays")


def test_idle_codes_start_again_at_vectors_of_the_batch() -> None:
    torch.manual_seed(0)
    book = vk.networks.MovingAverageCodebook(3, 2, restart_below=0.1).double()
    vectors = torch.randn(4, 25, 2).double()
    book.update(vectors, torch.zeros(4, 25, dtype=torch.long))
    flat = vectors.reshape(-1, 2)
    for code in (1, 2):
        assert (flat == book.embedding[code]).all(1).any(), "an idle code is not a vector of the batch"
        assert book.count[code] == 1
    assert_equal(book.embedding[0], flat.mean(0), "a used code")


def test_code_book_is_frozen_in_evaluation_and_moves_in_training() -> None:
    posterior = quantized(vk.networks.MovingAverageCodebook(4, 2)).eval()
    before = {name: tensor.clone() for name, tensor in posterior.state_dict().items()}
    posterior(images())
    assert all(torch.equal(tensor, before[name]) for name, tensor in posterior.state_dict().items())
    posterior.train()(images())
    assert not torch.equal(posterior.state_dict()["codebook.embedding"], before["codebook.embedding"])


def test_codes_of_a_batch_are_those_before_the_book_moves() -> None:
    posterior = quantized(vk.networks.MovingAverageCodebook(4, 2))
    before = posterior.codebook.embedding.clone()  # type: ignore[operator]
    q = posterior(images())
    indices = nearest_on_grid(before, posterior.head(posterior.network(images())))
    assert torch.equal(q.indices, indices)
    assert_equal(q.mean, before[indices].movedim(-1, -3), "the codes")


@pytest.mark.parametrize("num_codes", [2, 3])
def test_log_w_is_a_lower_bound_of_the_enumerated_p(num_codes: int) -> None:
    case = enumerable.quantized(num_codes)
    x = case.every_x
    with torch.no_grad():
        draw = case.model.draw(vk.Batch(x), samples=2)
        latent = draw.latents["z"]
        assert torch.equal(latent.log_qz, torch.zeros(2, len(x)).double()), "log q of a mass on one point is 0"
        assert_equal(draw.log_w, draw.log_px + latent.log_pz, "log w = log p(x|codes) + log p(codes)")
        assert_equal(draw.elbo, draw.log_w, "the evidence lower bound")
        gap = case.log_p(x) - draw.log_w
        # The very term of the sum over codes that belongs to the code that was chosen.
        indices = every_grid(num_codes, part_cases.GRID)
        codes = code_vectors(case.model.prior(), indices)
        chosen = grid_number(case.model.encode(x).indices, num_codes)
        terms = case.model.prior().log_prob(codes) + case.model.likelihood(codes).log_prob(x[:, None])
    assert_equal(draw.log_w[0], terms.gather(1, chosen[:, None])[:, 0], "log w")
    assert_equal(terms.logsumexp(1), case.log_p(x), "log p(x) by the sum over all codes")
    assert gap.min() > 0


def test_samples_of_the_model_follow_the_enumerated_p() -> None:
    case = enumerable.quantized()
    with seeded(), torch.no_grad():
        x = case.model.generate(4000).sample()
        log_p = case.log_p(x)
        codes = case.model.prior().sample(torch.Size([4000]))
        joint = case.model.prior().log_prob(codes) + case.model.likelihood(codes).log_prob(x)
        # E_p(x)[p(x|other codes)/p(x)] = 1 for x from the model.
        ratio = (case.model.likelihood(codes).log_prob(x) - log_p).exp()
    assert joint.isfinite().all()
    assert_mean(ratio, 1.0, "E p(x|z′)/p(x)")
