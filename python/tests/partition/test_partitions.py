"""Partitioned reads return every row exactly once, in the order of the partitions."""

from collections import Counter
from collections.abc import Iterable, Sequence

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import industrydb
from tests.kit.databases import Database, Feature
from tests.kit.relay import relay
from tests.kit.servers import Server
from tests.kit.support import SqliteFile, plain

pytestmark = pytest.mark.needs(Feature.DRIVER)

PARTITIONS = st.integers(1, 32)
INT8 = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1])
FLOAT8 = st.floats() | st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e308, -1e308])
FLOAT4 = st.floats(width=32) | st.sampled_from([float("nan"), float("inf"), float("-inf")])

KEYS: dict[str, st.SearchStrategy[object]] = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": INT8,
    "oid": st.integers(0, 2**32 - 1),
    "float4": FLOAT4,
    "float8": FLOAT8,
}

# SQLite has no NaN, and stores values of any kind in any column.
SQLITE_KEYS = INT8 | st.floats(allow_nan=False) | st.text(max_size=3) | st.binary(max_size=3) | st.just("5")


def counted(rows: Iterable[Sequence[object]]) -> Counter[tuple[object, ...]]:
    """Count rows regardless of their order; NaN equals itself."""
    return Counter(tuple(plain(value) for value in row) for row in rows)


@pytest.mark.parametrize("key_type", KEYS)
@given(data=st.data(), partitions=PARTITIONS)
def test_postgres_rows_arrive_exactly_once(
    postgres: psycopg.Connection, postgres_uri: str, key_type: str, data: st.DataObject, partitions: int
) -> None:
    """A partitioned read on PostgreSQL returns the rows that psycopg reads without partitions."""
    keys = data.draw(st.lists(st.none() | KEYS[key_type], max_size=60))
    postgres.execute(f"DROP TABLE IF EXISTS keyed; CREATE UNLOGGED TABLE keyed (k {key_type}, n int)")
    with postgres.cursor() as cursor, cursor.copy("COPY keyed FROM STDIN") as copy:
        for n, key in enumerate(keys):
            copy.write_row((key, n))
    query = "SELECT k, n FROM keyed"
    frame = industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=partitions)
    assert counted(frame.rows()) == counted(postgres.execute(query, binary=True))
    assert frame.n_chunks() <= partitions


@pytest.mark.parametrize("declared", ["", "INTEGER", "REAL", "NUMERIC", "BIGINT UNIQUE"])
@given(data=st.data(), partitions=PARTITIONS)
def test_sqlite_rows_arrive_exactly_once(
    shared_sqlite_file: SqliteFile, declared: str, data: st.DataObject, partitions: int
) -> None:
    """A partitioned read on SQLite returns every row once, also if one column holds keys of all storage classes."""
    unique = "UNIQUE" in declared
    keys = data.draw(st.lists(st.none() | (INT8 if unique else SQLITE_KEYS), max_size=60, unique=unique))
    connection = shared_sqlite_file.connection
    connection.executescript(f"DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (k {declared}, n INTEGER)")
    connection.executemany("INSERT INTO keyed VALUES (?, ?)", [(key, n) for n, key in enumerate(keys)])
    query = "SELECT k, n FROM keyed"
    frame = industrydb.read_sql(shared_sqlite_file.uri, query, partition_on="k", partitions=partitions)
    expected = connection.execute(query).fetchall()
    assert sorted(frame["n"]) == [n for _, n in expected]
    if all(key is None or isinstance(key, int) for key, _ in expected) and declared != "NUMERIC":
        assert counted(frame.rows()) == counted(expected)


@given(keys=st.lists(st.tuples(INT8, st.text("0123456789x", max_size=2)), max_size=40), partitions=PARTITIONS)
def test_sqlite_unions_of_columns_of_different_kinds(
    shared_sqlite_file: SqliteFile, keys: list[tuple[int, str]], partitions: int
) -> None:
    """A key that is an integer in one arm of a UNION, and a text in the other, compares the same in all partitions."""
    connection = shared_sqlite_file.connection
    connection.executescript("DROP TABLE IF EXISTS arms; CREATE TABLE arms (i INTEGER, t TEXT)")
    connection.executemany("INSERT INTO arms VALUES (?, ?)", keys)
    query = "SELECT i AS k, 'i' || rowid AS n FROM arms UNION ALL SELECT t, 't' || rowid FROM arms"
    frame = industrydb.read_sql(shared_sqlite_file.uri, query, partition_on="k", partitions=partitions)
    assert sorted(frame["n"]) == sorted(n for _, n in connection.execute(query))


@pytest.fixture
def keyed(database: Database) -> Database:
    """Return a database with a table ``keyed (k, n)``: keys from 1 to 1000, unsorted, each with its own ``n``."""
    rows = ", ".join(f"({(n * 617) % 1000 + 1}, {n})" for n in range(1000))
    database.script("DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (k INTEGER, n INTEGER)")
    database.execute(f"INSERT INTO keyed VALUES {rows}")
    return database


QUERY = "SELECT k, n FROM keyed"


@pytest.mark.parametrize("partitions", [1, 7, 8, 200])
def test_rows_come_in_the_order_of_the_partitions(keyed: Database, partitions: int) -> None:
    """Keys rise from chunk to chunk; within a chunk, rows have the database's order, the same in every run."""
    frame = industrydb.read_sql(keyed.uri, QUERY, partition_on="k", partitions=partitions)
    chunks = frame["k"].get_chunks()
    assert len(chunks) == partitions
    assert {len(chunk) for chunk in chunks} <= {1000 // partitions, 1000 // partitions + 1}
    assert sorted(frame["k"]) == [key for chunk in chunks for key in sorted(chunk)]
    expected = keyed.rows(QUERY)
    position = {row: at for at, row in enumerate(expected)}
    positions = [position[row] for row in frame.rows()]
    for chunk in chunks:
        part, positions = positions[: len(chunk)], positions[len(chunk) :]
        assert part == sorted(part)
    assert frame.equals(industrydb.read_sql(keyed.uri, QUERY, partition_on="k", partitions=partitions))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, n FROM keyed ORDER BY n DESC;",
        "SELECT k, n FROM keyed -- no line break behind this",
        "/* ; */ SELECT k, n FROM keyed /* ; */ ; -- ;",
        "WITH third AS (SELECT * FROM keyed WHERE n % 3 = 0) SELECT k, n FROM third",
        "SELECT k, n FROM keyed WHERE k < 100 UNION SELECT k, -n FROM keyed WHERE n < 50",
        "SELECT k, count(*) AS n FROM keyed GROUP BY k HAVING k > 10 OR k < 5",
        "SELECT q.k, q.n FROM keyed AS q JOIN keyed AS p ON p.k = q.n",
        "SELECT k, row_number() OVER (ORDER BY k) AS n FROM keyed",
        "SELECT k * -1 AS k, 'x' AS n FROM keyed WHERE k > 990 OR n IS NULL",
        "SELECT k, n FROM keyed ORDER BY k LIMIT 17 OFFSET 3",
    ],
)
def test_queries_of_all_shapes(keyed: Database, query: str) -> None:
    """A query of any shape returns the same rows in partitions as alone."""
    frame = industrydb.read_sql(keyed.uri, query, partition_on="k", partitions=5)
    assert counted(frame.rows()) == counted(keyed.rows(query))
    assert frame.height > 0


@pytest.mark.parametrize("name", ["Key", "a key", 'a "b"', "größe", "select", "q", "k'k", "k;k", "k--k", "[k]", "`"])
def test_keys_of_any_name(keyed: Database, name: str) -> None:
    """The partition key is the column of exactly this name."""
    query = f"SELECT n AS q_n, k AS {keyed.quoted(name)} FROM keyed"
    frame = industrydb.read_sql(keyed.uri, query, partition_on=name, partitions=3)
    assert frame.columns == ["q_n", name]
    assert counted(frame.rows()) == counted(keyed.rows(query))


@pytest.mark.parametrize(
    ("query", "height"),
    [
        ("SELECT k, n FROM keyed WHERE k < 0", 0),
        ("SELECT NULLIF(k, k) AS k, n FROM keyed", 1000),
        ("SELECT 0 * k AS k, n FROM keyed", 1000),
        ("SELECT k, n FROM keyed WHERE k IN (1, 1000)", 2),
        ("SELECT 0.5 * k AS k, n FROM keyed WHERE k = 7", 1),
    ],
    ids=["no rows", "only NULLs", "one key", "two keys", "one row"],
)
def test_few_keys_for_many_partitions(keyed: Database, query: str, height: int) -> None:
    """A read with fewer keys than partitions, or without any, returns every row once."""
    double = "double" if keyed.name == "mysql" else "double precision"
    query = query.replace("0.5 * k", f"CAST(0.5 * k AS {double})")
    frame = industrydb.read_sql(keyed.uri, query, partition_on="k", partitions=32)
    assert frame.height == height
    assert counted(frame.rows()) == counted(keyed.rows(query))


def test_partitions_need_not_be_given(keyed: Database) -> None:
    """Without `partitions`, a key column alone splits the read; `partitions=1` keeps the database's order of rows."""
    frame = industrydb.read_sql(keyed.uri, QUERY, partition_on="k")
    assert counted(frame.rows()) == counted(keyed.rows(QUERY))
    assert industrydb.read_sql(keyed.uri, QUERY, partitions=1).rows() == keyed.rows(QUERY)


def test_postgres_types_that_are_no_partition_key(postgres_uri: str) -> None:
    """A key whose type has no order is refused with an error that names the column and the type."""
    for expression, type_name in (("'{}'::json", "json"), ("point(1, 2)", "point"), ("'1'::xid", "xid")):
        with pytest.raises(industrydb.ConfigurationError, match=f'"k".*{type_name}'):
            industrydb.read_sql(postgres_uri, f"SELECT {expression} AS k", partition_on="k", partitions=2)


def test_sessions_are_opened_at_the_same_time(own_server: Server) -> None:
    """A read opens its further sessions at the same time: the relay serves none before all three have connected."""
    with relay(own_server.socket, together=3) as server:
        uri = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        query = "SELECT n FROM generate_series(1, 1000) AS n"
        frame = industrydb.read_sql(uri, query, partition_on="n", partitions=4)
    assert frame["n"].to_list() == list(range(1, 1001))
