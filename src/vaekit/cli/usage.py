"""What the parser of options says of wrong usage, as one sentence and a hint instead of a box."""

from __future__ import annotations

import difflib
import re
from itertools import pairwise

from vaekit.errors import UserError

NUMBERS = {"INT": "a whole number", "FLOAT": "a number"}


def check_not_empty(arguments: list[str], verb: str) -> None:
    """Check that no option is empty.

    Raises:
        UserError: if an option is given an empty value: a variable of the shell that is not set, say.
    """
    for word, following in pairwise([*arguments, "end"]):
        if word.startswith("-") and (following == "" or re.fullmatch("--[a-z-]+=", word)):
            raise UserError(f"{word.rstrip('=')} needs a value.", f"vaekit {verb} --help shows what there is.")


def usage_error(said: str, verb: str) -> UserError:
    """The error for what tyro printed.

    Args:
        said: its box, with a frame of lines and sections divided by rules.
        verb: which verb's options were parsed.
    """
    # "│ text │" in a frame, or "  text" below a title and a rule; indented further where it explains what is above.
    printed = re.sub(r"\x1b\[[\d;]*m", "", said).splitlines()
    body = printed[1:-1] if printed[0].startswith("╭") else printed[2:]
    lines = [line[2:].rstrip("│ ") for line in body]
    rule = next((index for index, line in enumerate(lines) if line and not line.strip("─-")), len(lines))
    head, rest = lines[:rule], "\n".join(line.strip() for line in lines[rule:])
    message = " ".join(" ".join(head).split())
    hint = f"vaekit {verb} --help shows what there is."
    if found := re.match(r"Unrecognized options: (.*)", message):
        words = found[1].split(", ")
        options = [word for word in words if word.startswith("-")]
        near = list(dict.fromkeys(re.findall(r"^(--[a-z][\w-]*)", rest, re.MULTILINE)))
        message = f"unknown option {options[0]}" if options else f"'{words[0]}' is one argument too many"
        hint = f"did you mean {' or '.join(near[:3])}?" if near and options else hint
    elif found := re.match(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)", message):
        choices = sorted(choice for choice in re.findall(r"'([^']*)'", found[3]) if choice != "None")
        near = difflib.get_close_matches(found[1], choices, n=1)
        option = found[2] if found[2].startswith("-") else verb
        message = f"{option} must be one of {', '.join(choices)}, got '{found[1]}'"
        hint = f"did you mean {near[0]}?" if near else hint
    elif found := re.match(r"Error parsing (\S+): .*?(INT|FLOAT|int|float).*'(.*?)'", message):
        message = f"{found[1]} must be {NUMBERS[found[2].upper()]}, got '{found[3]}'"
    elif found := re.match(r"Missing value for argument '(.*)'", message):
        message = f"{found[1]} needs a value"
    elif message.startswith("Missing from"):
        # What is missing is indented by four columns, its explanation by eight.
        missing = [line.strip() for line in head if re.match(r" {4}\S", line)]
        message = f"{verb} needs {' and '.join(missing)}"
    return UserError(message.rstrip(".") + ".", hint)
