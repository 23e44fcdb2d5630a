"""A folder of images of mixed formats, modes and sizes; its sub-folders are the labels."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from vaekit.cache import cache_folder
from vaekit.data import chunks
from vaekit.data.chunks import Array
from vaekit.data.download import say
from vaekit.data.formats.content import Content
from vaekit.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
CACHE_BYTES = 256 << 20  # what is larger is decoded once, into a file
ORIENTATION = 0x0112  # EXIF: which way the camera was held
VERSION = 1  # of what decoding gives; a new one makes old caches unused

Size = tuple[int, int]  # height, width


class File(NamedTuple):
    """An image file and the name of its sub-folder, empty for none."""

    path: Path
    label: str


class _Colour(Exception):
    """An image has colours, and only grey ones were expected."""


def read(path: Path, *, resize: Any = None, channels: int | None = None) -> Content:
    """All images of a folder and of its sub-folders, ``(n, channels, height, width)`` bytes.

    Images stand in the order of their names, those of the folder itself first. Transparent ones are laid over white,
    16 bits become 8, photos stand upright, of an animation the first picture is taken. A folder over 2 GiB with
    labels is in turns: one of each label, and again, because it is cut without shuffling.

    Args:
        path: the folder.
        resize: ``(height, width)``, or one number for both; needed if the images differ in size.
        channels: 1 for grey, 3 for colours; by default 1 if all are grey.

    Raises:
        UserError: if there are no images, some cannot be read, or they differ in size.
    """
    size = _size_option(resize)
    if channels not in (None, 1, 3):
        raise UserError(f"channels must be 1 or 3, got {channels}.")
    files = _files(path)
    size = size or _common_size(path, files)
    total = len(files) * 3 * size[0] * size[1]
    if total > chunks.KEEP_MAPPED_BYTES:
        files = _in_turns(files)
    x = _decode(path, files, size, channels) if total <= CACHE_BYTES else _cached(path, files, size, channels)
    labels = [file.label for file in files]
    return Content(x, np.array(labels) if len({*labels} - {""}) > 1 else None, kind="grey")


def _size_option(resize: Any) -> Size | None:
    if resize is None:
        return None
    size = (resize, resize) if isinstance(resize, int) else resize
    sides = (
        isinstance(size, tuple) and len(size) == 2 and all(type(side) is int and 1 <= side <= 65535 for side in size)
    )
    if not sides:
        raise UserError(f"resize must be HEIGHT/WIDTH or one number for both, got {resize}.")
    return size


def _files(folder: Path) -> list[File]:
    """The image files; a line on stderr says how many others there are."""
    files: list[File] = []
    others = 0
    inside = sorted(folder.iterdir())
    subfolders = [entry for entry in inside if entry.is_dir() and not entry.name.startswith(".")]
    for label, entries in [("", inside), *((sub.name, sorted(sub.iterdir())) for sub in subfolders)]:
        for entry in entries:
            if entry.suffix.lower() in ENDINGS and not entry.name.startswith(".") and entry.is_file():
                files.append(File(entry, label))
            elif not entry.is_dir():
                others += 1
    found = "1 file that is no image" if others == 1 else f"{others:,} files that are no images"
    if not files:
        raise UserError(
            f"the folder {folder} holds no images ({', '.join(ENDINGS)})" + (f", but {found}." if others else ".")
        )
    if others:
        say(f"{folder} holds {found}: skipped")
    return files


def _in_turns(files: list[File]) -> list[File]:
    """The first of each label, the second of each …, so that any stretch of them has all labels in proportion."""
    groups: dict[str, list[File]] = {}
    for file in files:
        groups.setdefault(file.label, []).append(file)
    ranked = [((rank + 0.5) / len(group), file) for group in groups.values() for rank, file in enumerate(group)]
    return [file for _, file in sorted(ranked)]


def _common_size(folder: Path, files: list[File]) -> Size:
    """Height and width of all images; of a file only the beginning is read."""
    first: tuple[Size, Path] | None = None
    bad = _Unreadable(folder, len(files))
    other: tuple[Size, Path] | None = None
    for file in files:
        with bad.noting(file.path), _open(file.path) as image:
            width, height = image.size
            size = (width, height) if image.getexif().get(ORIENTATION, 1) > 4 else (height, width)
            first = first or (size, file.path)
            if size != first[0]:
                other = other or (size, file.path)
    bad.check()
    assert first is not None
    if other is None:
        return first[0]
    described = (f"{path.relative_to(folder)} is {size[0]} × {size[1]}" for size, path in (first, other))
    raise UserError(
        f"the images of {folder} differ in size (height × width): {' and '.join(described)}.",
        hint=f"give one size: {folder}:resize={first[0][0]}/{first[0][1]}",
    )


class _Unreadable:
    """Notes files that cannot be read, and says so when all have been tried."""

    def __init__(self, folder: Path, total: int) -> None:
        self._folder = folder
        self._total = total
        self._path: Path | None = None
        self._reasons: list[str] = []

    def noting(self, path: Path) -> _Unreadable:
        self._path = path
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, sort: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        # Decoders raise exceptions of every sort on damaged files.
        if not isinstance(error, Exception) or isinstance(error, (_Colour, MemoryError)):
            return False
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "it is no image, or damaged"
        self._reasons.append(f"{self._path}: {reason}")
        return True

    def check(self) -> None:
        """Check that every image can be read.

        Raises:
            UserError: naming the first that cannot be read.
        """
        if self._reasons:
            raise UserError(
                f"{len(self._reasons):,} of the {self._total:,} images of {self._folder} cannot be read; "
                f"the first is {self._reasons[0].rstrip('.')}.",
                hint="take them out of the folder or repair them.",
            )


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes and odd metadata
        return Image.open(path)


def _decode(folder: Path, files: list[File], size: Size, channels: int | None) -> Array:
    """All images in memory; grey is given up at the first one that has colours."""
    for attempt in (channels,) if channels else (1, 3):
        x = np.empty((len(files), attempt, *size), np.uint8)
        try:
            for place, pixels in enumerate(_pixels(folder, files, size, attempt, strict=channels is None)):
                x[place] = pixels
        except _Colour:
            continue
        return x
    raise AssertionError("three channels hold all colours")


def _cached(folder: Path, files: list[File], size: Size, channels: int | None) -> Array:
    """All images as a file in the cache, mapped into memory; made if it is not there."""
    path = cache_folder() / "images" / f"{_key(folder, files, size, channels)}.npy"
    if not path.is_file():
        say(f"decoding the {len(files):,} images of {folder} into {path}")
        for attempt in (channels,) if channels else (1, 3):
            try:
                _write(path, (len(files), attempt, *size), _pixels(folder, files, size, attempt, channels is None))
            except _Colour:
                continue
            break
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(path: Path, shape: tuple[int, ...], arrays: Iterator[Array]) -> None:
    """A ``.npy`` file of bytes, array by array; whole or not there."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".images-")
        with os.fdopen(handle, "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for array in arrays:
                file.write(array.tobytes())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"the images do not fit into memory, and {path} cannot be written: {error.strerror or error}.",
            hint=f"set XDG_CACHE_HOME to a folder with {np.prod(shape) / 1e9:.1f} GB of space.",
        ) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _key(folder: Path, files: list[File], size: Size, channels: int | None) -> str:
    """Changes whenever an image, its name, the size or this module does."""
    digest = hashlib.sha256(json.dumps([VERSION, str(folder.resolve()), size, channels]).encode())
    for file in files:
        stat = file.path.stat()
        digest.update(json.dumps([str(file.path.relative_to(folder)), stat.st_size, stat.st_mtime_ns]).encode())
    return digest.hexdigest()[:32]


def _pixels(folder: Path, files: list[File], size: Size, channels: int, strict: bool) -> Iterator[Array]:
    """Each image ``(channels, height, width)``.

    Args:
        folder: what errors call them together.
        files: which.
        size: of the result.
        channels: 1 or 3.
        strict: stop at colours where ``channels`` is 1, instead of turning them grey.

    Raises:
        _Colour: if strict.
        UserError: at the end, if some could not be read.
    """
    bad = _Unreadable(folder, len(files))
    for file in files:
        pixels = None
        with bad.noting(file.path), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = _one(file.path, size)
            if channels == 1 and pixels.ndim == 3:
                if strict and (pixels != pixels[..., :1]).any():
                    raise _Colour
                pixels = pixels[..., 0] if strict else np.asarray(Image.fromarray(pixels).convert("L"))
        if pixels is not None:
            spread = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
            yield np.broadcast_to(spread, (channels, *size))
    bad.check()


def _one(path: Path, size: Size) -> Array:
    """An image as bytes, ``(height, width)`` if it is grey by its mode, else ``(height, width, 3)``."""
    with Image.open(path) as image:
        image.draft(None, (2 * max(size), 2 * max(size)))  # a large JPEG is decoded at a fraction of its size
        flat = _flat(ImageOps.exif_transpose(image))
    height, width = size
    if flat.size != (width, height):
        flat = flat.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(flat)


def _flat(image: Image.Image) -> Image.Image:
    """Any mode as ``L`` or ``RGB``: 16 bits as 8, transparent over white."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, and 8 or 16 bits are expected")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.rint(wide.clip(0, 65535) / 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("L" if grey else "RGB")
