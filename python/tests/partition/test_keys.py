"""Any column with an order can be the partition key, whatever its type, its name and its table."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import industrydb
from industrydb import ConfigurationError
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile, sqlite_database, union

# Values of each type in PostgreSQL's input syntax. Not all can be read, so psycopg runs the queries of the plans.
POSTGRES_KEYS: dict[str, list[str]] = {
    "int2": ["-32768", "32767", "0", "-1", "7"],
    "int4": ["-2147483648", "2147483647", "0", "-1", "7"],
    "int8": ["-9223372036854775808", "9223372036854775807", "0", "-1", "7"],
    "oid": ["0", "1", "4294967295", "2147483648"],
    "numeric": ["NaN", "Infinity", "-Infinity", "1e1000", "-1e-1000", "0", "1.10", "1.1", "-7", "1" * 60],
    "numeric(9, 3)": ["-999999.999", "999999.999", "0", "1.5", "1.501", "-0.001"],
    "float4": ["NaN", "Infinity", "-Infinity", "-0", "0", "1e-45", "3.4e38", "0.1", "16777217"],
    "float8": [
        "NaN",
        "Infinity",
        "-Infinity",
        "-0",
        "0",
        "5e-324",
        "1.7976931348623157e308",
        "0.1",
        "0.30000000000000004",
    ],
    "money": ["$0.00", "-$1,234.56", "$92,233,720,368,547,758.07", "$0.01"],
    "bool": ["true", "false"],
    "date": ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2024-02-29", "0001-01-01", "2000-01-01"],
    "timestamp": ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999", "2024-02-29 12:00"],
    "timestamptz": [
        "infinity",
        "-infinity",
        "4713-01-02 BC",
        "1890-01-01",
        "2024-03-31 02:30+01",
        "2024-03-31 03:00+02",
    ],
    "timestamptz(0)": ["2024-03-31 02:30+01", "2024-03-31 03:00+02", "1986-01-01 00:00:00+05:30"],
    "time": ["00:00", "24:00", "23:59:59.999999", "12:00"],
    "timetz": ["00:00+15", "00:00-15", "24:00-15:59:59", "12:00+00", "13:00+01"],
    "interval": [
        "1 mon",
        "30 days",
        "29 days 24:00",
        "-1 year",
        "178000000 years",
        "00:00:00.000001",
        "-1 day +1 hour",
    ],
    "text": [
        "",
        "a",
        "A",
        "ä",
        "Z",
        "a'b",
        'a"b',
        "a\\b",
        "\\",
        "\n",
        "a ",
        " a",
        "☃",
        "\U0001f600",
        "%s",
        "$1",
        "--",
        "e'",
    ],
    'text COLLATE "C"': ["", "a", "A", "ä", "Z", "b", "B", "a-b", "ab", "_", "☃"],
    "varchar(5)": ["", "a", "A", "a ", "a\t", "abcde"],
    "bpchar": ["", "a", "a  ", "a\t", "A"],
    "char(3)": ["", "a", "abc", "a\t", "'"],
    '"char"': ["", "a", "A", "'", "\\", " "],
    "name": ["", "a", "A", "x" * 63, '"', "\\"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "7" * 32],
    "bytea": ["\\x", "\\x00", "\\xff", "\\x27", "\\x5c", "\\x6162"],
    "inet": ["10.0.0.1", "10.0.0.0/8", "::1", "::ffff:1.2.3.4", "255.255.255.255", "10.0.0.1/24"],
    "cidr": ["10.0.0.0/8", "::/0", "0.0.0.0/0"],
    "macaddr": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:03"],
    "macaddr8": ["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"],
    "bit(3)": ["000", "101", "111", "010"],
    "bit varying": ["", "0", "1", "101", "0101"],
    "jsonb": ["null", "1", '"a"', "[]", "{}", '{"a": "\'\\\\"}', "[1, 2]", "true", '""'],
    "tsvector": ["", "'a':1 'b'", "'it''s'"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"],
    "keyed.mood": ["zzz", "", "it's", "\\", "aaa"],
    '"Other\'s schema"."Mixed ""Up"".Name"': ["b", "a"],
    "keyed.positive": ["1", "2147483647", "7"],
    "keyed.pair": ["(1,a)", "(1,)", '(3,"it\'s \\\\ ""x"" , ")', "(2,)", "(-1,b)", "(,)"],
    "int4[]": ["{}", "{1}", "{1,NULL}", "{NULL}", "{{1,2},{3,4}}", "[2:3]={1,2}", "{2}"],
    "text[]": ["{}", '{"a,b"}', '{"\\\\"}', '{"\\""}', "{it's}", '{"NULL"}', "{NULL}", '{""}'],
    "float8[]": ["{NaN}", "{Infinity}", "{-0}", "{0}", "{}"],
    "keyed.mood[]": ["{zzz}", "{aaa,zzz}", "{}", '{"it\'s"}'],
    "int4range": ["empty", "(,)", "[1,2)", "[1,)", "(,1)", "[1,3)"],
    "tstzrange": ["empty", "(,)", "[2024-03-31 03:00+02,2024-03-31 02:30+01)", "[2024-01-01,infinity)"],
    "int4multirange": ["{}", "{[1,2)}", "{[1,2),[5,7)}", "{(,)}"],
}

TYPES = """
    DROP SCHEMA IF EXISTS keyed CASCADE;
    DROP SCHEMA IF EXISTS "Other's schema" CASCADE;
    CREATE SCHEMA keyed;
    CREATE SCHEMA "Other's schema";
    CREATE TYPE keyed.mood AS ENUM ('zzz', 'it''s', '', 'aaa', '\\');
    CREATE TYPE "Other's schema"."Mixed ""Up"".Name" AS ENUM ('b', 'a');
    CREATE DOMAIN keyed.positive AS int CHECK (VALUE > 0);
    CREATE TYPE keyed.pair AS (a int, b text);
"""


@pytest.fixture(scope="module")
def types(postgres: psycopg.Connection) -> psycopg.Connection:
    """Create the types that are not built in."""
    postgres.execute(TYPES)
    return postgres


@pytest.mark.parametrize("key_type", POSTGRES_KEYS)
@settings(max_examples=6)
@given(data=st.data(), partitions=st.integers(2, 32))
def test_postgres_keys_of_all_types(
    types: psycopg.Connection, postgres_uri: str, key_type: str, data: st.DataObject, partitions: int
) -> None:
    """Each row is in exactly one partition, and rows with equal keys are in the same one."""
    keys = data.draw(st.lists(st.none() | st.sampled_from(POSTGRES_KEYS[key_type]), max_size=40))
    types.execute("DROP TABLE IF EXISTS keyed.rows")
    types.execute(f"CREATE UNLOGGED TABLE keyed.rows (k {key_type}, n int)")
    with types.cursor() as cursor, cursor.copy("COPY keyed.rows FROM STDIN") as copy:
        for n, key in enumerate(keys):
            copy.write_row((key, n))
    plan = industrydb.plan_sql(postgres_uri, "SELECT k, n FROM keyed.rows", partition_on="k", partitions=partitions)
    assert 1 <= len(plan) <= partitions
    assert sum(rows or 0 for rows in plan.estimated_rows) == (0 if len(plan) == 1 and not keys else len(keys))
    found = types.execute(union(plan.sql)).fetchall()
    assert sorted(n for n, _ in found) == list(range(len(keys)))
    parts: dict[int, int] = dict(found)
    split = types.execute("SELECT array_agg(n) FROM keyed.rows GROUP BY k").fetchall()
    assert all(len({parts[n] for n in same}) == 1 for (same,) in split)


@pytest.mark.parametrize(
    "key_type",
    [
        "numeric(9, 3)",
        "money",
        "uuid",
        "bytea",
        "inet",
        "keyed.mood",
        "jsonb",
        "interval",
        '"char"',
        "int4range",
        "bit(3)",
        "keyed.pair",
    ],
)
@pytest.mark.parametrize("partitions", [2, 5])
def test_postgres_keys_are_read(types: psycopg.Connection, postgres_uri: str, key_type: str, partitions: int) -> None:
    """A partitioned read returns every row, with its key's text as PostgreSQL prints it."""
    values = [value for value in POSTGRES_KEYS[key_type] if value != "178000000 years"]
    types.execute(f"DROP TABLE IF EXISTS keyed.rows; CREATE TABLE keyed.rows (k {key_type}, n int)")
    for n, value in enumerate(values):
        types.execute(f"INSERT INTO keyed.rows VALUES (%s::{key_type}, %s)", [value, n])
    query = "SELECT k, k::text AS t, n FROM keyed.rows"
    frame = industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=partitions)
    expected = types.execute("SELECT k::text, n FROM keyed.rows").fetchall()
    assert sorted(frame.select("t", "n").rows()) == sorted(expected)


@pytest.mark.parametrize(
    "collation",
    [
        '"C"',
        '"POSIX"',
        '"default"',
        '"unicode"',
        '"en-x-icu"',
        '"en_US.utf8"',
        '"de_DE.utf8"',
        "pg_c_utf8",
        "keyed.caseless",
        "keyed.digits",
    ],
)
def test_postgres_keys_of_all_collations(types: psycopg.Connection, postgres_uri: str, collation: str) -> None:
    """Keys are cut in the order of their own collation, in which different texts may be equal."""
    with suppress(psycopg.errors.FeatureNotSupported):  # the server is built without ICU
        types.execute("""
            CREATE COLLATION IF NOT EXISTS keyed.caseless
                (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
            CREATE COLLATION IF NOT EXISTS keyed.digits (provider = icu, locale = 'en-u-kn-true');
        """)
    types.execute("DROP TABLE IF EXISTS keyed.rows")
    try:
        types.execute(f"CREATE TABLE keyed.rows (k text COLLATE {collation}, n int)")
        types.execute("SELECT 'a' < k FROM keyed.rows")
        types.execute(f"SELECT 'a' < 'b' COLLATE {collation}")
    except (psycopg.errors.UndefinedObject, psycopg.errors.FeatureNotSupported):
        pytest.skip(f"this server has no collation {collation}")
    types.execute("""
        INSERT INTO keyed.rows SELECT a || b || c, row_number() OVER () FROM
            unnest('{a,A,á,Á,b,B,z,Z,"",10,9,-,_," "}'::text[]) a, unnest('{a,A,ä,1,10,2,"-"}'::text[]) b,
            unnest('{"",x,X}'::text[]) c
    """)
    query = "SELECT k, n FROM keyed.rows"
    expected = sorted(types.execute(query).fetchall())
    for partitions in (2, 7, 32):
        frame = industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=partitions)
        assert sorted(frame.rows()) == expected
        assert frame.n_chunks() > 1


@pytest.mark.parametrize(
    ("expression", "type_name"),
    [
        ("'{}'::json", "json"),
        ("'(1,2)'::point", "point"),
        ("'((1,2),(3,4))'::box", "box"),
        ("'((1,2),(3,4))'::lseg", "lseg"),
        ("'<(1,2),3>'::circle", "circle"),
        ("'1'::xid", "xid"),
        ("'1'::cid", "cid"),
        ("'{}'::json[]", "json"),
        ("'((0,0),(1,1))'::polygon", "polygon"),
        ("'<a/>'::xml", "xml"),
        ("'=r/postgres'::aclitem", "aclitem"),
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"snapshot": False}], ids=["snapshot", "alone"])
def test_postgres_keys_without_an_order(
    postgres: psycopg.Connection, postgres_uri: str, expression: str, type_name: str, arguments: dict[str, Any]
) -> None:
    """A key whose type has no order is refused with an error that names the column and the type."""
    try:
        postgres.execute(f"SELECT {expression}")
    except psycopg.Error:
        pytest.skip(f"this server has no {type_name}")
    query = f"SELECT {expression} AS k, n FROM generate_series(1, 10) AS n"
    with pytest.raises(ConfigurationError, match=f'"k".*{type_name}'):
        industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=2, **arguments)


@pytest.mark.parametrize(
    "expression", ["random()", "gen_random_uuid()", "clock_timestamp()", "(random() * 100)::int", "nextval('steps')"]
)
def test_postgres_keys_that_differ_each_time(postgres: psycopg.Connection, postgres_uri: str, expression: str) -> None:
    """A key that differs at each evaluation is refused, or all rows come from a single evaluation."""
    postgres.execute("CREATE SEQUENCE IF NOT EXISTS steps")
    query = f"SELECT {expression} AS k, n FROM generate_series(1, 1000) AS n"
    try:
        frame = industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=4)
    except (ConfigurationError, industrydb.QueryExecutionError):
        return
    assert sorted(frame["n"]) == list(range(1, 1001))


@pytest.mark.parametrize("arguments", [{}, {"snapshot": False}], ids=["snapshot", "alone"])
@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("big", "id"),
        ("big", "few"),
        ("big", "skewed"),
        ("big", "name"),
        ("big", "at"),
        ("big", "half"),
        ("(SELECT id * -1 AS id, n FROM big) AS b", "id"),
        ("big_view", "name"),
        ("big_parts", "id"),
        ("big JOIN big AS other USING (id, n)", "id"),
    ],
)
def test_postgres_tables_that_are_sampled(
    postgres: psycopg.Connection, postgres_uri: str, source: str, key: str, arguments: dict[str, Any]
) -> None:
    """Cuts from a sample of a large table's blocks are even, and every row is read exactly once."""
    if postgres.execute("SELECT to_regclass('big_parts')").fetchone() == (None,):
        postgres.execute("""
            DROP TABLE IF EXISTS big CASCADE;
            CREATE UNLOGGED TABLE big AS SELECT n AS id, n::int8 AS n, n % 3 AS few,
                CASE WHEN n % 10 > 0 THEN 1 ELSE n END AS skewed,
                md5(n::text) AS name, 'epoch'::timestamptz + n * interval '1 h' AS at, nullif(n % 2, 0) AS half,
                repeat('x', 100) AS pad FROM generate_series(1, 100000) AS n;
            CREATE VIEW big_view AS SELECT * FROM big;
            CREATE TABLE big_parts (id int, n int8) PARTITION BY RANGE (id);
            CREATE UNLOGGED TABLE big_part_1 PARTITION OF big_parts FOR VALUES FROM (MINVALUE) TO (1000);
            CREATE UNLOGGED TABLE big_part_2 PARTITION OF big_parts DEFAULT;
            INSERT INTO big_parts SELECT id, n FROM big;
            ANALYZE big;
        """)
    query = f"SELECT {key}, n FROM {source}"
    frame = industrydb.read_sql(postgres_uri, query, partition_on=key, partitions=7, **arguments)
    assert (frame.height, frame["n"].n_unique(), frame["n"].sum()) == (100_000, 100_000, 5_000_050_000)
    assert 1 < frame.n_chunks() <= 7
    if key in {"id", "name", "at"}:
        heights = [len(chunk) for chunk in frame["n"].get_chunks()]
        assert max(heights) < 2 * 100_000 / 7


# SQLite

SQLITE_COLUMNS = [
    "k",
    "k INTEGER",
    "k INTEGER PRIMARY KEY",
    "k BIGINT",
    "k TEXT",
    "k TEXT COLLATE NOCASE",
    "k TEXT COLLATE RTRIM",
    "k VARCHAR(3)",
    "k BLOB",
    "k REAL",
    "k NUMERIC",
    "k DECIMAL(10, 5)",
    "k DATE",
    "k BOOLEAN",
    "k STRING",
    "k ANY COLLATE NOCASE",
]
SQLITE_VALUES = (
    st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, -1, 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1])
    | st.floats(allow_nan=False)
    | st.sampled_from([float("inf"), float("-inf"), -0.0, 0.5, 1e300, 9007199254740993.0])
    | st.text(max_size=3)
    | st.sampled_from(
        ["", "a", "A", "a ", "ä", "Ä", "1", "01", "1.0", "1e0", " 1", "a\0b", "\0", "'", "it's", '"', "NULL"]
    )
    | st.binary(max_size=3)
    | st.sampled_from([b"", b"a", b"\0", b"\xff"])
)


def planned(file: SqliteFile, query: str, key: str, partitions: int) -> list[int]:
    """Return the sorted `n` of all partitions' rows, read by sqlite3 with the plan's queries."""
    plan = industrydb.plan_sql(file.uri, query, partition_on=key, partitions=partitions)
    assert 1 <= len(plan) <= partitions
    return sorted(n for sql in plan.sql for (n,) in file.connection.execute(f"SELECT n FROM ({sql})"))


@pytest.mark.parametrize("column", SQLITE_COLUMNS)
@settings(max_examples=12)
@given(data=st.data(), partitions=st.integers(2, 32))
def test_sqlite_keys_of_all_columns(
    shared_sqlite_file: SqliteFile, column: str, data: st.DataObject, partitions: int
) -> None:
    """Each row is in exactly one partition, whatever its column's declared type and its values."""
    connection = shared_sqlite_file.connection
    connection.executescript(f"DROP TABLE IF EXISTS keyed; CREATE TABLE keyed ({column}, n INTEGER)")
    if "PRIMARY" in column:
        keys: list[object] = list(data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40, unique=True)))
    else:
        keys = data.draw(st.lists(st.none() | SQLITE_VALUES, max_size=40))
    connection.executemany("INSERT INTO keyed VALUES (?, ?)", [(key, n) for n, key in enumerate(keys)])
    if data.draw(st.booleans()):
        connection.execute("CREATE INDEX keyed_k ON keyed (k, n)")
    query = "SELECT k, n FROM keyed"
    assert planned(shared_sqlite_file, query, "k", partitions) == list(range(len(keys)))
    frame = industrydb.read_sql(shared_sqlite_file.uri, query.replace("k,", "quote(k) AS k,"), partition_on="k")
    assert sorted(frame["n"]) == list(range(len(keys)))


def test_sqlite_texts_that_are_no_utf_8(sqlite_file: SqliteFile) -> None:
    """Text keys that are not UTF-8 cannot be read, but each row is in exactly one partition of the plan."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE keyed (k TEXT, n INTEGER)")
    rows = [(bytes([200 + n % 50, n % 256]), n) for n in range(500)]
    connection.executemany("INSERT INTO keyed VALUES (CAST(? AS TEXT), ?)", rows)
    connection.execute("INSERT INTO keyed VALUES ('m', 500), ('z', 501), (NULL, 502)")
    assert planned(sqlite_file, "SELECT k, n FROM keyed", "k", 9) == list(range(503))


@pytest.mark.parametrize(
    "primary_key",
    [
        "PRIMARY KEY (t, i)",
        "PRIMARY KEY (i DESC, t)",
        "PRIMARY KEY (t COLLATE NOCASE DESC, i)",
        "PRIMARY KEY (b, i)",
        "PRIMARY KEY (r, i DESC)",
        "PRIMARY KEY (n)",
        "PRIMARY KEY (i, n, t COLLATE RTRIM)",
    ],
)
@pytest.mark.parametrize("key", ["t", "i", "b", "r"])
def test_sqlite_tables_without_rowids(sqlite_file: SqliteFile, primary_key: str, key: str) -> None:
    """Tables WITHOUT ROWID are split exactly, whatever their primary key."""
    connection = sqlite_file.connection
    connection.execute(
        f"CREATE TABLE keyed (t TEXT, i INTEGER, b BLOB, r REAL, n INTEGER, pad TEXT, {primary_key}) WITHOUT ROWID"
    )
    connection.execute("""
        WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 4999)
        INSERT INTO keyed SELECT 'k' || (n * 7 % 101) || char(65 + n % 60), n - 2500,
            CAST('b' || n AS BLOB), n / 8.0, n,
            hex(zeroblob(n % 50)) FROM c
    """)
    query = f"SELECT {key}, n FROM keyed"
    expected = sorted(connection.execute(query).fetchall())
    for partitions in (2, 11):
        frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=partitions)
        assert sorted(frame.rows()) == expected
        assert frame.n_chunks() == partitions


@pytest.mark.parametrize(
    "query",
    [
        "SELECT i AS k, n FROM a UNION ALL SELECT t, n + 1000 FROM a",
        "SELECT t AS k, n FROM a UNION ALL SELECT i, n + 1000 FROM a",
        "SELECT r AS k, n FROM a UNION SELECT t, n + 1000 FROM a",
        "SELECT c AS k, n FROM a UNION ALL SELECT t, n + 1000 FROM a",
        "SELECT t AS k, n FROM a UNION ALL SELECT c, n + 1000 FROM a",
        "SELECT k, n FROM (SELECT t AS k, n FROM a UNION ALL SELECT c, n + 1000 FROM a) AS q",
        "WITH w AS (SELECT c AS k, n FROM a UNION ALL SELECT i, n + 1000 FROM a) SELECT * FROM w",
        "SELECT k, n FROM mixed",
        "SELECT k || '' AS k, n FROM mixed",
        "SELECT +k AS k, n FROM mixed WHERE n % 3 > 0",
        "SELECT CAST(t AS INTEGER) AS k, n FROM a",
        "SELECT CAST(i AS TEXT) AS k, n FROM a",
        "SELECT i + 0 AS k, n FROM a",
        "SELECT i / 2.0 AS k, n FROM a",
        "SELECT coalesce(t, i) AS k, n FROM a",
        "SELECT iif(n % 2, i, t) AS k, n FROM a",
        "SELECT t COLLATE NOCASE AS k, n FROM a",
        "SELECT c COLLATE BINARY AS k, n FROM a",
        "SELECT max(i) AS k, n FROM a GROUP BY n % 7",
        "SELECT i AS k, count(*) AS n FROM a GROUP BY 1",
        "SELECT DISTINCT c AS k, 1 AS n FROM a",
        "SELECT a.i AS k, b.n FROM a JOIN a AS b ON a.n = b.n",
        "SELECT a.t AS k, b.n FROM a LEFT JOIN a AS b ON a.n = b.n + 5",
        "VALUES (1, 2), ('a', 3), (x'00', 4), (NULL, 5), (0.5, 6)",
        "SELECT i AS k, n FROM a EXCEPT SELECT t, n FROM a",
        "SELECT i AS k, n FROM a INTERSECT SELECT i, n FROM a WHERE n < 50",
        'SELECT value AS k, key AS n FROM json_each(\'[1, "a", 2.5, null, "1"]\')',
        "SELECT k, n FROM seen",
        "SELECT n AS k, row_number() OVER (ORDER BY i, n) AS n FROM a",
    ],
)
def test_sqlite_keys_of_queries(sqlite_file: SqliteFile, query: str) -> None:
    """A key that is an expression, or comes through views and unions, compares the same in all partitions."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE a (i INTEGER, t TEXT, r REAL, c TEXT COLLATE NOCASE, n INTEGER)")
    values = ["10", "9", "a", "A", "b", "-1", "1e1", "B ", "", "0x10", None, "Z", "z"]
    rows = [(n * 7 % 101 - 50, values[n % len(values)], n / 4, values[n * 5 % len(values)], n) for n in range(200)]
    connection.executemany("INSERT INTO a VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("CREATE INDEX a_i ON a (i); ")
    connection.execute("CREATE INDEX a_t ON a (t)")
    connection.execute("CREATE VIEW mixed AS SELECT i AS k, n FROM a UNION ALL SELECT c, n + 1000 FROM a")
    connection.execute("CREATE VIEW seen AS SELECT t AS k, n FROM a WHERE n % 2")
    key = connection.execute(query).description[0][0]
    name = connection.execute(query).description[1][0]
    expected = sorted((n for (n,) in connection.execute(f'SELECT "{name}" FROM ({query})')), key=str)
    for partitions in (2, 5, 32):
        plan = industrydb.plan_sql(sqlite_file.uri, query, partition_on=key, partitions=partitions)
        found = [n for sql in plan.sql for (n,) in connection.execute(f'SELECT "{name}" FROM ({sql})')]
        assert sorted(found, key=str) == expected
        frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=partitions)
        assert sorted(frame[name], key=str) == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k COLLATE NOCASE, n FROM keyed",
        "SELECT rowid, n FROM keyed",
        "SELECT true, n FROM keyed",
        "SELECT k + 1, n FROM keyed",
        "SELECT max( k ), n FROM keyed GROUP BY n",
        "SELECT CASE k WHEN 1 THEN 2 ELSE k END, n FROM keyed",
        "SELECT [k] AS 'x''y', n FROM keyed",
        "SELECT k IS NULL, n FROM keyed",
        "SELECT 'a', n FROM keyed",
        "SELECT main.keyed.k, n FROM main.keyed",
        "SELECT count(*), n FROM keyed GROUP BY n",
    ],
)
def test_sqlite_keys_without_an_alias(sqlite_file: SqliteFile, query: str) -> None:
    """A key without an alias has the name that SQLite gives to its expression, or the error asks for an alias."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE keyed (id INTEGER PRIMARY KEY, k INTEGER, n INTEGER)")
    connection.executemany("INSERT INTO keyed (k, n) VALUES (?, ?)", [(n * 7 % 50, n) for n in range(50)])
    key = connection.execute(query).description[0][0]
    if any(unnamed in query for unnamed in ("COLLATE", "rowid", "true")):
        # SQLite names these columns differently in a subquery than in the query.
        with pytest.raises(industrydb.ConfigurationError, match="alias with AS"):
            industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=3)
        return
    frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=3)
    assert sorted(frame["n"]) == list(range(50))


def test_sqlite_keys_that_differ_each_time(sqlite_file: SqliteFile) -> None:
    """A key that differs at each evaluation is refused, or all rows come from a single evaluation."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE keyed (n INTEGER)")
    connection.executemany("INSERT INTO keyed VALUES (?)", [(n,) for n in range(1000)])
    for expression in ("random()", "random() % 10", "hex(randomblob(4))"):
        query = f"SELECT {expression} AS k, n FROM keyed"
        try:
            frame = industrydb.read_sql(sqlite_file.uri, query, partition_on="k", partitions=4)
        except ConfigurationError:
            continue
        assert sorted(frame["n"]) == list(range(1000)), expression


LARGE = {
    "rowids": "CREATE TABLE large (k INTEGER, n INTEGER, name TEXT)",
    "wide rows": "CREATE TABLE large (k INTEGER, n INTEGER, name TEXT, pad TEXT)",
    "text key": "CREATE TABLE large (k INTEGER, n INTEGER, name TEXT PRIMARY KEY) WITHOUT ROWID",
    "two keys": "CREATE TABLE large (k INTEGER, n INTEGER, name TEXT, PRIMARY KEY (k DESC, n)) WITHOUT ROWID",
    "wide key": "CREATE TABLE large (k INTEGER, n INTEGER, name TEXT, pad TEXT, PRIMARY KEY (pad, n)) WITHOUT ROWID",
}
FILES = {
    "small pages": ["PRAGMA page_size = 512"],
    "large pages": ["PRAGMA page_size = 65536"],
    "UTF-16le": ["PRAGMA encoding = 'UTF-16le'"],
    "UTF-16be": ["PRAGMA encoding = 'UTF-16be'", "PRAGMA page_size = 1024"],
    "auto_vacuum": ["PRAGMA auto_vacuum = FULL"],
    "WAL": ["PRAGMA journal_mode = WAL"],
}


@pytest.mark.parametrize("table", LARGE)
@pytest.mark.parametrize("options", FILES)
def test_sqlite_tables_that_are_sampled(tmp_path: Path, table: str, options: str) -> None:
    """Cuts from keys sampled in the table's B-tree lose no row and repeat none."""
    rows = 2_000 if "wide" in table else 20_000
    with sqlite_database(tmp_path) as file:
        connection, uri = file.connection, file.uri
        for option in FILES[options]:
            connection.execute(option)
        connection.execute(LARGE[table])
        pad = ", 'ä' || (n % 50) || hex(zeroblob(n * 31 % 3000))" if "wide" in table else ""
        connection.execute(f"""
            WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})
            INSERT INTO large SELECT n * 7919 % 10007, n, 'ключ ' || (n * 31 % 30011){pad} FROM c
        """)
        connection.execute("DELETE FROM large WHERE n % 10 = 3 OR n BETWEEN 500 AND 900")
        expected = connection.execute("SELECT count(*), count(DISTINCT n), sum(n) FROM large").fetchone()
        splits: list[dict[str, Any]] = [{"partition_on": "k"}, {"partition_on": "name"}, {}]
        for split in splits:
            for partitions in (2, 9):
                frame = industrydb.read_sql(uri, "SELECT k, n, name FROM large", partitions=partitions, **split)
                assert (frame.height, frame["n"].n_unique(), frame["n"].sum()) == expected, (split, partitions)
                assert frame.n_chunks() == partitions, split


def test_sqlite_attached_databases(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """A table of an attached database is read, also if the main database has a table of the same name."""
    sqlite_file.connection.execute("CREATE TABLE t (k INTEGER, n INTEGER)")
    sqlite_file.connection.execute("INSERT INTO t VALUES (1, -1), (2, -2)")
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (k INTEGER, n INTEGER)")
        other.executemany("INSERT INTO t VALUES (?, ?)", [(n * 7 % 5000, n) for n in range(5000)])
    other.close()
    setup = f"ATTACH '{path}' AS \"an other\""
    splits: list[dict[str, Any]] = [{}, {"partition_on": "k"}]
    for split in splits:
        for table, expected in (('"an other".t', list(range(5000))), ("t", [-2, -1]), ("main.t", [-2, -1])):
            query = f"SELECT k, n FROM {table}"
            frame = industrydb.read_sql(sqlite_file.uri, query, partitions=3, pre_execution_query=setup, **split)
            assert sorted(frame["n"]) == expected, (split, table)
    query = 'SELECT o.k, o.n, m.n AS m FROM "an other".t AS o LEFT JOIN main.t AS m ON m.k = o.k'
    frame = industrydb.read_sql(sqlite_file.uri, query, partition_on="k", partitions=3, pre_execution_query=setup)
    assert sorted(frame["n"]) == list(range(5000))
    assert sorted(frame["m"].drop_nulls()) == [-2, -1]


NAMES = [
    "Key",
    "a key",
    'a "b"',
    "größe",
    "select",
    "table",
    "q",
    "n2",
    "ctid2",
    "k'k",
    "k;k",
    "k--k",
    "/*k",
    "[k]",
    "`k`",
    "$1",
    ":k",
    "?",
    "k\\k",
    "%s",
    " ",
    "☃",
    "x" * 63,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.needs(Feature.DRIVER)
def test_columns_of_tables_of_any_name(database: Database, name: str) -> None:
    """A table and its key column may both have any name, and the table is split with and without a key."""
    if database.name == "mysql" and name == " ":
        pytest.skip("not a table's name in MySQL")
    quoted = database.quoted(name)
    # Without a key, MySQL's tables are split by their primary key.
    key = " PRIMARY KEY" if database.name == "mysql" else ""
    database.execute(f"DROP TABLE IF EXISTS {quoted}")
    database.execute(f"CREATE TABLE {quoted} ({quoted} INTEGER{key}, n INTEGER)")
    database.execute(f"INSERT INTO {quoted} VALUES " + ", ".join(f"({n * 7 % 1000}, {n})" for n in range(1000)))
    query = f"SELECT {quoted}, n FROM {quoted}"
    expected = sorted(database.rows(query))
    splits: list[dict[str, Any]] = [{"partition_on": name}, {}]
    for split in splits:
        frame = industrydb.read_sql(database.uri, query, partitions=3, **split)
        assert frame.columns == [name, "n"]
        assert sorted(frame.rows()) == expected
        assert frame.n_chunks() > 1
    database.execute(f"DROP TABLE {quoted}")


@pytest.mark.parametrize("name", ["id) ; drop table x; --", 'id" ; drop table x; --', "ID", "id ", "", "x.id", "\0"])
@pytest.mark.needs(Feature.DRIVER)
def test_columns_that_do_not_exist(database: Database, name: str) -> None:
    """A key that does not exist is refused with a list of the existing columns, and its text is not executed."""
    database.execute("DROP TABLE IF EXISTS x")
    database.execute("CREATE TABLE x (id INTEGER, other INTEGER)")
    with pytest.raises(ConfigurationError, match='"id", "other"'):
        industrydb.read_sql(database.uri, "SELECT id, other FROM x", partition_on=name, partitions=2)
    assert database.rows("SELECT * FROM x") == []
