"""What the command prints: results on standard output, messages for the user on standard error."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress
from typing import IO

# Colours of a terminal.
BOLD, CYAN, RED, YELLOW, PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"

# The options that arguments of the Python functions are called on the command line, for messages of these functions.
OPTIONS = {
    "schema_overrides": "--schema-override",
    "pre_execution_query": "--pre",
    "partition_on": "--partition-on",
    "partition_range": "a range",
    "max_connections": "--max-connections",
    "params": "--param",
}

# Patterns of Python's spellings in such messages, and what stands in their place. The texts of a database are not to be
# changed: names in quotes stay, and words that are no names of arguments only are matched with what follows them.
SPELLINGS = [
    (r"\b(resume|if_exists|since|format|compression)=(['\"])([^'\"]*)\2", lambda m: f"{_option(m[1])} {m[3]}"),
    (r"\bsnapshot=False\b", lambda _: "--no-snapshot"),
    (rf"(?<![\w\"'`.-])({'|'.join(OPTIONS)})=", lambda m: f"{_option(m[1])} "),
    (rf"(?<![\w\"'`.-])({'|'.join(OPTIONS)})(?![\w\"'`])", lambda m: _option(m[1])),
    (r"^(timeout|partitions|retries|compression)(?= must| of | without)", lambda m: _option(m[1])),
    (r"^target(?= begins| must)", lambda _: "TARGET"),
    (r"\{'([^']+)': pl\.([\w(), ]+)\}", lambda m: f"'{m[1]}={m[2]}'"),
    (r"\bpl\.(?=[A-Z])", lambda _: ""),
    (r"(?<=must be one of )\(([^()]*)\)", lambda m: m[1].replace("'", "").rstrip(",")),
]


def as_options(text: str, *, of_database: bool = False) -> str:
    """Return a message with the options of the command in place of the arguments of the Python functions.

    The lines of a query are left as they are, and of a message of the database all lines but its hints.
    """
    begins = ("HINT: ", "pre_execution_query: ") if of_database else ("",)
    lines = text.split("\n")
    spelled = (line.startswith(begins) and not line.startswith("LINE ") for line in lines)
    return "\n".join(_spelled(line) if is_spelled else line for line, is_spelled in zip(lines, spelled, strict=True))


def _spelled(line: str) -> str:
    for pattern, spelling in SPELLINGS:
        line = re.sub(pattern, spelling, line)
    return line


def _option(name: str) -> str:
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")


def has_colours(stream: IO[str] | None) -> bool:
    """Tell whether to print colours on a stream: to a terminal that has them, unless ``NO_COLOR`` is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    with suppress(AttributeError, ValueError):  # the stream is missing or closed
        return stream is not None and stream.isatty()
    return False


def say(text: str) -> None:
    """Print a line for the user on standard error, if there is one."""
    with suppress(OSError):
        if sys.stderr is not None:  # print(file=None) would print to standard output
            print(text, file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Print an error."""
    say(f"{_coloured('industrydb:', RED)} {text}")


def warn(text: str) -> None:
    """Print a warning."""
    say(f"industrydb: {_coloured('warning:', YELLOW)} {text}")


def _coloured(text: str, colour: str) -> str:
    return f"{colour}{text}{PLAIN}" if has_colours(sys.stderr) else text


def output(text: str, *, json_text: bool = False) -> None:
    """Print a result; characters that the terminal's encoding lacks are printed as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if json_text else None, errors="backslashreplace")
    print(text, flush=True)


def output_json(**values: object) -> None:
    """Print a result as a JSON object."""
    import json  # noqa: PLC0415, the version and the help do without

    output(json.dumps(values), json_text=True)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1,234 rows``."""
    return f"{number:,} {noun}{'s'[: number != 1]}"
