"""The classic walk-through: its networks, its measures, and the whole way on made-up images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import vaekit as vk
from vaekit.cli import main
from vaekit.errors import Interrupted
from vaekit.objectives import IWAE
from vaekit.papers import tf_tutorial
from vaekit.papers.tutorial_networks import TutorialDecoder, TutorialEncoder
from vaekit.papers.tutorial_pictures import erased, pixel_distances, rank_correlation, ranks, shifted
from vaekit.plots.manifold import quantile_plane, sheet


def weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_networks_are_keras_networks() -> None:
    model = tf_tutorial.model((1, 28, 28))
    encoder, decoder = model.posterior.network, model.likelihood.network
    x = torch.zeros(3, 1, 28, 28)
    first = encoder.layers[0](x)
    assert first.shape == (3, 32, 13, 13)
    assert encoder.layers[1](first).shape == (3, 64, 6, 6)
    assert encoder(x).shape == (3, 64 * 6 * 6)
    assert decoder(torch.zeros(3, 2)).shape == (3, 32, 28, 28)
    conv = [32 * (3 * 3 * 1) + 32, 64 * (3 * 3 * 32) + 64]
    assert [weights(layer) for layer in encoder.layers] == conv
    assert weights(model.posterior) == sum(conv) + 2304 * 4 + 4 == 28_036
    transposed = [64 * (3 * 3 * 32) + 64, 32 * (3 * 3 * 64) + 32]
    assert [weights(layer) for layer in decoder.layers] == transposed
    assert weights(model.likelihood) == (2 * 1568 + 1568) + sum(transposed) + (3 * 3 * 32 + 1) == 41_953


def test_the_weights_begin_as_in_keras() -> None:
    model = tf_tutorial.model((1, 28, 28))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.dim() == 4:
            limit = (6 / (9 * (parameter.shape[0] + parameter.shape[1]))) ** 0.5
            assert 0.9 * limit < parameter.abs().max() <= limit


def test_the_transposed_convolution_is_padded_as_in_keras() -> None:
    # Input pixel i reaches the output pixels 2i, 2i + 1 and 2i + 2, as far as they are there.
    decoder = TutorialDecoder(1, (1, 4, 4))
    with torch.no_grad():
        decoder.first = nn.Flatten(0, 0)  # type: ignore[assignment]
        decoder.layers = decoder.layers[:1]
        decoder.layers[0].weight.fill_(1.0)
        image = torch.zeros(1, 32, 2, 2)
        image[0, 0, 1, 1] = 1.0
        expected = torch.zeros(4, 4)
        expected[2:, 2:] = 1.0
        assert torch.equal(decoder(image)[0, 0], expected)


def test_a_condition_and_wrong_images_are_refused() -> None:
    encoder, decoder = TutorialEncoder((1, 28, 28)), TutorialDecoder(2, (1, 28, 28))
    with pytest.raises(vk.UserError, match="without a condition"):
        encoder(torch.zeros(1, 1, 28, 28), torch.zeros(1, 3))
    with pytest.raises(vk.UserError, match="without a condition"):
        decoder(torch.zeros(1, 2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="at least 7 × 7"):
        TutorialEncoder((1, 6, 28))
    with pytest.raises(ValueError, match="multiples of 4"):
        TutorialDecoder(2, (1, 27, 28))


def test_the_optimiser_has_keras_epsilon() -> None:
    model = tf_tutorial.model((1, 28, 28))
    for objective in (tf_tutorial.MonteCarloBound(samples=1), tf_tutorial.Reconstruction(beta=0.0)):
        (player,) = objective.players(model).values()
        assert player.options == {"eps": 1e-7}
    batch = vk.Batch(torch.ones(4, 1, 28, 28))
    step = vk.schedules.Step(0, 0.0, 1)
    torch.manual_seed(0)
    ours = tf_tutorial.MonteCarloBound(samples=1)(model, batch, step).objective
    torch.manual_seed(0)
    assert torch.equal(ours, IWAE(1)(model, batch, step).objective)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, model.draw(batch).log_w[0])


def test_the_quantile_plane() -> None:
    plane = quantile_plane(20)
    assert plane.shape == (400, 2)
    assert plane[0] == pytest.approx((-1.6448536, 1.6448536))  # quantiles .05 and .95, from the upper left
    assert plane[19] == pytest.approx((1.6448536, 1.6448536))
    assert plane[1][0] == pytest.approx(-1.29669, abs=1e-4)  # quantile .05 + .9 / 19
    np.testing.assert_allclose(plane.sum(0), 0, atol=1e-12)


def test_the_sheet() -> None:
    images = np.arange(6).reshape(6, 1, 1, 1) * np.ones((1, 1, 2, 3))
    assert sheet(images, 3).shape == (4, 9)
    assert sheet(images, 3)[::2, ::3].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_rank_correlation() -> None:
    assert ranks(np.array([10, 30, 20, 30])).tolist() == [1, 3.5, 2, 3.5]
    up = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert rank_correlation(up, np.exp(up)) == pytest.approx(1)
    assert rank_correlation(up, -(up**3)) == pytest.approx(-1)
    # Spearman by the formula 1 − 6 Σ d² / (n (n² − 1)): d² = 1, 1, 1, 1, 0.
    assert rank_correlation(up, np.array([2.0, 1.0, 4.0, 3.0, 5.0])) == pytest.approx(1 - 24 / 120)
    assert rank_correlation(up, np.ones(5)) == 0


def test_erased_and_shifted() -> None:
    image = np.zeros((28, 28))
    image[10:18, 14] = 1.0
    assert np.square(erased(image) - image).sum() == 5
    assert np.square(shifted(image) - image).sum() == 16
    assert shifted(image)[10, 15] == 1
    assert not erased(np.zeros((28, 28))).any()
    found = pixel_distances(np.stack([image, image]))
    assert found.erased.tolist() == [5, 5]
    assert found.shifted.tolist() == [16, 16]
    assert found.share == 1
    assert found.example.shape == (3, 1, 28, 28)


def made_up() -> tf_tutorial.Images:
    random = np.random.RandomState(0)
    train, test = ((random.rand(rows, 1, 28, 28) > 0.8).astype(np.uint8) * 255 for rows in (100, 40))
    return tf_tutorial.Images(train, test, np.arange(40) % 10)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder; the images are made up."""
    monkeypatch.setattr(tf_tutorial, "images", made_up)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_images_are_cut_at_a_half() -> None:
    grey = np.array([0, 127, 128, 255], np.uint8).reshape(1, 1, 2, 2)
    data = tf_tutorial.binarised(tf_tutorial.Images(grey, grey, np.zeros(1)))
    assert data.train.x.ravel().tolist() == [0, 0, 1, 1]


def test_the_whole_way(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "tf-tutorial", "--epochs", "1", "--save", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["paper"] == "tf-tutorial"
    assert said["measured"] == said["rows"][0]["measured"] < 0
    assert -1 <= said["rank_correlation"] <= 1
    folder = Path(said["folder"])
    assert json.loads(Path("results/tf-tutorial.json").read_text()) == said["rows"]
    assert json.loads((folder / "rows.json").read_text()) == said["rows"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    for title in (
        *("Published and measured", "The manifold: 20 × 20 latents decoded"),
        *("The mean training image beside the manifold&#x27;s centre", "How far each cell is from the mean image"),
        *("Where the test images lie", "Both reconstructions", "The plain autoencoder on the same plane"),
        *("The plain autoencoder on a plane of its own codes", "Why the distance between pixels misleads"),
        *("The doctor&#x27;s findings", "Numbers", "Samples", "Reconstructions", "Traversals", "Latent map"),
    ):
        assert page.count(f"<h2>{title}</h2>") == 1
    assert f"Their rank correlation is {said['rank_correlation']:.3f}." in page
    assert f">{said['measured']:.2f}<".replace("-", "−") in page
    assert "http://" not in page
    assert "https://" not in page
    assert '<span class="flag">--epochs</span> 1</pre>' in page
    # With another number of epochs nothing is held against the published figure.
    assert said["rows"][0]["verdict"] == "no expectation"
    assert said["rows"][0]["command"] == "vaekit reproduce tf-tutorial --epochs 1"

    # In use; and finished, so that going on measures the same again.
    assert main(["reproduce", "tf-tutorial"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["reproduce", "tf-tutorial", "--resume", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["measured"], again["rank_correlation"]) == (said["measured"], said["rank_correlation"])


def test_an_interrupted_run_goes_on(
    small: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tf_tutorial.fit

    def stopped(model: nn.Module, data: vk.data.Dataset, **options: object) -> None:
        real(model, data, **{**options, "epochs": 1})  # type: ignore[arg-type]
        raise Interrupted("stopped in epoch 2; the state is saved.", options["out"])

    asked = ["reproduce", "tf-tutorial", "--epochs", "2", "--out", "here"]
    with monkeypatch.context() as patch:
        patch.setattr(tf_tutorial, "fit", stopped)
        assert main(asked) == 130
    assert "vaekit reproduce tf-tutorial --out here --resume goes on" in capsys.readouterr().err
    assert main([*asked, "--resume", "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert main([*asked[:-1], "there", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == resumed["measured"]


def test_the_list_and_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce"]) == 0
    said = capsys.readouterr().out
    assert "\ntf-tutorial  the classic walk-through" in said
    assert "variants: aevb-3, aevb-5" in said
    assert main(["reproduce", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["papers"]}
    assert listed["tf-tutorial"]["variants"] == []
    assert "k50-2" in listed["iwae"]["variants"]
    assert main(["reproduce", "tutorial"]) == 2
    assert "unknown paper 'tutorial'" in capsys.readouterr().err
    assert main(["reproduce", "tf-tutorial", "--epochs", "0"]) == 2
    assert "--epochs must be a whole number from 1" in capsys.readouterr().err
