"""Helpers that several test modules use to prepare, wait and compare."""

import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg

# How long a test waits before it fails as hung.
PATIENCE_S = 60.0

# Program of a child process: holds a lock on an SQLite file until its standard input ends.
HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


class _Writer(sqlite3.Connection):
    """A connection in autocommit mode, to which the rows of `executemany` are one transaction, not one each."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        if self.in_transaction:
            return super().executemany(sql, parameters)
        self.execute("BEGIN")
        try:
            done = super().executemany(sql, parameters)
        except BaseException:
            self.rollback()
            raise
        self.commit()
        return done


class SqliteFile:
    """A database file; it has no open connection, and no files beside it, until a test uses `connection`."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self.path = path
        self.uri = f"sqlite://{quote(str(path))}"

    @cached_property
    def connection(self) -> sqlite3.Connection:
        """Open a connection and keep it open, for writing."""
        connection = sqlite3.connect(self.path, isolation_level=None, factory=_Writer)
        connection.execute("PRAGMA synchronous = OFF")  # the file is temporary
        return connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a statement on a connection that is closed afterwards; return its rows."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql, parameters).fetchall()


@contextmanager
def working(program: str, *arguments: str, least: int) -> Iterator[None]:
    """Run a Python program in another process while the block runs.

    The program prints ``begun`` after its first piece of work, continues until its input ends, and then prints the
    number of pieces. The test fails if there are fewer than `least`, which would prove nothing.
    """
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            made = int(child.communicate()[0])
    assert made >= least


@contextmanager
def sqlite_database(folder: Path) -> Iterator[SqliteFile]:
    """Create a database file whose name has spaces, a percent sign and non-ASCII letters."""
    file = SqliteFile(folder / "größe & co 100%.db")
    yield file
    if "connection" in vars(file):
        file.connection.close()


def with_options(uri: str, **options: str) -> str:
    """Add options to a PostgreSQL URI."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(options, quote_via=quote)}"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition on other processes is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def sessions(connection: psycopg.Connection, application_name: str = "industrydb") -> list[tuple[int, str | None]]:
    """Return the PID and the wait event of each session of an application."""
    return connection.execute(
        "SELECT pid, wait_event FROM pg_stat_activity WHERE application_name = %s", [application_name]
    ).fetchall()


def plain(value: object) -> object:
    """Make values comparable by ``==``: NaN equals itself, and -0.0 is not 0.0."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, float) and (math.isnan(value) or value == 0):
        return repr(value)
    if isinstance(value, Decimal) and value.is_nan():
        return repr(value)
    return value


def union(queries: Sequence[str], column: str = "n") -> str:
    """Return a query for one column of all partitions, with each partition's number."""
    arms = (f"SELECT {column}, {number} AS part FROM ({sql}) AS p" for number, sql in enumerate(queries))
    return " UNION ALL ".join(arms)
