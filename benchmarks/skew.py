"""Measure keys that are not spread evenly: how even the partitions are, and what planning them costs.

A partitioned read is as slow as its largest partition. Cuts at equal distances, as connectorx makes them, leave
most rows in one partition where keys crowd together; industrydb cuts by a sample of the keys.
"""

import csv
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import connectorx
import numpy as np
import polars as pl
import psycopg

import industrydb
from benchmarks import data

ROWS = 5_000_000
PARTITIONS = 8
TABLE = "skewed"
QUERY = f"SELECT * FROM {TABLE}"
SEED = 20_261_122

Measured = dict[str, str | float]


class Key(NamedTuple):
    """A column to partition on."""

    postgres: str
    sqlite: str
    what: str


KEYS = {
    "zipf": Key("bigint", "INTEGER", "integers with the frequencies of Zipf's law, exponent 1.2"),
    "clustered": Key("timestamp", "DATETIME", "timestamps of two months, ten years apart"),
    "growing": Key("bigint", "INTEGER", "integers whose distances grow exponentially"),
    "name": Key("text", "TEXT", "texts of which most begin alike"),
    "id": Key("uuid", "TEXT", "random UUIDs"),
}


def rows() -> pl.DataFrame:
    """Return the table, the same in every run, with its rows in the order of `growing`."""
    random = np.random.default_rng(SEED)
    number = np.arange(ROWS)
    month = random.integers(0, 30 * 86_400, ROWS)
    decade = random.choice([0, 10 * 365 * 86_400], ROWS)
    name = pl.Series(random.exponential(1000, ROWS).astype(np.int64))
    high, low = (random.integers(0, 2**63, ROWS, dtype=np.uint64) for _ in range(2))
    digits = pl.Series([f"{first:016x}{last:016x}" for first, last in zip(high.tolist(), low.tolist(), strict=True)])
    groups = [digits.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
    return pl.DataFrame(
        {
            "zipf": np.minimum(random.zipf(1.2, ROWS), 2**62),
            "clustered": pl.Series(1_262_304_000 + month + decade).cast(pl.Int64) * 1_000_000,
            "growing": number + np.exp(number / ROWS * 40).astype(np.int64),
            "name": pl.Series(["customer-"] * ROWS) + name.cast(pl.String) + "-" + pl.Series(number).cast(pl.String),
            "id": groups[0] + "-" + groups[1] + "-" + groups[2] + "-" + groups[3] + "-" + groups[4],
            "payload": pl.Series(["some columns that are no key, of a few bytes"] * ROWS),
        }
    ).with_columns(pl.col("clustered").cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S"))


def csv_file() -> Path:
    """Return the table as CSV, which is made at the first call."""
    path = data.DATA / f"{TABLE}.csv"
    if not path.exists():
        data.DATA.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{path.name}.partial")
        rows().write_csv(unfinished)
        unfinished.rename(path)
    return path


def load_postgres(uri: str) -> None:
    """Load the table unless it exists."""
    columns = ", ".join(f"{name} {key.postgres} NOT NULL" for name, key in KEYS.items())
    with psycopg.connect(uri) as connection:
        if connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone() != (None,):
            return
        connection.execute(f"CREATE TABLE {TABLE} ({columns}, payload text NOT NULL)")
        with (
            csv_file().open("rb") as file,
            connection.cursor().copy(f"COPY {TABLE} FROM STDIN (FORMAT csv, HEADER)") as copy,
        ):
            while block := file.read(1 << 20):
                copy.write(block)
        connection.commit()
        connection.autocommit = True
        connection.execute(f"VACUUM ANALYZE {TABLE}")


def sqlite_file() -> Path:
    """Return the table as an SQLite file, which is made at the first call."""
    path = data.DATA / f"{TABLE}.sqlite"
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.partial")
        unfinished.unlink(missing_ok=True)
        columns = ", ".join(f"{name} {key.sqlite} NOT NULL" for name, key in KEYS.items())
        with closing(sqlite3.connect(unfinished)) as connection, csv_file().open(newline="") as file:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute(f"CREATE TABLE {TABLE} ({columns}, payload TEXT NOT NULL)")
            lines = csv.reader(file)
            next(lines)
            places = ", ".join("?" * (len(KEYS) + 1))
            with connection:
                connection.executemany(f"INSERT INTO {TABLE} VALUES ({places})", lines)
        unfinished.rename(path)
    return path


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of the second of two runs, in seconds, and its result."""
    for _ in range(2):
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
    return seconds, result


def largest(frame: pl.DataFrame) -> float:
    """Return the size of the largest partition divided by the mean size."""
    return max(len(chunk) for chunk in frame.to_series(0).get_chunks()) / (frame.height / PARTITIONS)


def measure(database: str, uri: str) -> Iterator[Measured]:
    """Read the table by each of its keys: cut by a sample, cut at equal widths, and by connectorx."""
    for name in KEYS:
        split: dict[str, Any] = {"partition_on": name, "partitions": PARTITIONS}
        found: Measured = {"database": database, "key": name}
        found["plan_s"], plan = timed(partial(industrydb.plan_sql, uri, QUERY, **split))
        found["balanced_s"], frame = timed(partial(industrydb.read_sql, uri, QUERY, **split))
        if frame.height != ROWS or len(plan) > PARTITIONS:
            sys.exit(f"{database}, {name}: {frame.height} rows in {len(plan)} partitions")
        found["balanced_largest"] = largest(frame)
        low, high = frame[name].min(), frame[name].max()
        # Dates in SQLite are texts, which have no widths.
        if isinstance(low, int) or (isinstance(low, datetime) and database == "PostgreSQL"):
            wide = partial(industrydb.read_sql, uri, QUERY, **split, partition_range=(low, high))
            found["equal_width_s"], frame = timed(wide)
            found["equal_width_largest"] = largest(frame)
        if isinstance(low, int):
            arguments = {"partition_on": name, "partition_num": PARTITIONS, "return_type": "arrow"}
            found["connectorx_s"], table = timed(partial(connectorx.read_sql, uri, QUERY, **arguments))
            if table.num_rows != ROWS:
                sys.exit(f"{database}, {name}: connectorx read {table.num_rows} rows")
            del table
        del frame
        print(f"{database}, {name}: {found['balanced_s']:.2f} s", file=sys.stderr)
        yield found
