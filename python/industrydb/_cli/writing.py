"""The command ``write``: write a file into a table."""

from __future__ import annotations

import io
import os
import re
import time
from typing import IO, TYPE_CHECKING, Any

import polars as pl

import industrydb
from industrydb import ConfigurationError
from industrydb._cli.databases import database
from industrydb._cli.files import format_of
from industrydb._cli.messages import count, output_json, say
from industrydb._text.overrides import from_texts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def write(options: argparse.Namespace) -> None:
    """Write a file into a table."""
    began = time.monotonic()
    if re.match(r"\w+:/", options.file):
        msg = "a URI is given in the place of a file of this machine, and not repeated here"
        raise ConfigurationError(msg)
    if options.file == "-" and options.format is None:
        msg = "standard input needs --format: parquet, arrow, csv, json or ndjson"
        raise ConfigurationError(msg)
    kind = format_of(options.file, options.format)
    config = database(options)
    dtypes = from_texts(options.schema_override) if options.schema_override else {}
    frame = _frame(options, kind, dtypes)
    rows = industrydb.write_sql(frame, options.table, config, if_exists=options.if_exists)
    seconds = time.monotonic() - began
    if options.json:
        output_json(table=options.table, rows=rows, seconds=round(seconds, 3))
    elif not options.quiet:
        say(f"{count(rows, 'row')} written into {options.table}, {seconds:.2f} s")


def _frame(options: argparse.Namespace, kind: str, dtypes: Mapping[str, Any]) -> pl.DataFrame:
    """Read the file, and take its columns as the types that the options give."""
    try:
        if options.file == "-":
            if not options.quiet and os.isatty(0):
                say("the file is read from this terminal: end it with Ctrl-D on a line of its own")
            with open(0, "rb", closefd=False) as file:  # sys.stdin may be missing
                source: IO[bytes] = io.BytesIO(file.read())
                frame = _read(source, kind, dtypes)
        else:
            with open(options.file, "rb") as source:  # noqa: PTH123, as above
                frame = _read(source, kind, dtypes)
    except OSError as error:
        msg = f"cannot read {options.file}: {error.strerror or error}"
        raise ConfigurationError(msg) from None
    missing = [name for name in dtypes if name not in frame.columns]
    if missing:
        msg = f"--schema-override names {missing[0]!r}, and the columns of the file are {', '.join(frame.columns)}"
        raise ConfigurationError(msg)
    return frame


def _read(source: IO[bytes], kind: str, dtypes: Mapping[str, Any]) -> pl.DataFrame:
    match kind:
        case "csv":
            return _from_csv(source, dtypes)
        case "parquet":
            frame = pl.read_parquet(source)
        case "json":
            frame = pl.read_json(source.read(), infer_schema_length=None)
        case "ndjson":
            frame = pl.read_ndjson(source, infer_schema_length=None)
        case _:
            frame = pl.read_ipc(source)
    return frame.cast({name: dtype for name, dtype in dtypes.items() if name in frame.columns})


def _from_csv(source: IO[bytes], dtypes: Mapping[str, Any]) -> pl.DataFrame:
    """Read CSV; a column has a type other than text only if every value is written back as it was."""
    data = source.read()
    texts = pl.read_csv(data, infer_schema=False)
    typed = pl.read_csv(data, infer_schema_length=None, try_parse_dates=True)
    columns = []
    for text, guess in zip(texts.iter_columns(), typed.iter_columns(), strict=True):
        if text.name in dtypes:
            columns.append(text.cast(dtypes[text.name]))
        else:
            columns.append(guess if _written(guess).equals(_shortest(text, guess.dtype)) else text)
    return pl.DataFrame(columns)


def _written(column: pl.Series) -> pl.Series:
    return _shortest(column.cast(pl.String), column.dtype)


def _shortest(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return the texts of floats and datetimes without the zeros at their ends."""
    if dtype.is_float() or dtype == pl.Datetime:
        return text.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    return text
