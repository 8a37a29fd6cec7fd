"""Held snapshots: plans that other processes read see one moment, or raise, whatever is altered meanwhile."""

import multiprocessing
import os
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, ConnectionClosedError, QueryExecutionError
from tests.kit.databases import Database
from tests.kit.servers import Server
from tests.kit.standby import standby_of
from tests.kit.support import PATIENCE_S, eventually, sessions

ROWS = 1000
QUERY = "SELECT id, v FROM held.t"


@pytest.fixture
def table(postgres: psycopg.Connection) -> Iterator[str]:
    """Make a table of 1,000 rows, whose values are 1, and a partitioned one with the same rows."""
    postgres.execute(f"""
        DROP SCHEMA IF EXISTS held CASCADE; CREATE SCHEMA held;
        CREATE TABLE held.t AS SELECT id, 1 AS v FROM generate_series(1, {ROWS}) AS id;
        CREATE TABLE held.parts (id int, v int) PARTITION BY RANGE (id);
        CREATE TABLE held.low PARTITION OF held.parts FOR VALUES FROM (0) TO (500);
        CREATE TABLE held.high PARTITION OF held.parts FOR VALUES FROM (500) TO (2000);
        INSERT INTO held.parts SELECT * FROM held.t
    """)
    yield "held.t"
    postgres.execute("DROP SCHEMA held CASCADE")


def plan_of(uri: str, query: str, snapshot: Any, partitions: int = 4) -> industrydb.ReadPlan:  # noqa: ANN401, as plan_sql
    """Return a plan that has been pickled, as another process gets it."""
    plan = industrydb.plan_sql(
        uri, query, partition_on="id", partitions=partitions, snapshot=snapshot, include_secrets=True
    )
    unpickled: industrydb.ReadPlan = pickle.loads(pickle.dumps(plan))  # noqa: S301, our own
    return unpickled


@contextmanager
def altering(postgres_uri: str, statement: str, postgres: psycopg.Connection) -> Iterator[None]:
    """Run a statement in a session of its own, and enter the block once it waits or is done."""
    done = threading.Event()

    def alter() -> None:
        with psycopg.connect(postgres_uri, autocommit=True, application_name="altering") as connection:
            connection.execute(statement)
        done.set()

    waits = "SELECT FROM pg_stat_activity WHERE application_name = 'altering' AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor() as executor:
        altered = executor.submit(alter)
        eventually(lambda: done.is_set() or altered.done() or bool(postgres.execute(waits).fetchall()))
        try:
            yield
        finally:
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'altering'"
            )
            altered.exception(timeout=PATIENCE_S)


@pytest.mark.parametrize("held_for", [{"queries": QUERY}, {"tables": "held.t"}], ids=["query", "table"])
def test_partitions_see_the_held_moment(
    postgres: psycopg.Connection, postgres_uri: str, table: str, held_for: dict[str, Any]
) -> None:
    """Partitions that are read one by one, between commits, give the rows of the held moment."""
    with industrydb.hold_snapshot(postgres_uri, **held_for) as snapshot:
        postgres.execute(f"UPDATE {table} SET v = 2; INSERT INTO {table} SELECT 5000, 3")
        plan = plan_of(postgres_uri, QUERY, snapshot)
        frames = []
        for part in plan:
            postgres.execute(f"DELETE FROM {table} WHERE id % 7 = 0; UPDATE {table} SET id = id + 3")
            frames.append(part.read())
        batches = [pl.concat(plan.batches(number, batch_size=100)) for number in range(len(plan))]
        together = plan.read()
        directly = industrydb.read_sql(postgres_uri, QUERY, snapshot=snapshot)
    expected = {(number, 1) for number in range(1, ROWS + 1)}
    for frame in (pl.concat(frames), pl.concat(batches), together, directly):
        assert frame.height == ROWS
        assert set(frame.rows()) == expected


def test_balanced_transfers_stay_balanced_in_four_processes(
    postgres: psycopg.Connection, postgres_uri: str, table: str
) -> None:
    """Four processes read while a writer moves values between rows; the sum never moves."""
    stop = threading.Event()

    def transfer() -> None:
        with psycopg.connect(postgres_uri, autocommit=True) as writer:
            for number in range(1_000_000):
                if stop.is_set():
                    return
                low, high = 1 + number % 400, 501 + number * 7 % 400
                writer.execute(
                    f"UPDATE {table} SET v = v + CASE id WHEN {low} THEN 1 ELSE -1 END WHERE id IN ({low}, {high})"
                )

    context = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor() as executor, ProcessPoolExecutor(4, mp_context=context) as pool:
        writing = executor.submit(transfer)
        try:
            for _ in range(3):
                with industrydb.hold_snapshot(postgres_uri, tables=table) as snapshot:
                    plan = plan_of(postgres_uri, QUERY, snapshot, partitions=8)
                    frame = pl.concat(pool.map(plan.read, range(len(plan))))
                assert (frame.height, frame["v"].sum()) == (ROWS, ROWS)
        finally:
            stop.set()
            writing.result(timeout=PATIENCE_S)
    assert postgres.execute(f"SELECT max(v) FROM {table}").fetchone() != (1,)


ALTERATIONS = {
    "truncate": "BEGIN; TRUNCATE held.t; INSERT INTO held.t VALUES (1, 9); COMMIT",
    "swap": "BEGIN; CREATE TABLE held.other (id int, v int); ALTER TABLE held.t RENAME TO old; "
    "ALTER TABLE held.other RENAME TO t; COMMIT",
    "alter": "ALTER TABLE held.t ALTER v TYPE text",
    "drop": "DROP TABLE held.t",
    "vacuum": "VACUUM FULL held.t",
}


@pytest.mark.parametrize("statement", ALTERATIONS.values(), ids=ALTERATIONS)
@pytest.mark.parametrize("holder", ["ours", "another"])
def test_statements_that_rewrite_give_old_rows_or_an_error(
    postgres: psycopg.Connection, postgres_uri: str, table: str, statement: str, holder: str
) -> None:
    """A statement between two partitions leads to the old rows or to an error, never to fewer rows."""
    with psycopg.connect(postgres_uri) as exporter:
        exporter.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        exported = exporter.execute("SELECT pg_export_snapshot()").fetchone()
        assert exported is not None
        with industrydb.hold_snapshot(postgres_uri, tables=table) as held:
            plan = plan_of(postgres_uri, QUERY, held if holder == "ours" else exported[0])
            first = plan.read(0)
            if holder == "another":
                held.release()
            with altering(postgres_uri, statement, postgres):
                try:
                    rest = [part.read() for part in plan[1:]]
                except industrydb.IndustryDbError as error:
                    assert error.code in ("55P03", "55000", "42P01", None), error  # noqa: PT017
                    return
    assert {*pl.concat([first, *rest]).rows()} == {(number, 1) for number in range(1, ROWS + 1)}


@pytest.mark.parametrize("holder", ["ours", "another"])
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE held.parts ATTACH PARTITION held.late FOR VALUES FROM (2000) TO (9000)",
        "ALTER TABLE held.parts DETACH PARTITION held.low",
        "ALTER TABLE held.parts DETACH PARTITION held.low CONCURRENTLY",
    ],
    ids=["attach", "detach", "detach_concurrently"],
)
def test_partitions_that_come_or_go(
    postgres: psycopg.Connection, postgres_uri: str, table: str, statement: str, holder: str
) -> None:
    """A table's partition that is attached or detached between two tasks is read as before, or the task raises."""
    query = "SELECT id, v FROM held.parts"
    postgres.execute(f"CREATE TABLE held.late AS SELECT id + 5000 AS id, v FROM {table}")
    with psycopg.connect(postgres_uri) as exporter:
        exporter.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        exported = exporter.execute("SELECT pg_export_snapshot()").fetchone()
        assert exported is not None
        with industrydb.hold_snapshot(postgres_uri, queries=query) as held:
            plan = plan_of(postgres_uri, query, held if holder == "ours" else exported[0])
            if holder == "another":
                held.release()
            with altering(postgres_uri, statement, postgres):
                try:
                    frames = [part.read() for part in plan]
                except industrydb.IndustryDbError as error:
                    is_told = error.code in ("55P03", "55000") or "exported by another program" in str(error)
                    assert is_told, error  # noqa: PT017
                    return
    assert {*pl.concat(frames).rows()} == {(number, 1) for number in range(1, ROWS + 1)}


def test_a_snapshot_that_is_released_is_named_in_the_error(postgres_uri: str, table: str) -> None:
    """After the block, plans raise an error that names the cause, and the snapshot itself raises too."""
    with industrydb.hold_snapshot(postgres_uri, tables=table) as snapshot:
        plan = plan_of(postgres_uri, QUERY, snapshot)
        assert re.fullmatch(r"<HeldSnapshot: held for \d+ s>", repr(snapshot))
    assert repr(snapshot) == "<HeldSnapshot: released>"
    with pytest.raises(QueryExecutionError, match="no longer held: the block of hold_snapshot has ended"):
        plan.read(0)
    with pytest.raises(QueryExecutionError, match="no longer held"):
        list(plan.batches(0))
    with pytest.raises(ConnectionClosedError, match="the block of hold_snapshot has ended"):
        industrydb.plan_sql(postgres_uri, QUERY, snapshot=snapshot)


def test_tables_without_a_lock_are_refused(postgres_uri: str, table: str) -> None:
    """A query of another table than the held ones raises: nothing keeps that table from being rewritten."""
    with industrydb.hold_snapshot(postgres_uri, tables=table) as snapshot:
        with pytest.raises(ConfigurationError, match=r'no lock of "held"."low": give hold_snapshot this query'):
            industrydb.read_sql(postgres_uri, "SELECT * FROM held.low", snapshot=snapshot)
        assert industrydb.read_sql(postgres_uri, "SELECT 1 AS x", snapshot=snapshot).rows() == [(1,)]


def test_sessions_of_held_snapshots_end(postgres: psycopg.Connection, postgres_uri: str, table: str) -> None:
    """No session is left after the block, after an error in it, or after a hold that fails."""
    eventually(lambda: not sessions(postgres))  # those of earlier tests
    with suppress(ZeroDivisionError), industrydb.hold_snapshot(postgres_uri, tables=table):
        assert sessions(postgres)
        raise ZeroDivisionError
    eventually(lambda: not sessions(postgres))
    with pytest.raises(QueryExecutionError, match=r"held\.no"):
        industrydb.hold_snapshot(postgres_uri, tables="held.no")
    eventually(lambda: not sessions(postgres))


def test_a_fork_leaves_the_snapshot_to_its_parent(postgres_uri: str, table: str) -> None:
    """A forked process that releases the snapshot does not end the parent's session."""
    with industrydb.hold_snapshot(postgres_uri, tables=table) as snapshot:
        child = os.fork()
        if child == 0:
            snapshot.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert plan_of(postgres_uri, QUERY, snapshot).read().height == ROWS


@pytest.mark.parametrize("statement", ["UPDATE held.t SET v = 2", "TRUNCATE held.t", "DROP TABLE held.t"])
def test_a_standby_holds_snapshots(
    postgres: psycopg.Connection, own_server: Server, table: str, statement: str
) -> None:
    """On a standby, tasks see the held rows, whatever the primary commits; once it is released, the new ones."""
    with standby_of(own_server, postgres) as standby:
        standby.follows()
        with industrydb.hold_snapshot(standby.uri, tables=table) as snapshot:
            plan = plan_of(standby.uri, QUERY, snapshot)
            frames = [plan.read(0)]
            postgres.execute(statement)
            if statement.startswith("UPDATE"):
                standby.follows()  # the others wait there for the holder
            try:
                frames += [part.read() for part in plan[1:]]
            except QueryExecutionError as error:
                assert error.code == "55P03", error  # noqa: PT017
                assert not statement.startswith("UPDATE")
            else:
                assert {*pl.concat(frames).rows()} == {(number, 1) for number in range(1, ROWS + 1)}
        standby.follows()
        with psycopg.connect(standby.uri) as connection:
            found = connection.execute("SELECT to_regclass('held.t') IS NOT NULL").fetchone()
        assert found == (not statement.startswith("DROP"),)
        if found == (True,):
            rows = industrydb.read_sql(standby.uri, QUERY)["v"].to_list()
            assert rows == ([2] * ROWS if statement.startswith("UPDATE") else [])


@pytest.mark.parametrize("snapshot", ["", "nothing", "1'; DROP TABLE held.t; --"])
def test_texts_that_name_no_snapshot(postgres_uri: str, snapshot: str) -> None:
    """Any other text than the id of a snapshot is refused before it reaches the server."""
    with pytest.raises(ConfigurationError, match="snapshot"):
        industrydb.read_sql(postgres_uri, "SELECT 1 AS x", snapshot=snapshot)


@pytest.mark.parametrize("database", ["mysql", "mssql"], indirect=True)
def test_databases_that_hold_no_snapshot_say_so(database: Database) -> None:
    """Other databases refuse to hold a snapshot, and to read a held one, by a typed error."""
    with pytest.raises(ConfigurationError, match="cannot see a snapshot that another session holds"):
        industrydb.hold_snapshot(database.uri, tables="t")
    with pytest.raises(ConfigurationError, match="cannot see a snapshot that another session holds"):
        industrydb.read_sql(database.uri, "SELECT 1 AS x", snapshot="00000003-0000001B-1")
    with pytest.raises(ConfigurationError, match="pass queries, or the names of tables"):
        industrydb.hold_snapshot(database.uri)
