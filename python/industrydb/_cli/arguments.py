"""The arguments of the command: its commands, their options in groups, their help, and what is wrong with them."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from industrydb._cli.help_texts import COMMANDS, EPILOG, below
from industrydb._cli.messages import BOLD, CYAN, PLAIN, has_colours
from industrydb._cli.mistakes import about_choice, about_command, about_unknown, without_uris
from industrydb.industrydb import ConfigurationError, __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Add = Callable[..., argparse.Action]

# The formats of a result, with the extensions of their files.
FORMATS = {
    "parquet": (".parquet",),
    "arrow": (".arrow", ".ipc", ".feather"),
    "csv": (".csv",),
    "json": (".json",),
    "ndjson": (".jsonl", ".ndjson"),
}
SUFFIXES = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes}

QUERIES = ("read", "plan", "schema", "extract")

# The widest help, in letters.
WIDEST = 100


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; raise a `ConfigurationError` if they are not valid."""
    parser = command_parser()
    commands = commands_of(parser)
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        raise ConfigurationError(about_command(arguments[0], commands))
    try:
        options, unknown = parser.parse_known_args(arguments)
    except ConfigurationError as error:
        raise ConfigurationError(without_uris(str(error), arguments)) from None
    if unknown:
        raise ConfigurationError(about_unknown(unknown, options.name, commands[options.name]))
    return options


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001, argparse has no other way to them
    return dict(found.choices)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, with colours where these are shown."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, WIDEST)
        super().__init__(prog, width=width, max_help_position=30)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001, argparse forgets that commands are indented
            self._action_max_length += 2

    def format_help(self) -> str:
        text = super().format_help()
        if not has_colours(sys.stdout):
            return text
        text = re.sub(r"^([a-z][\w ]*:)(?= |$)", rf"{BOLD}\1{PLAIN}", text, flags=re.MULTILINE)
        return re.sub(r"(?<=[\s,])(--?[a-z][\w-]*)", rf"{CYAN}\1{PLAIN}", text)


class _Parser(argparse.ArgumentParser):
    """A parser that raises a `ConfigurationError`, whose message never repeats a value that may be a password."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401, those of the base class
        if sys.version_info >= (3, 14):
            settings["color"] = False  # `_Help` has the colours, also in older versions of Python
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)
        self._positionals.title = "arguments"

    def error(self, message: str) -> NoReturn:
        # The value given to an option that takes none may be a password, as in --password=secret.
        message = re.sub(r"ignored explicit argument .*", "it takes no value", message, flags=re.DOTALL)
        msg = f"{message}; {self.prog} --help says what there is"
        raise ConfigurationError(msg)

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401, as in the base class
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, about_choice(value, list(action.choices)))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"it must be a whole number, not {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


def _format(text: str) -> str:
    """Return the format that a name means: the name itself, or the ending of its files."""
    return SUFFIXES.get(f".{text.lower()}", text)


def _extracted(text: str) -> str:
    """Return the format of an extract's files, where Arrow's is named by its ending."""
    kind = _format(text)
    return "ipc" if kind == "arrow" else kind


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"it must be a number of seconds, not {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


def _late(module: str, function: str) -> Callable[[argparse.Namespace], None]:
    """Return a function that imports a command's module when the command runs."""

    def run(options: argparse.Namespace) -> None:
        command = getattr(import_module(f"industrydb._cli.{module}"), function)
        if sys.platform != "win32":
            # Polars installs a handler for Ctrl-C that lets system calls restart. Without this line, a read from the
            # terminal would go on waiting.
            signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003, it takes no keywords
        command(options)

    return run


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    about = "Read SQL queries in parallel partitions, and write files into tables."
    parser = _Parser(prog="industrydb", description=about, epilog=EPILOG)
    parser.add_argument("-V", "--version", action="version", version=f"industrydb {__version__}")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True, title="commands")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.about,
            description=f"{command.about[0].upper()}{command.about[1:]}.",
            usage=f"industrydb {name} [OPTIONS]{command.arguments}",
            epilog=below(command),
        )
        sub.set_defaults(run=_late(command.module, name))
        _add_arguments(name, sub.add_argument)
        if name not in {"databases", "completion"}:
            _add_database(sub.add_argument_group("the database"))
        for title, add_options in GROUPS.items():
            add_options(name, sub.add_argument_group(title).add_argument)
    return parser


def _add_arguments(command: str, add: Add) -> None:
    if command in QUERIES:
        add("query", metavar="QUERY", help="a statement, @FILE, or -")
    if command == "extract":
        add("target", metavar="TARGET", help="the folder")
    if command == "databases":
        add("--config", metavar="FILE", help="the config file")
    if command == "write":
        add("file", metavar="FILE", help=f"the file: {' '.join(SUFFIXES)}; or - for standard input")
        add("table", metavar="TABLE", help="the table, or SCHEMA.TABLE")
    if command == "completion":
        add("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def _add_database(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument("-u", "--uri", metavar="URI", help="its URI; others see a password in it")
    which.add_argument("--database", metavar="NAME", help="a section of the config file")
    group.add_argument("--config", metavar="FILE", help="the config file")
    group.add_argument("--password", action="store_true", help="ask for the password")


def _add_partitions(command: str, add: Add) -> None:
    if command not in QUERIES:
        return
    if command != "schema":
        add("--partition-on", metavar="COLUMN", help="a column of the result whose values divide it")
        add("--partitions", metavar="N", type=_whole, help="how many partitions to make")
    add("--max-connections", metavar="N", type=_whole, help="the most sessions at a time")
    add("--no-snapshot", action="store_true", help="do without one state of the database for all partitions")


def _add_query(command: str, add: Add) -> None:
    if command in QUERIES:
        add("--param", metavar="VALUE", action="append", help="the text of a parameter; repeat it for each")
        add("--pre", metavar="SQL", action="append", help="a statement that each session runs first; may be repeated")
        add("--timeout", metavar="SECONDS", type=_seconds, help="for the whole read")
        _add_override(add)


def _add_file(command: str, add: Add) -> None:
    if command == "write":
        add("--format", type=_format, choices=FORMATS, help="of the file, if its name does not say it")
        _add_override(add)


def _add_override(add: Add) -> None:
    about = "take a column as another of Polars' types, such as 'x=Decimal(38, 2)'; may be repeated"
    add("--schema-override", metavar="COLUMN=TYPE", action="append", help=about)


def _add_table(command: str, add: Add) -> None:
    if command == "write":
        about = "what to do if there is the table"
        add("--if-exists", choices=("fail", "append", "replace"), default="fail", help=about)


def _add_result(command: str, add: Add) -> None:
    if command == "read":
        add("-o", "--output", metavar="FILE", help=f"write a file: {' '.join(SUFFIXES)}; or - for standard output")
        add("--format", type=_format, choices=FORMATS, help="of the output, if its name does not say it")
        add("--rows", metavar="N", type=_whole, help="print at most N rows of a table, -1 for all of them")
        add("--columns", metavar="N", type=_whole, help="print at most N columns of a table, -1 for all that fit")
        add("--width", metavar="N", type=_whole, help="print a table at most N letters wide, -1 for any width")
    if command == "extract":
        add("--format", type=_extracted, choices=("parquet", "ipc", "csv"), default="parquet", help="of the files")
        add("--compression", metavar="CODEC", help="of the files: snappy, zstd, lz4, gzip, brotli, uncompressed")
        add("--since", metavar="COLUMN", help="next time, read only rows with larger values of this column")
        add("--resume", choices=("continue", "restart"), default="continue", help="what to do in a used folder")
        add("--retries", metavar="N", type=_whole, default=3, help="how often to try a partition again")
    if command in {"read", "extract"}:
        add("--profile", metavar="FILE", help="write a page (.html) of what each partition did and when")


def _add_messages(command: str, add: Add) -> None:
    if command == "completion":
        add("--verbose", action="store_true", help=argparse.SUPPRESS)
        return
    add("--json", action="store_true", help="print a result for programs")
    add("--quiet", action="store_true", help="print nothing but the result, warnings and errors")
    add("--verbose", action="store_true", help="print the log to standard error, in place of progress")


# The groups of options, in the order of the help.
GROUPS: dict[str, Callable[[str, Add], None]] = {
    "partitions": _add_partitions,
    "the query": _add_query,
    "the file": _add_file,
    "the table": _add_table,
    "the result": _add_result,
    "messages": _add_messages,
}
