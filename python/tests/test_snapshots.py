"""All partitions of a read see one state of the database, whatever others write meanwhile."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

import industrydb

from .support import SqliteFile

ACCOUNTS = 100
COINS = 100
READINGS = 100

# A coin goes from the first partition to the last and back, until somebody says that it is enough.
TRANSFER = """
import sys, threading
enough = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), enough.set())).start()
database, uri = sys.argv[1:]
if database == "postgres":
    import psycopg
    connection = psycopg.connect(uri, autocommit=True)
else:
    import sqlite3
    connection = sqlite3.connect(uri, isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous = OFF")
transfers = 0
while not enough.is_set():
    coin = 1 - transfers % 2 * 2
    change = f"CASE id WHEN 1 THEN {-coin} ELSE {coin} END"
    connection.execute(f"UPDATE account SET coins = coins + {change} WHERE id IN (1, 100)")
    transfers += 1
    if transfers == 1:
        print("begun", flush=True)
connection.close()
print(transfers)
"""


@contextmanager
def transfers(database: str, uri: str) -> Iterator[None]:
    """Run the transfers in another process."""
    command = [sys.executable, "-c", TRANSFER, database, uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            made = int(child.communicate()[0])
    assert made > 1


def read_and_count(uri: str, partitions: int) -> None:
    """Read all accounts many times; no reading sees a coin twice, or misses one."""
    for _ in range(READINGS):
        frame = industrydb.read_sql(uri, "SELECT id, coins FROM account", partition_on="id", partitions=partitions)
        assert sorted(frame["id"]) == list(range(1, ACCOUNTS + 1))
        assert sum(frame["coins"]) == ACCOUNTS * COINS


def fill(connection: psycopg.Connection | sqlite3.Connection) -> None:
    """Make the accounts."""
    connection.execute("DROP TABLE IF EXISTS account")
    connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, coins INTEGER)")
    rows = ", ".join(f"({number + 1}, {COINS})" for number in range(ACCOUNTS))
    connection.execute(f"INSERT INTO account VALUES {rows}")


def test_one_state_on_postgres(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The first session's snapshot is every session's."""
    fill(postgres)
    with transfers("postgres", postgres_uri):
        read_and_count(postgres_uri, partitions=4)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_one_state_on_sqlite(sqlite_file: SqliteFile, journal: str) -> None:
    """Whether writers have to wait for readers, or write while they read."""
    sqlite_file.connection.execute(f"PRAGMA journal_mode = {journal}")
    fill(sqlite_file.connection)
    # Two copies of SQLite in one process do not see each other's locks.
    sqlite_file.connection.close()
    with transfers("sqlite", str(sqlite_file.path)):
        # Connections are opened so quickly that a few would rarely have a transfer between them.
        read_and_count(sqlite_file.uri, partitions=32)
