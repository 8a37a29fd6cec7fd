"""Measure queries of one row, where all time goes into the call itself: connecting, asking, and making a frame."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import psycopg

import industrydb

RUNS = 300
ROWS = 1_000
QUERY = "SELECT id, v FROM small WHERE id = 7"
# The same query with a parameter, as each library writes it.
ASKED = {"postgres": ("$1", "%s"), "sqlite": ("?", "?")}
WHAT = {
    "fresh": "`read_sql`, which opens a session and closes it; the driver connects, asks, and closes",
    "kept": "`Connection.execute` with a parameter, on a session that stays open, as the driver's does",
}

Measured = dict[str, str | float]


def frame(cursor: Any) -> pl.DataFrame:  # noqa: ANN401, a cursor of either driver
    """Return a driver's rows as a frame."""
    return pl.DataFrame(cursor.fetchall(), schema=[column[0] for column in cursor.description], orient="row")


def postgres(uri: str) -> Iterator[Measured]:
    """Measure both cases on PostgreSQL, beside psycopg."""
    with psycopg.connect(uri, autocommit=True) as driver, industrydb.Connection(uri) as kept:
        driver.execute("DROP TABLE IF EXISTS small")
        driver.execute(f"CREATE TABLE small AS SELECT i AS id, 'x' || i AS v FROM generate_series(1, {ROWS}) AS i")
        driver.execute("ALTER TABLE small ADD PRIMARY KEY (id)")

        def fresh() -> pl.DataFrame:
            with psycopg.connect(uri) as opened:
                return frame(opened.execute(QUERY))

        yield from measured("postgres", uri, kept, fresh, lambda query: frame(driver.execute(query, [7])))


def sqlite(folder: Path) -> Iterator[Measured]:
    """Measure both cases on an SQLite file, beside the standard library's module.

    Each library has a file of its own: of two in one process, the first to close one takes the other's locks away.
    """
    paths = [folder / "ours.sqlite", folder / "theirs.sqlite"]
    for path in paths:
        with closing(sqlite3.connect(path)) as made:
            made.execute("CREATE TABLE small (id INTEGER PRIMARY KEY, v TEXT)")
            made.executemany(
                "INSERT INTO small VALUES (?, ?)", [(number, f"x{number}") for number in range(1, ROWS + 1)]
            )
            made.commit()
    uri = f"sqlite://{paths[0]}"

    def fresh() -> pl.DataFrame:
        with closing(sqlite3.connect(paths[1])) as opened:
            return frame(opened.execute(QUERY))

    with closing(sqlite3.connect(paths[1])) as driver, industrydb.Connection(uri) as kept:
        yield from measured("sqlite", uri, kept, fresh, lambda query: frame(driver.execute(query, [7])))


def measured(
    database: str,
    uri: str,
    kept: industrydb.Connection,
    fresh: Callable[[], pl.DataFrame],
    asked: Callable[[str], pl.DataFrame],
) -> Iterator[Measured]:
    """Compare the frames of each case, and yield the medians of both sides, which take turns."""
    ours, theirs = (QUERY.replace("7", mark) for mark in ASKED[database])
    cases = {
        "fresh": (lambda: industrydb.read_sql(uri, QUERY), fresh),
        "kept": (lambda: kept.execute(ours, [7]), lambda: asked(theirs)),
    }
    for case, sides in cases.items():
        first, second = (side() for side in sides)
        if first.rows() != second.rows():
            raise AssertionError(case)
        times: list[list[float]] = [[], []]
        for _ in range(RUNS):
            for side, taken in zip(sides, times, strict=True):
                start = time.perf_counter()
                side()
                taken.append(time.perf_counter() - start)
        yield {
            "database": database,
            "case": case,
            **dict(zip(("industrydb_s", "driver_s"), map(median, times), strict=True)),
        }
