"""Reads that are interrupted: stalling queries, and checks that a read is waiting."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from tests.kit.support import PATIENCE_S, sessions

# Sends about a megabyte of rows, then nothing for a minute.
STALLING = """SELECT i, repeat('x', 1000) AS v, CASE WHEN i = 1000 THEN (SELECT count(*) FROM pg_sleep(60)) END AS n
              FROM generate_series(1, 2000) AS i"""

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"


def waiting(postgres: psycopg.Connection, name: str) -> list[int]:
    """Return the PIDs of an application's server processes that sleep in the middle of a query."""
    return [pid for pid, wait_event in sessions(postgres, name) if wait_event == "PgSleep"]


CHILD = """
import signal, sys
import industrydb
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
uri, query = sys.argv[1:3]
split = {"partition_on": "i", "partitions": 2} if sys.argv[3:4] == ["split"] else {}
print("begins", flush=True)
try:
    industrydb.read_sql(uri, query, **split, pre_execution_query=sys.argv[4:])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def reading(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Read in a child process; the end of the block interrupts it and expects its KeyboardInterrupt."""
    command = [sys.executable, "-c", CHILD, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            yield child
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=PATIENCE_S / 4)[0] == "interrupted\n"
        finally:
            child.kill()


def is_being_read(path: Path) -> bool:
    """Tell whether another process has a transaction open on an SQLite file."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False
