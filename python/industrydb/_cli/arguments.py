"""The arguments of the command: its commands, their options in groups, their help, and what is wrong with them."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from industrydb._cli.messages import BOLD, CYAN, PLAIN, has_colours
from industrydb.industrydb import ConfigurationError, __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Add = Callable[..., argparse.Action]

EPILOG = """\
query:
  A statement that returns rows, @FILE to take it from a file, or - for
  standard input.

database:
  That of --uri; or of --database, a section of a config file; or of
  $INDUSTRYDB_URI. The config file is that of --config, or of
  $INDUSTRYDB_CONFIG, or ~/.config/industrydb/databases.ini.

exit codes:
  0    done
  1    the database failed, or a file cannot be written
  2    the arguments or the configuration are wrong
  3    a value does not fit the type of its column
  4    it took longer than --timeout, or than the database allows
  130  interrupted by Ctrl-C
  141  nobody read the output to its end
"""

# The formats of a result, with the extensions of their files.
FORMATS = {
    "parquet": (".parquet",),
    "arrow": (".arrow", ".ipc", ".feather"),
    "csv": (".csv",),
    "json": (".json",),
    "ndjson": (".jsonl", ".ndjson"),
}
SUFFIXES = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes}

# The widest help, in letters.
WIDEST = 100


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; raise a `ConfigurationError` if they are not valid."""
    parser = command_parser()
    commands = commands_of(parser)
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        near = _near(arguments[0], commands)
        # A text that is like no command may be a password.
        what = f"there is no command {arguments[0]}{near}" if near else "the first argument is no command"
        msg = f"{what}; the commands are {', '.join(commands)}"
        raise ConfigurationError(msg)
    try:
        options, unknown = parser.parse_known_args(arguments)
    except ConfigurationError as error:
        raise ConfigurationError(_without_uris(str(error), arguments)) from None
    if unknown:
        raise ConfigurationError(_about_unknown(unknown, options.name, commands[options.name]))
    return options


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001, argparse has no other way to them
    return dict(found.choices)


def _about_unknown(unknown: list[str], command: str, parser: argparse.ArgumentParser) -> str:
    first = next((text for text in unknown if text.startswith("-")), None)
    if first is None:
        return f"{len(unknown)} argument(s) too many: a query is one argument, in quotes, and the URI that of --uri"
    # The text behind an option's name may be a password.
    name = first.partition("=")[0] if first.startswith("--") else first[:2]
    near = _near(name, parser._option_string_actions)  # noqa: SLF001, as above
    return f"unknown option {name}{near}; industrydb {command} --help says which there are"


def _near(name: str, names: Any) -> str:  # noqa: ANN401, any collection of texts
    from difflib import get_close_matches  # noqa: PLC0415, only mistakes need it

    found = get_close_matches(name, names, n=1)
    return f": did you mean {found[0]}?" if found else ""


def _without_uris(message: str, arguments: Sequence[str]) -> str:
    """Mask arguments that may be URIs in a message, as a URI in a wrong place may have a password."""
    for text in [part for argument in arguments for part in (argument, argument.partition("=")[2])]:
        if re.search(r"://|.@", text):
            message = message.replace(repr(text), "'***'").replace(text, "***")
    return message


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


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"it must be a whole number, not {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


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


# Each command: the module that has it, what it does, and examples.
COMMANDS = {
    "read": (
        "commands",
        "read a query's result, and print or write it",
        """
  industrydb read "SELECT * FROM orders" --partitions 8 -o orders.parquet
  industrydb read @report.sql --database warehouse --param 2024-01-01 --rows 50
  industrydb read "SELECT * FROM orders" -o - --format csv | gzip > orders.csv.gz""",
    ),
    "plan": (
        "commands",
        "show the partitions that a read would have",
        """
  industrydb plan "SELECT * FROM lineitem" --partition-on l_orderkey --partitions 8""",
    ),
    "schema": (
        "commands",
        "show the columns of a query's result and their types",
        """
  industrydb schema "SELECT * FROM orders" --uri sqlite://orders.db""",
    ),
    "extract": (
        "commands",
        "write a query's result into a folder, one file per partition, and go on after a stop",
        """
  industrydb extract "SELECT * FROM lineitem" /data/lineitem --partition-on l_orderkey --partitions 64
  industrydb extract "SELECT * FROM orders" orders --since id     # again each night: appends the new rows""",
    ),
    "write": (
        "writing",
        "write a file into a table, all of its rows or none",
        """
  industrydb write orders.parquet orders --if-exists append
  gzip -dc orders.csv.gz | industrydb write - orders --format csv --schema-override 'day=Date'""",
    ),
    "databases": (
        "databases",
        "list the databases of the config file, without their passwords",
        """
  industrydb databases --config databases.ini""",
    ),
    "completion": (
        "completion",
        "print a script by which a shell completes this command",
        """
  industrydb completion bash > ~/.local/share/bash-completion/completions/industrydb
  industrydb completion zsh > "${fpath[1]}/_industrydb"
  industrydb completion fish > ~/.config/fish/completions/industrydb.fish""",
    ),
}
QUERIES = ("read", "plan", "schema", "extract")
ARGUMENTS = dict.fromkeys(QUERIES, " QUERY") | {
    "extract": " QUERY TARGET",
    "write": " FILE TABLE",
    "completion": " SHELL",
}


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="industrydb", description="Read a SQL query in parallel partitions.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"industrydb {__version__}")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True, title="commands")
    for name, (module, about, examples) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            usage=f"industrydb {name} [OPTIONS]{ARGUMENTS.get(name, '')}",
            epilog=f"examples:{examples}\n\n{EPILOG}",
        )
        sub.set_defaults(run=_late(module, name))
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
    if command in (*QUERIES, "write"):
        add(
            "--schema-override",
            metavar="COLUMN=TYPE",
            action="append",
            help="take a column as another of Polars' types, such as 'x=Decimal(38, 2)'; may be repeated",
        )


def _add_result(command: str, add: Add) -> None:
    if command == "read":
        add("-o", "--output", metavar="FILE", help=f"write a file: {' '.join(SUFFIXES)}; or - for standard output")
        add("--format", choices=FORMATS, help="of the output, if its name does not say it")
        add("--rows", metavar="N", type=_whole, help="print at most N rows of a table, -1 for all of them")
        add("--columns", metavar="N", type=_whole, help="print at most N columns of a table, -1 for all that fit")
        add("--width", metavar="N", type=_whole, help="print a table at most N letters wide, -1 for any width")
    if command == "extract":
        add("--format", choices=("parquet", "ipc", "csv"), default="parquet", help="of the files")
        add("--compression", metavar="CODEC", help="of the files: snappy, zstd, lz4, gzip, brotli, uncompressed")
        add("--since", metavar="COLUMN", help="next time, read only rows with larger values of this column")
        add("--resume", choices=("continue", "restart"), default="continue", help="what to do in a used folder")
        add("--retries", metavar="N", type=_whole, default=3, help="how often to try a partition again")
    if command == "write":
        add("--format", choices=FORMATS, help="of the file, if its name does not say it")
        add(
            "--if-exists",
            choices=("fail", "append", "replace"),
            default="fail",
            help="what to do if there is the table",
        )
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
    "the result": _add_result,
    "messages": _add_messages,
}
