"""The Python functions' messages in the words of the command: options in place of arguments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from industrydb._extract.manifest import Difference

    Spelling: TypeAlias = "str | Callable[[re.Match[str]], str]"

# The options that arguments of the Python functions are called on the command line.
OPTIONS = {
    "schema_overrides": "--schema-override",
    "pre_execution_query": "--pre",
    "partition_on": "--partition-on",
    "partition_range": "a range",
    "max_connections": "--max-connections",
    "params": "--param",
    "queries": "QUERY",
    "database": "the database",
    "table": "TABLE",
    "target": "TARGET",
}

# Arguments whose names are words of English, or of SQL, too: only what follows them tells which they are.
WORDS = "timeout|partitions|retries|compression|format|since|snapshot|resume"

# Arguments whose names are no words.
NAMES = "schema_overrides|pre_execution_query|partition_on|partition_range|max_connections|params"

# Patterns of Python's spellings in messages, and what stands in their place. The texts of a database are not to be
# changed: names in quotes stay, and words that are no names of arguments only are matched with what follows them.
SPELLINGS: list[tuple[str, Spelling]] = [
    # Errors of the operating system
    (r"^\[Errno \d+\] ", ""),
    # Functions, classes and objects, which a command has none of
    (r"[;,] (?:and )?Connection\.execute runs any statement", ""),
    (r", or use a Connection\b", ""),
    (r"\b(?:read_sql|plan_sql) takes (?=a )", "the command takes "),
    (r"\bwrite_sql takes the data, the table's name, and then the URI", "the URI is that of --uri"),
    (
        r"pass it as a pathlib\.Path, or with the scheme of a file in front",
        "write sqlite:// in front, as in -u sqlite://shop.db",
    ),
    (
        r"\bindustrydb\.database\(name\) returns a database of the config file",
        "--database NAME is one of the config file",
    ),
    (r"\bthe same call goes on\b", "the same command goes on"),
    (r"\bwithin its timeout of (\S+) \(h:mm:ss\)", r"within its --timeout of \1 (h:mm:ss)"),
    # Parameters, which are a list on the command line
    (r" \(with params a list\)", " (their values by --param)"),
    (r"(?:,| or) \S+ \(with params a dict\)", ""),
    (r"\bpass (?:their values as )?a list\b", "give their values by --param"),
    (r"\bis among the params\b", "is among the values of --param"),
    # Arguments with their values
    (r"\b(resume|if_exists|since|format|compression)=(['\"])([^'\"]*)\2", lambda m: f"{_option(m[1])} {m[3]}"),
    (r"\bsnapshot=False\b", "--no-snapshot"),
    (rf"(?<![\w\"'`.-])({NAMES})=", lambda m: f"{_option(m[1])} "),
    (rf"(?<![\w\"'`.-])({NAMES})(?![\w\"'`])", lambda m: _option(m[1])),
    (rf"^({WORDS})(?= must| of | without| is )", lambda m: _option(m[1])),
    (r"^(target|table)(?= begins| must| is a URI)", lambda m: _option(m[1])),
    # Types and collections
    (r"\{'([^']+)': pl\.([\w(), ]+)\}", r"'\1=\2'"),
    (r"\bpl\.(?=[A-Z])", ""),
    (r"(?<=must be one of )\(([^()]*)\)", lambda m: m[1].replace("'", "").rstrip(",")),
    (r"(?<=columns, which are )\[([^\[\]]*)\]", r"\1"),
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


def with_options(error: Exception, *, of_database: bool = False) -> str:
    """Return the message of an error in the words of the command; two extracts differ in options."""
    found: tuple[Difference, ...] = getattr(error, "differences", ())
    before, _, behind = str(error).partition("; ".join(map(str, found)) or "\0")
    shown = "; ".join(map(_difference, found))
    return as_options(before, of_database=of_database) + shown + as_options(behind)


def _difference(found: Difference) -> str:
    option = _option(found.name)
    if found.is_hidden:
        return f"{option} has other values"
    return f"{option} is {_plain(found.now)}, and was {_plain(found.before)}"


def _plain(value: object) -> str:
    """Return a value of an argument as it is written on the command line."""
    if value is None or value == []:
        return "not given"
    if isinstance(value, list):
        return ", ".join("=".join(map(str, part)) if isinstance(part, list) else str(part) for part in value)
    return str(value)


def _option(name: str) -> str:
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")
