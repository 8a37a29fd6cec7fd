"""All partitions of a read on MariaDB see one state, with the binary log and without, and beside reloads."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

import industrydb
from industrydb import DatabaseConnectionError, QueryExecutionError
from tests.kit.mariadb import MariaDb, Pymysql, series
from tests.kit.relay import Relay, relay
from tests.kit.support import eventually, working

ACCOUNTS = 200
COINS = 100
READINGS = 15

# Runs the statements of a list, one transaction each, again and again until standard input ends.
WRITING = """
import json, sys, threading
from urllib.parse import unquote, urlsplit
import pymysql
enough = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
address, transactions = urlsplit(sys.argv[1]), json.loads(sys.argv[2])
connection = pymysql.connect(host=address.hostname, port=address.port, user=unquote(address.username),
                             password=unquote(address.password), database=address.path[1:], autocommit=True)
made = 0
while not enough.is_set():
    try:
        with connection.cursor() as cursor:
            transaction = transactions[made % len(transactions)]
            if len(transaction) > 1:  # EXCHANGE PARTITION would wait for a transaction of its own session
                connection.begin()
            for statement in transaction:
                cursor.execute(statement)
    except pymysql.err.OperationalError as error:
        if error.args[0] != 1213:  # a deadlock with the locks of a read
            raise
        connection.rollback()
        continue
    connection.commit()
    made += 1
    if made == 1:
        print("begun", flush=True)
connection.close()
print(made)
"""


def writing(uri: str, *transactions: list[str]) -> AbstractContextManager[None]:
    """Run transactions in turns in another process while a block runs."""
    return working(WRITING, uri, json.dumps(transactions), least=2)


@pytest.fixture
def other(server: MariaDb) -> Iterator[Pymysql]:
    """Connect with pymysql, and drop all tables and views afterwards."""
    with closing(Pymysql(server.uri)) as connection:
        yield connection
        for name, kind in connection.execute("SHOW FULL TABLES").fetchall():
            connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} `{name}`")


def fill(other: Pymysql, table: str) -> None:
    """Create a table of accounts, each with the same number of coins."""
    rows = ", ".join(f"({number + 1}, {COINS})" for number in range(ACCOUNTS))
    other.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, coins int) ENGINE=InnoDB")
    other.execute(f"INSERT INTO {table} VALUES {rows}")


def transfer(giver: str, taker: str) -> list[str]:
    """Return a transaction that moves a coin from the first account of a table to the last one of a table."""
    return [
        f"UPDATE {giver} SET coins = coins - 1 WHERE id = 1",
        f"UPDATE {taker} SET coins = coins + 1 WHERE id = {ACCOUNTS}",
    ]


def back(giver: str, taker: str) -> list[str]:
    """Return the transaction that moves the coin back."""
    return [
        f"UPDATE {taker} SET coins = coins - 1 WHERE id = {ACCOUNTS}",
        f"UPDATE {giver} SET coins = coins + 1 WHERE id = 1",
    ]


WAYS: dict[str, dict[str, Any]] = {
    "key": {"partition_on": "id", "partitions": 4},
    "primary key": {"partitions": 4},
    "few sessions": {"partition_on": "id", "partitions": 6, "max_connections": 2},
    "one session": {"partition_on": "id", "partitions": 4, "max_connections": 1},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_transfers_never_change_the_sum(server: MariaDb, other: Pymysql, way: dict[str, Any]) -> None:
    """Beside transactions that move a coin, every read in partitions has every account once, and all the coins."""
    fill(other, "account")
    with writing(server.uri, transfer("account", "account"), back("account", "account")):
        for _ in range(READINGS):
            frame = industrydb.read_sql(server.uri, "SELECT id, coins FROM account", **way)
            assert sorted(frame["id"]) == list(range(1, ACCOUNTS + 1))
            assert sum(frame["coins"]) == ACCOUNTS * COINS


def test_the_transfers_would_be_seen(server: MariaDb, other: Pymysql) -> None:
    """Without a snapshot, partitions see different moments: the test above can fail."""
    fill(other, "account")

    def is_torn() -> bool:
        frame = industrydb.read_sql(
            server.uri, "SELECT id, coins FROM account", partition_on="id", partitions=4, snapshot=False
        )
        return bool(sum(frame["coins"]) != ACCOUNTS * COINS)

    with writing(server.uri, transfer("account", "account"), back("account", "account")):
        eventually(is_torn)


def test_lists_and_batches_have_one_state_too(server: MariaDb, other: Pymysql) -> None:
    """The queries of a list, on several tables, and the batches of a read see one state."""
    fill(other, "account")
    fill(other, "second")
    queries = ["SELECT id, coins FROM account", "SELECT id, coins FROM second"]
    with writing(server.uri, transfer("account", "second"), back("account", "second")):
        for _ in range(READINGS):
            assert sum(industrydb.read_sql(server.uri, queries)["coins"]) == 2 * ACCOUNTS * COINS
            query = "SELECT id, coins FROM account UNION ALL SELECT -id, coins FROM second"
            with industrydb.read_sql_batches(server.uri, query, partition_on="id", partitions=3) as batches:
                assert sum(batch["coins"].sum() for batch in batches) == 2 * ACCOUNTS * COINS


def test_no_lock_is_left(server: MariaDb, other: Pymysql) -> None:
    """After a read, also one that failed, and while its batches are taken, no table is locked for writers."""
    fill(other, "account")
    other.execute("SET lock_wait_timeout = 5, innodb_lock_wait_timeout = 5")
    industrydb.read_sql(server.uri, "SELECT id, coins FROM account", partition_on="id", partitions=4)
    other.execute("UPDATE account SET coins = coins + 1")
    with industrydb.read_sql_batches(
        server.uri, "SELECT id, coins FROM account", partition_on="id", partitions=4, batch_size=10
    ) as batches:
        next(batches)
        other.execute("UPDATE account SET coins = coins - 1")
    with pytest.raises(QueryExecutionError):
        industrydb.read_sql(
            server.uri,
            "SELECT id, (SELECT 1 UNION SELECT 2) AS two FROM account WHERE coins > 0",
            partition_on="id",
            partitions=4,
        )
    other.execute("ALTER TABLE account ADD COLUMN extra int")


def test_a_lock_that_is_not_given_is_an_error(own_mysql: MariaDb) -> None:
    """A writer that keeps its table locked makes a read wait no longer than its timeout."""
    with closing(Pymysql(own_mysql.uri)) as other:
        fill(other, "held")
        try:
            other.execute("LOCK TABLES held WRITE")
            with pytest.raises(industrydb.IndustryDbError):
                industrydb.read_sql(own_mysql.uri, "SELECT id FROM held", partition_on="id", partitions=2, timeout=1.5)
            other.execute("UNLOCK TABLES")
            assert (
                industrydb.read_sql(own_mysql.uri, "SELECT id FROM held", partition_on="id", partitions=2).height == 200
            )
        finally:
            other.execute("UNLOCK TABLES")
            other.execute("DROP TABLE held")


@pytest.fixture
def apart(own_mysql: MariaDb, mysql_with_binlog: MariaDb) -> Iterator[Relay]:
    """Serve two servers with a table of the same name under one address, in turns, as a proxy does."""
    servers = (own_mysql, mysql_with_binlog)
    for server in servers:
        with closing(Pymysql(server.uri)) as connection:
            connection.execute("CREATE OR REPLACE TABLE apart (id int PRIMARY KEY)")
            connection.execute("INSERT INTO apart SELECT seq FROM seq_1_to_1000")
    with relay([server.port for server in servers]) as serving:
        yield serving
    for server in servers:
        with closing(Pymysql(server.uri)) as connection:
            connection.execute("DROP TABLE apart")


def test_sessions_on_different_servers_see_no_state_together(own_mysql: MariaDb, apart: Relay, tmp_path: Path) -> None:
    """No lock and no place in a binlog of one server tells anything about the other."""
    uri = own_mysql.uri.replace(str(own_mysql.port), str(apart.port))
    split: dict[str, Any] = {"partition_on": "id", "partitions": 4}
    for _ in range(2):
        with pytest.raises(industrydb.ConfigurationError, match="different servers"):
            industrydb.read_sql(uri, "SELECT * FROM apart", **split)
        with pytest.raises(industrydb.ConfigurationError, match="different servers"):
            industrydb.extract(uri, "SELECT * FROM apart", tmp_path, **split)
    assert industrydb.read_sql(uri, "SELECT * FROM apart", **split, snapshot=False).height == 1000


@pytest.mark.parametrize("servers", [1, 2])
def test_no_session_of_another_server_is_cancelled(own_mysql: MariaDb, apart: Relay, servers: int) -> None:
    """A request that reaches another server would end whatever session has the same number there."""
    with relay(own_mysql.port) as alone:
        serving = alone if servers == 1 else apart
        uri = own_mysql.uri.replace(str(own_mysql.port), str(serving.port)) + "?ssl-mode=disabled"
        with pytest.raises(industrydb.QueryTimeoutError):
            industrydb.read_sql(uri, "SELECT SLEEP(3) AS a", timeout=0.3)
        eventually(lambda: serving.connections > 1 and b"@@server_id" in serving.asked.split(b"SLEEP")[-1])
    assert (b"KILL QUERY" in serving.asked) == (servers == 1)


# Reloads: each returns the transactions that write generation 1 and generation 2.


def rows(table: str, generation: int, count: int) -> str:
    """Return the statement that writes a generation of a number of rows."""
    return f"INSERT INTO {table} (id, generation) SELECT seq, {generation} FROM {series(count)}"


HEIGHTS = {1: 1000, 2: 1700}


def truncate() -> list[list[str]]:
    """Truncate and insert, each a transaction of its own, since TRUNCATE ends one: an empty table may be seen."""
    return [["TRUNCATE reloaded", rows("reloaded", number, count)] for number, count in HEIGHTS.items()]


def deleted() -> list[list[str]]:
    """Delete and insert in one transaction."""
    return [["DELETE FROM reloaded", rows("reloaded", number, count)] for number, count in HEIGHTS.items()]


def swap() -> list[list[str]]:
    """Fill another table, and swap the names."""
    return [
        [
            "DROP TABLE IF EXISTS next, gone",  # of an attempt that met a read in a deadlock
            "CREATE TABLE next LIKE reloaded",
            rows("next", number, count),
            "COMMIT",
            "RENAME TABLE reloaded TO gone, next TO reloaded",
            "DROP TABLE gone",
        ]
        for number, count in HEIGHTS.items()
    ]


def alter() -> list[list[str]]:
    """Rewrite the table with another type of a column."""
    return [[f"ALTER TABLE reloaded MODIFY v {dtype}, ALGORITHM=COPY"] for dtype in ("bigint", "varchar(9)")]


def exchange() -> list[list[str]]:
    """Exchange a partition with a table that has the other generation."""
    statement = "ALTER TABLE reloaded EXCHANGE PARTITION p WITH TABLE spare"
    return [[statement]]


RELOADS = {"truncate": truncate, "delete": deleted, "swap": swap, "alter": alter, "exchange": exchange}


@pytest.mark.parametrize("reload", RELOADS)
def test_reads_beside_reloads(server: MariaDb, other: Pymysql, reload: str) -> None:
    """Beside reloads, a read returns one whole generation, or an error that says that it may be tried again.

    The TRUNCATE of MariaDB is a transaction of its own, so other drivers see an empty table behind it, and so may a
    read.
    """
    partitions = " PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN MAXVALUE)" if reload == "exchange" else ""
    other.execute(f"CREATE TABLE reloaded (id int PRIMARY KEY, generation int, v int){partitions}")
    other.execute(rows("reloaded", 1, HEIGHTS[1]))
    if reload == "exchange":
        other.execute("CREATE TABLE spare (id int PRIMARY KEY, generation int, v int)")
        other.execute(rows("spare", 2, HEIGHTS[2]))
    allowed = {(1, HEIGHTS[1]), (2, HEIGHTS[2])} | ({(None, 0)} if reload == "truncate" else set())
    ways: list[dict[str, Any]] = [{}, {"partition_on": "id", "partitions": 4}, {"partitions": 3}]
    counts: Counter[str] = Counter()
    with writing(server.uri, *RELOADS[reload]()):
        # A writer that never pauses keeps some reads waiting until they give up, which takes seconds.
        for number, way in enumerate(ways * 3):
            if number >= len(ways) and counts["rows"] > 2:
                break
            try:
                frame = industrydb.read_sql(server.uri, "SELECT id, generation FROM reloaded", timeout=8, **way)
            except industrydb.QueryTimeoutError:
                counts["timeouts"] += 1  # a TRUNCATE or RENAME that waits for one session lets no other pass
                continue
            except (QueryExecutionError, DatabaseConnectionError) as error:
                counts["errors"] += 1
                # A name that is there for no moment, and tables that were altered since, are worth another try.
                if not error.is_transient and error.code != "1146":
                    raise
                continue
            counts["rows"] += 1
            generations = set(frame["generation"].unique())
            assert len(generations) <= 1
            found = (generations.pop() if generations else None, frame.height)
            assert found in allowed, (way, found)
            assert frame["id"].n_unique() == frame.height
    print(dict(counts), file=sys.stderr)
    assert counts["rows"] > 2
