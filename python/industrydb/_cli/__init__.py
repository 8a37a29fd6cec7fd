"""The command ``industrydb``, which reads, plans and extracts queries from a shell."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import re
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import polars as pl

import industrydb
from industrydb import ConfigurationError, IndustryDbError, QueryTimeoutError, TypeConversionError
from industrydb._cli.databases import add_options, database
from industrydb._cli.output import DataTypes, must_hold, replacing
from industrydb._extract.files import LARGE_TEXT, NOT_IN_CSV
from industrydb._plan import planned
from industrydb._request import request
from industrydb._text.overrides import from_texts
from industrydb._watch.profile import chart, profiled
from industrydb._watch.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from industrydb import DatabaseConfig, ReadPlan

    Writer: TypeAlias = Callable[[pl.DataFrame, io.BufferedWriter], object]

EPILOG = """\
QUERY is a statement that returns rows, @FILE to take it from a file, or - for standard input.

The database is that of --uri; or of --database, a section of a config file; or of $INDUSTRYDB_URI. The config file is
that of --config, or $INDUSTRYDB_CONFIG, or ~/.config/industrydb/databases.ini.

exit codes:
  0    done
  1    the database failed, or a file cannot be written
  2    the arguments or the configuration are wrong
  3    a value does not fit the type of its column
  4    it took longer than --timeout, or than the database allows
  130  interrupted by Ctrl-C
  141  nobody read the output to its end
"""

# The exit code of an error, by the first class that the error is an instance of.
EXIT_CODES: dict[type[Exception], int] = {
    QueryTimeoutError: 4,
    TypeConversionError: 3,
    ConfigurationError: 2,
    IndustryDbError: 1,
    UnicodeError: 2,  # an argument or a query that is not valid text
    OSError: 1,
    pl.exceptions.PolarsError: 1,  # a data type that the file format lacks, or a full disk
}
INTERRUPTED = 130
PIPE_CLOSED = 141

# The file formats by extension, each with its writer and the data types that the format cannot represent.
JSON_LACKS = (pl.Binary,)
WRITE_IPC = partial(pl.DataFrame.write_ipc, compat_level=LARGE_TEXT)
FORMATS: dict[str, tuple[Writer, DataTypes]] = {
    ".parquet": (pl.DataFrame.write_parquet, ()),
    ".arrow": (WRITE_IPC, ()),
    ".ipc": (WRITE_IPC, ()),
    ".feather": (WRITE_IPC, ()),
    ".csv": (pl.DataFrame.write_csv, NOT_IN_CSV),
    ".json": (pl.DataFrame.write_json, JSON_LACKS),
    ".jsonl": (pl.DataFrame.write_ndjson, JSON_LACKS),
    ".ndjson": (pl.DataFrame.write_ndjson, JSON_LACKS),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if sys.platform != "win32":
        # Polars installs a handler for Ctrl-C that lets system calls restart. Without this line, a read from the
        # terminal would go on waiting.
        signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003, it takes no keywords
        # Exiting by an exception removes temporary files.
        with suppress(ValueError):  # raised outside the main thread
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _end)
    try:
        options = _parsed(arguments)
        if options.verbose:
            _log()
        options.command(options)
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        _say(f"industrydb: {interrupt}" if interrupt.args else "industrydb: interrupted")
        return INTERRUPTED
    except tuple(EXIT_CODES) as error:
        _drop_output()
        _say(f"industrydb: {error}")
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _log() -> None:
    """Log the messages of industrydb's own loggers to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.name.startswith("industrydb"))
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.DEBUG, handlers=[handler])


# The arguments


class _Parser(argparse.ArgumentParser):
    """A parser that raises a `ConfigurationError`, whose message never repeats a value that may be a password."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401, those of the base class
        super().__init__(
            epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings
        )

    def error(self, message: str) -> NoReturn:
        # The value given to an option that takes none may be a password, as in --password=secret.
        message = re.sub(r"ignored explicit argument .*", "it takes no value", message, flags=re.DOTALL)
        msg = f"{message}; {self.prog} --help says what there is"
        raise ConfigurationError(msg)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments; raise a `ConfigurationError` if they are not valid."""
    try:
        options, unknown = _parser().parse_known_args(arguments)
    except ConfigurationError as error:
        raise ConfigurationError(_without_uris(str(error), arguments)) from None
    if unknown:
        first = next((text for text in unknown if text.startswith("-")), None)
        if first is None:
            msg = f"{len(unknown)} argument(s) too many: a query is one argument, in quotes, and the URI that of --uri"
        else:
            # The text behind an option's name may be a password.
            name = first.partition("=")[0] if first.startswith("--") else first[:2]
            msg = f"unknown option {name}; industrydb {options.name} --help says which there are"
        raise ConfigurationError(msg)
    return options


def _without_uris(message: str, arguments: list[str]) -> str:
    """Mask arguments that may be URIs in a message, as a URI in a wrong place may have a password."""
    for text in [part for argument in arguments for part in (argument, argument.partition("=")[2])]:
        if re.search(r"://|.@", text):
            message = message.replace(repr(text), "'***'").replace(text, "***")
    return message


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="industrydb", description="Read a SQL query in parallel partitions.")
    parser.add_argument("--version", action="version", version=f"industrydb {industrydb.__version__}")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)
    for name, command, about in (
        ("read", _read, "read a query's result, and print or write it"),
        ("plan", _plan, "show the partitions that a read would have"),
        ("schema", _schema, "show the columns of a query's result and their types"),
        ("extract", _extract, "write a query's result into a folder, one file per partition, and go on after a stop"),
    ):
        sub = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        sub.set_defaults(command=command)
        add = sub.add_argument
        add("query", metavar="QUERY", help="a statement, @FILE, or -")
        if name == "extract":
            add("target", metavar="TARGET", help="the folder")
        if name == "read":
            add("-o", "--output", metavar="FILE", type=Path, help=f"write a file: {' '.join(FORMATS)}")
            add("--limit-shown", metavar="N", type=int, help="print at most N rows of a table, -1 for all of them")
            add("--profile", metavar="FILE", type=Path, help="write a page (.html) of what each partition did and when")
        add_options(sub)
        if name != "schema":
            add("--partition-on", metavar="COLUMN", help="a column of the result whose values divide it")
            add("--partitions", metavar="N", type=int, help="how many partitions to make")
        if name == "extract":
            add("--format", choices=("parquet", "ipc", "csv"), default="parquet", help="of the files")
            add("--compression", metavar="CODEC", help="of the files: snappy, zstd, lz4, gzip, brotli, uncompressed")
            add("--since", metavar="COLUMN", help="next time, read only rows with larger values of this column")
            add("--resume", choices=("continue", "restart"), default="continue", help="what to do in a used folder")
            add("--retries", metavar="N", type=int, default=3, help="how often to try a partition again")
        add("--param", metavar="VALUE", action="append", help="the text of a parameter; repeat it for each")
        add(
            "--schema-override",
            metavar="COLUMN=TYPE",
            action="append",
            help="read a column as another of Polars' types, such as 'x=Decimal(38, 2)'; may be repeated",
        )
        add("--pre", metavar="SQL", action="append", help="a statement that each session runs first; may be repeated")
        add("--no-snapshot", action="store_true", help="do without one state of the database for all partitions")
        add("--max-connections", metavar="N", type=int, help="the most sessions at a time")
        add("--timeout", metavar="SECONDS", type=float, help="for the whole read")
        add("--json", action="store_true", help="print a result for programs")
        add("--quiet", action="store_true", help="print nothing but the result, warnings and errors")
        add("--verbose", action="store_true", help="print the log to standard error, in place of progress")
    return parser


def _call(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that `read_sql`, `plan_sql` and `extract` have in common."""
    return {
        "query": _query(options.query),
        "uri": database(options, _warn),
        "params": options.param,
        "schema_overrides": from_texts(options.schema_override) if options.schema_override else None,
        "pre_execution_query": options.pre,
        "snapshot": not options.no_snapshot,
        "max_connections": options.max_connections,
        "timeout": options.timeout,
        "partition_on": getattr(options, "partition_on", None),
        "partitions": getattr(options, "partitions", None),
    }


def _is_watched(options: argparse.Namespace) -> bool:
    """Tell whether to show progress: on a terminal, unless the options ask for quiet or for the log."""
    return sys.stderr is not None and sys.stderr.isatty() and not options.quiet and not options.verbose


def _query(text: str) -> str:
    """Return the query that an argument gives: the text itself, or that of a file or of standard input."""
    if re.match(r"@?\w+://", text):
        msg = "the query is a URI: that of the database is given by --uri, and not repeated here"
        raise ConfigurationError(msg)
    try:
        if text == "-":
            with open(0, "rb", closefd=False) as file:  # sys.stdin may be missing
                return file.read().decode("utf-8-sig")
        return (Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        msg = f"cannot read the query {text}: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(msg) from None


# The commands


def _read(options: argparse.Namespace) -> None:
    began = time.monotonic()
    for path in filter(None, (options.output, options.profile)):
        if re.match(r"\w+:/", str(path)):
            msg = "a URI is given in the place of a file of this machine, and not repeated here"
            raise ConfigurationError(msg)
    if options.output is not None:
        _write(options, began)
        return
    frame = _frame(options, began)
    if options.json:
        must_hold("JSON", JSON_LACKS, frame)
        _print(frame.write_json(), json_text=True)
    else:
        # Without a limit, Polars' own default decides how many rows are shown.
        with pl.Config() if options.limit_shown is None else pl.Config(tbl_rows=options.limit_shown):
            _print(str(frame))
    if not options.quiet:
        _say(f"{_shape(frame)}, {_count(int(frame.estimated_size()), 'byte')}, {time.monotonic() - began:.2f} s")


def _frame(options: argparse.Namespace, began: float) -> pl.DataFrame:
    """Read the query, and write the profile if the options ask for it."""
    call, watched = _call(options), _is_watched(options)
    for path in filter(None, (options.output, options.profile)):
        _reject_database(path, call["uri"])
    if options.profile is None:
        frame: pl.DataFrame = industrydb.read_sql(**call, progress=watched)
        return frame
    if options.profile.suffix.lower() not in {".html", ".htm"}:
        msg = f"the profile is a page, whose name ends with .html, and {options.profile} does not"
        raise ConfigurationError(msg)
    with replacing(options.profile) as file, shown(watched, "read") as draw:
        frame, profile = profiled(request(**call, partition_range=None), draw)
        title = f"{shorten(call['query'], 200, placeholder=' …')}: {time.monotonic() - began:.2f} s in all"
        file.write(chart(profile, title).encode())
    return frame


def _reject_database(path: Path, config: DatabaseConfig) -> None:
    """Raise if the file to write is the database."""
    with suppress(OSError, RuntimeError):  # an invalid path; writing to it raises a better error
        if config.path is not None and path.exists() and path.samefile(config.path):
            msg = f"{path} is the database itself"
            raise ConfigurationError(msg)


def _write(options: argparse.Namespace, began: float) -> None:
    """Read the query, and write the result to a file."""
    output: Path = options.output
    if output.suffix.lower() not in FORMATS:
        msg = f"the name of a file says its format, and {output} has none of {' '.join(FORMATS)}"
        raise ConfigurationError(msg)
    write, lacks = FORMATS[output.suffix.lower()]
    with replacing(output) as file:
        frame = _frame(options, began)
        must_hold(f"a {output.suffix} file", lacks, frame)
        write(frame, file)
    size, seconds = output.stat().st_size, time.monotonic() - began
    if options.json:
        _print_json(output=str(output), rows=frame.height, columns=frame.width, bytes=size, seconds=round(seconds, 3))
    elif not options.quiet:
        _say(f"{_shape(frame)}, {_count(size, 'byte')} in {output}, {seconds:.2f} s")


def _planned(options: argparse.Namespace) -> ReadPlan:
    """Return a plan to show, without the reads that settle column types."""
    return planned(request(**_call(options), partition_range=None), settle=False)


def _plan(options: argparse.Namespace) -> None:
    plan = _planned(options)
    if options.json:
        parts = zip(plan.sql, plan.estimated_rows, strict=True)
        _print_json(partitions=[{"sql": sql, "estimated_rows": rows} for sql, rows in parts], note=plan.note)
    else:
        _print(plan.explain())


def _schema(options: argparse.Namespace) -> None:
    schema = _planned(options).schema
    if options.json:
        _print(json.dumps([{"name": name, "type": str(dtype)} for name, dtype in schema.items()]))
    else:
        width = max(map(len, schema), default=0)
        _print("\n".join(f"{name:{width}}  {dtype}" for name, dtype in schema.items()))


def _extract(options: argparse.Namespace) -> None:
    result = industrydb.extract(
        target=options.target,
        format=options.format,
        compression=options.compression,
        since=options.since,
        resume=options.resume,
        retries=options.retries,
        progress=_is_watched(options),
        **_call(options),
    )
    if options.json:
        _print_json(
            rows=result.rows,
            files=[str(file) for file in result.files],
            bytes=result.bytes,
            manifest=str(result.manifest),
            seconds=round(result.seconds, 3),
            complete_since=None if result.complete_since is None else result.complete_since.isoformat(),
        )
    elif not options.quiet:
        if result.complete_since is not None:
            at = f"{result.complete_since:%Y-%m-%d %H:%M:%S} UTC"
            _say(f"complete since {at}: nothing was read; --resume restart writes it anew")
        files = f"{_count(len(result.files), 'file')} of {_count(result.bytes, 'byte')}"
        _say(f"{_count(result.rows, 'row')}, {files} in {options.target}, {result.seconds:.2f} s")


# The output


def _print_json(**values: object) -> None:
    _print(json.dumps(values), json_text=True)


def _print(text: str, *, json_text: bool = False) -> None:
    """Print a result; characters that the terminal's encoding lacks are printed as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if json_text else None, errors="backslashreplace")
    print(text, flush=True)


def _say(text: str) -> None:
    """Print a line for the user on standard error, if there is one."""
    with suppress(OSError):
        if sys.stderr is not None:  # print(file=None) would print to standard output
            print(text, file=sys.stderr, flush=True)


def _warn(text: str) -> None:
    _say(f"industrydb: warning: {text}")


def _drop_output() -> None:
    """Flush standard output; if that fails, redirect it to the null device, since Python flushes again at exit."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shape(frame: pl.DataFrame) -> str:
    return f"{_count(frame.height, 'row')}, {_count(frame.width, 'column')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s'[: number != 1]}"
