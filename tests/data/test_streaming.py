"""Rows of a file on disk: their order, their batches, and the thread that reads ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaekit import data, recipes, training
from vaekit.data import Split, chunks
from vaekit.data import loader as loader_module
from vaekit.data.ahead import ahead
from vaekit.data.kinds import Binary, Counts, GreyLevels
from vaekit.data.loader import Loader, RowSelection
from vaekit.data.mapped import MappedRows, take
from vaekit.data.shuffle import BLOCKS, in_batches, in_order, shuffled
from vaekit.errors import Interrupted, UserError
from vaekit.training.loop import Training

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vaekit")]


def mapped(path: Path, array: np.ndarray) -> Any:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def streamed(path: Path, monkeypatch: pytest.MonkeyPatch, rows: int = 1_000, window: int = 100) -> Loader:
    """A loader of batches of 16 whose file goes through memory in windows."""
    x = mapped(path / "x.npy", RNG.integers(0, 256, (rows, 3), dtype=np.uint8))
    monkeypatch.setattr(loader_module, "WINDOW_BYTES", 3 * window)
    return Loader(Split(x, np.arange(rows)), GreyLevels(), batch_size=16)


class TestOrder:
    @pytest.mark.parametrize("count, window", [(1, 1), (7, 100), (100, 100), (1_000, 100), (5_003, 1_024), (9, 1)])
    def test_every_place_once(self, count: int, window: int) -> None:
        for epoch in range(3):
            windows = list(shuffled(count, window, 0, epoch))
            assert sorted(torch.cat(windows).tolist()) == list(range(count))
            assert all(len(places) <= window for places in windows)

    def test_it_is_of_seed_and_epoch_alone(self) -> None:
        orders = set()
        for seed in range(3):
            for epoch in range(3):
                torch.manual_seed(seed + 10 * epoch)
                order = torch.cat(list(shuffled(1_000, 100, seed, epoch)))
                torch.manual_seed(99)
                assert torch.equal(order, torch.cat(list(shuffled(1_000, 100, seed, epoch))))
                orders.add(tuple(order.tolist()))
        assert len(orders) == 9

    def test_it_leaves_the_global_random_numbers_alone(self) -> None:
        before = torch.get_rng_state()
        list(shuffled(1_000, 100, 0, 0))
        assert torch.equal(before, torch.get_rng_state())

    def test_a_file_sorted_by_class_gives_windows_of_all_classes(self) -> None:
        count, window, classes = 2**20, 2**14, 4
        share = torch.stack(
            [
                (places * classes // count).bincount(minlength=classes) / len(places)
                for epoch in range(5)
                for places in shuffled(count, window, 0, epoch)
            ]
        )
        deviation = (0.25 * 0.75 / BLOCKS) ** 0.5
        # Without replacement, out of 64 windows: a little less. 5 · 64 windows · 4 classes: within a tenth.
        assert 0.85 * deviation < (share - 0.25).square().mean().sqrt() < 1.1 * deviation

    def test_a_window_is_not_in_the_order_of_its_blocks(self) -> None:
        first = next(shuffled(2**20, 2**14, 0, 0)) // (2**14 // BLOCKS)
        assert (first[1:] == first[:-1]).float().mean() < 0.02

    @pytest.mark.parametrize("size", [1, 16, 40, 1_000])
    def test_windows_end_with_batches(self, size: int) -> None:
        whole = list(range(107))
        windows = list(in_batches(in_order(107, 25), size))
        assert torch.cat(windows).tolist() == whole
        assert all(len(places) % size == 0 for places in windows[:-1])
        for start in range(108 // size + 2):
            rest = [place for places in in_batches(in_order(107, 25), size, start) for place in places.tolist()]
            assert rest == whole[start * size :]


class TestBatches:
    @pytest.mark.parametrize("batch_size", [7, 16, 250])
    def test_an_epoch_is_the_order_cut_into_batches(
        self, batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loader = streamed(tmp_path, monkeypatch)
        loader = Loader(loader.split, loader.kind, batch_size=batch_size)
        resident = Loader(Split(np.array(loader.split.x)), GreyLevels())
        assert loader.mapped
        assert not resident.mapped
        batches = [(selection.rows, selection.batch) for selection in loader.epoch(5, 2)]
        assert torch.equal(torch.cat([rows for rows, _ in batches]), loader.order(5, 2))
        assert len(batches) == len(loader)
        assert [len(rows) for rows, _ in batches[:-1]] == [batch_size] * (len(loader) - 1)
        for rows, batch in batches:
            assert torch.equal(batch.x, resident.rows(rows).x)
            assert torch.equal(batch.x, loader.rows(rows).x)
            assert batch.label is not None
            assert torch.equal(batch.label, rows)

    def test_the_order_does_not_depend_on_the_size_of_batches(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loader = streamed(tmp_path, monkeypatch)
        other = Loader(loader.split, loader.kind, batch_size=7)
        assert torch.equal(loader.order(1, 2), other.order(1, 2))

    def test_what_fits_into_a_window_is_in_the_order_of_what_is_in_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loader = streamed(tmp_path, monkeypatch, rows=100)
        assert torch.equal(loader.order(3, 4), Loader(Split(np.zeros((100, 2))), Counts()).order(3, 4))

    def test_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = streamed(tmp_path, monkeypatch)
        x = torch.cat([batch.x for batch in loader])
        assert torch.equal(x, loader.kind.prepare(torch.from_numpy(np.array(loader.split.x))))

    def test_it_goes_on_at_any_batch_without_reading_what_was_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loader = streamed(tmp_path, monkeypatch)
        whole = [(selection.rows, selection.batch) for selection in loader.epoch(0, 1)]
        read, seen = MappedRows.read, []
        monkeypatch.setattr(MappedRows, "read", lambda self, rows: seen.extend(rows) or read(self, rows))
        for start in (0, 1, 20, len(whole) - 1, len(whole)):
            seen.clear()
            rest = [(selection.rows, selection.batch) for selection in loader.epoch(0, 1, start)]
            assert len(rest) == len(whole) - start
            assert len(seen) == sum(len(rows) for rows, _ in rest)
            for (rows, batch), (rows_of_whole, batch_of_whole) in zip(rest, whole[start:], strict=True):
                assert torch.equal(rows, rows_of_whole)
                assert torch.equal(batch.x, batch_of_whole.x)

    def test_noise_is_drawn_as_if_all_were_in_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = streamed(tmp_path, monkeypatch)
        loader.kind = Binary(256, "dynamic")
        resident = Loader(Split(np.array(loader.split.x)), loader.kind)
        torch.manual_seed(0)
        noisy = [(selection.rows, selection.batch.x) for selection in loader.epoch(0, 0)]
        torch.manual_seed(0)
        for rows, x in noisy:
            assert torch.equal(x, resident.rows(rows).x)

    def test_rows_listed_more_often(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        split = streamed(tmp_path, monkeypatch).split
        order = np.concatenate([np.arange(1_000), np.tile([3, 500, 998], 200)])
        loader = Loader(split._replace(order=order), GreyLevels(), batch_size=16)
        batches = [(selection.rows, selection.batch) for selection in loader.epoch(0, 0)]
        rows = torch.cat([rows for rows, _ in batches])
        assert sorted(rows.tolist()) == sorted(order.tolist())
        x = torch.cat([batch.x for _, batch in batches])
        assert torch.equal(x, loader.kind.prepare(torch.from_numpy(np.array(split.x)[rows.numpy()])))

    def test_a_run_that_was_stopped_is_the_run_that_was_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digits = data.load("digits")
        x = mapped(tmp_path / "x.npy", digits.train.x)
        monkeypatch.setattr(loader_module, "WINDOW_BYTES", 100 * x[0].nbytes)
        digits = replace(digits, train=digits.train._replace(x=x))

        def fit(folder: str, **options: Any) -> None:
            torch.manual_seed(0)
            plan = recipes.make("vae", digits, {"epochs": 2, "network": "mlp:hidden=8", "latent_dim": 2})
            training.fit(plan.model, digits, phases=plan.phases, out=tmp_path / folder, quiet=True, **options)

        fit("whole")
        take, count = Training.take, 0

        def counted(self: Training, selection: RowSelection) -> Any:
            nonlocal count
            count += 1
            self.stop_asked = count == 6
            return take(self, selection)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "take", counted)
            with pytest.raises(Interrupted):
                fit("stopped")
        fit("stopped", resume=True)
        whole, stopped = (tmp_path / folder / "model.safetensors" for folder in ("whole", "stopped"))
        assert whole.read_bytes() == stopped.read_bytes()


class TestFile:
    def test_every_layout(self, tmp_path: Path) -> None:
        whole = RNG.integers(0, 256, (20, 4, 6, 3)).astype(np.int32)
        x = mapped(tmp_path / "x.npy", whole)
        columns = mapped(tmp_path / "columns.npy", np.asfortranarray(whole))
        offset = np.memmap(tmp_path / "x.npy", np.int32, "r", offset=128, shape=(20, 72))
        views = [x, x[3:17], x[:, None], np.moveaxis(x, -1, 1), x[2:, :, ::2], x[::2], x[::-1], columns, columns[3:]]
        for view in [*views, offset, offset[5:], x.view(np.uint8), x[7:8], np.moveaxis(columns, -1, 1)]:
            assert isinstance(view, np.memmap)
            for rows in (np.arange(len(view)), np.array([0]), np.unique(RNG.integers(0, len(view), 5))):
                found = take(view, rows)
                assert found.flags.c_contiguous
                assert found.dtype == view.dtype
                assert not isinstance(found, np.memmap)
                np.testing.assert_array_equal(found, np.asarray(view)[rows])

    def test_what_was_written_to_a_copy_is_seen_and_kept(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((4, 3)))
        x = np.load(tmp_path / "x.npy", mmap_mode="c")
        x[2] = 7
        chunks.release(x)
        assert take(x, np.array([1, 2])).tolist() == [[0, 0, 0], [7, 7, 7]]

    def test_a_file_larger_than_a_piece_leaves_no_pages(self, tmp_path: Path) -> None:
        status = Path("/proc/self/status")
        if not status.exists():
            pytest.skip("needs Linux's /proc")

        def of_files() -> int:
            return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssFile"))

        x = mapped(tmp_path / "x.npy", RNG.random((2_000, 4_000)))
        before = of_files()
        for some in torch.arange(2_000).split(100):
            take(x, some.numpy())
        assert of_files() - before < 10_000  # of 64,000 kilobytes
        assert x[::10].sum() > 0  # through the mapping it does
        assert of_files() - before > 10_000

    def test_changed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = streamed(tmp_path, monkeypatch)
        with closing(loader.epoch(0, 0)) as batches:
            next(batches)
            (tmp_path / "other").write_bytes((tmp_path / "x.npy").read_bytes())
            (tmp_path / "other").replace(tmp_path / "x.npy")
            with pytest.raises(UserError) as caught:
                list(batches)
        assert str(caught.value) == f"{tmp_path / 'x.npy'} has changed while it was being read.\nhint: start again."

    def test_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = streamed(tmp_path, monkeypatch)
        (tmp_path / "x.npy").unlink()
        with pytest.raises(UserError) as caught:
            list(loader)
        assert caught.value.message == f"{tmp_path / 'x.npy'} cannot be read any more: No such file or directory."

    def test_shorter_than_its_header_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = streamed(tmp_path, monkeypatch)
        monkeypatch.setattr("vaekit.data.mapped._stamp", lambda handle: loader._file._stamp)  # type: ignore[union-attr]
        with (tmp_path / "x.npy").open("r+b") as file:
            file.truncate(1_000)
        with pytest.raises(UserError, match="has become shorter while it was being read"):
            list(loader)


class TestAhead:
    def test_the_next_one_is_under_way_and_no_other(self) -> None:
        loaded: list[int] = []
        second = threading.Event()

        def load(item: int) -> int:
            loaded.append(item)
            if item == 1:
                second.set()
            return 10 * item

        with closing(ahead(load, range(5))) as ready:  # type: ignore[type-var]
            assert next(ready) == 0
            assert second.wait(10)
            assert loaded == [0, 1]
            assert list(ready) == [10, 20, 30, 40]

    def test_an_error_comes_in_its_turn(self) -> None:
        def load(item: int) -> int:
            return 1 // (2 - item)

        ready = ahead(load, range(5))
        assert [next(ready), next(ready)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(ready)
        assert list(ready) == []

    def test_stopping_early_ends_the_thread(self) -> None:
        ready = ahead(lambda item: item, range(5))
        next(ready)
        assert [thread for thread in threading.enumerate() if thread.name.startswith("vaekit")]
        del ready

    def test_nothing(self) -> None:
        assert list(ahead(lambda item: item, [])) == []
