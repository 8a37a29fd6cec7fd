"""The command ``write``: write a file into a table."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import industrydb
from industrydb import ConfigurationError
from industrydb._cli.arguments import FORMATS
from industrydb._cli.databases import database
from industrydb._cli.files import format_of
from industrydb._cli.messages import count, output_json, say
from industrydb._cli.reading import read_file
from industrydb._text.overrides import dtypes, from_texts

if TYPE_CHECKING:
    import argparse

    import polars as pl


def write(options: argparse.Namespace) -> None:
    """Write a file into a table."""
    began = time.monotonic()
    if re.match(r"\w+:/", options.file):
        msg = "a URI is given in the place of a file of this machine, and not repeated here"
        raise ConfigurationError(msg)
    if options.file == "-" and options.format is None:
        msg = f"standard input needs --format: {', '.join(FORMATS)}"
        raise ConfigurationError(msg)
    kind = format_of(options.file, options.format)
    config = database(options)
    frame = _frame(options, kind)
    rows = industrydb.write_sql(frame, options.table, config, if_exists=options.if_exists)
    seconds = time.monotonic() - began
    if options.json:
        output_json(table=options.table, rows=rows, seconds=round(seconds, 3))
    elif not options.quiet:
        say(f"{count(rows, 'row')} written into {options.table}, {seconds:.2f} s")


def _frame(options: argparse.Namespace, kind: str) -> pl.DataFrame:
    """Read the file, and take its columns as the types that the options give."""
    asked = dtypes(from_texts(options.schema_override or []))
    name = "standard input" if options.file == "-" else options.file
    return read_file(_data(options), name, kind, asked)


def _data(options: argparse.Namespace) -> bytes:
    """Return what is in the file."""
    try:
        if options.file != "-":
            return Path(options.file).read_bytes()
        if not options.quiet and os.isatty(0):
            say("the file is read from this terminal: end it with Ctrl-D on a line of its own")
        with open(0, "rb", closefd=False) as file:  # sys.stdin may be missing
            return file.read()
    except (OSError, ValueError) as error:  # a name with a zero byte raises a ValueError
        msg = f"cannot read {options.file}: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(msg) from None
