"""Reads during reloads that the plan does not show, swapped schemas, and limits of `pre_execution_query`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, QueryExecutionError, QueryTimeoutError
from tests.kit.pgbouncer import pgbouncer
from tests.kit.servers import Server
from tests.kit.support import PATIENCE_S, eventually, sessions

SPLIT: dict[str, Any] = {"partition_on": "k", "partitions": 4}

# The sum of `rates` is 10 before a reload, and 20 after it.
SETUP = """
    DROP SCHEMA IF EXISTS moments CASCADE; CREATE SCHEMA moments; SET search_path = moments, public;
    CREATE TABLE rates (v int); INSERT INTO rates SELECT 1 FROM generate_series(1, 10);
    CREATE TABLE big AS SELECT k FROM generate_series(1, 3) AS k;
    CREATE FUNCTION total(int) RETURNS int STABLE LANGUAGE plpgsql AS
        'BEGIN RETURN (SELECT sum(v) FROM moments.rates); END';
    CREATE FUNCTION length(int) RETURNS int STABLE LANGUAGE sql SECURITY DEFINER AS 'SELECT moments.total($1)';
    CREATE FUNCTION added(int, int) RETURNS int STABLE LANGUAGE sql SECURITY DEFINER AS 'SELECT moments.total($1)';
    CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = added);
    CREATE TYPE wrapped AS (k int);
    CREATE FUNCTION unwrapped(wrapped) RETURNS int8 STABLE LANGUAGE sql SECURITY DEFINER
        AS 'SELECT moments.total(0)::int8';
    CREATE CAST (wrapped AS int8) WITH FUNCTION unwrapped(wrapped);
    RESET search_path
"""
PATH = "SET search_path = moments, public"

# Each query calls a function that reads the reloaded table.
HIDDEN = [
    "SELECT k, total(k)::int AS n FROM big",
    "SELECT * FROM (VALUES (1, total(1)), (2, total(2))) AS v (k, n)",
    "SELECT k, c AS n FROM big, LATERAL (VALUES (1, total(k)), (2, total(k))) AS v (b, c)",
    "SELECT k, length(k) AS n FROM big",
    "SELECT k, k <+> 1 AS n FROM big",
    "SELECT k, ROW(k)::wrapped::int8::int AS n FROM big",
    "SELECT k, (SELECT total(k)) AS n FROM big ORDER BY total(k)",
]


@contextmanager
def reload(postgres_uri: str) -> Iterator[None]:
    """Reload the table in a transaction that is open during the block, and commit at the end."""
    with psycopg.connect(postgres_uri) as writer:
        writer.execute("TRUNCATE moments.rates; INSERT INTO moments.rates SELECT 2 FROM generate_series(1, 10)")
        yield
        writer.commit()


@pytest.mark.parametrize("arguments", [{}, {"snapshot": False}, SPLIT], ids=["whole", "without_snapshot", "by_key"])
@pytest.mark.parametrize("query", HIDDEN)
def test_functions_that_a_plan_hides(
    postgres: psycopg.Connection, postgres_uri: str, query: str, arguments: dict[str, Any]
) -> None:
    """A function hidden from the plan sees its table before or after the reload, never both, or the read raises."""
    postgres.execute(SETUP)
    with ThreadPoolExecutor() as executor:
        with reload(postgres_uri):
            read = executor.submit(
                lambda: industrydb.read_sql(postgres_uri, query, pre_execution_query=PATH, **arguments)
            )
            waits = "SELECT FROM pg_stat_activity WHERE application_name = 'industrydb' AND wait_event_type = 'Lock'"
            eventually(lambda: bool(postgres.execute(waits).fetchall()) or read.done())
        try:
            frame = read.result(timeout=PATIENCE_S)
        except QueryExecutionError as error:
            assert error.code == "55000"  # noqa: PT017
            return
    assert set(frame["n"]) in ({10}, {20})


# A PL/pgSQL block that catches an error releases the locks taken since the block's start.
CATCHES = """
    CREATE FUNCTION rate(int) RETURNS int STABLE PARALLEL SAFE LANGUAGE plpgsql AS
        'DECLARE found int; BEGIN
            SELECT v INTO STRICT found FROM moments.named WHERE k = $1; RETURN found;
        EXCEPTION WHEN no_data_found THEN RETURN -1; END';
    CREATE TABLE named AS SELECT k, 1 AS v FROM generate_series(1, 3) AS k;
    CREATE INDEX named_k ON named (k)
"""
FILL = "SELECT k, 2 AS v FROM generate_series(1, 3) AS k"
REPLACEMENTS = {
    "truncate": f"TRUNCATE named; INSERT INTO named {FILL}",
    "alter": "ALTER TABLE named ALTER v TYPE int USING 2",
    "create": f"DROP TABLE named; CREATE TABLE named AS {FILL}; CREATE INDEX named_k ON named (k)",
    "swap": f"CREATE TABLE fresh AS {FILL}; CREATE INDEX ON fresh (k);"
    "ALTER TABLE named RENAME TO old; ALTER TABLE fresh RENAME TO named",
    "swap_early": "ALTER TABLE named RENAME TO old; ALTER TABLE early RENAME TO named; UPDATE named SET v = 2",
}
PLANS = {
    "scan": "SET enable_indexscan = off; SET enable_bitmapscan = off",
    "index": "SET enable_seqscan = off; SET enable_bitmapscan = off",
    "bitmap": "SET enable_seqscan = off; SET enable_indexscan = off",
    "workers": "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0",
}


@pytest.mark.parametrize("arguments", [{}, {"snapshot": False}, SPLIT], ids=["whole", "without_snapshot", "by_key"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_functions_that_let_go_their_locks(
    postgres: psycopg.Connection, postgres_uri: str, replacement: str, plan: str, arguments: dict[str, Any]
) -> None:
    """A function that releases its locks sees its table before or after the reload, never both, or the read raises."""
    postgres.execute(f"{SETUP}; {PATH}; {CATCHES}")
    postgres.execute(
        "CREATE TABLE early AS SELECT k, 1 AS v FROM generate_series(1, 3) AS k; CREATE INDEX ON early (k); "
        "RESET search_path"
    )
    with ThreadPoolExecutor() as executor:
        with psycopg.connect(postgres_uri) as writer:
            writer.execute(f"{PATH}; {REPLACEMENTS[replacement]}")
            setup = [PATH, PLANS[plan]]
            query = "SELECT k, rate(k) AS n FROM big"
            read = executor.submit(
                lambda: industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, **arguments)
            )
            waits = "SELECT FROM pg_stat_activity WHERE application_name = 'industrydb' AND wait_event_type = 'Lock'"
            eventually(lambda: bool(postgres.execute(waits).fetchall()) or read.done())
            writer.commit()
        try:
            frame = read.result(timeout=PATIENCE_S)
        except QueryExecutionError as error:
            assert error.code == "55000"  # noqa: PT017
            assert '"moments"."named"' in str(error)  # noqa: PT017
            return
    assert set(frame["n"]) in ({1}, {2})


def test_keys_in_a_list_of_values_are_evaluated_once(postgres_uri: str) -> None:
    """Random keys in a VALUES list are evaluated once, although the plan does not show their functions."""
    values = ", ".join(f"({i}, (random() * 1000)::int)" for i in range(400))
    for snapshot in (True, False):
        frame = industrydb.read_sql(
            postgres_uri, f"SELECT i, k FROM (VALUES {values}) AS v (i, k)", snapshot=snapshot, **SPLIT
        )
        assert sorted(frame["i"]) == list(range(400))


SWAP = ["ALTER SCHEMA moved_a RENAME TO moved_c", "ALTER SCHEMA moved_b RENAME TO moved_a"]
SWAP += ["ALTER SCHEMA moved_c RENAME TO moved_b"]


@pytest.mark.parametrize(
    "arguments",
    [{}, SPLIT, {**SPLIT, "max_connections": 1}, {"snapshot": False}, {"params": [0]}],
    ids=["whole", "by_key", "one_session", "without_snapshot", "parameters"],
)
@pytest.mark.parametrize("other", ["int", "real"])
def test_schemas_that_are_swapped(
    postgres: psycopg.Connection, postgres_uri: str, other: str, arguments: dict[str, Any]
) -> None:
    """While schemas are swapped, a frame has the rows and values of one of the two tables, or the read raises."""
    postgres.execute(f"""
        DROP SCHEMA IF EXISTS moved_a CASCADE; DROP SCHEMA IF EXISTS moved_b CASCADE;
        DROP SCHEMA IF EXISTS moved_c CASCADE; CREATE SCHEMA moved_a; CREATE SCHEMA moved_b;
        CREATE TABLE moved_a.t AS SELECT k, 1 AS g FROM generate_series(1, 500) AS k;
        CREATE TABLE moved_b.t AS SELECT k, 2::{other} AS g FROM generate_series(1, 500) AS k
    """)
    query = "SELECT k, g FROM moved_a.t" + (" WHERE k > $1" if "params" in arguments else "")
    seen = set()
    with ThreadPoolExecutor(1) as executor, psycopg.connect(postgres_uri) as writer:

        def swap(times: int) -> None:
            for _ in range(times):
                for statement in SWAP:
                    writer.execute(statement.encode())
                writer.commit()

        for _ in range(40):
            swaps = executor.submit(swap, 10)
            try:
                frame = industrydb.read_sql(postgres_uri, query, **arguments)
            except QueryExecutionError:
                continue
            finally:
                swaps.result()
            assert sorted(frame["k"]) == list(range(1, 501))
            [value] = set(frame["g"])
            assert value in {1, 2}
            seen.add(value)
    assert seen, "every read has raised"


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("arguments", [{}, SPLIT], ids=["whole", "by_key"])
def test_a_preparation_leaves_the_isolation_alone(postgres_uri: str, level: str, arguments: dict[str, Any]) -> None:
    """A `pre_execution_query` that sets the isolation level is refused: its snapshot would be of another moment."""
    query = "SELECT k FROM generate_series(1, 100) AS k"
    setup = f"SET TRANSACTION ISOLATION LEVEL {level}"
    with pytest.raises(ConfigurationError, match="isolation"):
        industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, **arguments)


@pytest.mark.parametrize("sessions", [1, 3])
@pytest.mark.parametrize("last", ["moments.shown", "moments.parts"])
def test_long_lists_of_queries(postgres: psycopg.Connection, postgres_uri: str, last: str, sessions: int) -> None:
    """A list of more queries than are planned together is read, also if the last reads a view or partitioned table."""
    postgres.execute(SETUP)
    postgres.execute("""
        CREATE VIEW moments.shown AS SELECT v AS k FROM moments.rates;
        CREATE TABLE moments.parts (k int) PARTITION BY RANGE (k);
        CREATE TABLE moments.part PARTITION OF moments.parts DEFAULT; INSERT INTO moments.parts VALUES (7)
    """)
    queries = ["SELECT k FROM moments.big"] * 70 + [f"SELECT k FROM {last}"]
    frame = industrydb.read_sql(postgres_uri, queries, max_connections=sessions)
    expected = postgres.execute(f"SELECT k FROM {last}").fetchall()
    assert frame.rows() == [(1,), (2,), (3,)] * 70 + expected


def test_a_preparation_that_wants_rows_has_not_taken_too_long(postgres_uri: str) -> None:
    """COPY FROM STDIN in `pre_execution_query` is no timeout, although the server reports a cancelled statement."""
    setup = ["CREATE TEMP TABLE filled (i int)", "COPY filled FROM STDIN"]
    with pytest.raises(QueryExecutionError, match="pre_execution_query") as raised:
        industrydb.read_sql(postgres_uri, "SELECT 1 AS k", pre_execution_query=setup)
    assert not isinstance(raised.value, QueryTimeoutError)


def test_preparations_in_front_of_the_transaction_wait_for_no_pooler(own_server: Server) -> None:
    """A read continues with the sessions that have run `pre_execution_query`; it does not wait for the pooler."""
    with pgbouncer(own_server, "session", pool=2) as pooler:
        query = "SELECT k FROM generate_series(1, 1000) AS k"
        arguments: dict[str, Any] = {**SPLIT, "timeout": PATIENCE_S / 2, "pre_execution_query": "PREPARE p AS SELECT 1"}
        frame = industrydb.read_sql(pooler.uri + "?connect_timeout=2", query, **arguments)
        assert sorted(frame["k"]) == list(range(1, 1001))
    with psycopg.connect(own_server.uri) as watcher:
        eventually(lambda: not sessions(watcher))
