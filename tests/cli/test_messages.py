"""A mistake gets one sentence, the exit code 2 and no traceback, and nothing is written.

Where the message of each is tested:

============================================  ================================================================
missing or unreadable file                    ``test_bad_data`` (vektors.npy here)
unknown name, with the nearest ones           here: verbs, options, parts, recipes, data, schedules
NaN or infinity: file, row, column, how many  ``test_bad_data``: .npy, .csv, .parquet
wrong range for the likelihood                ``test_bad_data``
ragged rows, text in a numeric column         ``test_bad_data``: .csv, .parquet, .npy
empty data, a single row                      ``test_bad_data``: .npy, .csv, .parquet, folders
images unreadable or of several sizes         ``test_bad_data``
text called .npy, object arrays               here (text.npy, words.npy); ``test_bad_data`` (objects.npy)
latent_dim 0 or negative                      here
a folder in use                               here; ``training/test_run_folder.py``
other data at evaluate, encode, score         here (shape, kind); ``test_bad_data`` (columns)
a damaged run: cut off, newer, unregistered   here; ``training/test_run_folder.py``; ``training/test_damaged_run.py``
a full disk, a read-only folder               ``training/test_full_disk.py``
constant columns, duplicates, large batches   ``test_bad_data``: they train
============================================  ================================================================
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import Command, everything_in

from vaekit.training.loop import Training

VERBS = (
    "cite, compare, decode, demo, doctor, encode, evaluate, fit-prior, impute, list, reconstruct, "
    "report, reproduce, sample, score, train, traverse"
)
RECIPES = "aae, dlgm, hamiltonian, hvae, ladder, m2, vae, vq-vae"


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake that is not noticed must not cost minutes."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("it trained a whole epoch")

    monkeypatch.setattr(Training, "_report", refuse)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a few files to be wrong about."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.RandomState(0)
    np.save("vectors.npy", numbers.randn(40, 5).astype(np.float32))
    np.save("short.npy", numbers.randn(40, 4).astype(np.float32))
    np.save("counts.npy", numbers.poisson(3, (40, 64)))
    np.save("grey.npy", numbers.randint(0, 256, (40, 8, 8)).astype(np.uint8))
    np.save("one.npy", numbers.randn(1, 5))
    np.save("nan.npy", np.full((40, 5), np.nan))
    np.save("words.npy", np.array(["a", "b"]))
    Path("text.npy").write_text("1,2,3")
    Path("table.csv").write_text("1,2,3")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    Path("broken.py").write_text("import vaekit\n\nvaekit.nothing_of_the_kind\n")
    Path("syntax.py").write_text("x = 1\ndef (\n")
    return tmp_path


# What was typed; the message; the hint.
TRAIN = {
    "train": ("train needs data: vaekit train DATA.", "vaekit list data shows the names; a path will do too."),
    "trane digits": (f"unknown verb 'trane'; known: {VERBS}.", "did you mean train or traverse?"),
    "--verbose": (f"unknown verb '--verbose'; known: {VERBS}.", "did you mean traverse?"),
    "train digits --epoch 3": ("unknown option --epoch.", "did you mean --epochs?"),
    "train digits --nonsense": ("unknown option --nonsense.", "vaekit train --help shows what there is."),
    "train digits mnist": ("'mnist' is one argument too many.", "vaekit train --help shows what there is."),
    "train digits --seed": ("--seed needs a value.", "vaekit train --help shows what there is."),
    "train digits --latent-dim two": (
        "--latent-dim must be a whole number, got 'two'.",
        "vaekit train --help shows what there is.",
    ),
    "train digits --epochs 1.5": (
        "--epochs must be a whole number, got '1.5'.",
        "vaekit train --help shows what there is.",
    ),
    "train digits --clip-norm much": (
        "--clip-norm must be a number, got 'much'.",
        "vaekit train --help shows what there is.",
    ),
    "train digits --recipe vea": (f"unknown recipe 'vea'; known: {RECIPES}.", "did you mean vae or hvae?"),
    "train digits --prior mixtrue": (
        "unknown prior 'mixtrue'; known: autoregressive, flow, hyperspherical-uniform, kernel-density, mixture, "
        "standard-normal, two-stage, uniform-categorical, vamp.",
        "did you mean mixture?",
    ),
    "train digits --prior mixture:num_component=3": (
        "unknown option of the prior 'mixture' 'num_component'; known: num_components, spread.",
        "did you mean num_components?",
    ),
    "train digits --prior mixture:50": (
        "'mixture:50' is not of the form name:option=value,option=value (at '50').",
        "",
    ),
    "train digits --recipe vae:beta=4": (
        "unknown option of the recipe 'vae' 'beta'; known: epochs, latent_dim, learning_rate, likelihood, network, "
        "objective, posterior, prior, size.",
        "",
    ),
    "train digits --recipe m2 --prior mixture": (
        "unknown option of the recipe 'm2' 'prior'; known: alpha, epochs, latent_dim, learning_rate, likelihood, "
        "network, num_labelled, size.",
        "",
    ),
    "train digits --objective elbo:beta=linearr(0,1,epochs=3)": (
        "unknown schedule 'linearr'; known: cosine, cyclic, linear, steps.",
        "did you mean linear?",
    ),
    "train digits --objective elbo:beta=linear(0,1)": (
        "the schedule 'linear' needs epochs: write schedule as linear(…,epochs=…).",
        "",
    ),
    "train digits --objective elbo:beta=linear(x,1,epochs=2)": (
        "the option start of the schedule 'linear' must be a number, got 'x'.",
        "",
    ),
    "train digits --recipe vq-vae:channels=x": (
        "the option channels of the recipe 'vq-vae' must be numbers with / between them, got 'x'.",
        "",
    ),
    "train digits --recipe hvae --prior kernel-density --out new": (
        "the prior kernel-density is not trained: its points are encodings of a model that is.",
        "train with another prior, and then: vaekit fit-prior RUN --prior kernel-density.",
    ),
    "train digits --objective log-prior": (
        "the recipe 'vae' cannot be made: LogPrior is for a phase that trains the prior alone, as vaekit "
        "fit-prior does.",
        "",
    ),
    "train digits --network log-input": (
        "the network 'log-input' is made of other parts by a recipe or in Python, not on the command line: it needs "
        "network.",
        "",
    ),
    "train digits --network only-latent:network=mlp,name=z": (
        "the option network of the network 'only-latent' is another part: a recipe or Python gives it, not the "
        "command line.",
        "",
    ),
    "train digits --network log-input:network=mlp(hidden=16)": (
        "'mlp(hidden=16)' is no schedule, and only schedules are written with parentheses.",
        "parts that are made of other parts are put together in Python.",
    ),
    "train digits --objective classified:objective=elbo": (
        "the option objective of the objective 'classified' is another part: a recipe or Python gives it, not the "
        "command line.",
        "",
    ),
    "train digits --likelihood gaussian:network=mlp": (
        "the option network of the likelihood 'gaussian' is another part: a recipe or Python gives it, not the "
        "command line.",
        "",
    ),
    "train digits --network convolutional-encoder": (
        "the network 'convolutional-encoder' is one direction of 'convolutional'.",
        "write --network convolutional.",
    ),
    "train vectors.npy --network tutorial-decoder:image_shape=1/8/8": (
        "the network 'tutorial-decoder' is one direction of 'tutorial'.",
        "write --network tutorial.",
    ),
    "train digits --network mlpp": (
        "unknown network 'mlpp'; known: convolutional, gated-convolutional, gated-mlp, linear, mlp, residual-mlp, "
        "tutorial.",
        "did you mean mlp?",
    ),
    "train digits --network mlp:activation=rleu": (
        "the network 'mlp' cannot be made: the activation must be one of relu, tanh, softplus, silu, elu, "
        "leaky-relu, got 'rleu'.",
        "",
    ),
    "train dgits": (
        "unknown data set 'dgits'; known: digits, fashion-mnist, frey-faces, mnist, omniglot.",
        "did you mean digits?",
    ),
    "train digits:binarization=sometimes": (
        "unknown binarization of the data set 'digits' 'sometimes'; known: dynamic, none.",
        "",
    ),
    "train vektors.npy": ("vektors.npy does not exist.", "did you mean vectors.npy or words.npy or short.npy?"),
    "train text.npy": (
        "text.npy is not a .npy file: it begins with '1,2,3'.",
        "write it with numpy.save(file, array).",
    ),
    "train words.npy": ("words.npy holds values of type <U1, but only numbers can be used.", ""),
    "train one.npy": ("one.npy has 1 row, and at least 3 are needed to set aside validation and test rows.", ""),
    "train nan.npy": (
        "nan.npy holds values that are not finite (200 of 200); the first is nan at row 0, column 0 (counted from 0).",
        "say missing=nan if these cells were not observed, else leave the rows out.",
    ),
    "train vectors.npy --recipe vq-vae": (
        "the recipe 'vq-vae' needs images (channels, height, width); {here}/vectors.npy has shape (5,).",
        "",
    ),
    "train vectors.npy --network convolutional": (
        "the network 'convolutional' needs images (channels, height, width); {here}/vectors.npy has shape (5,).",
        "use --network mlp.",
    ),
    "train vectors.npy --recipe m2": (
        "the training rows of {here}/vectors.npy have no labels.",
        "they come from a column (FILE.csv:label=COLUMN), from y in a .npz, or from a folder of images for each class.",
    ),
    "train digits:condition=label --network tutorial --out new": (
        "a network without a condition (condition_dim=0) was given one.",
        "use one that takes a condition (--network mlp, convolutional), or leave the condition out.",
    ),
    "train digits --recipe m2:num_labelled=0": (
        "num_labelled must be between 1 and 1257, as many as digits has for training, got 0.",
        "say how many are used: --recipe m2:num_labelled=628.",
    ),
    "train digits --recipe vae:prior=mixture --prior vamp": ("prior is given twice: in --recipe and by --prior.", ""),
    "train digits --recipe m2:alpha=-1": (
        "the recipe 'm2' cannot be made: alpha must be a number from 0, got -1.",
        "",
    ),
    "train digits --recipe aae:weight=-1": (
        "the recipe 'aae' cannot be made: weight must be a number from 0, got -1.",
        "",
    ),
    "train digits --recipe vq-vae:commitment=-1": (
        "the recipe 'vq-vae' cannot be made: commitment must be a number from 0, got -1.",
        "",
    ),
    "train digits --recipe vq-vae:codebook=moving-average:decay=1": (
        "the codebook 'moving-average' cannot be made: decay must be a number from 0 and less than 1, got 1.",
        "",
    ),
    "train digits --prior mixture:spread=-1": (
        "the prior 'mixture' cannot be made: spread must be a number from 0, got -1.",
        "",
    ),
    "train digits --prior two-stage:inner_dim=0": (
        "the prior 'two-stage' cannot be made: inner_dim must be at least 1, got 0.",
        "",
    ),
    "train vectors.npy --prior vamp:low=2,high=1": (
        "the prior 'vamp' cannot be made: low must be below high, got 2 and 1.",
        "",
    ),
    "train vectors.npy --likelihood optimal-gaussian:momentum=5": (
        "the likelihood 'optimal-gaussian' cannot be made: momentum must be a number from 0 and less than 1, got 5.",
        "",
    ),
    "train vectors.npy --likelihood optimal-gaussian:momentum=-1": (
        "the likelihood 'optimal-gaussian' cannot be made: momentum must be a number from 0 and less than 1, got -1.",
        "",
    ),
    "train digits --latent-dim 0": ("latent_dim must be at least 1, got 0.", ""),
    "train digits --latent-dim -1": ("latent_dim must be at least 1, got -1.", ""),
    "train digits --epochs 0": (
        "epochs must be at least 1, got 0.",
        "",
    ),
    "train digits --epochs -3": (
        "epochs must be at least 1, got -3.",
        "",
    ),
    "train digits --learning-rate fast": (
        "the option learning_rate of the recipe 'vae' must be a number or a schedule such as linear(0,1,epochs=10), "
        "got 'fast'.",
        "",
    ),
    "train digits --learning-rate=-0.1": (
        "the recipe 'vae' cannot be made: learning_rate must be a number from 0, got -0.1.",
        "",
    ),
    "train digits --batch-size 0": ("--batch-size must be a whole number from 1, got 0.", ""),
    "train digits --seed -1": ("--seed must be a whole number from 0, got -1.", ""),
    "train digits --seed 100000000000000000000000": (
        "--seed must be a whole number from 0 to 2^63 − 1, got 100000000000000000000000.",
        "",
    ),
    "train digits --patience -1": ("--patience must be a whole number from 0, got -1.", ""),
    "train digits --ema-decay 1": ("--ema-decay must be a number from 0 and less than 1, got 1.0.", ""),
    "train digits --weight-decay -1": ("--weight-decay must be a number from 0, got -1.0.", ""),
    "train digits --optimizer admax": (
        "--optimizer must be one of adam, adamax, adagrad, rmsprop, sgd, got 'admax'.",
        "",
    ),
    "train digits --device tpu": ("the device 'tpu' is not here; there are: {devices}.", ""),
    "train digits --device cuda:x": ("the device 'cuda:x' is not here; there are: {devices}.", ""),
    "train digits --posterior point --objective iwae --out new": (
        "an importance weight needs the density of the posterior, and that of z has none (a point mass).",
        "use a posterior with a density (diagonal, cholesky), or an objective that needs none.",
    ),
    "train digits --out full": (
        "full is not empty.",
        "--resume goes on with it, --overwrite starts again, --out names another.",
    ),
    "train digits --out full --overwrite": (
        "full is not a run folder: it has no config.json, and there is notes.txt in it.",
        "",
    ),
    "train digits --resume full": (
        "full is not a run folder: it has no config.json, and there is notes.txt in it.",
        "",
    ),
    "train --resume full": (
        "full is not a run folder: it has no config.json.",
        "if it was stopped before it began, name the data as well: vaekit train DATA --resume FOLDER.",
    ),
    "train digits --out table.csv": ("table.csv is a file; a run folder is asked for.", ""),
    "train digits --out table.csv/run": ("table.csv/run cannot be written: Not a directory.", ""),
    "train digits --out /dev/null/run": ("/dev/null/run cannot be written: Not a directory.", ""),
    "train digits --resume a --out b": ("--resume names the run folder itself; leave --out and --overwrite out.", ""),
    "train digits --resume a --overwrite": (
        "--resume names the run folder itself; leave --out and --overwrite out.",
        "",
    ),
    "train digits --parts nowhere.py": ("nowhere.py is not there (--parts).", ""),
    "train digits --parts broken.py": (
        "broken.py (--parts) failed in line 3: AttributeError: module 'vaekit' has no attribute "
        "'nothing_of_the_kind'.",
        "",
    ),
    "train digits --parts syntax.py": (
        "syntax.py (--parts) failed in line 2: SyntaxError: invalid syntax (syntax.py, line 2).",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("typed", TRAIN)
def test_mistakes_in_what_is_to_be_trained(typed: str, vaekit: Command, here: Path) -> None:
    before = everything_in(here)
    message, hint = vaekit.refused(*typed.split())
    devices = "cpu, cuda" if torch.cuda.is_available() else "cpu"
    wanted = [text.replace("{here}", f"{here}").replace("{devices}", devices) for text in TRAIN[typed]]
    assert [message, hint] == wanted
    assert {name: content for name, content in everything_in(here).items() if "__pycache__" not in name} == before


# {vae} and so on stand for the runs.
ASKED = {
    "evaluate": ("evaluate needs RUN.", "vaekit evaluate --help shows what there is."),
    "sample": ("sample needs RUN and -o FILE, --out FILE.", "vaekit sample --help shows what there is."),
    "sample {vae}": ("sample needs -o FILE, --out FILE.", "vaekit sample --help shows what there is."),
    "list": ("list needs {systems,parts,data,papers}.", "vaekit list --help shows what there is."),
    "list parst": ("list must be one of data, papers, parts, systems, got 'parst'.", "did you mean parts?"),
    "evaluate nowhere": ("nowhere/config.json is not there: nowhere is not a run folder.", ""),
    "evaluate full": ("full/config.json is not there: full is not a run folder.", ""),
    "evaluate table.csv": ("table.csv/config.json is not there: table.csv is not a run folder.", ""),
    "evaluate {vae} --samples 0": ("--samples must be a whole number from 1, got 0.", ""),
    "evaluate {vae} --limit 0": ("--limit must be a whole number from 1, got 0.", ""),
    "evaluate {vae} --seed -1": ("--seed must be a whole number from 0, got -1.", ""),
    "evaluate {vae} --seed 9223372036854775808": (
        "--seed must be a whole number from 0 to 2^63 − 1, got 9223372036854775808.",
        "",
    ),
    "evaluate {vae} --split tset": (
        "--split must be one of all, test, train, validation, got 'tset'.",
        "did you mean test?",
    ),
    "evaluate {vae} --device tpu": ("the device 'tpu' is not here; there are: {devices}.", ""),
    "evaluate {vae} dgits": (
        "unknown data set 'dgits'; known: digits, fashion-mnist, frey-faces, mnist, omniglot.",
        "did you mean digits?",
    ),
    "evaluate {vectors} short.npy": (
        "the model of {vectors} was made for examples of shape (5,); those of short.npy are (4,).",
        "",
    ),
    "evaluate {vectors} digits": (
        "the model of {vectors} was made for examples of shape (5,); those of digits are (1, 8, 8).",
        "",
    ),
    "evaluate {vae} digits:binarization=none": (
        "the model of {vae} was made for binary, dynamic binarisation from 17 grey levels; "
        "digits:binarization=none holds 17 grey levels.",
        "",
    ),
    "encode {vae} grey.npy -o z.npy": (
        "grey.npy holds values that are not whole numbers from 0 to 16, as the kind 'binary, dynamic binarisation "
        "from 17 grey levels' needs",
        "leave these rows out or fill in the values first.",
    ),
    "encode {vae} -o z.png": (
        "'z.png' must end in .npy, .npz, .csv, .tsv, .parquet: the ending says in which format to write.",
        "",
    ),
    "encode {vae} -o z": (
        "'z' must end in .npy, .npz, .csv, .tsv, .parquet: the ending says in which format to write.",
        "",
    ),
    "encode {vectors} short.npy -o z.npy": (
        "the model of {vectors} was made for examples of shape (5,); those of short.npy are (4,).",
        "",
    ),
    "sample {vae} -o x.jpg": (
        "'x.jpg' must end in .png, .npy, .npz, .csv, .tsv, .parquet: the ending says in which format to write.",
        "",
    ),
    "sample {vae} -o x.png -n 0": ("--number must be a whole number from 1, got 0.", ""),
    "sample {vae} -o x.png --values median": (
        "--values must be one of mean, sample, got 'median'.",
        "did you mean mean?",
    ),
    "sample {vae} -o table.csv/x.png": ("table.csv/x.png cannot be written: Not a directory.", ""),
    "sample {vae} -o /dev/null/x.png": ("/dev/null/x.png cannot be written: Not a directory.", ""),
    "sample {vectors} -o new/x.png": ("examples of shape (5,) are no images.", "write a .npy or .npz instead."),
    "reconstruct {vectors} -o x.png": ("examples of shape (5,) are no images.", "write a .npy or .npz instead."),
    "reconstruct {vae} -o x.png -n -2": ("--number must be a whole number from 1, got -2.", ""),
    "sample {vae} -o x.png --parts nowhere.py": ("nowhere.py is not there (--parts).", ""),
    "train --resume {vae} --latent-dim 4": (
        "{vae} was started with model/prior/latent_dim 3, and not 4; it cannot be resumed.",
        "resume with the options that it was started with, or leave them out.",
    ),
    "train --resume {vae} --batch-size 7": (
        "{vae} was started with --batch-size 32, and not 7; it cannot be resumed.",
        "resume with the options that it was started with, or leave them out.",
    ),
    "train --resume {vae} --learning-rate cosine(0.01)": (
        "{vae} was started with --learning-rate (start) 0.002, and not 0.01; it cannot be resumed.",
        "resume with the options that it was started with, or leave them out.",
    ),
    "train --resume {vae} --objective iwae": (
        "{vae} was started with --objective elbo, and not iwae; it cannot be resumed.",
        "resume with the options that it was started with, or leave them out.",
    ),
    "train digits:binarization=none --resume {vae}": (
        "digits:binarization=none is not the data that {vae} was trained on, or it has changed; it cannot be resumed.",
        "",
    ),
    "demo --epochs 0": ("--epochs must be a whole number from 1, got 0.", ""),
    "demo --data vectors.npy": ("the demo draws pictures, and vectors.npy holds examples of shape (5,).", ""),
}  # fmt: skip


@pytest.mark.parametrize("typed", ASKED)
def test_mistakes_in_what_is_asked_of_a_run(typed: str, runs: dict[str, Path], vaekit: Command, here: Path) -> None:
    def filled(text: str) -> str:
        for name, folder in runs.items():
            text = text.replace(f"{{{name}}}", str(folder))
        return text.replace("{devices}", "cpu, cuda" if torch.cuda.is_available() else "cpu")

    before = everything_in(here), everything_in(runs["vae"])
    message, hint = vaekit.refused(*filled(typed).split())
    expected, expected_hint = ASKED[typed]
    assert message.startswith(filled(expected))
    assert len(message) == len(filled(expected)) or not expected.endswith(".")
    assert hint == filled(expected_hint)
    assert (everything_in(here), everything_in(runs["vae"])) == before


class TestDamagedRuns:
    @pytest.fixture
    def folder(self, runs: dict[str, Path], here: Path) -> Path:
        copy = here / "copy"
        copy.mkdir()
        for name in ("config.json", "model.safetensors"):
            (copy / name).write_bytes((runs["vae"] / name).read_bytes())
        return copy

    def test_weights_cut_off(self, folder: Path, vaekit: Command) -> None:
        (folder / "model.safetensors").write_bytes(b"\0" * 20)
        message, _ = vaekit.refused("sample", folder, "-o", "x.png")
        assert message.startswith(f"{folder}/model.safetensors is damaged: ")

    def test_configuration_cut_off(self, folder: Path, vaekit: Command) -> None:
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text[:-100])
        for command in (["evaluate", folder], ["train", "--resume", folder], ["train", "digits", "--resume", folder]):
            message, _ = vaekit.refused(*command)
            assert message.startswith(f"{folder}/config.json is damaged: ")

    def test_a_part_that_is_not_known(self, folder: Path, vaekit: Command) -> None:
        document = json.loads((folder / "config.json").read_text())
        document["model"]["likelihood"]["part"] = "os/system"
        (folder / "config.json").write_text(json.dumps(document))
        message, hint = vaekit.refused("evaluate", folder)
        assert "names the type 'os/system', which is not registered; it was not imported." in message
        assert "--parts FILE.py" in hint

    def test_a_newer_version(self, folder: Path, vaekit: Command) -> None:
        document = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**document, "format": 99}))
        for command in (["evaluate", folder], ["train", "--resume", folder]):
            message, hint = vaekit.refused(*command)
            assert message == f"{folder} was written by a newer vaekit (format 99, this one reads 1)."
            assert hint == "install the newer version."


@pytest.mark.parametrize("words", [["--objective", ""], ["--objective="]])
def test_an_option_with_nothing(words: list[str], vaekit: Command, here: Path) -> None:
    message, hint = vaekit.refused("train", "digits", *words)
    assert (message, hint) == ("--objective needs a value.", "vaekit train --help shows what there is.")
    message, _ = vaekit.refused("sample", "run", "-o", "")
    assert message == "-o needs a value."


def test_a_fault_of_ours_is_not_blamed_on_the_user(vaekit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from vaekit.cli import list as verb

    def fault() -> None:
        raise ZeroDivisionError("one of ours")

    monkeypatch.setattr(verb, "_systems", fault)
    said = vaekit("list", "systems")
    assert said.code == 1
    assert "ZeroDivisionError: one of ours" in said.err
    assert said.err.splitlines()[-2] == "error: this is a fault of vaekit, not of your input."
