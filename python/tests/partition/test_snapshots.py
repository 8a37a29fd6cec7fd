"""All partitions of a read see one state of the database, whatever others write meanwhile."""

import sqlite3
from contextlib import AbstractContextManager, closing
from typing import Any

import psycopg
import pytest

import industrydb
from tests.kit.relay import relay
from tests.kit.servers import Server
from tests.kit.support import SqliteFile, eventually, working

ACCOUNTS = 100
COINS = 100
READINGS = 100

# Moves a coin from the first account to the last one and back, until standard input ends.
TRANSFER = """
import sys, threading
enough = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
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


def transfers(database: str, uri: str) -> AbstractContextManager[None]:
    """Run transfers in another process while a block runs."""
    return working(TRANSFER, database, uri, least=2)


def is_torn(uri: str, partitions: int) -> bool:
    """Tell whether a read without a shared snapshot has counted a coin twice or missed one."""
    frame = industrydb.read_sql(
        uri, "SELECT id, coins FROM account", partition_on="id", partitions=partitions, snapshot=False
    )
    assert sorted(frame["id"]) == list(range(1, ACCOUNTS + 1))
    return bool(sum(frame["coins"]) != ACCOUNTS * COINS)


def read_and_count(uri: str, partitions: int) -> None:
    """Read all accounts many times; assert that no read counts a coin twice or misses one."""
    for _ in range(READINGS):
        frame = industrydb.read_sql(uri, "SELECT id, coins FROM account", partition_on="id", partitions=partitions)
        assert sorted(frame["id"]) == list(range(1, ACCOUNTS + 1))
        assert sum(frame["coins"]) == ACCOUNTS * COINS


def fill(connection: psycopg.Connection | sqlite3.Connection) -> None:
    """Create the accounts."""
    connection.execute("DROP TABLE IF EXISTS account")
    connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, coins INTEGER)")
    rows = ", ".join(f"({number + 1}, {COINS})" for number in range(ACCOUNTS))
    connection.execute(f"INSERT INTO account VALUES {rows}")


def test_one_state_on_postgres(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """All sessions of a PostgreSQL read share the first one's snapshot: transfers do not change the sum."""
    fill(postgres)
    with transfers("postgres", postgres_uri):
        read_and_count(postgres_uri, partitions=4)
        eventually(lambda: is_torn(postgres_uri, partitions=4))


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_one_state_on_sqlite(sqlite_file: SqliteFile, journal: str) -> None:
    """All connections of an SQLite read see one state, whether writers must wait for readers or not."""
    sqlite_file.connection.execute(f"PRAGMA journal_mode = {journal}")
    fill(sqlite_file.connection)
    # Two copies of SQLite in one process do not see each other's locks.
    sqlite_file.connection.close()
    with transfers("sqlite", str(sqlite_file.path)):
        # Connections open so quickly that a transfer rarely falls between only a few of them.
        read_and_count(sqlite_file.uri, partitions=32)
        if journal == "WAL":  # in the other modes, the first connection keeps writers out
            eventually(lambda: is_torn(sqlite_file.uri, partitions=32))


def test_attached_files(sqlite_file: SqliteFile) -> None:
    """Every connection of a partitioned read has the file that `pre_execution_query` attaches."""
    other = sqlite_file.path.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    frame = industrydb.read_sql(
        sqlite_file.uri,
        "SELECT id FROM aux.other UNION ALL VALUES (1), (2)",
        partition_on="id",
        partitions=2,
        pre_execution_query=f"ATTACH '{other}' AS aux",
    )
    assert sorted(frame["id"]) == [1, 2]


@pytest.mark.parametrize("partitions", [1, 3])
def test_poolers_without_transactions(own_server: Server, partitions: int) -> None:
    """Without transactions, the error advises `snapshot=False`, which reads by COPY and with parameters, read-only."""
    with psycopg.connect(own_server.uri, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS counter")
    split: dict[str, Any] = {"partition_on": "n", "partitions": partitions}
    query = "SELECT n, n::text::interval AS i FROM generate_series(1, 1000) AS n"
    with relay(own_server.socket, refused="BEGIN") as pooler:
        uri = f"postgresql://postgres@127.0.0.1:{pooler.port}/postgres"
        with pytest.raises(industrydb.QueryExecutionError, match=r"snapshot=False.*pooling mode") as raised:
            industrydb.read_sql(uri, query, **split)
        assert raised.value.code == "08P01"
        for condition, params in (("", None), (" WHERE n > $1", [0])):
            frame = industrydb.read_sql(uri, query + condition, params=params, snapshot=False, **split)
            assert [row[0] for row in frame.rows()] == list(range(1, 1001))
            change = "SELECT nextval('counter') AS n FROM generate_series(1, 9) AS n"
            with pytest.raises(industrydb.QueryExecutionError) as raised:
                industrydb.read_sql(uri, change + condition, params=params, snapshot=False, **split)
            assert raised.value.code == "25006"


def test_snapshots_that_cannot_be_shared(own_server: Server) -> None:
    """If the server cannot export a snapshot, the error advises `snapshot=False`."""
    with relay(own_server.socket, refused="SELECT pg_catalog.pg_export_snapshot") as server:
        uri = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        query = "SELECT n FROM generate_series(1, 2) AS n"
        with pytest.raises(industrydb.QueryExecutionError, match="snapshot=False"):
            industrydb.read_sql(uri, query, partition_on="n", partitions=2)
        assert industrydb.read_sql(uri, query, partition_on="n", partitions=2, snapshot=False).height == 2
