"""The command line. Results go to stdout, talk to stderr; torch is imported only by the verb that needs it."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
import traceback

from vaekit.errors import Interrupted, TrainingFailed, UserError, unknown

VERBS = {
    "demo": "train on images, evaluate, and draw pictures, in under three minutes",
    "train": "train a model on data",
    "fit-prior": "a better prior for a trained model, fitted to its encodings",
    "evaluate": "bounds, importance-weighted likelihood and all else that model and data allow",
    "sample": "new data from the model",
    "reconstruct": "data and what the model makes of it",
    "encode": "the latents of data, with their uncertainty",
    "decode": "data from latents",
    "score": "how unlikely each row is, and which are anomalies",
    "impute": "data with its missing cells filled, the observed ones as they were",
    "compare": "several runs in one table, if their figures mean the same",
    "doctor": "what is wrong with a run, in plain words",
    "cite": "the papers behind a run, as BibTeX",
    "reproduce": "run a paper's experiment again, beside its published figures",
    "traverse": "what each unit of the latents does: a picture or a moving one",
    "report": "one page about a run: curve, numbers, pictures, findings",
    "list": "systems, parts, data sets, papers",
}

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)

_HELP = """usage: vaekit VERB …

Variational autoencoders: any prior, posterior, likelihood, objective, network and kind of data.

{verbs}

vaekit VERB --help explains a verb. Data is a name (vaekit list data) or a path:
.npy, .npz, .csv, .tsv, .parquet, a folder of images.
Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted (resumable).

first steps:
  vaekit demo
  vaekit train mnist --out runs/first
  vaekit evaluate runs/first
"""

SPINS = "100000"  # some ten microseconds to a millisecond, by the processor: measured in benchmarks/README.md


def main(arguments: list[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no "…" or "β" gets a "?" for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _answer(given)
        # Here and not at exit, so that a reader who has gone is noticed below.
        sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(2, error.message, error.hint)
    except TrainingFailed as error:
        return _fail(1, str(error))
    except Interrupted as error:
        return _fail(130, error.message, f"{error.command} goes on from there.")
    except KeyboardInterrupt:
        return _fail(130, "interrupted.")
    except BrokenPipeError:
        # The reader of our output has gone (… | head): nothing is wrong and nothing more can be said.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _fail(1, f"{error.filename or 'the output'} cannot be written: {error.strerror}.")
        traceback.print_exc()
        return _fail(1, "this is a fault of vaekit, not of your input.", "please report it with the lines above.")


def _answer(given: list[str]) -> int:
    if not given or given[0] in ("--help", "-h", "help"):
        print(_HELP.format(verbs="\n".join(f"  {verb:<13}{what}" for verb, what in VERBS.items())), end="")
        return 0
    if given[0] == "--version":
        from vaekit._version import __version__

        print(f"vaekit {__version__}")
        return 0
    if given[0] not in VERBS:
        raise unknown("verb", given[0], VERBS)
    return _run(given[0], given[1:])


def _run(verb: str, arguments: list[str]) -> int:
    # Threads that wait by spinning are woken at once, and slow each other down many times over as soon as another
    # process wants a core; so they spin for a while only. OpenMP reads this when torch is loaded; a user's own
    # setting wins.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    import tyro

    from vaekit.cli.usage import check_not_empty, usage_error

    check_not_empty(arguments, verb)
    module = importlib.import_module(f"vaekit.cli.{verb.replace('-', '_')}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = tyro.cli(module.Options, prog=f"vaekit {verb}", description=module.__doc__, args=arguments)
    except SystemExit as stop:
        if stop.code:
            raise usage_error(said.getvalue(), verb) from None
        return 0
    return module.run(options) or 0


def _fail(code: int, message: str, hint: str = "") -> int:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code
