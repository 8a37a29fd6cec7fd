"""Measure writes: up to a million rows of lineitem from memory into an empty table.

Each contender gets its data in the form that suits it best, and the conversion is not measured: only the write is, from
the connection to the commit.
"""
# ruff: noqa: PLC0415, each function imports the library of its own contender

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median
from typing import Any, NamedTuple

import polars as pl
import psycopg

from benchmarks import data
from benchmarks.contenders import mysql_engine, path
from benchmarks.measure import timed
from tests.kit.mariadb import Pymysql

ROWS = 1_000_000
TABLE = "written"

Measured = dict[str, str | float]
Write = Callable[[], object]


class Writer(NamedTuple):
    """How a contender writes to each database. A slow contender is measured once."""

    postgres: Callable[[str, pl.DataFrame], Write]
    sqlite: Callable[[str, pl.DataFrame], Write]
    mysql: Callable[[str, pl.DataFrame], Write] | None = None
    slow: bool = False


def frame(uri: str) -> pl.DataFrame:
    """Return the rows to write."""
    import industrydb

    query = f"{data.QUERY} ORDER BY {', '.join(data.PRIMARY_KEY)} LIMIT {ROWS}"
    return industrydb.read_sql(uri, query).rechunk()


def industrydb(uri: str, rows: pl.DataFrame) -> Write:
    """Write the frame."""
    import industrydb

    def write() -> None:
        with industrydb.Connection(uri) as connection:
            connection.insert(TABLE, rows)

    return write


def psycopg_copy(uri: str, rows: pl.DataFrame) -> Write:
    """Write tuples by COPY."""
    ready = rows.rows()

    def write() -> None:
        with psycopg.connect(uri) as connection, connection.cursor().copy(f"COPY {TABLE} FROM STDIN") as copy:
            for row in ready:
                copy.write_row(row)

    return write


def load_data(uri: str, rows: pl.DataFrame) -> Write:
    """Load a file in memory whose bytes are those that industrydb would send."""
    file = os.memfd_create("rows")
    with os.fdopen(os.dup(file), "wb") as ready:
        rows.write_csv(ready, include_header=False, separator="\t", quote_style="never")

    def write() -> None:
        with closing(Pymysql(uri, local_infile=True)) as connection:
            connection.execute(f"LOAD DATA LOCAL INFILE '/proc/self/fd/{file}' INTO TABLE {TABLE}")

    return write


def executemany(uri: str, rows: pl.DataFrame) -> Write:
    """Write tuples of numbers and texts by one statement."""
    ready = _plain(rows).rows()
    sql = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * rows.width)})"

    def write() -> None:
        with closing(sqlite3.connect(path(uri))) as connection, connection:
            connection.executemany(sql, ready)

    return write


def adbc_postgres(uri: str, rows: pl.DataFrame) -> Write:
    """Write an Arrow table."""
    from adbc_driver_postgresql import dbapi

    return _adbc(lambda: dbapi.connect(uri), rows)


def adbc_sqlite(uri: str, rows: pl.DataFrame) -> Write:
    """Write an Arrow table, without decimals, which the driver does not take."""
    from adbc_driver_sqlite import dbapi

    return _adbc(lambda: dbapi.connect(path(uri)), _plain(rows))


def _adbc(connect: Callable[[], object], rows: pl.DataFrame) -> Write:
    ready = rows.to_arrow()

    def write() -> None:
        with connect() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(TABLE, ready, mode="append")
            connection.commit()

    return write


def pandas_postgres(uri: str, rows: pl.DataFrame) -> Write:
    """Write by SQLAlchemy and psycopg."""
    import sqlalchemy

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(uri))
    ready = rows.with_columns(pl.selectors.decimal().cast(pl.Float64)).to_pandas()  # it would make texts of them
    return lambda: ready.to_sql(TABLE, engine, if_exists="append", index=False)


def pandas_mysql(uri: str, rows: pl.DataFrame) -> Write:
    """Write by SQLAlchemy and pymysql."""
    engine = mysql_engine(uri)
    ready = rows.to_pandas()
    return lambda: ready.to_sql(TABLE, engine, if_exists="append", index=False)


def pandas_sqlite(uri: str, rows: pl.DataFrame) -> Write:
    """Write by sqlite3."""
    ready = _plain(rows).to_pandas()

    def write() -> None:
        with closing(sqlite3.connect(path(uri))) as connection, connection:
            ready.to_sql(TABLE, connection, if_exists="append", index=False)

    return write


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with decimals as floats and dates as texts, as SQLite stores them."""
    return rows.with_columns(pl.selectors.decimal().cast(pl.Float64), pl.selectors.date().cast(pl.String))


WRITERS = {
    "industrydb": Writer(industrydb, industrydb, industrydb),
    "driver": Writer(psycopg_copy, executemany, load_data),
    "adbc": Writer(adbc_postgres, adbc_sqlite),
    "pandas": Writer(pandas_postgres, pandas_sqlite, pandas_mysql, slow=True),
}
WHAT = {
    "driver": (
        "psycopg's `copy.write_row` with tuples ready in memory, as text, `sqlite3`'s `executemany`, and pymysql's "
        "`LOAD DATA LOCAL` of a file in memory that has the bytes that industrydb has to make first"
    ),
    "adbc": "`adbc_ingest` of an Arrow table",
    "pandas": "`DataFrame.to_sql`, by SQLAlchemy with psycopg and pymysql, and by `sqlite3`",
}


def measure(database: str, uri: str, source: str, runs: int) -> Iterator[Measured]:
    """Write by each contender, round by round, each time into a new table that is then checked."""
    rows = frame(source)
    makers = {name: getattr(writer, database) for name, writer in WRITERS.items()}
    writes = {name: make(uri, rows) for name, make in makers.items() if make is not None}
    taken: dict[str, list[float]] = {name: [] for name in writes}
    for number in range(runs + 1):
        for name, write in writes.items():
            if number > 0 and WRITERS[name].slow:
                continue
            make_table(database, uri)
            _, seconds, cpu = timed(write)
            assert_written(database, uri, rows)
            taken[name].append(seconds)
            print(f"{database}, round {number}, {name}: {seconds:.2f} s, {cpu:.2f} s of CPU", file=sys.stderr)
    counted = {name: seconds[1:] or seconds for name, seconds in taken.items()}
    title = {"postgres": "PostgreSQL", "sqlite": "SQLite", "mysql": "MariaDB"}[database]
    medians = {f"{name}_s": round(median(seconds), 3) for name, seconds in counted.items()}
    yield {"database": title, "rows": rows.height, **medians}


def make_table(database: str, uri: str) -> None:
    """Drop the table, and create it again."""
    columns = ", ".join(f"{name} {getattr(column, database)}" for name, column in data.COLUMNS.items())
    statements = (f"DROP TABLE IF EXISTS {TABLE}", f"CREATE TABLE {TABLE} ({columns})")
    with closing(connect(database, uri)) as connection:
        for statement in statements:
            connection.execute(statement)


def connect(database: str, uri: str) -> Any:  # noqa: ANN401, a driver's connection
    """Return a connection of a driver, in which each statement is a transaction."""
    if database == "mysql":
        return Pymysql(uri)
    if database == "sqlite":
        return sqlite3.connect(path(uri), isolation_level=None)
    return psycopg.connect(uri, autocommit=True)


def assert_written(database: str, uri: str, rows: pl.DataFrame) -> None:
    """Raise unless the table has the expected row count, sum of prices, latest date and total length of texts."""
    looks = ("count(*)", "sum(l_extendedprice)", "max(l_shipdate)", "sum(length(l_comment))")  # all of it is ASCII
    with closing(connect(database, uri)) as connection:
        count, price, day, length = connection.execute(f"SELECT {', '.join(looks)} FROM {TABLE}").fetchone()
    expected = rows.select(
        pl.col("l_extendedprice").sum(), pl.col("l_shipdate").max(), pl.col("l_comment").str.len_chars().sum()
    ).row(0)
    if (count, round(float(price)), str(day), length) != (
        rows.height,
        round(float(expected[0])),
        str(expected[1]),
        expected[2],
    ):
        msg = f"the table has {count, price, day, length}, and not {rows.height, *expected}"
        raise AssertionError(msg)
