"""The page about a run: whole in itself, well formed, with the numbers of evaluate, for every recipe."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit import data, recipes, training
from vaekit.cli import main
from vaekit.evaluation.doctor import Finding
from vaekit.plots.latents import plane
from vaekit.plots.png import png
from vaekit.plots.traversals import moving, sheet
from vaekit.report import write_report
from vaekit.report.page import document, figure, paragraph, table

RECIPES = {
    "vae": ["--network", "mlp:hidden=8", "--latent-dim", "3"],
    "aae": ["--network", "mlp:hidden=8", "--latent-dim", "3"],
    "hvae": ["--network", "mlp:hidden=8", "--latent-dim", "3"],
    "m2": ["--network", "mlp:hidden=8", "--latent-dim", "3"],
    "vq-vae": ["--recipe", "vq-vae:num_codes=8,code_dim=4,channels=4/8"],
}
SMALL: dict[str, Any] = {"samples": 3, "limit": 40}
EMPTY = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """A page as a browser would take it apart; tags must close in order.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.words = ""
        self.cells: dict[str, str] = {}
        self._open: list[str] = []
        self._row: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)
        if tag == "tr":
            self._row = []
        if tag == "h2":
            self.headings.append("")
        if tag in ("td", "th"):
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "tr" and len(self._row) > 1:
            self.cells[self._row[0]] = self._row[1]

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.words += data
        if self._open and self._open[-1] == "h2":
            self.headings[-1] += data
        if self._open and self._open[-1] in ("td", "th"):
            self._row[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def number(text: str) -> float:
    return float(text.split("±")[0].replace("−", "-"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaekit.report.page.png", lambda picture, **options: b"")  # they are drawn in `pages`
        for recipe, options in RECIPES.items():
            common = ["--epochs", "2", "--out", str(parent / recipe), "--quiet", "--device", "cpu"]
            assert main(["train", "digits", "--recipe", recipe, *options, *common]) == 0
    return {recipe: parent / recipe for recipe in RECIPES}


@pytest.fixture(scope="module")
def first_pages(runs: dict[str, Path]) -> dict[str, str]:
    """The pages that training left, before any other is written in their place."""
    return {recipe: (folder / "report.html").read_text(encoding="utf-8") for recipe, folder in runs.items()}


@pytest.fixture(scope="module")
def pages(first_pages: dict[str, str], runs: dict[str, Path]) -> dict[str, Page]:
    return {recipe: Page(write_report(training.load(folder), **SMALL)) for recipe, folder in runs.items()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_is_whole_in_itself(pages: dict[str, Page], recipe: str) -> None:
    page = pages[recipe]
    assert not page.all("script")
    assert not page.all("link")
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert str(attributes.get(name, "data:")).startswith("data:")
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert "url(" not in page.source
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert str(policy).startswith("default-src 'none'")
    assert len(page.all("img")) >= 3
    assert all(image.get("alt") for image in page.all("img"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_leaves_a_page(first_pages: dict[str, str], recipe: str) -> None:
    page = first_pages[recipe]
    assert "<h2>Reconstructions</h2>" in page
    assert "test split, 270 examples" in page
    assert ("estimate with 50 draws for each example" in page) == (recipe not in ("aae", "vq-vae"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_numbers_are_those_of_evaluate(pages: dict[str, Page], runs: dict[str, Path], recipe: str) -> None:
    figures = training.load(runs[recipe]).evaluate(**SMALL)
    cells = pages[recipe].cells
    rows = {"ELBO": "elbo", "−log p(x)": "nll", "log p(x|z)": "log_px", "KL": "kl", "active units": "active_units"}
    for row, key in rows.items():
        if figures[key] is None:
            assert row not in cells
        else:
            assert number(cells[row]) == pytest.approx(figures[key], abs=6e-4)
    if figures["nll_standard_error"] is not None:
        assert cells["−log p(x)"].endswith(f"± {figures['nll_standard_error']:.3f}")
        assert number(cells["bits per dimension"]) == pytest.approx(figures["nll"] / 64 / np.log(2), abs=6e-4)
    for words in ("test split", "40 at even distances of 270 examples", "dynamic binarisation", "nats per example"):
        assert words in pages[recipe].words


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_part_is_shown_or_left_out_with_a_reason(pages: dict[str, Page], recipe: str) -> None:
    page = pages[recipe]
    names = ["Training curve", "Samples", "Reconstructions", "Traversals", "Latent map", "KL of each unit"]
    for name in names:
        assert (name in page.headings) != (f"{name}: " in page.words)
    left_out = {
        "vae": set(),
        "aae": {"KL of each unit"},
        "hvae": set(),
        "m2": set(),
        "vq-vae": {"Traversals", "KL of each unit"},
    }
    assert {name for name in names if name not in page.headings} == left_out[recipe]
    assert ("Numbers of likelihood: the model has no density." in page.words) == (recipe == "aae")


def test_the_command_repeats_the_run(pages: dict[str, Page], tmp_path: Path, runs: dict[str, Path]) -> None:
    (line,) = re.findall(r"vaekit (train .*) --out AGAIN", pages["vq-vae"].words)
    assert main([*line.split(), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    weights = [(folder / "model.safetensors").read_bytes() for folder in (tmp_path / "again", runs["vq-vae"])]
    assert weights[0] == weights[1]


def test_findings_are_shown_and_escaped(runs: dict[str, Path], tmp_path: Path) -> None:
    found = [Finding("a-name", "<script>alert(1)</script> & more", "a cure")]
    page = Page(write_report(training.load(runs["vae"]), findings=found, **SMALL))
    assert not page.all("script")
    assert "a-name: <script>alert(1)</script> & more." in page.words
    assert "Usual cure: a cure." in page.words
    page = Page(write_report(training.load(runs["vae"]), findings=(), **SMALL))
    assert "Nothing was found to be wrong." in page.words


TABLES = {
    "real": np.random.RandomState(0).randn(60, 3).astype(np.float32) * 5 + 7,
    "counts": np.random.RandomState(0).poisson(30.0, (60, 3)).astype(np.int64) * 11,
    "binary": np.random.RandomState(0).randint(0, 2, (60, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("kind", TABLES)
def test_data_that_are_no_images(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "<b>.npy", TABLES[kind])
    options = ["--epochs", "2", "--network", "mlp:hidden=8", "--quiet", "--device", "cpu"]
    assert main(["train", str(tmp_path / "<b>.npy"), *options, "--out", str(tmp_path / "run")]) == 0
    run = training.load(tmp_path / "run")
    page = Page(write_report(run, samples=3))
    assert not page.all("b")
    assert "<b>.npy" in page.words
    assert {"Samples", "Reconstructions", "Traversals", "Latent map"} <= set(page.headings)
    assert "there are no labels" in page.words
    assert "deviation" in page.words


def test_a_table_with_gaps_and_labels(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    lines = ["a,b,kind"]
    for row in range(60):
        left, right = random.randn(2) * 3 + 10
        lines.append(f"{left:.3f},{'' if row % 4 == 0 else f'{right:.3f}'},{'oak' if row % 2 else 'elm'}")
    (tmp_path / "trees.csv").write_text("\n".join(lines) + "\n")
    options = ["--epochs", "2", "--network", "mlp:hidden=8", "--quiet", "--device", "cpu"]
    table = f"{tmp_path / 'trees.csv'}:label=kind,missing=nan"
    assert main(["train", table, *options, "--out", str(tmp_path / "run")]) == 0
    run = training.load(tmp_path / "run")
    page = Page(write_report(run, samples=3))
    assert re.search(r"Only the \d+\.\d% of the cells that are observed count", page.words)
    assert "coloured by label" in page.words
    # The figures of the data are of what is observed: a hole would be filled with the mean and narrow the spread.
    rows = run.data.test
    assert rows.mask is not None
    assert not rows.mask[:, 1].all()
    seen = run.kind.restore(run.kind.prepare(torch.from_numpy(rows.x)))[:, 1].numpy()[rows.mask[:, 1]]
    (mean, spread), *_ = re.findall(r"<th[^>]*>b</th><td[^>]*>([\d.]+) ± ([\d.]+)</td>", page.source)
    assert (float(mean), float(spread)) == pytest.approx((seen.mean(), seen.std()), rel=5e-3)


def test_a_conditional_model(tmp_path: Path) -> None:
    options = ["--network", "mlp:hidden=8", "--epochs", "2", "--quiet", "--device", "cpu"]
    assert main(["train", "digits:condition=label", *options, "--out", str(tmp_path / "run")]) == 0
    page = Page(write_report(training.load(tmp_path / "run"), **SMALL))
    assert {"Samples", "Traversals"} <= set(page.headings)


def test_categories_from_python(tmp_path: Path) -> None:
    x = np.random.RandomState(0).randint(0, 4, (60, 5))
    own = data.as_dataset(x, kind=data.kinds.Categories(4))
    plan = recipes.make("vae", own, {"network": "mlp:hidden=8", "epochs": 1})
    run = training.fit(plan.model, plan.data, phases=plan.phases, out=tmp_path / "run", quiet=True, device="cpu")
    page = Page(write_report(run, samples=3))
    assert "Samples: categories have no mean" in page.words
    assert "Training curve: there is only one epoch." in page.words
    assert "It was trained from Python" in page.words
    assert "The most probable category is the right one" in page.words


def test_text_is_escaped() -> None:
    page = document("<i>", paragraph("<i>") + table(("<i>", "b"), [("<i>", "&")], (1,), "<i>"))
    page += figure(Image.new("L", (2, 2)), '"><i>', "<i>", "picture")
    assert "<i>" not in page
    assert page.count("&lt;i&gt;") == 7


def test_a_plane_of_any_width() -> None:
    rows = np.random.RandomState(0).randn(20, 5)
    for width in (1, 2, 3, 5):
        points, how = plane(rows[:, :width])
        assert points.shape == (20, 2)
        assert ("principal" in how) == (width > 2)
    # Principal components: nothing of a plane is lost, whichever way it lies.
    flat = rows[:, :2] @ np.random.RandomState(1).randn(2, 5)
    points, how = plane(flat)
    assert how == "two principal components, 100% of the variance"
    centred = flat - flat.mean(0)
    assert np.allclose((points**2).sum(1), (centred**2).sum(1))
    assert plane(rows[:1])[0].shape == (1, 2)


def test_sheets_and_frames() -> None:
    images = np.random.RandomState(0).rand(3, 4, 1, 5, 6)
    page = sheet(images)
    assert page.shape == (3 * 6 - 1, 4 * 7 - 1, 1)
    assert np.array_equal(page[6:11, 14:20, 0], images[1, 2, 0])
    frames = moving(images, 12)
    assert len(frames) == 4 + 2  # there and back
    assert frames[0].size == (2 * (3 * 7 - 1), 2 * 5)
    assert png(frames[0]).startswith(b"\x89PNG")
