"""The data: TPC-H's widest table, as CSV for the servers, as an SQLite file, and as the frame that reads must equal."""

import csv
import os
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
SCALE = os.environ.get("SCALE", "1")

TABLE = "lineitem"
KEY = "l_orderkey"
PRIMARY_KEY = ("l_orderkey", "l_linenumber")
QUERY = f"SELECT * FROM {TABLE}"
# Number of rows of the table that are read, for databases that do not read all of them.
ROWS = {"mssql": 2_000_000, "mysql": 2_000_000}


class Column(NamedTuple):
    """A column's type in PostgreSQL, SQLite and polars."""

    postgres: str
    sqlite: str
    polars: type[pl.DataType]

    @property
    def mysql(self) -> str:
        """Type in MySQL and MariaDB, whose names for these are the same."""
        return self.postgres


KEY_TYPE = Column("bigint", "INTEGER", pl.Int64)
INTEGER = Column("integer", "INTEGER", pl.Int32)
# SQLite has no decimals. With 15 digits the nearest float determines the decimal, so floats compare exactly.
AMOUNT = Column("numeric(15,2)", "REAL", pl.Float64)
DATE = Column("date", "DATE", pl.Date)
FLAG = Column("char(1)", "TEXT", pl.String)


def text(length: int) -> Column:
    """Return the type of texts of at most `length` characters."""
    return Column(f"varchar({length})", "TEXT", pl.String)


COLUMNS = {
    "l_orderkey": KEY_TYPE,
    "l_partkey": INTEGER,
    "l_suppkey": INTEGER,
    "l_linenumber": INTEGER,
    "l_quantity": AMOUNT,
    "l_extendedprice": AMOUNT,
    "l_discount": AMOUNT,
    "l_tax": AMOUNT,
    "l_returnflag": FLAG,
    "l_linestatus": FLAG,
    "l_shipdate": DATE,
    "l_commitdate": DATE,
    "l_receiptdate": DATE,
    "l_shipinstruct": text(25),
    "l_shipmode": text(10),
    "l_comment": text(44),
}


def csv_file() -> Path:
    """Return the table as CSV, which is generated at the first call."""
    path = DATA / f"{TABLE}-sf{SCALE}.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        generator = f"{sysconfig.get_path('scripts')}/tpchgen-cli"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            command = [generator, "csv", "--scale-factor", SCALE, "--tables", TABLE, "--stdout"]
            subprocess.run(command, stdout=file, check=True)
        partial.rename(path)
    return path


def csv_part(database: str) -> Path:
    """Return the rows of the table that a database has as CSV, without a header."""
    path = DATA / f"{TABLE}-sf{SCALE}-{database}.csv"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with csv_file().open("rb") as whole, partial.open("wb") as part:
            next(whole)  # the column names
            part.writelines(islice(whole, ROWS.get(database)))
        partial.rename(path)
    return path


def frame(database: str) -> pl.DataFrame:
    """Return the rows of the table that a database has, read from the generated CSV and by no contender."""
    schema = {name: column.polars for name, column in COLUMNS.items()}
    return pl.read_csv(csv_file(), schema=schema, n_rows=ROWS.get(database))


def kind(database: str) -> str:
    """Return the database of a benchmark, such as ``sqlite`` for ``sqlite-rowid``."""
    return database.partition("-")[0]


def sqlite_file(*, with_rowid: bool = False) -> Path:
    """Return the table as an SQLite file, which is loaded at the first call."""
    path = DATA / f"{TABLE}{'-rowid' * with_rowid}-sf{SCALE}.sqlite"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with csv_file().open(newline="") as file:
            rows = csv.reader(file)
            next(rows)  # the column names
            load_sqlite(partial, rows, with_rowid=with_rowid)
        partial.rename(path)
    return path


def load_sqlite(path: Path, rows: Iterable[list[str]], *, with_rowid: bool = False) -> None:
    """Create the table in a new file.

    Without a rowid, the table *is* the B-tree of its primary key, so that a range of keys is a range of pages. With a
    rowid, the table has no key, like tables that are loaded from files. The declared types turn text into numbers;
    dates stay text, in ISO form.
    """
    columns = ", ".join(f"{name} {column.sqlite} NOT NULL" for name, column in COLUMNS.items())
    places = ", ".join("?" * len(COLUMNS))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    key = f", PRIMARY KEY ({', '.join(PRIMARY_KEY)})"
    connection.execute(
        f"CREATE TABLE {TABLE} ({columns})" if with_rowid else f"CREATE TABLE {TABLE} ({columns}{key}) WITHOUT ROWID"
    )
    with connection:
        connection.executemany(f"INSERT INTO {TABLE} VALUES ({places})", rows)
    connection.close()


def middle(database: str) -> int:
    """Return the middle of the keys, where an equal-width planner would cut the table in two."""
    key = pl.col(KEY)
    table = pl.scan_csv(csv_file(), n_rows=ROWS.get(database))
    lowest, highest = table.select(key.min().alias("min"), key.max().alias("max")).collect().row(0)
    return (lowest + highest) // 2


def halves(database: str) -> list[str]:
    """Return two queries that divide the table at the middle of the keys."""
    cut = middle(database)
    columns = ", ".join(COLUMNS)
    return [
        f"SELECT {columns} FROM {TABLE} WHERE {part}" for part in (f"{KEY} < {cut} OR {KEY} IS NULL", f"{cut} <= {KEY}")
    ]
