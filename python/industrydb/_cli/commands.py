"""The commands that read: ``read``, ``plan``, ``schema`` and ``extract``."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import industrydb
from industrydb import ConfigurationError
from industrydb._cli.databases import database
from industrydb._cli.files import LACKS, PIPED, WRITERS, format_of, must_hold, replacing, standard_output
from industrydb._cli.messages import count, output, output_json, say
from industrydb._cli.table import as_table
from industrydb._plan import planned
from industrydb._request import request
from industrydb._text.overrides import from_texts
from industrydb._watch.advice import Division
from industrydb._watch.page import Facts, chart
from industrydb._watch.profile import profile_of_attempts, profiled
from industrydb._watch.shown import shown

if TYPE_CHECKING:
    import argparse

    import polars as pl

    from industrydb import DatabaseConfig, ReadPlan


def read(options: argparse.Namespace) -> None:
    """Read a query, and print the result or write it to a file."""
    began = time.monotonic()
    path = _output(options)
    if path is None and options.format and options.output != "-":
        msg = "--format is that of an output: give a file by -o FILE, or standard output by -o -"
        raise ConfigurationError(msg)
    if path is not None:
        _write(path, options, began)
        return
    frame = _frame(options, path, began)
    if options.output == "-":
        _write_to_output(frame, options.format)
    elif options.json:
        must_hold("JSON", LACKS["json"], frame)
        output(frame.write_json(), json_text=True)
    else:
        output(as_table(frame, options.rows, options.columns, options.width))
    if not options.quiet:
        say(f"{_shape(frame)}, {count(int(frame.estimated_size()), 'byte')}, {time.monotonic() - began:.2f} s")


def _output(options: argparse.Namespace) -> Path | None:
    """Return the file to write; check the names of the files that the options give."""
    for name in filter(None, (options.output, options.profile)):
        if re.match(r"\w+:/", name):
            msg = "a URI is given in the place of a file of this machine, and not repeated here"
            raise ConfigurationError(msg)
    if options.output == "-":
        if options.json:
            msg = "-o - prints the rows, and --json would print a summary between them: use --format json"
            raise ConfigurationError(msg)
        if options.format is None:
            msg = f"-o - needs --format: {', '.join(WRITERS)}"
            raise ConfigurationError(msg)
        if options.format in {"parquet", "arrow"} and sys.stdout is not None and sys.stdout.isatty():
            msg = f"{options.format} is no text for a terminal: redirect the output, or write a file by -o FILE"
            raise ConfigurationError(msg)
        return None
    return None if options.output is None else Path(options.output)


def _write_to_output(frame: pl.DataFrame, kind: str) -> None:
    """Write the result to standard output."""
    must_hold(kind.upper() if kind != "arrow" else "Arrow", LACKS[kind], frame)
    with standard_output() as file:
        PIPED[kind](frame, file)


def _frame(options: argparse.Namespace, path: Path | None, began: float) -> pl.DataFrame:
    """Read the query, and write the profile if the options ask for it."""
    call, watched = _call(options), _is_watched(options)
    page = None if options.profile is None else _page(options.profile)
    for target in filter(None, (path, page)):
        _reject_database(target, call["uri"])
    if page is None:
        frame: pl.DataFrame = industrydb.read_sql(**call, progress=watched)
        return frame
    with replacing(page) as file, shown(watched, "read") as draw:
        frame, profile = profiled(request(**call, partition_range=None), draw)
        file.write(chart(profile, _facts(call, began)).encode())
    return frame


def _page(name: str) -> Path:
    """Return the path of the page that a profile is written to."""
    if not name.lower().endswith((".html", ".htm")):
        msg = f"the profile is a page, whose name ends with .html, and {name} does not"
        raise ConfigurationError(msg)
    return Path(name)


def _facts(call: dict[str, Any], began: float) -> Facts:
    seconds = time.monotonic() - began
    division = Division(call["partition_on"], has_range=False)
    return Facts(call["query"].strip(), call["uri"].to_uri(), seconds, division=division)


def _reject_database(path: Path, config: DatabaseConfig) -> None:
    """Raise if the file to write is the database."""
    with suppress(OSError, RuntimeError):  # an invalid path; writing to it raises a better error
        if config.path is not None and path.exists() and path.samefile(config.path):
            msg = f"{path} is the database itself"
            raise ConfigurationError(msg)


def _write(path: Path, options: argparse.Namespace, began: float) -> None:
    """Read the query, and write the result to a file."""
    kind = format_of(path.name, options.format)
    with replacing(path) as file:
        frame = _frame(options, path, began)
        must_hold(f"a {path.suffix or kind} file", LACKS[kind], frame)
        WRITERS[kind](frame, file)
    size, seconds = path.stat().st_size, time.monotonic() - began
    if options.json:
        output_json(output=str(path), rows=frame.height, columns=frame.width, bytes=size, seconds=round(seconds, 3))
    elif not options.quiet:
        say(f"{_shape(frame)}, {count(size, 'byte')} in {path}, {seconds:.2f} s")


def plan(options: argparse.Namespace) -> None:
    """Print the partitions of a query."""
    plan = _planned(options)
    if options.json:
        parts = zip(plan.sql, plan.estimated_rows, strict=True)
        output_json(partitions=[{"sql": sql, "estimated_rows": rows} for sql, rows in parts], note=plan.note)
    else:
        output(plan.explain())


def _planned(options: argparse.Namespace) -> ReadPlan:
    """Return a plan to show, without the reads that settle column types."""
    return planned(request(**_call(options), partition_range=None), settle=False)


def schema(options: argparse.Namespace) -> None:
    """Print the columns of a query's result."""
    schema = _planned(options).schema
    if options.json:
        output(json.dumps([{"name": name, "type": str(dtype)} for name, dtype in schema.items()]))
    else:
        width = max(map(len, schema), default=0)
        output("\n".join(f"{name:{width}}  {dtype}" for name, dtype in schema.items()))


def extract(options: argparse.Namespace) -> None:
    """Write a query's result into a folder."""
    began = time.monotonic()
    call = _call(options)
    page = None if options.profile is None else _page(options.profile)
    result = industrydb.extract(
        target=options.target,
        format=options.format,
        compression=options.compression,
        since=options.since,
        resume=options.resume,
        retries=options.retries,
        progress=_is_watched(options),
        **call,
    )
    if page is not None and result._measured:  # noqa: SLF001, it is for this command alone
        with replacing(page) as file:
            profile = profile_of_attempts(result._measured)  # noqa: SLF001, as above
            file.write(chart(profile, _facts(call, began)).encode())
    if options.json:
        output_json(
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
            say(f"complete since {at}: nothing was read; --resume restart writes it anew")
        files = f"{count(len(result.files), 'file')} of {count(result.bytes, 'byte')}"
        say(f"{count(result.rows, 'row')}, {files} in {options.target}, {result.seconds:.2f} s")


def _call(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that `read_sql`, `plan_sql` and `extract` have in common."""
    return {
        "query": _query(options.query, quiet=options.quiet),
        "uri": database(options),
        "params": options.param,
        "schema_overrides": from_texts(options.schema_override) if options.schema_override else None,
        "pre_execution_query": options.pre,
        "snapshot": not options.no_snapshot,
        "max_connections": options.max_connections,
        "timeout": options.timeout,
        "partition_on": getattr(options, "partition_on", None),
        "partitions": getattr(options, "partitions", None),
    }


def _query(text: str, *, quiet: bool) -> str:
    """Return the query that an argument gives: the text itself, or that of a file or of standard input."""
    if re.match(r"@?\w+://", text):
        msg = "the query is a URI: that of the database is given by --uri, and not repeated here"
        raise ConfigurationError(msg)
    if re.fullmatch(r"[^\s@]\S*\.(?:sql|psql|txt)", text, re.IGNORECASE):
        msg = f"the query {text} is the name of a file: write @{text} to take the query from it"
        raise ConfigurationError(msg)
    if shell := re.match(r"\.[a-z]+|\\[a-z]\w*", text):
        msg = (
            f"the query begins with {shell[0]}, a command of another program: write a statement of SQL, "
            "or @FILE to take one from a file, as in @q.sql"
        )
        raise ConfigurationError(msg)
    try:
        if text == "-":
            if not quiet and os.isatty(0):
                say("the query is read from this terminal: end it with Ctrl-D on a line of its own")
            with open(0, "rb", closefd=False) as file:  # sys.stdin may be missing
                return file.read().decode("utf-8-sig")
        return (Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        msg = f"cannot read the query {text}: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(msg) from None


def _is_watched(options: argparse.Namespace) -> bool:
    """Tell whether to show progress, unless the options ask for quiet; a terminal has either progress or the log."""
    return not options.quiet and not (options.verbose and sys.stderr is not None and sys.stderr.isatty())


def _shape(frame: pl.DataFrame) -> str:
    return f"{count(frame.height, 'row')}, {count(frame.width, 'column')}"
