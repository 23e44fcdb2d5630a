"""Data larger than memory should be, by the command line: what the process holds at most, and that it ends.

The slow tests make files of gigabytes of random content: ``pytest -m slow tests/data/test_large.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

MOST_MEMORY = 1.5e9  # bytes, shared pages of files included
COLUMNS = 784
SMALL = ("--epochs", "1", "--batch-size", "1000", "--network", "mlp:hidden=16", "--latent-dim", "4", "--quiet")

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    peak: int  # bytes
    output: str


def vaekit(*arguments: object, cache: Path | None = None) -> Ran:
    """Run the command line and watch its memory."""
    return python("-m", "vaekit.cli", *arguments, cache=cache)


def python(*arguments: object, cache: Path | None = None) -> Ran:
    """Run Python and watch its memory."""
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    command = [sys.executable, *map(str, arguments)]
    started, peak = time.monotonic(), 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while process.poll() is None:
            peak = max(peak, _most(process.pid))
            time.sleep(0.02)
        assert process.stdout is not None
        output = process.stdout.read()
    print(f"{' '.join(command[1:4])}: {peak / 1e9:.2f} GB, {time.monotonic() - started:.0f} s")
    return Ran(process.returncode, peak, output)


def _most(pid: int) -> int:
    """The most memory that a process has held so far, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def passed(ran: Ran) -> None:
    assert ran.code == 0, ran.output
    assert 0 < ran.peak < MOST_MEMORY, f"{ran.peak / 1e9:.2f} GB"


def test_the_memory_of_a_process_is_seen() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "b = b'1' * 300_000_000; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 300_000_000 < _most(process.pid) < 400_000_000
        process.communicate(b"\n")


def make(path: Path, num_bytes: float, dtype: str) -> int:
    """Random numbers in [0, 1), or 0 and 1; how many rows."""
    rows, generator = int(num_bytes) // (COLUMNS * np.dtype(dtype).itemsize), np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (rows, COLUMNS)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, 20_000):
            shape = (min(20_000, rows - start), COLUMNS)
            some = generator.random(shape, np.float32) if dtype == "float32" else generator.integers(0, 2, shape, dtype)
            file.write(some.tobytes())
    return rows


class Made(NamedTuple):
    file: Path
    rows: int
    training: Ran


@pytest.fixture(scope="module", params=[("float32", 6e9), ("uint8", 2.4e9)], ids=["6 GB of reals", "2.4 GB of bits"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A file, and what became of training on it."""
    dtype, num_bytes = request.param
    folder = tmp_path_factory.mktemp("large")
    try:
        rows = make(folder / "x.npy", num_bytes, dtype)
        yield Made(folder / "x.npy", rows, vaekit("train", folder / "x.npy", *SMALL, "--out", folder / "run"))
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
class TestArray:
    def test_train(self, large: Made) -> None:
        passed(large.training)
        assert (large.file.parent / "run" / "model.safetensors").exists()

    def test_evaluate(self, large: Made) -> None:
        passed(vaekit("evaluate", large.file.parent / "run", "--samples", 1))

    def test_encode(self, large: Made) -> None:
        out = large.file.parent / "z.npy"
        passed(vaekit("encode", large.file.parent / "run", large.file, "-o", out))
        assert np.load(out, mmap_mode="r").shape == (large.rows, 4)

    def test_score(self, large: Made) -> None:
        out = large.file.parent / "score.npy"
        passed(vaekit("score", large.file.parent / "run", large.file, "--samples", 1, "-o", out))
        assert np.load(out, mmap_mode="r").shape == (large.rows,)


def picture(number: int) -> Image.Image:
    """A picture of the mode and size of its turn, of random pixels."""
    generator = np.random.default_rng(number)
    height, width = generator.integers(20, 600, 2)
    colours = Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
    wide = Image.fromarray(generator.integers(0, 65536, (height, width), dtype=np.uint16))
    modes = ("L", "RGB", "RGBA", "P", "LA", "1")
    return wide if number % 7 == 6 else colours.convert(modes[number % 7])


def save(folder: Path, number: int) -> None:
    """PNG and JPEG in turns; a JPEG knows neither transparency nor palettes."""
    label = folder / f"label-{number % 3}"
    label.mkdir(parents=True, exist_ok=True)
    image = picture(number)
    if number % 2 or image.mode not in ("L", "RGB"):
        image.save(label / f"{number}.png")
    else:
        image.save(label / f"{number}.jpg")


@pytest.mark.slow
class TestImages:
    def test_two_thousand_of_all_sorts(self, tmp_path: Path) -> None:
        folder = tmp_path / "pictures"
        for number in range(2_000):
            save(folder, number)
        try:
            assert {path.suffix for path in folder.rglob("*.*")} == {".png", ".jpg"}
            refused = vaekit("train", folder, *SMALL, "--out", tmp_path / "none", cache=tmp_path)
            assert refused.code == 2
            assert "differ in size (height × width)" in refused.output
            assert f"hint: give one size: {folder}:resize=" in refused.output
            trained = vaekit("train", f"{folder}:resize=28/28", *SMALL, "--out", tmp_path / "run", cache=tmp_path)
            passed(trained)
            encoded = vaekit(
                "encode", tmp_path / "run", f"{folder}:resize=28/28", "-o", tmp_path / "z.npz", cache=tmp_path
            )
            passed(encoded)
            labels, counts = np.unique(np.load(tmp_path / "z.npz")["label"], return_counts=True)
            assert labels.tolist() == ["label-0", "label-1", "label-2"]
            assert counts.tolist() == [667, 667, 666]
        finally:
            shutil.rmtree(folder)

    def test_two_hundred_thousand(self, tmp_path: Path) -> None:
        folder = tmp_path / "pictures"
        pixels = np.random.default_rng(0).integers(0, 256, (200, 20, 24, 3), dtype=np.uint8)
        for number, image in enumerate(pixels):
            first = folder / f"{number:03}" / "0.png"
            first.parent.mkdir(parents=True)
            Image.fromarray(image).save(first)
            for copy in range(1, 1_000):
                os.link(first, first.with_name(f"{copy}.png"))
        try:
            code = f"from vaekit import data; print(data.load('{folder}', resize=28).train.x.shape)"
            for already in (False, True):  # decoded, in the cache
                assert (tmp_path / "vaekit").exists() == already
                read = python("-c", code, cache=tmp_path)
                passed(read)
                assert "(160000, 3, 28, 28)" in read.output
                assert read.peak < 200_000 * 3 * 28 * 28 + 500e6  # little beside the images themselves
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(tmp_path / "vaekit", ignore_errors=True)
