"""A peer's own virtual environment, so that its requirements and those of vaekit do not meet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from vaekit.cache import cache_folder
from vaekit.errors import UserError

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
STAMP = "installed.txt"


def python_with(name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has the packages; it is made in the user's cache the first time.

    The newest versions that ``constraints.txt`` allows are taken, so that peer and vaekit run on the same torch and
    numpy. What is installed stays until the requirements, the constraints or the folder
    ``$XDG_CACHE_HOME/vaekit/peers/NAME`` change; a failed installation leaves nothing that is taken for a whole one.

    Args:
        name: of the folder.
        requirements: as pip takes them.

    Raises:
        UserError: if pip cannot install them.
    """
    folder = cache_folder() / "peers" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "\n".join([sys.version, *requirements, CONSTRAINTS.read_text(encoding="utf-8")])
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {' '.join(requirements)} into {folder} (minutes the first time)", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-c", str(CONSTRAINTS)]
    done = subprocess.run([*pip, *requirements], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = reasons[-1].removeprefix("ERROR: ").rstrip(".") if reasons else f"pip ended with {done.returncode}"
        raise UserError(
            f"{' '.join(requirements)} cannot be installed into {folder}: {reason}.",
            hint="leave the system that needs them out with --systems.",
        )
    stamp.write_text(wanted, encoding="utf-8")
    return python


def version_of(python: Path, package: str) -> str:
    """The version of a package that an interpreter has."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()
