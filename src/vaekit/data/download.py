"""Downloads of named files, checked against a pinned SHA-256.

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
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from vaekit.cache import cache_folder, keeping
from vaekit.data.sources import LARGEST, SOURCES
from vaekit.errors import UserError

CONNECT_SECONDS = 10.0
RETRY_SECONDS = 60.0


class _Missing(Exception):
    """One place did not have the file; the text says why."""


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
    try:
        with keeping(path) as file:
            file.write(gzip.compress(content, compresslevel=1, mtime=0))
    except OSError as error:
        say(f"{path} cannot be kept: {error.strerror}")
