"""What is wrong with arguments, and what is meant instead. No message repeats what may be a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from industrydb.industrydb import near_names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

# Words of other programs, and the command or option that does the same.
COMMANDS_MEANT = {
    "version": "--version",
    "help": "--help",
    **dict.fromkeys(("query", "select", "sql", "run", "export", "dump", "copy", "get", "fetch"), "read"),
    **dict.fromkeys(("import", "load", "insert", "upload", "put"), "write"),
    **dict.fromkeys(("describe", "columns", "types", "desc"), "schema"),
    **dict.fromkeys(("explain", "partitions"), "plan"),
    **dict.fromkeys(("list", "ls", "config", "connections"), "databases"),
}
CHOICES_MEANT = {
    **dict.fromkeys(("overwrite", "truncate", "drop", "recreate", "new", "again"), ("replace", "restart")),
    **dict.fromkeys(("insert", "add", "extend", "resume"), ("append", "continue")),
    **dict.fromkeys(("error", "raise", "abort"), ("fail",)),
}

# What options of other programs are called here, by the command; "" is for all other commands.
ADDRESS = {"": "that is a part of --uri", "completion": "", "databases": ""}
OUTPUT = {
    "read": "write a file by -o FILE",
    "extract": "TARGET is an argument of its own",
    "write": "FILE is an argument of its own",
}
ROWS = {
    "": "put LIMIT into the query",
    "read": "put LIMIT into the query, or use --rows to print fewer rows",
    "write": "",
}
ANEW = {
    "read": "-o replaces a file that exists",
    "extract": "use --resume restart",
    "write": "use --if-exists replace",
}
STATEMENT = dict.fromkeys(("read", "plan", "schema", "extract"), "QUERY is an argument of its own")
OVERRIDE = {"": "use --schema-override COLUMN=TYPE"}
OPTIONS_MEANT: dict[str, dict[str, str]] = {
    **dict.fromkeys(("--limit", "--head", "--max-rows", "--nrows", "--top", "-n"), ROWS),
    **dict.fromkeys(("--file", "--out", "--outfile", "--output-file", "--to", "-f"), OUTPUT),
    **dict.fromkeys(("--overwrite", "--replace", "--force", "--restart", "--truncate"), ANEW),
    "--append": {"write": "use --if-exists append", "extract": "use --since COLUMN"},
    **dict.fromkeys(("--query", "--sql", "--command", "--execute", "-e", "-c", "-q"), STATEMENT),
    **dict.fromkeys(("--host", "--port", "--user", "--username", "--dbname", "-p", "-U", "-d"), ADDRESS),
    "--table": {"write": "TABLE is an argument of its own", "read": 'QUERY reads it: "SELECT * FROM table"'},
    **dict.fromkeys(("--dtype", "--type", "--types", "--schema", "--cast"), OVERRIDE),
}


def about_command(word: str, commands: Mapping[str, object]) -> str:
    """Return what is wrong with a first argument that is no command."""
    names = f"the commands are {', '.join(commands)}"
    if meant := COMMANDS_MEANT.get(word.lower()) or " or ".join(near_names(word, list(commands))):
        return f"there is no command {word}: did you mean {meant}?; {names}"
    if re.match(r"(?:select|with|values)\s", word, re.IGNORECASE):
        return f"the first argument is a query, and no command: write industrydb read QUERY; {names}"
    # Anything but a plain word may be a password.
    what = f"there is no command {word}" if re.fullmatch("[a-z]{1,12}", word) else "the first argument is no command"
    return f"{what}; {names}"


def about_choice(value: str, choices: list[str]) -> str:
    """Return the message about a value that an option does not have."""
    meant = [choice for choice in CHOICES_MEANT.get(value.lower(), ()) if choice in choices]
    near = " or ".join(meant[:1] or near_names(value, choices))
    return f"{value!r} is none of {', '.join(choices)}{f': did you mean {near}?' if near else ''}"


def about_unknown(unknown: list[str], command: str, parser: argparse.ArgumentParser) -> str:
    """Return what is wrong with arguments that the parser of a command does not know."""
    first = next((text for text in unknown if text.startswith("-")), None)
    if first is None:
        return f"{len(unknown)} argument(s) too many: {_arguments(command)}"
    # The text behind an option's name may be a password.
    name = first.partition("=")[0] if first.startswith("--") else first[:2]
    meant = OPTIONS_MEANT.get(name, {})
    hint = meant.get(command, meant.get("", ""))
    options = [text[2:] for text in parser._option_string_actions if text.startswith("--")]  # noqa: SLF001, argparse has no other way to them
    if not hint and (near := near_names(name.lstrip("-"), options)):
        hint = f"did you mean {' or '.join(f'--{option}' for option in near)}?"
    return f"unknown option {name}{f': {hint}' if hint else ''}; industrydb {command} --help says which there are"


def _arguments(command: str) -> str:
    if command == "databases":
        return "databases lists all of them, and --database NAME chooses one for another command"
    if command == "completion":
        return "completion takes one, the shell"
    if command == "write":
        return "write takes FILE and TABLE, and the URI is that of --uri"
    return "a query is one argument, in quotes, and the URI that of --uri"


def without_uris(message: str, arguments: Sequence[str]) -> str:
    """Mask arguments that may be URIs in a message, as a URI in a wrong place may have a password."""
    for text in [part for argument in arguments for part in (argument, argument.partition("=")[2])]:
        if re.search(r"://|.@", text):
            message = message.replace(repr(text), "'***'").replace(text, "***")
    return message
