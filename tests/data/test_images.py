"""A folder of images: every mode, sizes, labels, the cache, and every mistake's sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaekit import data
from vaekit.data import chunks
from vaekit.data.formats import images
from vaekit.data.kinds import Binary, GreyLevels
from vaekit.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "faces").mkdir()
    return tmp_path / "faces"


def save(path: Path, pixels: np.ndarray = GREY, **options: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pixels_of(folder: Path, **options: Any) -> np.ndarray:
    """All images in their order."""
    text = ",".join(f"{key}={value}" for key, value in options.items())
    return data.load_rows(f"{folder}:{text}" if text else folder).train.x


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "gif", "tif", "tiff", "webp"])
def test_grey_of_every_format_without_loss(ending: str, folder: Path) -> None:
    save(folder / f"a.{ending}", **({"lossless": True} if ending == "webp" else {}))
    x = pixels_of(folder)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x, GREY[None, None])


@pytest.mark.parametrize("ending", ["jpg", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg(ending: str, channels: int, folder: Path) -> None:
    smooth = np.linspace(0, 255, 24 * 16).reshape(24, 16).astype(np.uint8)
    save(folder / f"a.{ending}", smooth if channels == 1 else np.stack([smooth, 255 - smooth, smooth], -1), quality=95)
    x = pixels_of(folder)
    assert x.shape == (1, channels, 24, 16)
    assert np.abs(x[0, 0].astype(int) - smooth).max() < 12
    if channels == 3:
        assert np.abs(x[0, 1].astype(int) - (255 - smooth)).max() < 12


def _palette() -> tuple[Image.Image, np.ndarray]:
    image = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(5, 4) % 3, "P")
    colours = np.array([[255, 0, 0], [0, 128, 0], [7, 8, 9]], np.uint8)
    image.putpalette(colours.flatten().tolist())
    return image, np.moveaxis(colours[np.arange(20).reshape(5, 4) % 3], -1, 0)


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float) / 255
    return np.rint(colour * share + 255 * (1 - share))


ALPHA = np.arange(0, 240, 12, dtype=np.uint8).reshape(5, 4)
MODES: dict[str, tuple[Image.Image, np.ndarray, str]] = {
    "L": (Image.fromarray(GREY), GREY[None], "png"),
    "1": (Image.fromarray(GREY > 99), (GREY > 99)[None] * 255, "png"),
    "RGB": (Image.fromarray(COLOUR), np.moveaxis(COLOUR, -1, 0), "png"),
    "RGB, all grey": (Image.fromarray(np.stack([GREY] * 3, -1)), GREY[None], "png"),
    "P": (*_palette(), "png"),
    "P, all grey": (Image.fromarray(GREY).convert("P"), GREY[None], "png"),
    "LA": (
        Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]),
        _over_white(GREY, ALPHA)[None],
        "png",
    ),
    "RGBA": (
        Image.fromarray(np.concatenate([COLOUR, ALPHA[..., None]], -1)),
        np.moveaxis(_over_white(COLOUR, ALPHA[..., None]), -1, 0),
        "png",
    ),
    "I;16": (Image.fromarray(GREY.astype(np.uint16) * 257 + 100), GREY[None], "png"),
    "I;16 tif": (Image.fromarray(GREY.astype(np.uint16) * 257), GREY[None], "tif"),
    "CMYK": (Image.fromarray(COLOUR).convert("CMYK"), np.moveaxis(COLOUR, -1, 0), "tif"),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: str, folder: Path) -> None:
    image, expected, ending = MODES[mode]
    image.save(folder / f"a.{ending}")
    x = pixels_of(folder)[0]
    assert x.shape == expected.shape
    assert np.abs(x.astype(int) - expected).max() <= 1


def test_one_coloured_image_makes_all_coloured(folder: Path) -> None:
    save(folder / "a.png")
    save(folder / "b.png", COLOUR)
    x = pixels_of(folder)
    np.testing.assert_array_equal(x[0], np.stack([GREY] * 3))
    np.testing.assert_array_equal(x[1], np.moveaxis(COLOUR, -1, 0))
    grey = pixels_of(folder, channels=1)
    np.testing.assert_array_equal(grey[0, 0], GREY)
    np.testing.assert_array_equal(grey[1, 0], np.asarray(Image.fromarray(COLOUR).convert("L")))


def test_grey_images_for_a_model_of_colours(folder: Path) -> None:
    save(folder / "a.png")
    np.testing.assert_array_equal(pixels_of(folder, channels=3), np.stack([GREY] * 3)[None])


def test_resize_height_first(folder: Path) -> None:
    save(folder / "a.png", np.full((10, 20), 77, np.uint8))
    save(folder / "b.png", np.full((30, 5, 3), 77, np.uint8))
    for resize, shape in (("6/9", (6, 9)), ("7", (7, 7))):
        x = pixels_of(folder, resize=resize)
        assert x.shape == (2, 1, *shape)
        assert (x == 77).all()


def test_a_photo_stands_upright(folder: Path) -> None:
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    save(folder / "a.png", exif=exif)
    save(folder / "b.png", np.rot90(GREY, -1).copy())
    x = pixels_of(folder)
    np.testing.assert_array_equal(x[0], x[1])


def test_labels_are_the_subfolders(folder: Path) -> None:
    for index, name in enumerate(("cat/b.png", "cat/a.png", "ant/z.png", "dog/1.png", "0.png")):
        save(folder / name, np.full((5, 4), 10 * index, np.uint8))
    save(folder / "dog/deeper/x.png")
    dataset = data.load_rows(folder)
    assert dataset.train.x[:, 0, 0, 0].tolist() == [40, 20, 10, 0, 30]
    assert dataset.train.label is not None
    assert dataset.train.label.tolist() == [-1, 0, 1, 1, 2]
    assert dataset.num_classes == 3
    assert dataset.kind == GreyLevels()


def test_one_subfolder_is_no_label(folder: Path) -> None:
    save(folder / "all/a.png")
    dataset = data.load_rows(folder)
    assert dataset.train.label is None
    assert dataset.num_classes == 0


def test_what_is_skipped_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png", ".hidden.png"):
        save(folder / name)
    (folder / "notes.txt").touch()
    (folder / ".git").mkdir()
    assert len(pixels_of(folder)) == 2
    assert capsys.readouterr().err == f"vaekit: {folder} holds 2 files that are no images: skipped\n"


def test_black_images_are_grey_and_may_be_binary(folder: Path) -> None:
    for index in range(4):
        save(folder / f"{index}.png", np.zeros((5, 4), np.uint8))
    assert data.load(folder).kind == GreyLevels()
    assert data.load(folder, binarization="static").kind == Binary()
    assert data.load(folder).describe() == "5 × 4 grey images, 256 levels"


class TestCache:
    @pytest.fixture
    def cached(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(images, "CACHE_BYTES", 0)
        for index in range(6):
            save(folder / f"{'ab'[index % 2]}/{index}.png", GREY + np.uint8(index))
        return folder

    def test_gives_the_same_images(
        self, cached: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = pixels_of(cached)
        assert isinstance(x, np.memmap)
        assert capsys.readouterr().err.startswith(f"vaekit: decoding the 6 images of {cached} into ")
        monkeypatch.setattr(images, "_pixels", None)  # the second time nothing is decoded
        np.testing.assert_array_equal(pixels_of(cached), x)
        assert not capsys.readouterr().err
        monkeypatch.undo()
        np.testing.assert_array_equal(pixels_of(cached), x)

    def test_is_made_again_when_an_image_or_an_option_changes(self, cached: Path) -> None:
        first = np.array(pixels_of(cached))
        save(cached / "a/0.png", COLOUR)
        os.utime(cached / "a/0.png", ns=(1, 1))
        second = pixels_of(cached)
        np.testing.assert_array_equal(second[0], np.moveaxis(COLOUR, -1, 0))
        np.testing.assert_array_equal(second[1:, :1], first[1:])
        assert pixels_of(cached, resize=3).shape == (6, 3, 3, 3)
        assert pixels_of(cached, channels=1).shape == (6, 1, 5, 4)
        assert len(list((cached.parent / "cache").rglob("*.npy"))) == 4

    def test_leaves_nothing_behind_where_an_image_is_damaged(self, cached: Path) -> None:
        whole = (cached / "a/0.png").read_bytes()
        (cached / "a/0.png").write_bytes(whole[:50])
        with pytest.raises(UserError, match="1 of the 6 images"):
            pixels_of(cached)
        assert not [path for path in (cached.parent / "cache").rglob("*") if path.is_file()]

    def test_that_cannot_be_written(self, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (cached.parent / "cache").touch()
        with pytest.raises(UserError) as caught:
            pixels_of(cached)
        assert "the images do not fit into memory, and " in caught.value.message
        assert caught.value.message.endswith("cannot be written: Not a directory.")
        assert caught.value.hint == "set XDG_CACHE_HOME to a folder with 0.0 GB of space."

    def test_too_large_to_be_shuffled_it_goes_in_turns(self, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save(cached / "b/7.png")
        monkeypatch.setattr(chunks, "KEEP_MAPPED_BYTES", 30)
        dataset = data.load(cached, validation=2, test=2)
        assert isinstance(dataset.train.x, np.memmap)
        for part in ("train", "validation", "test"):
            label = dataset.split(part).label
            assert label is not None
            assert set(label.tolist()) == {0, 1}
        row = int(np.flatnonzero(dataset.train.label == 0)[0])
        np.testing.assert_array_equal(dataset.train.x[row, 0], GREY)


def _text(path: Path) -> None:
    path.write_text("not an image")


def _short(path: Path) -> None:
    save(path, RNG.integers(0, 256, (50, 40), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:200])


class TestMistakes:
    def test_no_images(self, folder: Path) -> None:
        endings = ".png, .jpg, .jpeg, .bmp, .gif, .tif, .tiff, .webp"
        with pytest.raises(UserError) as caught:
            data.load(folder)
        assert str(caught.value) == f"the folder {folder} holds no images ({endings})."
        (folder / "a.wav").touch()
        with pytest.raises(UserError) as caught:
            data.load(folder)
        assert str(caught.value) == (f"the folder {folder} holds no images ({endings}), but 1 file that is no image.")

    def test_sizes_that_differ(self, folder: Path) -> None:
        save(folder / "a.png")
        save(folder / "b/c.png", GREY[:4])
        with pytest.raises(UserError) as caught:
            data.load(folder)
        assert str(caught.value) == (
            f"the images of {folder} differ in size (height × width): a.png is 5 × 4 and b/c.png is 4 × 4.\n"
            f"hint: give one size: {folder}:resize=5/4"
        )

    @pytest.mark.parametrize("resize", [None, 4])
    @pytest.mark.parametrize("damage", [_text, _short])
    def test_images_that_cannot_be_read(self, damage: Any, resize: int | None, folder: Path) -> None:
        save(folder / "a.png", np.zeros((50, 40), np.uint8))
        damage(folder / "b.png")
        damage(folder / "c.png")
        with pytest.raises(UserError) as caught:
            data.load(folder, resize=resize)
        reason = "it is no image, or damaged" if damage is _text else "image file is truncated"
        assert caught.value.message.startswith(
            f"2 of the 3 images of {folder} cannot be read; the first is {folder}/b.png: {reason}"
        )
        assert caught.value.hint == "take them out of the folder or repair them."

    def test_floating_point(self, folder: Path) -> None:
        save(folder / "a.tif", GREY.astype(np.float32))
        with pytest.raises(UserError) as caught:
            data.load(folder)
        assert caught.value.message == (
            f"1 of the 1 images of {folder} cannot be read; the first is {folder}/a.tif: its pixels are "
            "floating-point numbers, and 8 or 16 bits are expected."
        )

    @pytest.mark.parametrize("resize", ["28x28", (0, 3), (3, 4, 5), 0, 2.5, True, (3, 65536)])
    def test_resize(self, resize: Any, folder: Path) -> None:
        save(folder / "a.png")
        with pytest.raises(UserError) as caught:
            data.load(folder, resize=resize)
        assert caught.value.message == f"resize must be HEIGHT/WIDTH or one number for both, got {resize}."

    def test_channels(self, folder: Path) -> None:
        save(folder / "a.png")
        with pytest.raises(UserError) as caught:
            data.load(folder, channels=2)
        assert caught.value.message == "channels must be 1 or 3, got 2."

    def test_a_single_image(self, folder: Path) -> None:
        save(folder / "a.png")
        with pytest.raises(UserError) as caught:
            data.load(folder)
        assert caught.value.message == (
            f"{folder} has 1 row, and at least 3 are needed to set aside validation and test rows."
        )
