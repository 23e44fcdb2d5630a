"""Whatever is typed, the answer is a result or a sentence: never a traceback."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vaekit import training
from vaekit.cli import VERBS, main
from vaekit.errors import Interrupted

# Names and values that exist, nearly exist, and never could.
NAMES = [
    *("vae", "aae", "hvae", "m2", "vq-vae", "mixture", "standard-normal", "diagonal", "cholesky", "point", "bernoulli"),
    *(
        "gaussian",
        "elbo",
        "iwae",
        "free-bits",
        "mlp",
        "gated-mlp",
        "linear",
        "convolutional",
        "digits",
        "moving-average",
    ),
    *("chain", "quantized", "concatenate", "mlp-encoder", "autoregressive-codes", "classified", "adversarial", "", "ü"),
]
OPTIONS = [
    *(
        "num_components",
        "hidden",
        "beta",
        "samples",
        "nats",
        "scale",
        "latent_dim",
        "epochs",
        "num_labelled",
        "channels",
    ),
    *(
        "activation",
        "num_codes",
        "commitment",
        "weight",
        "network",
        "levels",
        "prior",
        "posterior",
        "self",
        "data",
        "x",
    ),
]
VALUES = [
    *("1", "0", "-1", "2.5", "1e400", "nan", "true", "none", "16", "16/16", "300/0", "learned", "relu", "mlp", "elbo"),
    *("linear(0,1,epochs=2)", "linear(0,1)", "linear(", "cosine(1)", "steps(1,2,0)", "f(x)", "(", ")", "=", ",", ""),
]
WORDS = st.one_of(st.sampled_from(NAMES), st.text(alphabet="ab-_:=,()/1.é\x00", max_size=6))


@st.composite
def small_forms(draw: st.DrawFn) -> str:
    """``name:option=value,option=value``, mostly."""
    name = draw(WORDS)
    pairs = draw(st.lists(st.tuples(st.sampled_from(OPTIONS), st.sampled_from(VALUES)), max_size=2))
    return name + (":" if pairs else "") + ",".join(f"{key}={value}" for key, value in pairs)


FLAGS = ("--recipe", "--prior", "--posterior", "--likelihood", "--objective", "--network", "--learning-rate")
NUMBERS = ("--latent-dim", "--epochs", "--batch-size", "--seed", "--patience", "--clip-norm", "--ema-decay")

train_lines = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(FLAGS), small_forms()),
        st.tuples(
            st.sampled_from(NUMBERS), st.sampled_from(["0", "1", "2", "-3", "x", "1.5", "nan", "99999999999999999999"])
        ),
        st.sampled_from([("--json",), ("--quiet",), ("--out",), ("--help",), ("--nonsense", "1"), ("--device", "tpu")]),
    ),
    max_size=3,
).map(lambda pieces: ["train", "digits", *(word for piece in pieces for word in piece)])

any_lines = st.lists(
    st.one_of(
        st.sampled_from([*VERBS, "help", "--help", "--version", "--json", "-o", "x.png", "-n", "3", "parts", "digits"]),
        st.text(max_size=5),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


def answer(arguments: list[str], place: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr, where nothing is trained and nothing is downloaded."""

    def no_training(*given: Any, **options: Any) -> None:
        raise Interrupted("training was reached.", place)

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(training, "fit", no_training)
        patch.setenv("PATH", "")
        patch.setattr("vaekit.data.download.fetch", no_training)
        patch.setattr("vaekit.data.catalogue.fetch", no_training)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def check(arguments: list[str], place: Path) -> None:
    code, _, err = answer(arguments, place)
    assert code in (0, 1, 2, 130)
    assert "Traceback" not in err, err
    assert code != 1, err
    if code == 2:
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert len(lines[0]) > len("error: .")
    assert [path for path in place.iterdir() if path.name != ".hypothesis"] == []


bounded = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@settings(bounded, max_examples=150)
@example(["train", "digits", "--recipe", "vae:latent_dim=x"])
@example(["train", "digits", "--network", "mlp:hidden=-3"])
@example(["train", "digits", "--network", "mlp:hidden=0"])
@example(["train", "digits", "--objective", "elbo:beta=steps(1,2,0)"])
@example(["train", "digits", "--prior", "mixture:num_components=0"])
@example(["train", "digits", "--likelihood", "gaussian:scale=-1"])
@example(["train", "digits", "--recipe", "vae:data=1"])
@given(train_lines)
def test_train(place: Path, arguments: list[str]) -> None:
    check(arguments, place)


@settings(bounded, max_examples=80)
@given(any_lines)
def test_anything(place: Path, arguments: list[str]) -> None:
    check(arguments, place)


def test_it_gets_as_far_as_training(place: Path) -> None:
    """So that the two above do not pass for want of good lines."""
    code, _, err = answer(["train", "digits", "--prior", "mixture:num_components=3"], place)
    assert code == 130
    assert "training was reached." in err
