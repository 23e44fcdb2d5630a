"""A file imports only from lower floors, and some things are found nowhere."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "vaekit"

# From low to high. A part of the package may import from floors below its own, and from itself.
FLOORS = [
    {"errors", "checks", "cache", "parts", "config", "schedules", "bibliography", "progress", "signals", "_version"},
    {"atomic", "kernels"},
    {"distributions", "data", "networks", "classical"},
    {"likelihoods", "posteriors", "priors", "papers.tutorial_networks"},
    {"models"},
    {"objectives"},
    {"distributed", "acceleration"},
    {"parts.registry", "evaluation", "plots"},
    {"report"},
    {"run"},
    {"training"},
    {"recipes"},
    {"testing", "sklearn"},
    {"papers"},
    {"cli"},
]
# On one floor, who may also import whom.
NEIGHBOURS = {
    "parts": {"errors"},
    "config": {"parts"},
    "schedules": {"checks", "parts", "errors"},
    "networks": {"distributions"},
    "parts.registry": {"evaluation"},
    "acceleration": {"distributed"},
}
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
# Files with a floor of their own, away from their folder's: the registry imports every slot, so that documents may name
# their parts, and among them are the networks of one paper.
ALONE = {"parts.registry", "papers.tutorial_networks"}
OUTSIDE_FOR_PLOTS = {"numpy", "matplotlib", "PIL"}
FILES = sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The piece of the package that a file belongs to."""
    return part_named(".".join(path.relative_to(SOURCE).with_suffix("").parts))


def part_named(name: str) -> str:
    """The piece of the package that a name inside it belongs to."""
    pieces = name.split(".")
    two = ".".join(pieces[:2])
    return two if two in ALONE else pieces[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything that is imported anywhere in a file, by any form."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(path: Path) -> set[str]:
    names = [name.partition(".") for name in imports(ast.parse(path.read_text()))]
    return {part_named(rest) for package, _, rest in names if package == "vaekit" and rest} - {"__version__"}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_come_from_below(path: Path) -> None:
    own = part_of(path)
    if own in ("__init__", "__main__"):
        return
    assert own in HEIGHT, f"{own} has no floor: give it one in this test"
    for other in imported_parts(path) - {own}:
        assert other in HEIGHT, f"{name_of(path)} imports vaekit.{other}, which has no floor"
        allowed = HEIGHT[other] < HEIGHT[own] or other in NEIGHBOURS.get(own, set())
        assert allowed, f"{name_of(path)} imports vaekit.{other}, which is not below vaekit.{own}"


def of_the_face(tree: ast.AST) -> set[str]:
    """What is taken from the package itself, ``from vaekit import X`` or ``import vaekit``, and not from its module."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} & {"vaekit"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "vaekit":
            found |= {alias.name for alias in node.names}
    return found - {"__version__"}


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) != "__init__.py"], ids=name_of)
def test_nothing_inside_imports_the_face_of_the_package(path: Path) -> None:
    assert not of_the_face(ast.parse(path.read_text())), "import from the module that defines it"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "plots"], ids=name_of)
def test_plots_need_little(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
    foreign = outside - OUTSIDE_FOR_PLOTS - {"vaekit", "__future__"}
    assert foreign <= sys.stdlib_module_names, f"{name_of(path)} imports {', '.join(sorted(foreign))}"


def test_the_packages_init_imports_nothing_at_run_time() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    at_run_time = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {name for node in at_run_time for name in imports(node)}
    allowed = {"__future__.annotations", "importlib", "typing.TYPE_CHECKING", "typing.Any"}
    assert names <= allowed | {"vaekit._version.__version__"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_unpickled_or_executed(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = {name.split(".")[0] for name in imports(tree)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for name, call in calls(tree):
        assert name not in {"torch.load", "torch.save", "eval", "exec", "compile", "__import__"}, f"calls {name}"
        for keyword in call.keywords:
            refuses = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            assert keyword.arg != "allow_pickle" or refuses, f"{name} allows pickle"


def recipe_names() -> set[str]:
    source = "\n".join(path.read_text() for path in (SOURCE / "recipes").glob("*.py"))
    return set(re.findall(r'@recipe\(\s*"([a-z0-9-]+)"', source))


# The name of the plain recipe is also that of a default.
SPECIAL = recipe_names() - {"vae"}


def test_the_names_of_recipes_are_found() -> None:
    assert {"aae", "dlgm", "hvae", "ladder", "m2", "vq-vae"} <= SPECIAL


@pytest.mark.parametrize(
    "path", [path for path in FILES if part_of(path) in {"training", "evaluation", "cli", "plots"}], ids=name_of
)
def test_no_name_or_class_of_a_model_is_switched_on(path: Path) -> None:
    tree = ast.parse(path.read_text())
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            assert node.value not in SPECIAL, f"line {node.lineno} names the recipe '{node.value}'"
    for name, call in calls(tree):
        if name in {"isinstance", "issubclass"}:
            classes = ast.unparse(call.args[1])
            assert not re.search(r"\b(VAE|M2|models)\b", classes), f"line {call.lineno} asks for a class of models"


def test_the_rules_notice_what_they_forbid(tmp_path: Path) -> None:
    assert set(imports(ast.parse("from vaekit.training import fit\nimport vaekit.cli.main"))) == {
        "vaekit.training.fit",
        "vaekit.cli.main",
    }
    assert [name for name, _ in calls(ast.parse("torch.load('x'); eval('1')"))] == ["torch.load", "eval"]
    names = ["parts.registry", "parts.record.part", "papers.tutorial_networks.TutorialEncoder", "papers.aevb"]
    assert [part_named(name) for name in names] == ["parts.registry", "parts", "papers.tutorial_networks", "papers"]
    face = "from vaekit import __version__, data\ndef f():\n    import vaekit\n    import vaekit.data"
    assert of_the_face(ast.parse(face)) == {"data", "vaekit"}
    inside = "def f():\n    import pickle"
    assert list(imports(ast.parse(inside))) == ["pickle"]
