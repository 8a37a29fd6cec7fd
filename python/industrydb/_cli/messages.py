"""What the command prints: results on standard output, messages for the user on standard error."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO

# Colours of a terminal.
BOLD, CYAN, RED, YELLOW, PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"


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
