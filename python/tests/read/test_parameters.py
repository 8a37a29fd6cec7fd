"""Parameters are values: the database binds them, and nothing in them is ever read as SQL."""

import datetime as dt
import math
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import industrydb
from industrydb import ConfigurationError, IndustryDbError, QueryExecutionError
from tests.kit.databases import Database
from tests.kit.support import SqliteFile, plain

UTC = dt.timezone.utc

TEXTS = [
    "",
    "it's",
    "''",
    '"',
    "\\",
    "\\'",
    "E'\\''",
    "$1",
    "%s",
    "?",
    ":a",
    "a\nb\r\n",
    "--",
    "/*",
    ";",
    "$$",
    "'; DROP TABLE victim; --",
    "\\'; DROP TABLE victim; --",
    "') TO STDOUT; DROP TABLE victim; --",
    "1 OR 1 = 1",
    "{a,b}",
    "NULL",
    "null",
    "ä☃\U0001f600\u202e",
    "x" * 100_000,
]

# The type that each value is cast to, and the value.
VALUES: list[tuple[str, Any]] = [
    ("bool", True),
    ("bool", False),
    ("int4", 0),
    ("int8", 2**63 - 1),
    ("int8", -(2**63)),
    ("numeric(20, 0)", 2**63),
    ("numeric(38, 0)", -(10**37)),
    ("float8", 0.1),
    ("float8", -0.0),
    ("float8", 5e-324),
    ("float8", 1.7976931348623157e308),
    ("float8", math.inf),
    ("float8", -math.inf),
    ("float8", math.nan),
    ("float4", 0.5),
    ("float8", 7),
    ("numeric(38, 10)", Decimal("-123456789.0123456789")),
    ("numeric(38, 10)", Decimal("1E+10")),
    ("numeric(38, 10)", Decimal("1E-10")),
    ("numeric(38, 10)", Decimal("-0.00")),
    ("bytea", b""),
    ("bytea", bytes(range(256))),
    ("bytea", bytearray(b"\\x00'")),
    ("date", dt.date(1, 1, 1)),
    ("date", dt.date(9999, 12, 31)),
    ("time", dt.time(23, 59, 59, 999999)),
    ("time", dt.time(0)),
    ("timestamp", dt.datetime(1, 1, 1)),  # noqa: DTZ001
    ("timestamp", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: DTZ001
    ("timestamptz", dt.datetime(2024, 3, 31, 1, 30, 0, 1, tzinfo=UTC)),
    ("timestamptz", dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))),
    ("timestamptz", dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
    ("timestamptz", dt.datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
    ("timestamptz", dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-9, minutes=-30)))),
    ("uuid::text", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("text", None),
    ("int4", None),
    ("int4[]", None),
    ("int4[]", []),
    ("int4[]", [1, None, -3]),
    ("int4[]", (1, 2)),
    ("text[]", ["", "NULL", None, "a,b", '"', "\\", "{}", " a ", "it's", "ä\n"]),
    ("float8[]", [math.nan, math.inf, -math.inf, 0.1, None]),
    ("bool[]", [True, False, None]),
    ("bytea[]", [b"", b"\\", b"\x00\xff"]),
    ("date[]", [dt.date(2024, 2, 29), None]),
    ("timestamptz[]", [dt.datetime(2024, 2, 29, 12, tzinfo=UTC)]),
    *(("text", text) for text in TEXTS),
]


def raw(connection: psycopg.Connection, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a query in psycopg with PostgreSQL's own parameters, ``$1`` and so on."""
    with psycopg.RawCursor(connection) as cursor:
        return cursor.execute(query, parameters).fetchall()


def normal(value: object) -> object:
    """Make values of psycopg and of a frame comparable."""
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(UTC)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        return [normal(element) for element in value]
    return plain(value)


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize(("cast", "value"), VALUES, ids=[f"{cast}-{str(value)[:20]!a}" for cast, value in VALUES])
def test_postgres_values(
    postgres: psycopg.Connection,
    postgres_uri: str,
    cast: str,
    value: object,
    snapshot: bool,  # noqa: FBT001
) -> None:
    """A parameter's value comes back as psycopg returns it."""
    query = f"SELECT $1::{cast} AS a"
    frame = industrydb.read_sql(postgres_uri, query, params=[value], snapshot=snapshot)
    bound = list(value) if isinstance(value, tuple) else value
    [(expected,)] = raw(postgres, query, [bound])
    assert normal(frame["a"][0] if not cast.endswith("[]") else frame["a"].to_list()[0]) == normal(expected)
    again = industrydb.read_sql(
        postgres_uri, f"{query} WHERE ($1::{cast}) IS NOT DISTINCT FROM $2", params=(value, value)
    )
    assert again.height == 1


@pytest.mark.parametrize(
    "value",
    [
        dt.timedelta(0),
        dt.timedelta(microseconds=-1),
        dt.timedelta(days=-1, seconds=1, microseconds=1),
        dt.timedelta(days=3, hours=25, microseconds=999999),
        dt.timedelta(days=100_000),
        dt.timedelta(days=-100_000_000),
        dt.timedelta(days=100_000_000, microseconds=1),
    ],
)
def test_postgres_durations(postgres: psycopg.Connection, postgres_uri: str, value: dt.timedelta) -> None:
    """A timedelta keeps its length, to the microsecond."""
    query = "SELECT extract(epoch FROM $1::interval)::numeric(38, 6) AS a"
    frame = industrydb.read_sql(postgres_uri, query, params=[value])
    assert frame["a"].to_list() == [Decimal(value // dt.timedelta(microseconds=1)) / 10**6]
    assert frame.rows() == raw(postgres, query, [value])


def test_postgres_nested_lists(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Nested lists are arrays of several dimensions."""
    query = "SELECT array_dims($1::int4[]) AS dims, $1::int4[]::text AS a, $2::text[]::text AS b"
    parameters = ([[1, None], [3, 4]], [[["a,b", '"'], ["\\", "{}"]]])
    frame = industrydb.read_sql(postgres_uri, query, params=parameters)
    assert frame.rows() == raw(postgres, query, parameters)


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1, 3, 5], 3), ([], 0), ([None], 0), ([2, None], 1), ((7,), 1), ([10**6], 0), (np.array([1, 2]).tolist(), 2)],
)
@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 3}], ids=["whole", "key"])
def test_postgres_lists_in_conditions(postgres_uri: str, value: object, expected: int, split: dict[str, Any]) -> None:
    """A list can be a parameter of `= ANY($1)`, the usual replacement of IN, with and without partitions."""
    query = "SELECT i FROM generate_series(1, 10) AS i WHERE i = ANY($1)"
    assert industrydb.read_sql(postgres_uri, query, params=[value], **split).height == expected


NUMPY: list[tuple[Any, str, object]] = [
    (np.int8(-5), "int8", -5),
    (np.int64(2**63 - 1), "int8", 2**63 - 1),
    (np.uint64(2**63 - 1), "int8", 2**63 - 1),
    (np.uint64(2**64 - 1), "numeric(20, 0)", Decimal(2**64 - 1)),
    (np.float32(0.5), "float8", 0.5),
    (np.float64(0.1), "float8", 0.1),
    (np.float64("nan"), "float8", math.nan),
    (np.bool_(True), "bool", True),  # noqa: FBT003
    (np.str_("it's"), "text", "it's"),
    (np.bytes_(b"\x00\xff"), "bytea", b"\x00\xff"),
    (np.datetime64("2024-02-29T12:00:00.000001", "us"), "timestamp", dt.datetime(2024, 2, 29, 12, 0, 0, 1)),  # noqa: DTZ001
    (np.datetime64("2024-02-29", "D"), "date", dt.date(2024, 2, 29)),
]


@pytest.mark.parametrize(("value", "cast", "expected"), NUMPY, ids=[repr(row[0]) for row in NUMPY])
def test_scalars_of_numpy(postgres_uri: str, value: object, cast: str, expected: object) -> None:
    """A NumPy scalar is bound as the value of its ``item``."""
    frame = industrydb.read_sql(postgres_uri, f"SELECT $1::{cast} AS a", params=[value])
    assert plain(frame["a"][0]) == plain(expected)


@pytest.mark.parametrize("value", [np.datetime64("2024-02-29T12:00:00.000000001", "ns"), np.datetime64("NaT")])
def test_scalars_of_numpy_that_python_has_not(postgres_uri: str, value: object) -> None:
    """NumPy values that Python cannot represent are not changed: nanoseconds are refused, NaT is refused or NULL."""
    try:
        frame = industrydb.read_sql(postgres_uri, "SELECT $1::text AS a", params=[value])
    except ConfigurationError:
        return
    assert frame["a"].to_list() == [None]


@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_on_both(postgres_uri: str, shared_sqlite_file: SqliteFile, value: str) -> None:
    """Any text is bound unchanged on both databases, and in lists on PostgreSQL."""
    assert industrydb.read_sql(postgres_uri, "SELECT $1 AS a", params=[value])["a"].to_list() == [value]
    frame = industrydb.read_sql(postgres_uri, "SELECT unnest($1::text[]) AS a", params=[[value, value]])
    assert frame["a"].to_list() == [value, value]
    assert industrydb.read_sql(shared_sqlite_file.uri, "SELECT ? AS a", params=[value])["a"].to_list() == [value]


@given(value=st.floats() | st.integers(-(2**63), 2**63 - 1) | st.binary() | st.none())
def test_any_scalar_on_both(postgres_uri: str, shared_sqlite_file: SqliteFile, value: Any) -> None:  # noqa: ANN401
    """Any float, integer, bytes or None is bound exactly."""
    cast = {float: "float8", int: "int8", bytes: "bytea"}.get(type(value), "text")
    frame = industrydb.read_sql(postgres_uri, f"SELECT $1::{cast} AS a", params=[value])
    assert plain(frame["a"][0]) == plain(value)
    if value == value:  # noqa: PLR0124 (SQLite has no NaN)
        frame = industrydb.read_sql(shared_sqlite_file.uri, "SELECT ?1 AS a", params=[value])
        assert frame["a"][0] == value


def test_texts_that_cannot_be_sent(postgres_uri: str) -> None:
    """A text that cannot be sent raises: PostgreSQL allows no NUL in texts, and Unicode no lone surrogates."""
    for value in ("a\0b", ["a\0"]):
        with pytest.raises(IndustryDbError):
            industrydb.read_sql(postgres_uri, "SELECT $1::text AS a", params=[value])
    with pytest.raises((UnicodeEncodeError, ConfigurationError)):
        industrydb.read_sql(postgres_uri, "SELECT $1 AS a", params=["\ud800"])


SQLITE: list[tuple[str, Any, object]] = [
    ("?", [5], 5),
    ("?1", [5], 5),
    ("?2", [4, 5], 5),
    ("?5", [1, 2, 3, 4, 5], 5),
    ("? + ?1 + ?", [1, 20], 22),
    (":name", {"name": 5}, 5),
    ("@name", {"name": 5}, 5),
    ("$name", {"name": 5}, 5),
    (":größe", {"größe": 5}, 5),
    (":a + @a + $a", {"a": 5}, 15),
    (":a + :b", {"b": 1, "a": 2, "unused": 3}, 3),
    (":a + :b", [1, 2], 3),
    ("$a::b(c)", {"a::b(c)": 5}, 5),
    ("typeof(?)", [None], "null"),
    ("typeof(?)", [True], "integer"),
    ("typeof(?)", [1.0], "real"),
    ("typeof(?)", [b""], "blob"),
    ("typeof(?)", [""], "text"),
    ("?", [math.inf], math.inf),
    ("?", [2**63 - 1], 2**63 - 1),
    ("?", [b"\0\xff"], b"\0\xff"),
    ("length(CAST(? AS BLOB))", ["a\0b"], 3),
    ("?", [dt.date(2024, 2, 29)], "2024-02-29"),
    ("?", [dt.time(12, 0, 0, 1)], "12:00:00.000001"),
    ("?", [dt.datetime(2024, 2, 29, 12)], "2024-02-29 12:00:00"),  # noqa: DTZ001
    ("unixepoch(?)", [dt.datetime(1970, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))], 0),
    ("?", [uuid.UUID(int=5)], "00000000-0000-0000-0000-000000000005"),
    ("?", [np.int16(5)], 5),
    ("?", [np.float32(0.5)], 0.5),
    *(("?", [text], text) for text in TEXTS),
]


@pytest.mark.parametrize(("expression", "values", "expected"), SQLITE, ids=range(len(SQLITE)))
def test_sqlite_values(sqlite_file: SqliteFile, expression: str, values: Any, expected: object) -> None:  # noqa: ANN401
    """SQLite binds all kinds of parameter names and values."""
    frame = industrydb.read_sql(sqlite_file.uri, f"SELECT {expression} AS a", params=values)
    assert frame["a"].to_list() == [expected]


class Odd:
    """A class that no database knows."""


REFUSED: list[tuple[str, str, Any]] = [
    ("postgresql", "SELECT $1::int AS a", None),
    ("postgresql", "SELECT $1::int AS a", []),
    ("postgresql", "SELECT $1::int AS a", [1, 2]),
    ("postgresql", "SELECT $2::int AS a, $1::int AS b", [1]),
    ("postgresql", "SELECT 1 AS a", [1]),
    ("postgresql", "SELECT $1::int AS a", {"1": 1}),
    ("postgresql", "SELECT 1 AS a", {"a": 1}),
    ("postgresql", "SELECT $1::text AS a", [Odd()]),
    ("postgresql", "SELECT $1::text AS a", [{"a": 1}]),
    ("postgresql", "SELECT $1::text AS a", [{1, 2}]),
    ("postgresql", "SELECT $1::text[] AS a", [["a", Odd()]]),
    ("postgresql", "SELECT $1::text AS a", [1j]),
    ("postgresql", "SELECT $1::text AS a", [range(3)]),
    ("sqlite", "SELECT ? AS a", None),
    ("sqlite", "SELECT ? AS a", [1, 2]),
    ("sqlite", "SELECT ?5 AS a", [1]),
    ("sqlite", "SELECT :a AS a", None),
    ("sqlite", "SELECT :a AS a", {}),
    ("sqlite", "SELECT :a AS a", {"A": 1}),
    ("sqlite", "SELECT :a AS a", {":a": 1}),
    ("sqlite", "SELECT ? AS a", {"a": 1}),
    ("sqlite", "SELECT @a AS a", {"b": 1}),
    ("sqlite", "SELECT 1 AS a", [1]),
    ("sqlite", "SELECT ? AS a", [math.nan]),
    ("sqlite", "SELECT ? AS a", [2**63]),
    ("sqlite", "SELECT ? AS a", [Decimal("1.5")]),
    ("sqlite", "SELECT ? AS a", [dt.timedelta(1)]),
    ("sqlite", "SELECT ? AS a", [[1, 2]]),
    ("sqlite", "SELECT ? AS a", [Odd()]),
]


@pytest.mark.parametrize("split", [{}, {"partition_on": "a", "partitions": 2}], ids=["whole", "key"])
@pytest.mark.parametrize(("database", "query", "values"), REFUSED, ids=range(len(REFUSED)), indirect=["database"])
def test_values_that_do_not_fit(
    database: Database,
    query: str,
    values: Any,  # noqa: ANN401
    split: dict[str, Any],
) -> None:
    """A parameter that is missing, superfluous or of an unsupported type is refused, and never bound as NULL."""
    with pytest.raises(ConfigurationError, match=r"parameter|params|passed"):
        industrydb.read_sql(database.uri, query, params=values, **split)


@pytest.mark.parametrize("values", ["abc", b"abc", 5, 1.5, True, Odd()])
def test_params_of_other_types(sqlite_file: SqliteFile, values: Any) -> None:  # noqa: ANN401
    """Other types of `params` raise a TypeError: a text is not a list of its characters."""
    with pytest.raises(TypeError):
        industrydb.read_sql(sqlite_file.uri, "SELECT 1 AS a", params=values)


ENDLESS = """
import sys, industrydb
endless = []
endless.append(endless)
try:
    industrydb.read_sql(sys.argv[1], "SELECT $1::text AS a", params=[endless])
except (industrydb.ConfigurationError, RecursionError):
    print("refused")
"""


def test_a_list_that_holds_itself(postgres_uri: str) -> None:
    """A list that contains itself is refused, and does not crash the process."""
    command = [sys.executable, "-c", ENDLESS, postgres_uri]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "refused\n")


def test_other_mappings_and_sequences(sqlite_file: SqliteFile, postgres_uri: str) -> None:
    """`params` may be any mapping or a tuple, not only a dict or a list."""

    class Named(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            return {"a": 5}[key]

        def __iter__(self) -> Any:  # noqa: ANN401
            return iter("a")

        def __len__(self) -> int:
            return 1

    assert industrydb.read_sql(sqlite_file.uri, "SELECT :a AS a", params=Named()).rows() == [(5,)]
    assert industrydb.read_sql(postgres_uri, "SELECT $1::int AS a", params=(5,)).rows() == [(5,)]


@pytest.mark.parametrize("text", [text for text in TEXTS if "DROP" in text or "OR" in text])
@pytest.mark.parametrize("split", [{}, {"partition_on": "id"}, {"partitions": 3}], ids=["whole", "key", "physical"])
@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("database", ["postgresql", "sqlite"], indirect=True)
def test_statements_in_values(
    database: Database,
    text: str,
    split: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """SQL statements in a value are bound as text and not executed."""
    is_sqlite = database.name == "sqlite"
    query = f"SELECT id, {'?1' if is_sqlite else '$1::text'} AS t FROM victim WHERE t = {database.mark(1)}"
    database.script("DROP TABLE IF EXISTS victim; CREATE TABLE victim (id INTEGER, t TEXT)")
    holder = "?, ?" if is_sqlite else "%s, %s"
    for number in range(20):
        database.connection.execute(f"INSERT INTO victim VALUES ({holder})", (number, text if number % 2 else "other"))
    frame = industrydb.read_sql(database.uri, query, params=[text], snapshot=snapshot, **split)
    assert sorted(frame.rows()) == [(number, text) for number in range(1, 20, 2)]
    assert database.rows("SELECT count(*) FROM victim") == [(20,)]


def test_postgres_partitions(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Parameters are bound in each partition, and while the partitions are planned."""
    query = (
        """SELECT i AS k, $2::text AS t, i % $3 AS m FROM generate_series(1, $1::int) AS i WHERE i > $4 OR i % $3 = 0"""
    )
    values = [5000, "it's", 7, 100]
    expected = sorted(raw(postgres, query, values))
    for key in ("k", "m", "t"):
        frame = industrydb.read_sql(postgres_uri, query, params=values, partition_on=key, partitions=5)
        assert sorted(frame.rows()) == expected
        assert frame.n_chunks() == (1 if key == "t" else 5)


@pytest.mark.parametrize("key", ["$1::text", "$1::numeric", "$1"])
def test_postgres_keys_that_are_parameters(postgres_uri: str, key: str) -> None:
    """A parameter may be the partition key, and have a type that the server infers."""
    query = f"SELECT {key} AS k, i FROM generate_series(1, 10) AS i"
    frame = industrydb.read_sql(postgres_uri, query, params=["5"], partition_on="k", partitions=4)
    assert sorted(frame["i"]) == list(range(1, 11))


def test_sqlite_partitions(sqlite_file: SqliteFile) -> None:
    """Parameters are bound in each partition of an SQLite read."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, s TEXT)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, n * 7 % 5000, f"s{n}") for n in range(5000)])
    query = "SELECT k, n, :t AS t FROM t WHERE n > :n AND s LIKE :like"
    values = {"t": "it's", "n": 100, "like": "s%1%"}
    expected = sorted(connection.execute(query, values).fetchall())
    for split in ({"partition_on": "k"}, {"partition_on": "n"}, {}):
        frame = industrydb.read_sql(sqlite_file.uri, query, params=values, partitions=5, **split)  # type: ignore[call-overload]
        assert sorted(frame.rows()) == expected
        assert frame.n_chunks() == 5


def test_lists_of_queries(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """Each query of a list gets all values; PostgreSQL refuses those that a query does not use."""
    queries = ["SELECT $1::int + 1 AS a", "SELECT $1::int * 10 AS a", "SELECT $1::int AS a"]
    assert industrydb.read_sql(postgres_uri, queries, params=[5])["a"].to_list() == [6, 50, 5]
    with pytest.raises(ConfigurationError, match="parameter"):
        industrydb.read_sql(postgres_uri, [*queries, "SELECT 1 AS a"], params=[5])
    queries = ["SELECT :x + 1 AS a", "SELECT :y AS a"]
    assert industrydb.read_sql(sqlite_file.uri, queries, params={"x": 5, "y": 7})["a"].to_list() == [6, 7]


def test_they_are_no_part_of_the_setup(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """Statements of `pre_execution_query` get no parameters."""
    frame = industrydb.read_sql(
        postgres_uri,
        "SELECT i, current_setting('a.b') AS s FROM generate_series(1, 4) AS i WHERE i < $1",
        params=[4],
        pre_execution_query=["SET a.b = '$1'", "SET application_name = '$2'"],
        partition_on="i",
        partitions=3,
    )
    assert sorted(frame.rows()) == [(1, "$1"), (2, "$1"), (3, "$1")]
    with pytest.raises(QueryExecutionError, match="pre_execution_query"):
        industrydb.read_sql(postgres_uri, "SELECT $1::int AS a", params=[4], pre_execution_query="SELECT $1::int")
    frame = industrydb.read_sql(
        sqlite_file.uri, "SELECT ? AS a", params=[4], pre_execution_query="CREATE TEMP TABLE x (a)"
    )
    assert frame.rows() == [(4,)]


WIDE = """
    SELECT n, true AS b, 1::int2 AS i2, -2 AS i4, 3::int8 AS i8, 4::oid AS o, 0.5::float4 AS f4, 0.1::float8 AS f8,
        'NaN'::float8 AS nan, 1.25::numeric(10, 4) AS d, 12345.678 AS any_d, 1::numeric(50, 2) AS big, 'x'::text AS t,
        'y'::varchar(3) AS v, 'z'::char(3) AS c, 'q'::"char" AS ch, 'name'::name AS nm, 'literal' AS u,
        '\\x00ff'::bytea AS by, '2024-02-29'::date AS da, '12:00:00.000001'::time AS ti, '12:00+02'::timetz AS tz,
        '2024-02-29 12:00'::timestamp AS ts, '2024-02-29 12:00+02'::timestamptz AS tstz, '1 mon 2 days'::interval AS iv,
        '12345678-1234-5678-1234-567812345678'::uuid AS id, '{"a": 1}'::json AS j, '{"a": 1}'::jsonb AS jb,
        '10.0.0.1'::inet AS ip, '$1.50'::money AS m, '101'::bit(3) AS bit, '(1,2)'::point AS p, '[1,2)'::int4range AS r,
        ARRAY[1, NULL] AS ai, ARRAY['a', NULL] AS at, ARRAY[1.5, 2] AS an, ARRAY['1.2.3.4'::inet] AS aip,
        ARRAY['2024-02-29'::date] AS ad, ARRAY[interval '1 day'] AS aiv, ROW(1, 'a') AS rec, NULL AS nothing,
        NULL::int AS no_i, NULL::text[] AS no_a, to_tsvector('a b') AS tsv, 'pg_class'::regclass AS reg, '1'::xid8 AS x8
    FROM generate_series(1, 20) AS n
"""


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("split", [{}, {"partition_on": "n", "partitions": 3}], ids=["whole", "key"])
def test_postgres_types_are_the_same_with_parameters(
    postgres: psycopg.Connection,
    postgres_uri: str,
    split: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """Rows read with parameters, which do not come by COPY, have the same types and values as rows read by COPY."""
    setup = [
        "SET DateStyle = 'German'",
        "SET IntervalStyle = 'iso_8601'",
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = -5",
    ]
    options: dict[str, Any] = {"snapshot": snapshot, "pre_execution_query": setup, **split}
    expected = industrydb.read_sql(postgres_uri, WIDE, **options)
    frame = industrydb.read_sql(postgres_uri, f"{WIDE} WHERE $1::int > 0 ORDER BY n", params=[1], **options)
    assert frame.schema == expected.schema
    assert frame.equals(expected)
    texts = [
        name for name in frame.columns if frame[name].dtype == pl.String and name not in {"c", "j", "jb", "nothing"}
    ]
    columns = ", ".join(f'CASE WHEN "{name}" IS DISTINCT FROM NULL THEN concat("{name}") END' for name in texts)
    assert frame.sort("n").select(texts).rows() == postgres.execute(f"SELECT {columns} FROM ({WIDE}) AS w").fetchall()
    numbers = ["n", "b", "i2", "i4", "i8", "f4", "f8", "d", "any_d", "by", "da", "ti", "ts"]
    columns = ", ".join(numbers)
    rows = [tuple(normal(value) for value in row) for row in frame.sort("n").select(numbers).rows()]
    expected_rows = postgres.execute(f"SELECT {columns} FROM ({WIDE}) AS w").fetchall()
    assert rows == [tuple(normal(value) for value in row) for row in expected_rows]


@pytest.mark.parametrize("rows", [0, 1, 10_000])
def test_postgres_rows_of_all_numbers(postgres_uri: str, rows: int) -> None:
    """With parameters, no rows, one row, more rows than fit into a buffer, and rows without columns are read."""
    query = "SELECT i, repeat('x', i % 100) AS t FROM generate_series(1, $1::int) AS i"
    frame = industrydb.read_sql(postgres_uri, query, params=[rows])
    assert frame["i"].to_list() == list(range(1, rows + 1))
    assert frame["t"].str.len_chars().to_list() == [i % 100 for i in range(1, rows + 1)]
    assert industrydb.read_sql(postgres_uri, "SELECT FROM generate_series(1, $1::int)", params=[rows]).width == 0


@pytest.mark.parametrize(
    "query",
    [
        "VALUES ($1::int), (2)",
        "WITH a AS (SELECT $1::int AS i) SELECT i FROM a",
        "SELECT $1::int AS i UNION ALL SELECT 2",
        "(SELECT $1::int AS i) -- the end",
        "SELECT $1::int AS i ORDER BY 1 LIMIT $1;",
        'SELECT \'$2\' AS a, "$3".i FROM (SELECT $1::int AS i) AS "$3" /* $4 */',
        "SELECT $1::int AS a$5",
        "SELECT $x$ $6 $x$ || $1::int AS a",
    ],
)
def test_postgres_queries_with_parameters(postgres: psycopg.Connection, postgres_uri: str, query: str) -> None:
    """A ``$`` in quotes, comments and names is no parameter."""
    assert industrydb.read_sql(postgres_uri, query, params=[1]).rows() == raw(postgres, query, [1])


def test_postgres_values_that_the_type_refuses(postgres_uri: str) -> None:
    """A value that its parameter's type rejects raises the server's error, with its code."""
    for value, code in (("a", "22P02"), (2**31, "22003"), (1.5, "22P02"), ([1], "22P02")):
        with pytest.raises(QueryExecutionError) as raised:
            industrydb.read_sql(postgres_uri, "SELECT $1::int AS a", params=[value])
        assert raised.value.code == code
    with pytest.raises(IndustryDbError):
        industrydb.read_sql(postgres_uri, "SELECT 1 AS a WHERE $1", params=[5])
