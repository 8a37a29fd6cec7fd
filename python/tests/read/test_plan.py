"""A plan shows what is read, can be read by partition and in other processes, and hides the password."""

import copy
import datetime as dt
import math
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import polars as pl
import psycopg
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import industrydb
from industrydb import ConfigurationError, QueryExecutionError
from tests.kit.databases import Database, Feature
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import SqliteFile, eventually, sessions, with_options

pytestmark = pytest.mark.needs(Feature.DRIVER)

UTC = dt.timezone.utc


@pytest.fixture
def table(database: Database) -> Database:
    """Return a database with a table ``planned (k, n, day)`` of 3000 rows."""
    day = database.date("2024-01-01")
    rows = ", ".join(f"({n * 617 % 3000}, {n}, {day})" for n in range(3000))
    key = database.divisible_by("n")
    database.script(f"DROP TABLE IF EXISTS planned; CREATE TABLE planned (k INTEGER, n INTEGER, day DATE{key})")
    database.execute(f"INSERT INTO planned VALUES {rows}")
    return database


QUERY = "SELECT k, n, day FROM planned"
SPLITS: list[dict[str, Any]] = [
    {},
    {"partitions": 5},
    {"partition_on": "k", "partitions": 1},
    {"partition_on": "k", "partitions": 5},
    {"partition_on": "n", "partitions": 64},
    {"partition_on": "k", "partitions": 5, "partition_range": (100, 200)},
    {"partition_on": "k", "partitions": 5, "snapshot": False},
    {"partition_on": "k", "partitions": 5, "max_connections": 1},
]


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_the_queries_are_the_whole(table: Database, split: dict[str, Any]) -> None:
    """A plan's queries run in other drivers and together return all rows, as the plan's own reads do."""
    plan = industrydb.plan_sql(table.uri, QUERY, **split)
    expected = sorted(map(str, table.rows(QUERY)))
    assert len(plan) == len(plan.sql) == len(plan.estimated_rows) == split.get("partitions", 1)
    assert sorted(str(row) for sql in plan.sql for row in table.rows(sql)) == expected
    assert plan.note is None
    frame = plan.read()
    assert frame.equals(industrydb.read_sql(table.uri, QUERY, **split))
    assert frame.n_chunks() == len(plan)
    assert frame.schema == plan.schema
    assert plan.schema.names() == ["k", "n", "day"]
    parts = [plan.read(index) for index in range(len(plan))]
    assert pl.concat(parts).equals(frame)
    assert [part.n_chunks() for part in parts] == [1] * len(plan)
    assert plan.read(-1).equals(parts[-1])
    assert plan.read(-len(plan)).equals(parts[0])
    for index in (len(plan), -len(plan) - 1, 10**30):
        with pytest.raises(IndexError):
            plan.read(index)
    with pytest.raises(TypeError):
        plan.read("0")  # type: ignore[arg-type]


@pytest.mark.parametrize("split", [split for split in SPLITS if split.get("partitions", 1) > 1], ids=str)
def test_rows_are_estimated(table: Database, split: dict[str, Any]) -> None:
    """The rows of each partition are estimated roughly; with a given range, the estimate is `None`."""
    plan = industrydb.plan_sql(table.uri, QUERY, **split)
    heights = [plan.read(index).height for index in range(len(plan))]
    if "partition_range" in split:
        assert plan.estimated_rows == (None,) * len(plan)
        return
    for height, rows in zip(heights, plan.estimated_rows, strict=True):
        assert rows is not None
        assert abs(rows - height) <= 3000 / len(plan)
    assert abs(sum(rows or 0 for rows in plan.estimated_rows) - 3000) < 600


@pytest.mark.parametrize(
    "source",
    [
        "generate_series(1, 300000) AS k",
        "(SELECT k FROM made() AS k) AS q",
        "(SELECT k % 1000 AS k FROM made() AS k) AS q",
    ],
)
def test_rows_are_estimated_where_the_server_cannot(
    postgres: psycopg.Connection, postgres_uri: str, source: str
) -> None:
    """Partitions are even and estimates are close, although the server only guesses a function's row count."""
    postgres.execute("""CREATE OR REPLACE FUNCTION made() RETURNS SETOF int LANGUAGE plpgsql IMMUTABLE ROWS 10 AS
        'BEGIN RETURN QUERY SELECT generate_series(1, 300000); END'""")
    query = f"SELECT k FROM {source}"
    plan = industrydb.plan_sql(postgres_uri, query, partition_on="k", partitions=4)
    heights = [plan.read(index).height for index in range(len(plan))]
    assert sum(heights) == 300_000
    assert max(heights) <= 2 * 300_000 / 4
    assert abs(sum(rows or 0 for rows in plan.estimated_rows) - 300_000) < 60_000


def test_an_explanation(table: Database) -> None:
    """An explanation shows each partition's query and estimate, and says why there is only one partition."""
    plan = industrydb.plan_sql(table.uri, f"{QUERY} -- end", partition_on="k", partitions=3)
    lines = plan.explain().splitlines()
    assert re.fullmatch("3 partitions, about [23],[0-9]{3} rows", lines[0])
    assert [line for line in lines if line.startswith("partition ")] == [
        f"partition {number + 1}, read({number}), about {rows:,} rows:"
        for number, rows in enumerate(plan.estimated_rows)
    ]
    for sql in plan.sql:
        assert all(f"  {line}" in lines for line in sql.splitlines())
    assert repr(plan) == str(plan) == f"<ReadPlan: {lines[0]}>"
    limited = industrydb.plan_sql(table.uri, f"{QUERY} LIMIT 7", partition_on="k", partitions=3)
    assert limited.note is not None
    assert limited.note in limited.explain()
    assert limited.sql == (f"{QUERY} LIMIT 7",)
    assert limited.read().height == 7
    constant = industrydb.plan_sql(table.uri, "SELECT 1 AS a")
    way = "" if constant.way is None else f"{constant.way}\n"
    assert constant.explain() == f"1 partition\n{way}partition 1, read(0):\n  SELECT 1 AS a"


def test_nothing_is_read_for_a_plan(postgres_uri: str) -> None:
    """Planning only describes a query: one that would fail, or never end, can be planned."""
    assert industrydb.plan_sql(postgres_uri, "SELECT 1 / 0 AS a, pg_sleep(1000)::text AS b").schema == {
        "a": pl.Int32,
        "b": pl.String,
    }
    assert len(industrydb.plan_sql(postgres_uri, ["SELECT 1 / 0 AS a"] * 3)) == 3


def test_plans_of_lists(table: Database) -> None:
    """Each query of a list is a partition."""
    queries = [f"{QUERY} WHERE k < 5;", f"{QUERY} WHERE k > 2990 -- end"]
    plan = industrydb.plan_sql(table.uri, queries)
    assert plan.sql == (f"{QUERY} WHERE k < 5", f"{QUERY} WHERE k > 2990")
    assert plan.estimated_rows == (None, None)
    assert [plan.read(index).height for index in range(2)] == [5, 9]
    assert plan.read().height == 14


def say_password(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the password into the environment, since a pickled plan has none."""
    if password := urlsplit(uri).password:
        for name in ("MYSQL_PWD", "PGPASSWORD"):
            monkeypatch.setenv(name, unquote(password))


def test_plans_with_parameters_and_setup(table: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan's reads have its parameters and `pre_execution_query`; its explanation shows no values."""
    say_password(table.uri, monkeypatch)
    text = table.joined(table.mark(1), "'x'")
    query = f"SELECT n, {text} AS t FROM planned JOIN own USING (k) WHERE k < {table.mark(2)}"
    setup = ["CREATE TEMPORARY TABLE own AS SELECT k FROM planned WHERE k % 2 = 0"]
    plan = industrydb.plan_sql(
        table.uri,
        query,
        params=["a secret", 1000],
        pre_execution_query=setup,
        partition_on="n",
        partitions=3,
        snapshot=False,
    )
    assert "a secret" not in plan.explain() + repr(plan)
    assert plan.read().height == 500
    assert sum(plan.read(index).height for index in range(len(plan))) == 500
    assert set(pickle.loads(pickle.dumps(plan)).read()["t"]) == {"a secretx"}  # noqa: S301


# Secrets

SECRET = PASSWORDS["scram_user"]


@pytest.fixture
def secret_uri(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a URI with a password, for a server that asks for it."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    return tcp_uri(own_server.port, "scram_user", SECRET)


def forms(uri: str) -> list[str]:
    """Return equivalent URIs: with the password before the host, as an option, and as both."""
    host, _, encoded = uri.partition("@")[2], None, uri.split(":")[2].split("@", maxsplit=1)[0]
    return [uri, f"postgresql://scram_user@{host}?password={encoded}", f"{uri}?password={encoded}"]


def hides(data: bytes | str, uri: str) -> bool:
    """Tell whether data contains neither the password nor its form in the URI."""
    data = data if isinstance(data, bytes) else data.encode()
    encoded = uri.split(":")[2].split("@", maxsplit=1)[0]
    return all(secret.encode() not in data for secret in (SECRET, encoded, encoded.lower()))


@pytest.mark.parametrize("form", [0, 1, 2])
def test_a_plan_hides_the_password(secret_uri: str, monkeypatch: pytest.MonkeyPatch, form: int) -> None:
    """A printed plan never shows the password, and a pickle contains it only on request."""
    query = "SELECT i FROM generate_series(1, 100) AS i"
    uri = forms(secret_uri)[form]
    plan = industrydb.plan_sql(uri, query, partition_on="i", partitions=3)
    for text in (repr(plan), str(plan), f"{plan}", plan.explain(), repr([plan]), repr(plan._request)):  # noqa: SLF001
        assert hides(text, secret_uri)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert hides(pickle.dumps(plan, protocol), secret_uri)
    unpickled: industrydb.ReadPlan = pickle.loads(pickle.dumps(plan))  # noqa: S301
    assert (unpickled.sql, unpickled.schema, unpickled.estimated_rows) == (plan.sql, plan.schema, plan.estimated_rows)
    with pytest.raises(industrydb.DatabaseConnectionError, match="password"):
        unpickled.read(0)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert sorted(unpickled.read()["i"]) == list(range(1, 101))
    monkeypatch.delenv("PGPASSWORD")
    assert plan.read(0).height > 0
    whole = industrydb.plan_sql(uri, query, partition_on="i", partitions=3, include_secrets=True)
    assert hides(repr(whole) + whole.explain(), secret_uri)
    assert sorted(pickle.loads(pickle.dumps(whole)).read()["i"]) == list(range(1, 101))  # noqa: S301


def test_a_copy_within_the_process_can_be_read(secret_uri: str) -> None:
    """A copy within the process keeps the password: copying is not pickling."""
    plan = industrydb.plan_sql(secret_uri, "SELECT 1 AS a")
    assert copy.copy(plan).read().rows() == [(1,)]
    assert copy.deepcopy(plan).read().rows() == [(1,)]


def test_plans_are_read_by_other_processes(table: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan's partitions can be read by other processes, as the documentation shows; these know the password."""
    say_password(table.uri, monkeypatch)
    plan = industrydb.plan_sql(table.uri, QUERY, partitions=3)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        frame = pl.concat(pool.map(plan.read, range(len(plan))))
    assert frame.equals(plan.read())


# Ranges


def between(table: Database, key: str, low: object, high: object, partitions: int = 4) -> industrydb.ReadPlan:
    """Plan by a range, and assert that all rows are read once."""
    key = key.format(text=table.cast("k", "text"), float=table.cast("k", "float"))
    query = f"SELECT {key} AS the_key, n FROM planned"
    options: dict[str, Any] = {"partition_on": "the_key", "partitions": partitions, "partition_range": (low, high)}
    plan = industrydb.plan_sql(table.uri, query, **options)
    assert sorted(plan.read()["n"]) == list(range(3000))
    assert len(plan) <= partitions
    return plan


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("k", 0, 2999),
        ("k", 5, 5),
        ("k", 1000, 1001),
        ("k", -(10**6), 10**6),
        ("k", -(2**63), 2**63 - 1),
        ("k", 2**62, 2**63 - 1),
        ("k", 0.5, 2000.5),
        ("k", 0, 2000.5),
        ("k", Decimal("0.1"), Decimal("1000.7")),
        ("k", 0, 2**70),
        ("k", -(2**100), 2**100),
        ("k", 0, 10**300),
        ("k", -1e308, 1e308),
        ("k", 1.0, 1.0 + 2**-50),
        ("k + 0.5", 0, 3000),
        ("k + 0.5", 0.25, 1e10),
        ("k + 0.5", Decimal("0.000000000000000001"), 7),
        ("{text}", 0, 20),
        ("{text}", -20, 2000),
        ("{float}", 0, 2999),
        ("{float}", 0, 10**30),
        ("{float}", -1e308, 1e308),
        ("{float}", 1e-320, 3e-320),
        ("{float}", 0.1, math.nextafter(0.1, 1)),
        ("day", dt.date(2023, 12, 31), dt.date(2024, 1, 2)),
        ("day", dt.date(1, 1, 1), dt.date(9999, 12, 31)),
        ("day", dt.date(2024, 1, 1), dt.date(2024, 1, 1)),
        ("day", dt.datetime(2023, 12, 31, 12), dt.datetime(2024, 1, 1, 12)),  # noqa: DTZ001
        ("day", dt.datetime(2023, 12, 31, 12, tzinfo=UTC), dt.datetime(2024, 1, 1, 12, tzinfo=UTC)),
    ],
    ids=str,
)
@pytest.mark.parametrize("partitions", [2, 7, 64])
def test_ranges(table: Database, key: str, low: object, high: object, partitions: int) -> None:
    """Rows outside the range are read too; ends that do not fit the column's type are refused, or lose no row."""
    try:
        between(table, key, low, high, partitions)
    except ConfigurationError as error:
        assert "the_key" in str(error)  # noqa: PT017
        assert "text" in key or isinstance(low, dt.date)


@pytest.mark.parametrize(
    ("declared", "keys", "ends"),
    [
        ("text", [str(n) for n in range(31)], (0, 20)),
        ("varchar(9)", [str(-n) for n in range(31)], (-20, -1)),
        ("text", [f"2024-01-{n:02}" for n in range(1, 31)], (dt.date(2024, 1, 5), dt.date(2024, 1, 20))),
        ("numeric", [str(n / 8) for n in range(31)], (1, 3)),
        ("text", [str(n / 8) for n in range(91)], (Decimal("1.5"), Decimal("10.5"))),
    ],
)
def test_ranges_of_texts(database: Database, declared: str, keys: list[str], ends: tuple[Any, Any]) -> None:
    """A range of numbers or dates on texts, which sort differently, is refused, or all rows are read."""
    database.execute("DROP TABLE IF EXISTS texts")
    database.execute(f"CREATE TABLE texts (k {declared}, n INTEGER)")
    database.execute("INSERT INTO texts VALUES " + ", ".join(f"('{key}', {n})" for n, key in enumerate(keys)))
    for partitions in (2, 5, 16):
        try:
            frame = industrydb.read_sql(
                database.uri, "SELECT k, n FROM texts", partition_on="k", partitions=partitions, partition_range=ends
            )
        except ConfigurationError:
            continue
        assert sorted(frame["n"]) == list(range(len(keys)))


# Days on which clocks change.
JUMPS = {
    "Europe/Berlin": [dt.date(2024, 3, 31), dt.date(2024, 10, 27)],
    "America/New_York": [dt.date(2024, 3, 10), dt.date(2024, 11, 3)],
    "Australia/Lord_Howe": [dt.date(2024, 4, 7), dt.date(2024, 10, 6)],
    "UTC": [dt.date(2024, 3, 31)],
}


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, days in JUMPS.items() for day in days])
@pytest.mark.parametrize("key", ["at", "at AT TIME ZONE 'UTC'", "at::text", "at::date"])
def test_ranges_of_instants(postgres: psycopg.Connection, postgres_uri: str, zone: str, day: dt.date, key: str) -> None:
    """Clock changes put no row between partitions, or into two."""
    postgres.execute("""
        CREATE TABLE IF NOT EXISTS instants AS SELECT at, row_number() OVER (ORDER BY at) AS n FROM
            generate_series('2024-03-01'::timestamptz, '2024-12-01', interval '15 min') AS at
    """)
    low = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    high = dt.datetime.combine(day + dt.timedelta(1), dt.time(), ZoneInfo(zone))
    around = (low - dt.timedelta(1), high + dt.timedelta(1))
    query = f"SELECT n, {key} AS key FROM instants WHERE at BETWEEN '{around[0]}' AND '{around[1]}'"
    total = postgres.execute(f"SELECT count(*) FROM ({query}) AS q").fetchone()
    for partitions in (5, 48, 96):
        try:
            plan = industrydb.plan_sql(
                postgres_uri, query, partition_on="key", partitions=partitions, partition_range=(low, high)
            )
        except ConfigurationError:
            assert key == "at::text"
            continue
        counts = " + ".join(f"(SELECT count(*) FROM ({sql}) AS p)" for sql in plan.sql)
        assert postgres.execute(f"SELECT {counts}").fetchone() == total


@example(low=float.fromhex("0x1.37021cf0c9326p-1"), steps=1, partitions=1000)
@given(
    low=st.floats(allow_nan=False, allow_infinity=False),
    steps=st.integers(0, 300),
    partitions=st.integers(2, 64),
)
def test_cuts_of_floats_rise(postgres_uri: str, low: float, steps: int, partitions: int) -> None:
    """The cuts between two floats never fall, however close the floats are."""
    high = low
    for _ in range(steps):
        high = math.nextafter(high, math.inf)
    if math.isinf(high):
        return
    plan = industrydb.plan_sql(
        postgres_uri, "SELECT 0.5::float8 AS a", partition_on="a", partitions=partitions, partition_range=(low, high)
    )
    cuts = [float(cut) for sql in plan.sql for cut in re.findall(r"< '([^']*)'", sql)]
    assert cuts == sorted(cuts)


@pytest.mark.parametrize(
    "ends",
    [
        (2, 1),
        (math.nan, 1),
        (1, math.nan),
        (-math.inf, math.inf),
        (Decimal("NaN"), 1),
        (Decimal("sNaN"), 1),
        (1, Decimal("Infinity")),
        (True, 5),
        (1, None),
        ("a", "b"),
        (b"a", b"b"),
        (1,),
        (1, 2, 3),
        (),
        5,
        "ab",
        (dt.date(2024, 1, 1), 5),
        (dt.date(2024, 1, 1), dt.datetime(2024, 1, 2)),  # noqa: DTZ001
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2, tzinfo=UTC)),  # noqa: DTZ001
        (dt.date(2024, 1, 2), dt.date(2024, 1, 1)),
        (dt.time(1), dt.time(2)),
        (dt.timedelta(1), dt.timedelta(2)),
        (1j, 2j),
        (10**400, 0.5),
    ],
    ids=str,
)
def test_ranges_that_mean_nothing(table: Database, ends: Any) -> None:  # noqa: ANN401
    """A range that makes no sense is refused by name, before a connection is opened."""
    with pytest.raises(ConfigurationError, match=r"range"):
        industrydb.read_sql(table.uri, QUERY, partition_on="k", partitions=3, partition_range=ends)


def test_ranges_without_a_key(table: Database) -> None:
    """A range without a key column is refused."""
    for options in ({"partitions": 3}, {}):
        with pytest.raises(ConfigurationError, match="partition_on"):
            industrydb.read_sql(table.uri, QUERY, partition_range=(1, 2), **options)  # type: ignore[call-overload]


# Sessions


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("snapshot", [True, False])
def test_sessions_are_never_more(postgres: psycopg.Connection, own_server: Server, most: int, snapshot: bool) -> None:  # noqa: FBT001
    """A read opens at most `max_connections` sessions: a role that may not have more is enough."""
    postgres.execute("DROP ROLE IF EXISTS limited")
    postgres.execute(f"CREATE ROLE limited LOGIN CONNECTION LIMIT {most}")
    uri = own_server.uri.replace("//postgres@", "//limited@")
    query = "SELECT i, pg_backend_pid() AS pid FROM generate_series(1, 1000) AS i"
    splits: list[tuple[Any, dict[str, Any]]] = [
        (query, {"partition_on": "i", "partitions": 20}),
        ([f"{query} WHERE i % 20 = {part}" for part in range(20)], {}),
        ("SELECT oid AS i FROM pg_proc", {"partitions": 20}),
    ]
    for queries, split in splits:
        plan = industrydb.plan_sql(uri, queries, max_connections=most, snapshot=snapshot, **split)
        eventually(lambda: not sessions(postgres))
        for read in (
            partial(industrydb.read_sql, uri, queries, max_connections=most, snapshot=snapshot, **split),
            plan.read,
            lambda plan=plan: pl.concat(plan.batches(batch_size=100)),
        ):
            frame = read()
            assert frame["i"].n_unique() == frame.height > 900
            if "pid" in frame.columns:
                assert frame["pid"].n_unique() <= most
            eventually(lambda: not sessions(postgres))
    postgres.execute("DROP ROLE limited")


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("most", [1, 2])
def test_sessions_of_a_held_snapshot_are_never_more(
    postgres: psycopg.Connection, own_server: Server, most: int
) -> None:
    """Reads of a held snapshot open at most `max_connections` sessions, beside the one that holds it."""
    postgres.execute(f"DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN CONNECTION LIMIT {most}")
    postgres.execute("GRANT SELECT ON planned TO limited")
    uri = own_server.uri.replace("//postgres@", "//limited@")
    with industrydb.hold_snapshot(own_server.uri, tables="planned") as snapshot:
        split: dict[str, Any] = {"partition_on": "k", "partitions": 20}
        plan = industrydb.plan_sql(uri, QUERY, max_connections=most, snapshot=snapshot, **split)
        eventually(lambda: len(sessions(postgres)) == 1)
        assert plan.read().height == 3000
        eventually(lambda: len(sessions(postgres)) == 1)
        assert pl.concat(plan.batches(batch_size=100)).height == 3000
        eventually(lambda: len(sessions(postgres)) == 1)
    postgres.execute("DROP OWNED BY limited; DROP ROLE limited")


@pytest.mark.parametrize("most", [0, -1, -(10**30)])
def test_numbers_of_sessions_that_mean_nothing(table: Database, most: int) -> None:
    """`max_connections` must be at least 1."""
    with pytest.raises(ConfigurationError, match="max_connections"):
        industrydb.read_sql(table.uri, QUERY, max_connections=most)


@pytest.mark.parametrize("most", [2**64, 10**30])
def test_numbers_of_sessions_beyond_all_bounds(table: Database, most: int) -> None:
    """A `max_connections` beyond all bounds is no limit, or is refused by name."""
    try:
        assert industrydb.read_sql(table.uri, QUERY, max_connections=most).height == 3000
    except ConfigurationError as error:
        assert "max_connections" in str(error)  # noqa: PT017


@pytest.mark.parametrize("most", [1.0, "2", [1]])
def test_numbers_of_sessions_of_other_types(table: Database, most: Any) -> None:  # noqa: ANN401
    """A `max_connections` of another type raises a TypeError."""
    with pytest.raises(TypeError):
        industrydb.read_sql(table.uri, QUERY, max_connections=most)


# Statements of `pre_execution_query`


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 6}], ids=["whole", "key"])
def test_setup_runs_on_every_session(
    postgres: psycopg.Connection,
    postgres_uri: str,
    split: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """Settings of `pre_execution_query` hold in every session of a read."""
    postgres.execute("""
        DROP SCHEMA IF EXISTS "set up" CASCADE; CREATE SCHEMA "set up"; CREATE TABLE "set up".found (i int);
        INSERT INTO "set up".found SELECT generate_series(1, 600)
    """)
    setup = [
        "SET search_path = \"set up\"; SET application_name = 'it''s; set'",
        "SET TimeZone = 'Asia/Tokyo' -- end",
        "",
    ]
    query = """SELECT i, current_setting('application_name') AS a, current_setting('TimeZone') AS t,
        pg_backend_pid() AS pid FROM found, generate_series(1, 200)"""
    frame = industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, snapshot=snapshot, **split)
    assert set(frame.select("a", "t").rows()) == {("it's; set", "Asia/Tokyo")}
    assert frame.height == 600 * 200
    assert frame["i"].sum() == 200 * 600 * 601 // 2
    assert (frame["pid"].n_unique() > 1) == bool(split)
    eventually(lambda: not sessions(postgres, "it's; set"))


@pytest.mark.parametrize("arguments", [{}, {"partition_on": "a", "partitions": 3}], ids=["whole", "key"])
@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize(
    "setup",
    [
        "SELECT 1 / 0",
        "NONSENSE",
        "SET no.such = 1; SET nonsense = 1",
        ["SELECT 1", "SELECT * FROM nowhere"],
        "COPY pg_temp.nowhere FROM STDIN",
        ["CREATE TEMP TABLE filled (i int)", "COPY filled FROM STDIN"],
        "COPY nowhere TO STDOUT",
    ],
    ids=str,
)
def test_setup_that_fails(
    postgres: psycopg.Connection,
    postgres_uri: str,
    setup: Any,  # noqa: ANN401
    arguments: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """A `pre_execution_query` that fails is named by the error, does not hang, and leaves no session."""
    query = "SELECT 1 AS a"
    with pytest.raises(QueryExecutionError, match="pre_execution_query"):
        industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, snapshot=snapshot, **arguments)
    eventually(lambda: not sessions(postgres))


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("split", [{}, {"partitions": 4}, {"partition_on": "n", "partitions": 4}], ids=str)
@pytest.mark.parametrize(
    "setup",
    [
        "BEGIN; SET LOCAL work_mem = '1MB'; COMMIT",
        "SET default_transaction_isolation = 'serializable'",
        "SET default_transaction_read_only = on",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET standard_conforming_strings = off",
        "SET DateStyle = 'German'",
        "SET extra_float_digits = -15",
        "SET search_path = ''",
        "SET enable_seqscan = off; SET enable_sort = off",
        "COPY pg_catalog.pg_am TO STDOUT",
        "VALUES (1), (2); SELECT 'rows that nobody wants'",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "LISTEN something; NOTIFY something, 'text'",
        "DO $$ BEGIN RAISE NOTICE 'notice'; RAISE WARNING 'warning'; END $$",
        [],
        "",
        " ; ",
    ],
    ids=str,
)
def test_setup_of_all_kinds(
    postgres: psycopg.Connection,
    postgres_uri: str,
    setup: Any,  # noqa: ANN401
    split: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """The query's rows are the same after any `pre_execution_query`."""
    postgres.execute("""DROP TABLE IF EXISTS public.after_setup; CREATE TABLE public.after_setup AS
        SELECT i AS n, 'o''k\\' || i AS t, i / 3.0::float8 AS f, '2024-01-31'::date + i AS d
        FROM generate_series(1, 5000) AS i""")
    query = "SELECT n, t, f, d, 'a' AS c FROM public.after_setup WHERE t LIKE 'o%'"
    expected = sorted(postgres.execute(query).fetchall())
    frame = industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, snapshot=snapshot, **split)
    assert sorted(frame.rows()) == expected
    assert frame.n_chunks() == split.get("partitions", 1)


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("setup", ["BEGIN", ["BEGIN", "SELECT 1"], "BEGIN READ WRITE"], ids=str)
def test_setup_that_leaves_a_transaction_open(postgres_uri: str, setup: str, snapshot: bool) -> None:  # noqa: FBT001
    """A `pre_execution_query` that leaves a transaction open is refused: the read needs its own, read-only one."""
    with pytest.raises(ConfigurationError, match="transaction open"):
        industrydb.read_sql(postgres_uri, "SELECT 1 AS n", pre_execution_query=setup, snapshot=snapshot)


@pytest.mark.parametrize("snapshot", [True, False])
def test_queries_whose_sample_fails(
    postgres: psycopg.Connection,
    postgres_uri: str,
    snapshot: bool,  # noqa: FBT001
) -> None:
    """If the server refuses a planner's statement, the session stays usable and all rows are read."""
    postgres.execute("DROP TABLE IF EXISTS tidy; CREATE TABLE tidy AS SELECT generate_series(1, 2000) AS n")
    query = "SELECT n, ctid::text AS c FROM tidy"
    frame = industrydb.read_sql(postgres_uri, query, partition_on="n", partitions=4, snapshot=snapshot)
    assert sorted(frame.rows()) == sorted(postgres.execute(query).fetchall())


def test_setup_of_another_encoding(postgres_uri: str) -> None:
    """With another client encoding, texts are right or refused, but never other texts."""
    for text in ("Ã¤", "ä", "x"):
        try:
            frame = industrydb.read_sql(
                postgres_uri, f"SELECT '{text}' AS a", pre_execution_query="SET client_encoding = 'LATIN1'"
            )
        except industrydb.IndustryDbError:
            continue
        assert frame["a"].to_list() == [text]


@pytest.mark.parametrize("setup", [5, b"SELECT 1", [1], ["SELECT 1", None], [b"SELECT 1"]])
def test_setup_of_other_types(table: Database, setup: Any) -> None:  # noqa: ANN401
    """A `pre_execution_query` of another type raises a TypeError."""
    with pytest.raises(TypeError):
        industrydb.read_sql(table.uri, QUERY, pre_execution_query=setup)


@pytest.mark.parametrize("split", [{}, {"partitions": 4}, {"partition_on": "n", "partitions": 4}], ids=str)
@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize(
    "setup",
    [
        "BEGIN",
        "BEGIN; SELECT 1; COMMIT",
        "PRAGMA cache_size = 10",
        "SELECT 1; SELECT 2 -- end",
        "CREATE TEMP TABLE x (a)",
        "",
    ],
)
def test_setup_on_sqlite(sqlite_file: SqliteFile, setup: str, split: dict[str, Any], snapshot: bool) -> None:  # noqa: FBT001
    """On SQLite, the query's rows are the same after any `pre_execution_query`."""
    sqlite_file.connection.execute("CREATE TABLE t (n INTEGER)")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(5000)])
    frame = industrydb.read_sql(
        sqlite_file.uri, "SELECT n FROM t", pre_execution_query=[setup], snapshot=snapshot, **split
    )
    assert sorted(frame["n"]) == list(range(5000))
    assert frame.n_chunks() == split.get("partitions", 1)


@pytest.mark.parametrize(
    "setup", ["NONSENSE", "SELECT * FROM nowhere", "DELETE FROM t", "ATTACH '/no/such/file' AS a", "COMMIT"]
)
def test_setup_that_fails_on_sqlite(sqlite_file: SqliteFile, setup: str) -> None:
    """On SQLite, a `pre_execution_query` that fails is named by the error, and changes nothing."""
    sqlite_file.connection.execute("CREATE TABLE t (n INTEGER)")
    sqlite_file.connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(QueryExecutionError, match="pre_execution_query"):
        industrydb.read_sql(
            sqlite_file.uri, "SELECT n FROM t", pre_execution_query=setup, partition_on="n", partitions=2
        )
    assert sqlite_file.connection.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_options_of_the_uri_hold_for_plans(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A plan's reads have the options of its URI."""
    uri = with_options(postgres_uri, application_name="the planner", options="-c work_mem=1234kB")
    plan = industrydb.plan_sql(uri, "SELECT current_setting('application_name') || current_setting('work_mem') AS a")
    assert plan.read().rows() == [("the planner1234kB",)]
    eventually(lambda: not sessions(postgres, "the planner"))


def test_a_plan_is_a_sequence_of_plans(table: Database) -> None:
    """A plan can be indexed, sliced, iterated and hashed; each partition is a plan that reads its own rows."""
    plan = industrydb.plan_sql(table.uri, QUERY, partition_on="k", partitions=5)
    assert [part.sql for part in plan] == [(sql,) for sql in plan.sql]
    assert plan[-1].sql == plan.sql[-1:]
    assert plan[1:3].sql == plan.sql[1:3]
    assert plan[-1].read().equals(plan.read(4))
    assert plan[1:3].read().equals(pl.concat([plan.read(1), plan.read(2)]))
    assert hash(plan) == hash(pickle.loads(pickle.dumps(plan)))  # noqa: S301, our own
    for index in (5, -6):
        with pytest.raises(IndexError):
            plan[index]


@pytest.mark.parametrize("batch_size", [1, 7, 100_000])
def test_batches_of_a_plan_are_its_rows(table: Database, batch_size: int) -> None:
    """Batches of one partition, and of all, are the rows that `read` returns, in their order, and no larger."""
    query = "SELECT k, n, day, CASE WHEN n > 2990 THEN 0.5 ELSE n END AS v FROM planned WHERE n % 10 = 0"
    plan = industrydb.plan_sql(table.uri, query, partition_on="k", partitions=4)
    for index in (None, 0, -1):
        with plan.batches(index, batch_size=batch_size) as batches:
            assert batches.schema == plan.schema
            frames = list(batches)
        assert max(frame.height for frame in frames) <= batch_size
        assert pl.concat(frames).equals(plan.read(index))
    assert pl.from_arrow(pa.table(plan.batches(1))).height == plan.read(1).height  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="batch_size must be at least 1, not 0"):
        plan.batches(0, batch_size=0)
    with pytest.raises(IndexError):
        plan.batches(4)


def test_batches_of_an_altered_table_raise(table: Database) -> None:
    """Columns that have changed since the plan raise, in batches as in a read."""
    plan = industrydb.plan_sql(table.uri, "SELECT * FROM planned", partition_on="k", partitions=2)
    table.script("ALTER TABLE planned ADD COLUMN more INTEGER")
    for call in (plan.read, plan.batches):
        with pytest.raises(QueryExecutionError, match="columns have changed since it was planned"):
            call(0)


def test_an_empty_slice_of_a_plan(sqlite_file: SqliteFile) -> None:
    """A slice without partitions is an empty frame with the plan's schema; it has no batches and no profile."""
    sqlite_file.connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    plan = industrydb.plan_sql(sqlite_file.uri, "SELECT * FROM t")[1:]
    assert plan.read().schema == plan.schema
    for read in (plan.batches, plan.profile):
        with pytest.raises(ConfigurationError, match="no partitions"):
            read()


@pytest.mark.parametrize("snapshot", [7, [], 0.5, None])
def test_a_snapshot_of_no_kind(sqlite_file: SqliteFile, snapshot: Any) -> None:  # noqa: ANN401, anything
    """What is no snapshot is refused, and not taken for True."""
    with pytest.raises(TypeError, match="snapshot must be True, False"):
        industrydb.read_sql(sqlite_file.uri, "SELECT 1 AS a", snapshot=snapshot)
