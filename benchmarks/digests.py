"""Does a change of form leave every number as it is?

    python benchmarks/digests.py --against b769568      # this checkout beside that commit, bit for bit
    python benchmarks/digests.py --save before.json     # record this checkout …
    python benchmarks/digests.py --check before.json    # … and compare with the record later

Five families (vae, aae, hvae, m2, vq-vae) train on digits, plain and compiled. Compared are the SHA-256 of
``model.safetensors`` and that of the figures of ``vaekit evaluate --json`` (without paths, times and the version).
Digests belong to one machine and one version of torch: only compare what was made on the same one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = ("vae", "aae", "hvae", "m2:num_labelled=100", "vq-vae")
WAYS = ("--no-compile", "--compile")
NO_FIGURES = {"run", "seconds", "version", "vaekit", "date", "command"}


def vaekit(source: Path, *arguments: str) -> str:
    variables = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "VAEKIT_LINEAR": "onednn"}
    done = subprocess.run([sys.executable, "-m", "vaekit", *arguments], env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"vaekit {' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def figures(document: object) -> object:
    """The document without what is no figure."""
    if isinstance(document, dict):
        return {key: figures(value) for key, value in document.items() if key not in NO_FIGURES}
    return [figures(value) for value in document] if isinstance(document, list) else document


def digests(source: Path, families: list[str]) -> dict[str, dict[str, str]]:
    """Digests of weights and figures by family and way."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in families:
            for way in WAYS:
                run = f"{folder}/{family.partition(':')[0]}{way}"
                vaekit(source, "train", "digits", "--recipe", family, "--epochs", "3", "--out", run, way)
                told = json.loads(vaekit(source, "evaluate", run, "--samples", "50", "--json"))
                name = f"{family} {way}"
                found[name] = {
                    "weights": hashlib.sha256(Path(run, "model.safetensors").read_bytes()).hexdigest(),
                    "figures": hashlib.sha256(json.dumps(figures(told), sort_keys=True).encode()).hexdigest(),
                }
                print(name, *(digest[:12] for digest in found[name].values()), file=sys.stderr, flush=True)
    return found


def at(revision: str, families: list[str]) -> dict[str, dict[str, str]]:
    """Digests of another commit, taken from a checkout of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/source"
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", place, revision], check=True)
        try:
            return digests(Path(place, "src"), families)
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", place], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="compare with this commit")
    parser.add_argument("--check", metavar="FILE", type=Path, help="compare with a record")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write a record")
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="the folder that holds the package")
    parser.add_argument("--only", nargs="*", default=[], help="families whose names contain one of these words")
    options = parser.parse_args()
    families = [each for each in FAMILIES if not options.only or any(word in each for word in options.only)]
    now = digests(options.source, families)
    if options.save:
        options.save.write_text(json.dumps(now, indent=2) + "\n")
    before = at(options.against, families) if options.against else {}
    if options.check:
        before = json.loads(options.check.read_text())
    moved = [
        f"{name}: {what}"
        for name, told in now.items()
        for what, digest in told.items()
        if before and before.get(name, {}).get(what) != digest
    ]
    print(
        "\n".join(f"moved: {each}" for each in moved)
        if moved
        else f"{len(now)} pairs of digests" + (" are equal" * bool(before))
    )
    sys.exit(bool(moved))


if __name__ == "__main__":
    main()
