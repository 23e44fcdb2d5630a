"""The named data sets: what is in them to the last bit, and how they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vaekit import data
from vaekit.data import catalogue, download
from vaekit.data.kinds import Binary, GreyLevels
from vaekit.errors import UserError

LABEL_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # published, of the 60000


def sums(dataset: data.Dataset) -> list[int]:
    return [int(dataset.split(part).x.sum(dtype=np.int64)) for part in ("train", "validation", "test")]


@pytest.mark.usefixtures("real_data")
class TestMnist:
    def test_grey_levels_and_labels(self) -> None:
        mnist = data.load("mnist:binarization=none")
        assert mnist.kind == GreyLevels(256)
        assert mnist.shape == (1, 28, 28)
        assert [mnist.split(part).x.shape[0] for part in ("train", "validation", "test")] == [50000, 10000, 10000]
        assert mnist.train.x.dtype == np.uint8
        assert sums(mnist) == [1309089051, 258209494, 264923200]
        labels = np.concatenate([mnist.train.label, mnist.validation.label])
        assert np.bincount(labels).tolist() == LABEL_COUNTS
        assert labels[:5].tolist() == [5, 0, 4, 1, 9]
        assert np.bincount(mnist.test.label).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert mnist.num_classes == 10

    def test_evaluation_images_are_those_of_tomczak_and_welling(self) -> None:
        grey, drawn = data.load("mnist:binarization=none"), data.load("mnist")
        assert drawn.kind == Binary(levels=256, binarization="dynamic")
        np.testing.assert_array_equal(drawn.train.x, grey.train.x)
        stream = np.random.RandomState(777)
        for part in ("validation", "test"):
            expected = stream.binomial(1, grey.split(part).x.astype(np.float32) / 255.0)
            np.testing.assert_array_equal(drawn.split(part).x, 255 * expected)
            np.testing.assert_array_equal(drawn.split(part).label, grey.split(part).label)

    def test_static_images_are_those_of_larochelle_and_murray(self) -> None:
        static = data.load("mnist:binarization=static")
        assert static.kind == Binary(levels=2, binarization="static")
        assert static.shape == (1, 28, 28)
        assert sums(static) == [5118041, 1028036, 1038896]
        means = [round(float(static.split(part).x.mean()), 6) for part in ("train", "validation", "test")]
        assert means == [0.130562, 0.131127, 0.132512]
        assert static.train.label is None
        assert static.num_classes == 0
        assert static.train.x.flags.writeable

    def test_static_images_are_the_same_from_the_original_text(self, real_data: Path) -> None:
        content = (real_data / "binarized_mnist" / "binarized_mnist_test.amat").read_bytes()
        bits = catalogue._bits(content)
        text = b"".join(b" ".join(b"%d" % bit for bit in row) + b"\n" for row in bits[:50].tolist())
        np.testing.assert_array_equal(catalogue._bits(text), bits[:50])
        # The whole text, written column-wise, has the SHA-256 that is published for the original file.
        whole = np.full((len(bits), 2 * 784), ord(" "), np.uint8)
        whole[:, ::2] = bits + ord("0")
        whole[:, -1] = ord("\n")
        assert download._checked("binarized_mnist", "binarized_mnist_test.amat", whole.tobytes()) is not None

    def test_none_is_a_word_here(self) -> None:
        assert data.load("mnist", binarization=None).kind == GreyLevels(256)

    def test_name_and_source_are_written_down(self, real_data: Path) -> None:
        assert data.load("mnist", binarization="none").name == "mnist:binarization=none"
        assert data.load("mnist:binarization=none").source == str(real_data / "mnist")


@pytest.mark.usefixtures("real_data")
class TestFashionMnist:
    def test_grey_levels_and_labels(self) -> None:
        fashion = data.load("fashion-mnist")
        assert fashion.kind == GreyLevels(256)
        assert sums(fashion)[0] == 2853847097
        assert sums(fashion)[2] == 573469082
        labels = np.concatenate([fashion.train.label, fashion.validation.label])
        assert np.bincount(labels).tolist() == [6000] * 10

    def test_without_label_files(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def images_only(collection: str, name: str) -> tuple[bytes, str]:
            if "labels" in name:
                raise UserError("not to be had.")
            return download.fetch(collection, name)

        monkeypatch.setattr(catalogue, "fetch", images_only)
        fashion = data.load("fashion-mnist")
        assert fashion.train.label is None
        assert fashion.num_classes == 0
        assert capsys.readouterr().err == "vaekit: fashion-mnist has no labels here: not to be had.\n"


class TestOmniglot:
    def test_a_pixel_is_the_share_of_ink_on_its_area(self) -> None:
        ink = np.zeros((2, 105, 105), bool)
        ink[0] = True
        ink[1, :3, :4] = True  # of the first pixel, 3.75 × 3.75: 3 rows of 3.75, all of its columns
        small = catalogue._smaller(ink)
        assert (small[0] == 255).all()
        assert small[1, 0, 0] == round(255 * 3 / 3.75)
        assert small[1, 0, 1] == round(255 * 3 / 3.75 * 0.25 / 3.75)
        assert not small[1, 1:].any()
        assert not small[1, :, 2:].any()

    def test_images(self, real_data: Path) -> None:
        grey = data.load("omniglot:binarization=none")
        assert grey.kind == GreyLevels(256)
        assert [grey.split(part).x.shape for part in ("train", "validation", "test")] == [
            (rows, 1, 28, 28) for rows in (23_000, 1_345, 8_115)
        ]
        # The ink is that of all drawings, to rounding; strokes are bright on black.
        ink = sum(
            int((~np.load(real_data / "omniglot" / f"images_{part}.npz")["images"]).sum())
            for part in ("background", "evaluation")
        )
        assert sum(sums(grey)) == pytest.approx(255 * ink * (28 / 105) ** 2, rel=1e-3)
        assert sums(grey) == [370355212, 21631970, 130501794]  # the same rows on every machine
        drawn = data.load("omniglot")
        assert drawn.kind == Binary(levels=256, binarization="dynamic")
        assert np.unique(drawn.test.x).tolist() == [0, 255]
        assert abs(drawn.test.x.mean() - grey.test.x.mean()) < 0.1


class TestFreyFaces:
    def test_images(self, real_data: Path) -> None:
        faces = data.load("frey-faces")
        assert faces.kind == GreyLevels(256)
        assert [faces.split(part).x.shape for part in ("train", "validation", "test")] == [
            (rows, 1, 28, 20) for rows in (1_565, 200, 200)
        ]
        given = np.load(real_data / "frey_faces" / "freyfaces.npz")["images"].reshape(-1, 560)
        rows = faces.split("all").x.reshape(-1, 560)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], given[np.lexsort(given.T)])
        assert int(faces.train.x.min()) == 8
        assert sums(faces) == [135402763, 17307281, 17258697]  # the same rows on every machine

    def test_packed_by_anyone(self, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = np.load(real_data / "frey_faces" / "freyfaces.npz")["images"]
        (tmp_path / "frey_faces").mkdir()
        np.savez(tmp_path / "frey_faces" / "freyfaces.npz", images=given)
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        assert data.load("frey-faces").source == str(tmp_path / "frey_faces")
        changed = given.copy()
        changed[0, 0, 0] += 1
        np.savez(tmp_path / "frey_faces" / "freyfaces.npz", images=changed)
        with pytest.raises(UserError, match="has only a damaged copy"):
            data.load("frey-faces")

    def test_it_says_how_to_get_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(UserError) as caught:
            data.load("frey-faces")
        assert "there is no download whose content is known" in caught.value.message
        assert "jmtomczak/vae_vampprior" in caught.value.hint
        assert "VAEKIT_DATA/frey_faces" in caught.value.hint


class TestDigits:
    def test_is_all_of_scikit_learns_set(self) -> None:
        from sklearn.datasets import load_digits

        digits = data.load("digits:binarization=none")
        assert digits.kind == GreyLevels(17)
        parts = [digits.split(part) for part in ("train", "validation", "test")]
        assert [part.x.shape for part in parts] == [(1257, 1, 8, 8), (270, 1, 8, 8), (270, 1, 8, 8)]
        rows = np.concatenate([np.column_stack([part.x.reshape(-1, 64), part.label]) for part in parts])
        expected = np.column_stack(load_digits(return_X_y=True)).astype(rows.dtype)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])
        assert int(parts[0].x.sum()) == 393384  # the shuffle is the same on every machine

    def test_evaluation_images_are_drawn_once(self) -> None:
        once, again = data.load("digits"), data.load("digits")
        assert once.kind == Binary(levels=17, binarization="dynamic")
        assert np.unique(once.test.x).tolist() == [0, 16]
        assert int(once.test.x.sum()) == 84608
        assert once.fingerprint == again.fingerprint
        raw = torch.from_numpy(once.test.x)
        assert torch.equal(once.kind.prepare(raw), once.kind.prepare(raw))
        assert torch.equal(once.kind.prepare(raw), raw / 16)

    def test_training_images_are_drawn_anew_with_the_right_mean(self) -> None:
        digits = data.load("digits")
        raw = torch.from_numpy(digits.train.x)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            draws = torch.stack([digits.kind.prepare(raw) for _ in range(200)])
        assert not torch.equal(draws[0], draws[1])
        probability = raw / 16
        error = (draws.mean(0) - probability).abs()
        assert (error <= 6 * (probability * (1 - probability) / 200).sqrt() + 1e-6).all()
        total = (probability * (1 - probability)).sum().sqrt() / probability.numel() / 200**0.5
        assert abs(float(draws.mean() - probability.mean())) < 4 * float(total)


class TestAsking:
    def test_listing(self) -> None:
        assert list(data.names()) == ["digits", "fashion-mnist", "frey-faces", "mnist", "omniglot"]
        for function in data.names().values():
            assert function.__doc__
            assert function.__doc__.splitlines()[0].endswith(".")
        assert data.options("mnist") == {"binarization": ("dynamic", ("dynamic", "static", "none"))}

    def test_a_set_of_ones_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogue, "_SETS", dict(catalogue._SETS))

        @data.named("ones")
        def ones(rows: int = 12) -> data.Dataset:
            """All ones."""
            return data.as_dataset(np.ones((rows, 3)), validation=2, test=3)

        dataset = data.load("ones:rows=10")
        assert dataset.name == "ones:rows=10"
        assert len(dataset.train.x) == 5
        assert data.options("ones") == {"rows": (12, ())}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "mnits",
                "unknown data set 'mnits'; known: digits, fashion-mnist, frey-faces, mnist, omniglot.\n"
                "hint: did you mean mnist or omniglot or digits?",
            ),
            (
                "zzz",
                "unknown data set 'zzz'; known: digits, fashion-mnist, frey-faces, mnist, omniglot.\n"
                "hint: for data of your own give its path (.npy, .npz, .csv, .tsv, .parquet, or a folder of images).",
            ),
            (
                "digits:binarisation=none",
                "unknown option of the data set 'digits' 'binarisation'; known: binarization.\n"
                "hint: did you mean binarization?",
            ),
            (
                "digits:binarization=static",
                "unknown binarization of the data set 'digits' 'static'; known: dynamic, none.",
            ),
            (
                "mnist:binarization=dynamc",
                "unknown binarization of the data set 'mnist' 'dynamc'; known: dynamic, none, static.\n"
                "hint: did you mean dynamic?",
            ),
            (
                "digits:none",
                "'digits:none' is not of the form name:option=value,option=value (at 'none').",
            ),
        ],
    )
    def test_mistakes(self, text: str, message: str) -> None:
        with pytest.raises(UserError) as caught:
            data.load(text)
        assert str(caught.value) == message

    def test_a_name_wins_over_a_folder_of_that_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "digits").mkdir()
        monkeypatch.chdir(tmp_path)
        assert len(data.load("digits").train.x) == 1257
