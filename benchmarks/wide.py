"""Measure types that TPC-H has few of: long or non-ASCII texts, long decimals, arrays, and columns half of NULLs."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import psycopg
from polars.testing import assert_frame_equal

import industrydb
from benchmarks import data
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import measure_program
from benchmarks.programs import drain
from benchmarks.skew import timed

ROWS = 1_000_000
KEY = "id"
RIVALS = ("industrydb", "connectorx", "adbc")

Measured = dict[str, str | float]


class Column(NamedTuple):
    """A column's types, and SQL for the value of row `i`, in which `h` is a large number derived from `i`."""

    postgres: str
    sqlite: str
    value: str


def text(words: int) -> Column:
    """Return a column of texts of up to `words` words, a third of which are not ASCII."""
    word = "(ARRAY['Ärger','größer','日本語','ship','carefully','final','requests','deposits','sleep'])"
    each = f"{word}[1 + abs(hashint8(i * 64 + n)) % 9]"
    return Column("text", "TEXT", f"(SELECT string_agg({each}, ' ') FROM generate_series(1, 1 + h % {words}) AS n)")


def decimal(precision: int, scale: int) -> Column:
    """Return a column of decimals; SQLite has floats instead."""
    number = f"h::numeric * {10 ** max(precision - 18, 0)} % {10**precision} / {10**scale}.0"
    return Column(f"numeric({precision},{scale})", "REAL", number)


def array(element: str, value: str) -> Column:
    """Return a column of arrays of up to seven elements; SQLite has no arrays."""
    return Column(f"{element}[]", "", f"ARRAY(SELECT {value} FROM generate_series(0, h % 8 - 1) AS n)")


def half(postgres: str, sqlite: str, value: str) -> Column:
    """Return a column whose values are NULL in half of the rows."""
    return Column(postgres, sqlite, f"CASE WHEN h % 2 = 0 THEN {value} END")


FLOAT = Column("double precision", "REAL", "sqrt(h::float8)")
TABLES = {
    "texts": [text(words) for words in (1, 2, 5, 10, 20)],
    "numbers": [*(decimal(*digits) for digits in ((9, 2), (12, 4), (15, 2), (18, 6), (24, 8), (30, 10))), FLOAT, FLOAT],
    "nulls": [
        half("integer", "INTEGER", "h % 1000000007"),
        half("bigint", "INTEGER", "h"),
        half("double precision", "REAL", "sqrt(h::float8)"),
        half("numeric(15,2)", "REAL", "h % 1000000000000000 / 100.0"),
        half("date", "DATE", "date '1992-01-01' + (h % 2500)::int"),
        half("timestamp", "DATETIME", "timestamp '1992-01-01' + h % 200000000 * interval '1 second'"),
        half("text", "TEXT", text(5).value),
    ],
    "arrays": [array("integer", "h % 1000 + n"), array("bigint", "h + n"), array("double precision", "h / 8.0 + n")],
}
WHAT = {
    "texts": "five texts of up to 1, 2, 5, 10 and 20 words, a third of them not ASCII",
    "numbers": "six decimals of 9 to 30 digits, and two floats",
    "nulls": "seven columns of different types, half of each NULL",
    "arrays": "three arrays of up to seven numbers",
}


def load_postgres(uri: str) -> None:
    """Make the tables that do not exist yet."""
    with psycopg.connect(uri, autocommit=True) as connection:
        for name, columns in TABLES.items():
            if connection.execute("SELECT to_regclass(%s)", [f"wide_{name}"]).fetchone() != (None,):
                continue
            print(f"making {name}", file=sys.stderr)
            values = ", ".join(
                f"(SELECT {column.value} FROM (SELECT abs(hashint8extended(i, {number}) / 2) AS h) AS r)"
                f"::{column.postgres} AS c{number}"
                for number, column in enumerate(columns)
            )
            rows = f"generate_series(1, {ROWS}) AS i"
            connection.execute(f"CREATE TABLE wide_{name} AS SELECT i::bigint AS {KEY}, {values} FROM {rows}")
            connection.execute(f"ALTER TABLE wide_{name} ADD PRIMARY KEY ({KEY})")
            connection.execute(f"VACUUM (FREEZE, ANALYZE) wide_{name}")


def sqlite_file(uri: str) -> Path:
    """Return the tables without arrays as an SQLite file, which is filled from PostgreSQL at the first call."""
    path = data.DATA / "wide.sqlite"
    if path.exists():
        return path
    unfinished = path.with_name(f"{path.name}.partial")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as target, psycopg.connect(uri) as source:
        target.execute("PRAGMA journal_mode = OFF")
        for name in sqlite_tables():
            columns = ", ".join(f"c{number} {column.sqlite}" for number, column in enumerate(TABLES[name]))
            target.execute(f"CREATE TABLE wide_{name} ({KEY} INTEGER PRIMARY KEY, {columns})")
            kept = {"INTEGER": "", "REAL": "::float8"}
            values = [f"c{number}{kept.get(column.sqlite, '::text')}" for number, column in enumerate(TABLES[name])]
            places = ", ".join("?" * (1 + len(values)))
            with target, source.cursor(f"wide_{name}") as rows:
                rows.itersize = 10_000
                rows.execute(f"SELECT {KEY}, {', '.join(values)} FROM wide_{name}")
                target.executemany(f"INSERT INTO wide_{name} VALUES ({places})", rows)
    unfinished.rename(path)
    return path


def sqlite_tables() -> list[str]:
    """Return the names of the tables whose types SQLite has."""
    return [name for name, columns in TABLES.items() if all(column.sqlite for column in columns)]


def measure(database: str, uri: str) -> Iterator[Measured]:
    """Read each table by each contender, and compare the results; yield the times of a table."""
    for name in TABLES if database == "postgres" else sqlite_tables():
        found: Measured = {"database": database, "table": name}
        halves = [f"SELECT * FROM wide_{name} WHERE {KEY} {side} {ROWS // 2}" for side in ("<=", ">")]
        found["drain_s"] = min(measure_program(drain(database, uri, halves)).seconds for _ in range(2))
        for kind in ("arrow", "pandas"):
            split = {"partition_on": KEY, "partitions": 2, "return_type": kind}
            whole = partial(industrydb.read_sql, uri, f"SELECT * FROM wide_{name}", **split)
            found[f"{kind}_s"], _ = timed(whole)
        expected = None
        for rival in RIVALS:
            opened = getattr(CONTENDERS[rival], database)
            read = partial(opened, uri, f"SELECT * FROM wide_{name}", KEY)
            try:
                found[f"{rival}_s"], frame = timed(lambda read=read: read()())
            except Exception as error:  # noqa: BLE001, contenders raise anything for types that they cannot read
                print(f"{database}, {name}: {rival} cannot read it: {error}", file=sys.stderr)
                continue
            common = comparable(frame)
            if expected is not None:
                # ADBC returns decimals as text.
                assert_frame_equal(common.cast(dict(expected.schema)), expected, rel_tol=1e-14)
            expected = common
        print(f"{found}", file=sys.stderr)
        yield found


def comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """Convert numbers to floats, and times to text: contenders return them in different types."""
    columns = []
    for column in frame.sort(KEY):
        series = column.ext.storage() if isinstance(column.dtype, pl.BaseExtension) else column
        if series.dtype.is_decimal() or series.dtype.is_integer():
            series = series.cast(pl.Float64)
        elif series.dtype == pl.Date:
            series = series.dt.strftime("%Y-%m-%d")
        elif series.dtype == pl.Datetime:
            series = series.dt.strftime("%Y-%m-%d %H:%M:%S")
        columns.append(series)
    return pl.DataFrame(columns)
