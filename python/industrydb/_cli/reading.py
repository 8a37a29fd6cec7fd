"""The files that ``write`` reads: a frame of each format, and where and why a file is none of its format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
from polars.exceptions import PolarsError

from industrydb import ConfigurationError, TypeConversionError
from industrydb._cli.texts import from_text, guessed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The longest value that a message shows, in characters.
MOST_SHOWN = 80

# A field of a CSV file may be as long as the file.
LONGEST_FIELD = 2**31 - 1


def read_file(data: bytes, name: str, kind: str, dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the rows of a file; `name` is what messages call the file, and `dtypes` are types that are asked for."""
    if not data.strip():
        _refuse(f"{name} is empty: there is nothing to write into a table")
    try:
        frame = READERS[kind](data, name)
    except PolarsError as error:
        reason = str(error).partition("\n")[0]
        _refuse(f"{name} cannot be read as {kind} ({reason}); if it has another format, name that by --format")
    missing = [column for column in dtypes if column not in frame.columns]
    if missing:
        msg = f"--schema-override names {missing[0]!r}, and the columns of the file are {', '.join(frame.columns)}"
        raise ConfigurationError(msg)
    columns = [
        _converted(column, dtypes[column.name], name) if column.name in dtypes else _settled(column, kind)
        for column in frame.iter_columns()
    ]
    return pl.DataFrame(columns)


def _settled(column: pl.Series, kind: str) -> pl.Series:
    return guessed(column) if kind == "csv" else column


def _converted(column: pl.Series, dtype: pl.DataType, name: str) -> pl.Series:
    """Return a column as another type; raise at the first value that has no equal in the type."""
    converted = from_text(column, dtype) if column.dtype == pl.String else _cast(column, dtype)
    fails = converted.is_null() & column.is_not_null()
    if fails.any():
        row = fails.arg_max() or 0
        value = repr(column[row])
        shown = value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…"
        msg = (
            f"{name}, row {row + 1}, column {column.name!r}: {shown} is no {dtype}; correct the file, or "
            "name a type that has the value by --schema-override"
        )
        raise TypeConversionError(msg)
    return converted


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return values of a type; one that cannot be cast, or loses its fraction, becomes NULL."""
    cast = nulls = pl.Series(column.name, [None] * len(column), dtype=dtype)
    with suppress(PolarsError):  # no value can
        cast = column.cast(dtype, strict=False)
    if column.dtype.is_float() and dtype.is_integer():
        cast = cast.zip_with((cast.cast(column.dtype) == column).fill_null(value=False), nulls)
    return cast


def _refuse(message: str) -> NoReturn:
    raise OSError(message)


def _text(data: bytes, name: str) -> str:
    """Return the text of a file; raise at the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return _refuse(f"{name}, line {line}: the byte {error.object[error.start]:#04x} is not UTF-8: save it as UTF-8")


# CSV


def _csv(data: bytes, name: str) -> pl.DataFrame:
    """Read CSV as texts."""
    _check_header(data, name)
    try:
        return pl.read_csv(data, infer_schema=False)
    except PolarsError:
        _explain_csv(_text(data, name), name)
        raise


def _records(text: str) -> Any:  # noqa: ANN401, a reader, whose class has no public name
    csv.field_size_limit(LONGEST_FIELD)
    return csv.reader(io.StringIO(text, newline=""), strict=True)


def _check_header(data: bytes, name: str) -> None:
    """Raise if two columns have the same name; Polars would give the second one another name."""
    # A name may have a line break in quotes; what follows the header may be broken, which is found later.
    with io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace", newline="") as lines:
        csv.field_size_limit(LONGEST_FIELD)
        header = next((record for record in csv.reader(lines) if record), [])
    twice = [column for column, times in Counter(header).items() if times > 1]
    if twice:
        places = " and ".join(str(at) for at, column in enumerate(header, 1) if column == twice[0])
        _refuse(f"{name}, line 1: fields {places} of the header are both named {twice[0]!r}: rename one in the file")


def _explain_csv(text: str, name: str) -> None:
    """Raise at the first record with too many fields, or whose quotes do not end."""
    header: list[str] = []
    records, begins = _records(text), 1
    try:
        for record in records:
            header = header or record
            if len(record) > len(header):
                is_divided_else = len(header) == 1 and re.search("[;\t|]", header[0])
                hint = "divide fields by commas" if is_divided_else else "put quotes around a value that has a comma"
                names = f"{_fields(header)} ({', '.join(header)})"
                _refuse(f"{name}, line {begins}: {_fields(record)}, and the header has {names}: {hint}")
            begins = records.line_num + 1
    except csv.Error as error:
        _refuse(f"{name}, line {begins}: a quote begins here and is not closed as in CSV ({error})")


def _fields(record: list[str]) -> str:
    return f"{len(record)} field{'s'[: len(record) != 1]}"


# JSON


def _json(data: bytes, name: str) -> pl.DataFrame:
    text = _text(data, name)
    begin = re.match(r"\s*\[?\s*", text)
    _check_names(text[begin.end() :] if begin else text, name)
    try:
        return pl.read_json(io.BytesIO(data), infer_schema_length=None)
    except PolarsError:
        _explain_json(text, name)
        raise


def _explain_json(text: str, name: str) -> None:
    """Raise where a text is no JSON array of objects."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = "; for an object per line, use --format ndjson" if error.msg == "Extra data" else ""
        _refuse(f"{name}, line {error.lineno}, letter {error.colno}: no valid JSON, {_lower(error.msg)}{hint}")
    except (ValueError, RecursionError) as error:
        _refuse(f"{name}: no valid JSON, {error}")
    for number, row in enumerate(found if isinstance(found, list) else [found], 1):
        if not isinstance(row, dict):
            _refuse(f'{name}, row {number}: {_short(row)} is no object, such as {{"id": 1}}')


def _ndjson(data: bytes, name: str) -> pl.DataFrame:
    text = _text(data, name)
    _check_names(text, name)
    if not text.lstrip().startswith("{"):  # Polars may panic
        _explain_ndjson(text, name)
    try:
        return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except PolarsError:
        _explain_ndjson(text, name)
        raise


def _explain_ndjson(text: str, name: str) -> None:
    """Raise at the first line that is no JSON object."""
    for number, line in enumerate(text.split("\n"), 1):
        try:
            row = json.loads(line, parse_constant=_no_constant) if line.strip() else {}
        except json.JSONDecodeError as error:
            _refuse(f"{name}, line {number}, letter {error.colno}: no valid JSON, {_lower(error.msg)}")
        except (ValueError, RecursionError) as error:
            _refuse(f"{name}, line {number}: no valid JSON, {error}")
        if not isinstance(row, dict):
            hint = ": use --format json" if isinstance(row, list) else ""
            _refuse(f'{name}, line {number}: {_short(row)} is no object, such as {{"id": 1}}{hint}')


def _no_constant(text: str) -> NoReturn:
    msg = f"which has no {text}"
    raise ValueError(msg)


def _check_names(text: str, name: str) -> None:
    """Raise if the first object has a name twice; Polars would keep one of the values."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        if twice:
            _refuse(f"{name}, row 1: two values are named {twice[0]!r}: rename one in the file")

    decoder = json.JSONDecoder(object_pairs_hook=once)
    try:
        decoder.raw_decode(text.lstrip())
    except (json.JSONDecodeError, RecursionError):
        return  # what is wrong is said when the whole file has been read


def _lower(message: str) -> str:
    return f"{message[0].lower()}{message[1:]}"


def _short(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"


# Binary formats


def _parquet(data: bytes, _: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(data))


def _arrow(data: bytes, _: str) -> pl.DataFrame:
    """Read Arrow IPC: a file, or a stream, as the command writes it to a pipe."""
    try:
        return pl.read_ipc(io.BytesIO(data)) if data.startswith(b"ARROW1") else pl.read_ipc_stream(io.BytesIO(data))
    except OSError as error:  # the end of the data is found too early
        raise pl.exceptions.ComputeError(str(error)) from None


READERS: dict[str, Callable[[bytes, str], pl.DataFrame]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "json": _json,
    "ndjson": _ndjson,
}
