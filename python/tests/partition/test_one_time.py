"""All partitions of a read have the same current time, and volatile expressions are evaluated once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from tests.kit.mariadb import Pymysql

ROWS = 4000


@pytest.fixture(scope="module")
def events(postgres: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Create a table of recent events, and views, functions and types that ask for the time."""
    postgres.execute(f"""
        DROP SCHEMA IF EXISTS one_time CASCADE;
        CREATE SCHEMA one_time;
        SET search_path = one_time;
        CREATE TABLE event (i int PRIMARY KEY, ts timestamptz, s text);
        INSERT INTO event SELECT i, now() - i * interval '1 minute', CASE i % 2 WHEN 0 THEN 'now' ELSE 'x' END
            FROM generate_series(1, {ROWS}) AS i;
        ANALYZE event;
        CREATE VIEW recent AS SELECT i, ts FROM event WHERE ts > now() - interval '1 day';
        CREATE FUNCTION inlined() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()';
        CREATE FUNCTION coin(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN random() < 0.5; END';
        CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = coin);
        CREATE FUNCTION "it""s one"(int) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RETURN random(); END';
        CREATE FUNCTION now() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'mine' $$;
        CREATE TYPE stamped AS (a int, t timestamptz);
        CREATE VIEW says_now AS SELECT i, 'now'::text AS w FROM event;
        DROP SCHEMA IF EXISTS one_time_defaults CASCADE;
        CREATE SCHEMA one_time_defaults;
        CREATE FUNCTION one_time_defaults.now(shift interval DEFAULT '0') RETURNS timestamptz
            LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '2000-01-01 UTC' + shift $$;
        RESET search_path;
    """)
    yield postgres
    postgres.execute("DROP SCHEMA one_time, one_time_defaults CASCADE")


# Expressions that have one value in all rows, and the value's Python type; `None` is not checked.
TIMES: list[tuple[str, Any]] = [
    ("now()", datetime),
    ("pg_catalog.now()", datetime),
    ('"now"()', datetime),
    ("NOW ( /* ) */ )", datetime),
    ("transaction_timestamp()", datetime),
    ("statement_timestamp()", datetime),
    ("current_timestamp", datetime),
    ("CURRENT_TIMESTAMP(2)", datetime),
    ("localtimestamp", datetime),
    ("localtimestamp(0)", datetime),
    ("localtime", None),
    ("LocalTime(1)", None),
    ("current_time", str),
    ("current_time(3)", str),
    ("current_date", date),
    ("now()::date", date),
    ("CAST(now() AS timestamp)", datetime),
    ("now() - interval '1 day'", datetime),
    ("date_trunc('second', now())", datetime),
    ("extract(epoch FROM now())::float8", float),
    ("(SELECT now())", datetime),
]


@pytest.mark.parametrize(("expression", "kind"), TIMES, ids=[expression for expression, _ in TIMES])
def test_all_partitions_have_one_time(
    postgres_uri: str, events: psycopg.Connection, expression: str, kind: type | None
) -> None:
    """All partitions have one value of the time, near the read's, and names and types of an unpartitioned read."""
    query = f"SELECT i, {expression} FROM one_time.event"
    whole = industrydb.read_sql(postgres_uri, query)
    frame = industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=4)
    assert frame.n_chunks() == 4
    assert frame.height == ROWS
    assert frame.schema == whole.schema
    values = frame.get_column(frame.columns[1])
    assert values.n_unique() == 1
    assert kind is None or isinstance(values[0], kind)
    [(now,)] = events.execute("SELECT now()")
    if frame.schema[frame.columns[1]] == pl.Datetime("us", "UTC"):
        assert abs((now - values[0]).total_seconds()) < 2 * 86400


CONDITION = "SELECT i FROM one_time.event WHERE ts > now() - interval '1 day' AND ts < current_timestamp"


@pytest.mark.parametrize("how", [{"partition_on": "i", "partitions": 3}, {"partitions": 3}], ids=["key", "blocks"])
def test_conditions_on_the_time_are_read_in_partitions(
    postgres_uri: str, events: psycopg.Connection, how: dict[str, Any]
) -> None:
    """A condition on the time is the same in every partition of a plan, of a batch reader and of a scan."""
    plan = industrydb.plan_sql(postgres_uri, CONDITION, **how)
    assert len(plan) == 3
    assert "now()" not in plan.explain()
    expected = sorted(row for (row,) in events.execute(CONDITION))
    assert abs(plan.read().height - len(expected)) <= 2  # a minute may have passed
    frames = [plan.read(number) for number in range(3)]
    assert pl.concat(frames)["i"].n_unique() == sum(frame.height for frame in frames) == plan.read().height
    with industrydb.read_sql_batches(postgres_uri, CONDITION, **how) as batches:
        assert abs(sum(batch.height for batch in batches) - len(expected)) <= 2
    lazy = industrydb.scan_sql(postgres_uri, CONDITION, **how)
    assert abs(lazy.select(pl.len()).collect().item() - len(expected)) <= 2


def test_the_queries_of_a_list_have_one_time(postgres_uri: str, events: psycopg.Connection) -> None:
    """The queries of a list have the same `now()`, although each is read by its own session."""
    frame = industrydb.read_sql(
        postgres_uri, [f"SELECT now(), i FROM one_time.event WHERE i % 4 = {n}" for n in range(4)]
    )
    assert frame.columns == ["now", "i"]
    assert frame["now"].n_unique() == 1
    assert frame.height == events.execute("SELECT count(*) FROM one_time.event").fetchone()[0]  # type: ignore[index]


# Queries, and their number of partitions if 4 are requested.
DIVIDED: list[tuple[str, int]] = [
    ("SELECT i FROM one_time.recent", 1),
    ("SELECT i, one_time.inlined() AS f FROM one_time.event", 1),
    ("SELECT i FROM one_time.event WHERE ts > 'now'::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > 'n'\n'ow'::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > E'n\\157w'::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > U&'n\\006fw'::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > (U&'!006eow' UESCAPE '!')::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > '\"now\"'::timestamptz - interval '1 day'", 1),
    ("SELECT i FROM one_time.event WHERE ts > 'yesterday00:00'::timestamptz", 1),
    ("SELECT i FROM one_time.event WHERE ts > $a$now$a$::timestamptz - interval '1 day'", 1),
    (r"SELECT i FROM one_time.event WHERE s !~ E'\\d+\t' AND s <> 'n\157w'", 4),
    ("SELECT i, date 'today' AS d FROM one_time.event", 1),
    ("SELECT i, age(ts) AS a FROM one_time.event", 1),
    ("SELECT i, age(now(), ts) AS a FROM one_time.event", 4),
    ("SELECT i, clock_timestamp() AS c FROM one_time.event", 1),
    ("SELECT i FROM one_time.event WHERE s = 'now'", 4),
    ("SELECT i FROM one_time.event WHERE s IN ('now', 'then') OR s LIKE 'it is now %'", 4),
    ("SELECT i FROM one_time.event WHERE s = 'now' AND ts < 'now'", 1),
    ("SELECT i FROM one_time.event WHERE s = 'now' AND ts::date > '2020-01-01'", 4),
    ("SELECT i FROM one_time.event WHERE ts <@ '[yesterday,now)'::tstzrange", 1),
    ("SELECT i FROM one_time.event WHERE ts < ANY ('{now,tomorrow}'::timestamptz[])", 1),
    ("SELECT i, ('(1,now)'::one_time.stamped).t AS t FROM one_time.event", 1),
    ("SELECT i FROM one_time.event WHERE ts < 'tomorrow 10:00'", 1),
    ("SELECT i FROM one_time.event WHERE ts < coalesce(NULL, 'now')::timestamptz", 1),
    ("SELECT i, w::timestamptz AS t FROM one_time.says_now", 1),
    ("SELECT i FROM one_time.event WHERE current_user <> s", 4),
    (
        'SELECT i FROM (SELECT i, s AS "CURRENT_DATE" FROM one_time.event) AS q WHERE "CURRENT_DATE" = \'x\'',
        4,
    ),
    ("SELECT min(i) AS i, now() - ts AS a FROM one_time.event GROUP BY now() - ts", 1),
    ("SELECT i, 'now()' AS t, $$current_date$$ AS d FROM one_time.event -- now()", 4),
    ("SELECT q.now, q.i FROM (SELECT now(), i FROM one_time.event) AS q", 4),
    ("WITH w AS (SELECT now() AS n) SELECT i, n FROM one_time.event, w", 4),
    ("SELECT i, n FROM one_time.event, (VALUES (now())) AS v(n)", 4),
    ("SELECT i, n FROM one_time.event, now() AS n", 1),
    ("SELECT e.i FROM one_time.event AS e TABLESAMPLE BERNOULLI (50) JOIN one_time.event AS f USING (i)", 1),
    (
        "SELECT e.i FROM one_time.event AS e TABLESAMPLE SYSTEM (50) REPEATABLE (3) JOIN one_time.event AS f USING (i)",
        4,
    ),
    ("SELECT i FROM one_time.event WHERE i OPERATOR(one_time.<~>) 3", 1),
    ('SELECT i, one_time."it""s one"(i) AS r FROM one_time.event', 1),
]


@pytest.mark.parametrize(("query", "partitions"), DIVIDED, ids=[query for query, _ in DIVIDED])
def test_what_may_differ_is_evaluated_once(
    postgres_uri: str, events: psycopg.Connection, query: str, partitions: int
) -> None:
    """A query is not split if a view, function, operator, cast or sample in it may differ between evaluations."""
    assert events.info.server_version
    plan = industrydb.plan_sql(postgres_uri, query, partition_on="i", partitions=4)
    assert len(plan) == partitions
    assert (plan.note is None) == (partitions > 1)
    frame = plan.read()
    assert frame["i"].n_unique() == frame.height
    assert frame.schema == industrydb.read_sql(postgres_uri, query).schema


@pytest.mark.parametrize(
    ("expression", "value", "partitions"),
    [
        ("$1::timestamptz", "now", 1),
        ("$1::text::timestamptz", "now", 1),
        ("$1::tstzrange", "[today,now)", 1),
        ("$1::text", "now", 4),
        ("$1 || s", "it is now or never", 4),
    ],
)
def test_parameters_may_be_the_time(
    postgres_uri: str, events: psycopg.Connection, expression: str, value: str, partitions: int
) -> None:
    """A parameter `now` prevents the split where the server reads it as a time, but not where it is text."""
    assert events.info.server_version
    query = f"SELECT i, {expression} AS n FROM one_time.event WHERE s = 'x'"
    plan = industrydb.plan_sql(postgres_uri, query, params=[value], partition_on="i", partitions=4)
    assert len(plan) == partitions
    assert plan.read()["n"].n_unique() == 1


def test_functions_in_front_of_the_catalogs_stay_what_they_are(postgres_uri: str, events: psycopg.Connection) -> None:
    """A user's `now()` that the search path finds before pg_catalog's is called as it is."""
    assert events.info.server_version
    frame = industrydb.read_sql(
        postgres_uri,
        "SELECT i, now() AS n, pg_catalog.now() AS p FROM event",
        partition_on="i",
        partitions=4,
        pre_execution_query="SET search_path = one_time, pg_catalog",
    )
    assert frame["n"].unique().to_list() == ["mine"]
    assert frame["p"].n_unique() == 1


def test_functions_with_defaults_stay_what_they_are(postgres_uri: str, events: psycopg.Connection) -> None:
    """A user's `now()` whose arguments have defaults is called as it is."""
    path = "one_time_defaults, pg_catalog"
    with events.transaction():
        events.execute(f"SET LOCAL search_path = {path}")
        expected = events.execute("SELECT now()").fetchall()
    frame = industrydb.read_sql(
        postgres_uri,
        "SELECT i, now() AS n FROM one_time.event",
        partition_on="i",
        partitions=4,
        pre_execution_query=f"SET search_path = {path}",
    )
    assert frame["n"].unique().to_list() == [now for (now,) in expected]


def test_groups_of_a_time_have_one_time(postgres_uri: str, events: psycopg.Connection) -> None:
    """A time expression in the select list still matches its copy in GROUP BY, and is the same in all queries."""
    assert events.info.server_version
    query = "SELECT now() AS n, now() - ts AS a FROM one_time.event WHERE i % 3 = {} GROUP BY now() - ts"
    frame = industrydb.read_sql(postgres_uri, [query.format(n) for n in range(3)])
    assert frame["n"].n_unique() == 1
    assert frame.height == ROWS


@pytest.fixture(scope="module")
def sqlite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Create a file with a table of recent events, and views; return its URI."""
    path = tmp_path_factory.mktemp("one_time") / "time.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"""
            CREATE TABLE event (i INTEGER PRIMARY KEY, ts TEXT, s TEXT);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
                INSERT INTO event SELECT i, datetime('now', '-' || i || ' minutes'),
                CASE i % 2 WHEN 0 THEN 'now' ELSE 'x' END FROM n;
            CREATE VIEW limited AS SELECT i, s FROM event ORDER BY s LIMIT 100;
            CREATE VIEW limited_within AS SELECT * FROM limited;
            CREATE VIEW plain AS SELECT i FROM event;
            CREATE VIEW recent AS SELECT i FROM event WHERE ts > datetime('now', '-1 day');
            CREATE VIEW recent_too AS SELECT i FROM event WHERE ts > datetime() AND i > 0;
            CREATE VIEW seconds AS SELECT i, strftime('%f') AS f FROM event;
            CREATE VIEW present AS SELECT i, current_timestamp AS c FROM event;
        """)
    return f"sqlite://{path}"


# Queries on SQLite, their parameters, and their number of partitions if 4 are requested.
SQLITE: list[tuple[str, list[object], int]] = [
    ("SELECT i FROM event WHERE ts > datetime('now', '-1 day')", [], 4),
    ("SELECT i, CURRENT_TIMESTAMP AS c, current_date AS d, current_time AS t FROM event", [], 4),
    ("SELECT i, strftime('%f', 'NOW') AS f, julianday('now') AS j, unixepoch('now') AS u FROM event", [], 4),
    ("SELECT i, datetime() AS d, julianday( ) AS j FROM event", [], 4),
    ("SELECT i FROM event WHERE s = 'now'", [], 4),
    ("SELECT i, date(ts) <> '' AS d FROM event", [], 4),
    ("SELECT i, datetime('now') FROM event", [], 1),
    ("SELECT i, julianday(coalesce(NULL, 'now')) AS d FROM event", [], 1),
    ("SELECT i, julianday(?) AS d FROM event", ["now"], 1),
    ("SELECT i, strftime('%f') AS f FROM event", [], 1),
    ("SELECT i, unixepoch('subsec') AS u FROM event", [], 1),
    (
        "SELECT i FROM event WHERE unixepoch(ts, 'subsec') > 0 AND strftime('%Y', ts) > '2000'",
        [],
        4,
    ),
    ("SELECT i FROM recent", [], 1),
    ("SELECT i FROM recent_too", [], 1),
    ("SELECT i, f FROM seconds", [], 1),
    ("SELECT i, c FROM present", [], 1),
    ("SELECT i FROM limited", [], 1),
    ("SELECT i FROM limited_within", [], 1),
    ("SELECT i FROM plain", [], 4),
]


@pytest.mark.parametrize(("query", "params", "partitions"), SQLITE, ids=[query for query, *_ in SQLITE])
def test_sqlite_reads_at_one_time(sqlite_uri: str, query: str, params: list[object], partitions: int) -> None:
    """The clock has one value in all partitions; a view that reads the clock, or has a LIMIT, is not split."""
    plan = industrydb.plan_sql(sqlite_uri, query, params=params or None, partition_on="i", partitions=4)
    assert len(plan) == partitions
    frame = plan.read()
    assert frame["i"].n_unique() == frame.height
    assert all(frame[name].n_unique() == 1 for name in frame.columns[1:])
    whole = industrydb.read_sql(sqlite_uri, query, params=params or None)
    assert frame.schema == whole.schema
    assert abs(frame.height - whole.height) <= 2


def test_sqlite_splits_rows_at_one_time(sqlite_uri: str) -> None:
    """Partitions by rowid have one time, and so have the queries of a list."""
    query = "SELECT i FROM event WHERE ts > datetime('now', '-1 day')"
    plan = industrydb.plan_sql(sqlite_uri, query, partitions=3)
    assert len(plan) == 3
    assert "'now'" not in plan.explain()
    frame = industrydb.read_sql(
        sqlite_uri, [f"SELECT julianday('now') AS j FROM event WHERE i % 3 = {n}" for n in range(3)]
    )
    assert frame["j"].n_unique() == 1


@pytest.fixture(scope="module")
def mysql_events(mysql: Pymysql) -> Iterator[Pymysql]:
    """Create a table of recent events, and a view."""
    mysql.execute("CREATE TABLE timed_event (i INTEGER PRIMARY KEY, ts DATETIME, s TEXT)")
    rows = ", ".join(f"({i}, utc_timestamp() - INTERVAL {i} MINUTE, 'now()')" for i in range(ROWS))
    mysql.execute(f"INSERT INTO timed_event VALUES {rows}")
    mysql.execute("CREATE VIEW recent_event AS SELECT i FROM timed_event WHERE ts > now() - INTERVAL 1 DAY")
    yield mysql
    mysql.execute("DROP VIEW recent_event; DROP TABLE timed_event")


# Queries on MySQL, and their number of partitions if 4 are requested.
MYSQL: list[tuple[str, int]] = [
    ("SELECT i FROM timed_event WHERE ts > now() - INTERVAL 1 DAY", 4),
    ("SELECT i, now() AS n, CURRENT_DATE AS d, CURRENT_TIME() AS t FROM timed_event", 4),
    ("SELECT i, NOW( /* ) */ ) AS n, utc_timestamp() AS u, year(curdate()) AS y FROM timed_event", 4),
    ("SELECT i, (SELECT localtime()) AS n FROM timed_event WHERE ts < now()", 4),
    ("SELECT i, 'now()' AS n, `n`.`now` AS m FROM timed_event, (SELECT 1 AS `now`) AS n WHERE s = 'now()'", 4),
    ("SELECT i, now() FROM timed_event", 1),
    ("SELECT i, now(6) AS n FROM timed_event", 1),
    ("SELECT i, sysdate() AS n FROM timed_event", 1),
    ("SELECT i FROM recent_event", 1),
]


@pytest.mark.parametrize(("query", "partitions"), MYSQL, ids=[query for query, _ in MYSQL])
def test_mysql_reads_at_one_time(mysql_uri: str, mysql_events: Pymysql, query: str, partitions: int) -> None:
    """The clock has one value in all partitions; a query whose clock cannot be replaced is not split."""
    plan = industrydb.plan_sql(mysql_uri, query, partition_on="i", partitions=4)
    assert len(plan) == partitions
    assert (plan.note is None) == (partitions > 1)
    frame = plan.read()
    assert frame["i"].n_unique() == frame.height
    if "sysdate" not in query:
        assert all(frame[name].n_unique() == 1 for name in frame.columns[1:])
    assert frame.schema == industrydb.read_sql(mysql_uri, query).schema
    expected = mysql_events.execute("SET time_zone = '+00:00'; " + query + "; SET time_zone = DEFAULT").fetchall()
    assert abs(frame.height - len(expected)) <= 2


# Each session has a time of its own, hours away from that of the next one.
OWN_TIME = "SET timestamp = 1000000000 + CONNECTION_ID() * 100000"


def test_mysqls_sessions_have_one_time(mysql_uri: str, mysql_events: Pymysql) -> None:
    """The partitions of a query and the queries of a list have the time of one session."""
    assert mysql_events
    query = "SELECT i, now() AS n, unix_timestamp() > 5 AS u FROM timed_event WHERE ts > now()"
    options: dict[str, Any] = {"partition_on": "i", "partitions": 4}
    frame = industrydb.read_sql(mysql_uri, query, pre_execution_query=OWN_TIME, **options)
    assert frame.n_chunks() == 4
    assert (frame.height, frame["n"].n_unique()) == (ROWS, 1)
    queries = [f"{query} AND i % 3 = {part}" for part in range(3)]
    frame = industrydb.read_sql(mysql_uri, queries, pre_execution_query=OWN_TIME)
    assert (frame.height, frame["n"].n_unique()) == (ROWS, 1)
