"""Queries are read as their database reads them, whatever their comments, quotes and semicolons look like."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pymysql
import pytest

import industrydb
from industrydb import ConfigurationError, IndustryDbError, QueryExecutionError
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile

pytestmark = pytest.mark.needs(Feature.DRIVER)

BOTH = [
    "SELECT 1 AS a;",
    "SELECT 1 AS a ; -- done; really",
    "-- first\nSELECT 1 AS a -- last",
    "/* ; */ SELECT 1 AS a /* ; */ ;",
    "SELECT ';' AS \"a;\"\"b\", 'it''s;' AS b, '--' AS c, '/*' AS d;",
    r"SELECT 'a\' AS e, 'b' AS f;",
    r"SELECT '100%' LIKE'%\%' ESCAPE'\' AS a;",
    "SELECT 1 AS a -- a carriage return ends a comment, or not\rUNION ALL SELECT 2",
    "WITH n(i) AS (VALUES (1), (2)) SELECT i FROM n ORDER BY i DESC",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT 1 AS a UNION SELECT 2 EXCEPT SELECT 1",
    "SELECT 1 AS a, 2 AS b2, 3 AS ä, '%s %(x)s ? :a $1' AS \"%s ? :a\"",
    "SELECT q.a AS q, 2 AS a FROM (SELECT 1 AS a) AS q",
]

POSTGRES = [
    *BOTH,
    "SELECT 1 AS a /* comments /* ; nest */ UNION ALL SELECT 2 */",
    "SELECT $$;$$ AS a, $x$;$$;$x$ AS b, E'\\';' AS c;",
    "SELECT 1 AS a$b$, 2 AS c$b$;",
    "SELECT 'continued'\n' string;' AS a;",
    "SELECT E'continued'\n'\\';' AS a;",
    "SELECT U&'d\\0061t\\+000061' AS a;",
    "(SELECT 1 AS a) UNION ALL (SELECT 2)",
    "TABLE pg_catalog.pg_am",
    'SELECT 1 AS "A", 2 AS "a"',
    """SELECT '{"a": [1, 2]}'::jsonb #>> '{a,0}' AS a, '1'::jsonb @> '1' AS b""",
]

SQLITE = [
    *BOTH,
    "SELECT 1 AS a /* no end",
    "SELECT 1 AS a /* comments /* do not nest */ UNION ALL SELECT 2",
    "SELECT 1 AS `a;b`, 2 AS [c;d];",
    "SELECT 1 AS [it's];",
    "SELECT 1 AS [a--b], 2 AS [c/*d];",
    "SELECT 1 AS 'a;b', \"no column\" AS c;",
    "SELECT 1 AS a$$, 2 AS b$$;",
    "PRAGMA encoding",
]


@pytest.mark.parametrize("query", POSTGRES)
def test_queries_on_postgres(postgres: psycopg.Connection, postgres_uri: str, query: str) -> None:
    """A query has psycopg's column names and rows."""
    cursor = postgres.execute(query)
    frame = industrydb.read_sql(postgres_uri, query)
    assert frame.columns == [column.name for column in cursor.description or []]
    assert frame.rows() == cursor.fetchall()


@pytest.mark.parametrize("query", [query for query in POSTGRES if "1 AS a" in query])
def test_queries_on_postgres_in_partitions(postgres: psycopg.Connection, postgres_uri: str, query: str) -> None:
    """A query that is read in partitions, inside another statement, has psycopg's rows."""
    cursor = postgres.execute(query)
    key = (cursor.description or [])[0].name
    frame = industrydb.read_sql(postgres_uri, query, partition_on=key, partitions=2)
    assert sorted(frame.rows()) == sorted(cursor.fetchall())


@pytest.mark.parametrize("query", SQLITE)
def test_queries_on_sqlite(sqlite_file: SqliteFile, query: str) -> None:
    """A query has sqlite3's column names and rows."""
    cursor = sqlite_file.connection.execute(query)
    frame = industrydb.read_sql(sqlite_file.uri, query)
    assert frame.columns == [name for name, *_ in cursor.description]
    assert frame.rows() == cursor.fetchall()


@pytest.mark.parametrize("query", [query for query in SQLITE if not query.startswith("PRAGMA")])
def test_queries_on_sqlite_in_partitions(sqlite_file: SqliteFile, query: str) -> None:
    """A query that is read in partitions, inside another statement, has sqlite3's rows."""
    cursor = sqlite_file.connection.execute(query)
    key = cursor.description[0][0]
    frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=2)
    assert sorted(frame.rows()) == sorted(cursor.fetchall())


@pytest.mark.parametrize("query", ["SHOW work_mem", "EXPLAIN SELECT 1", "EXECUTE nothing", "COPY pg_am TO STDOUT"])
def test_statements_that_are_no_queries(postgres_uri: str, query: str) -> None:
    """A statement whose result cannot be copied raises an error, and does not crash."""
    with pytest.raises(IndustryDbError):
        industrydb.read_sql(postgres_uri, query)


def test_rows_without_columns(postgres_uri: str) -> None:
    """Rows without columns, which PostgreSQL allows, are read as a frame without columns."""
    assert industrydb.read_sql(postgres_uri, "SELECT FROM generate_series(1, 3)").width == 0


def random(database: Database) -> str:
    """Return the call of a function of random numbers."""
    return "rand()" if database.name == "mysql" else "random()"


@pytest.fixture
def table(database: Database) -> Iterator[Database]:
    """Yield a database with tables ``t (k, n, g)`` of 1000 rows and ``u (k)`` of 500; assert ``t`` is unchanged."""
    rows = ", ".join(f"({n * 617 % 1000}, {n}, {n % 7})" for n in range(1000))
    script = ["DROP VIEW IF EXISTS few", "DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS u"]
    script += ["CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, g INTEGER)", f"INSERT INTO t VALUES {rows}"]
    script += ["CREATE TABLE u (k INTEGER)", "INSERT INTO u SELECT k FROM t WHERE k < 500"]
    script += [f"CREATE VIEW few AS SELECT k, n FROM t ORDER BY {random(database)} LIMIT 50"]
    for statement in script:
        database.execute(statement)
    yield database
    assert database.rows("SELECT count(*), sum(k), sum(n), sum(g) FROM t") == [(1000, 499500, 499500, 2997)]


LIMITED = [
    "SELECT k, n FROM t ORDER BY n LIMIT 17",
    "SELECT k, n FROM t ORDER BY n LIMIT 17 OFFSET 900",
    "SELECT k, n FROM t ORDER BY n LIMIT 3, 17",
    "SELECT k, n FROM t ORDER BY n OFFSET 990",
    "SELECT k, n FROM t ORDER BY n OFFSET 5 ROWS FETCH FIRST 7 ROWS ONLY",
    "SELECT k, n FROM t ORDER BY g FETCH NEXT 100 ROWS WITH TIES",
    "SELECT k, n FROM (SELECT k, n FROM t ORDER BY n LIMIT 100) AS q WHERE n % 2 = 0",
    "SELECT k, n FROM t WHERE k IN (SELECT k FROM t ORDER BY n LIMIT 30)",
    "WITH q AS (SELECT k, n FROM t ORDER BY n LIMIT 30) SELECT * FROM q UNION ALL SELECT -1 - k, n FROM q",
    "SELECT k, 1 AS n FROM t WHERE n > (SELECT n FROM t ORDER BY k LIMIT 1)",
]


@pytest.mark.parametrize("query", LIMITED)
def test_limits_in_partitions(table: Database, query: str) -> None:
    """A query with a LIMIT anywhere is evaluated once, in one partition."""
    try:
        expected = table.rows(query)
    except (psycopg.Error, pymysql.Error, sqlite3.Error):
        with pytest.raises(QueryExecutionError):
            industrydb.read_sql(table.uri, query, partition_on="k", partitions=4)
        return
    frame = industrydb.read_sql(table.uri, query, partition_on="k", partitions=4)
    assert Counter(frame.rows()) == Counter(expected)
    note = industrydb.plan_sql(table.uri, query, partition_on="k", partitions=4).note
    assert note is not None
    assert "LIMIT" in note


@pytest.mark.parametrize(
    ("query", "height"),
    [
        ("SELECT k, n FROM t ORDER BY {random} LIMIT 200", 200),
        ("SELECT k, n FROM few", 50),
        ("SELECT k, n FROM few WHERE k >= 0", 50),
        ("SELECT few.k, t.n FROM few JOIN t ON t.k = few.k", 50),
        ("WITH q AS (SELECT * FROM few) SELECT k, n FROM q", 50),
    ],
)
def test_limits_of_rows_in_any_order(table: Database, query: str, height: int) -> None:
    """A random sample is taken once, also if a view takes it."""
    query = query.format(random=random(table))
    frame = industrydb.read_sql(table.uri, query, partition_on="k", partitions=4)
    assert (frame.height, frame["k"].n_unique()) == (height, height)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT ON (g) g, k FROM t",
        "SELECT DISTINCT ON (g) g, k FROM t ORDER BY g, n % 3",
        "SELECT k, row_number() OVER () AS i FROM t",
        "SELECT k, row_number() OVER (ORDER BY g) AS i FROM t",
        "SELECT k, rank() OVER (ORDER BY random()) AS i FROM t",
        "SELECT k, first_value(n) OVER (PARTITION BY g) AS i FROM t",
        "SELECT k, i FROM (SELECT k, row_number() OVER (ORDER BY random()) AS i FROM t) AS q",
        "WITH q AS MATERIALIZED (SELECT k, row_number() OVER (ORDER BY random()) AS i FROM t) SELECT k, i FROM q",
        (
            "WITH q AS MATERIALIZED (SELECT i AS k, k AS i FROM"
            " (SELECT k, row_number() OVER (ORDER BY random()) AS i FROM t) AS p)"
            " SELECT k, i FROM q"
        ),
        (
            "WITH q AS (SELECT DISTINCT ON (g) g, k FROM t ORDER BY g, random()) SELECT a.g AS i, a.k"
            " FROM q AS a, q AS b"
            " WHERE a.k = b.k"
        ),
        (
            "SELECT u.k, q.k AS i FROM t AS u JOIN"
            " (SELECT k, row_number() OVER (ORDER BY random()) - 1 AS i FROM t) AS q"
            " ON q.i = u.n"
        ),
        "SELECT row_number() OVER (ORDER BY random()) AS k, k AS i FROM t",
        "SELECT (array_agg(k ORDER BY random()))[1] AS k, g FROM t GROUP BY g",
        "SELECT k, n FROM t TABLESAMPLE BERNOULLI (50)",
        "SELECT k, n FROM t WHERE random() < 0.5",
    ],
)
def test_rows_that_depend_on_one_another(
    postgres: psycopg.Connection, postgres_uri: str, query: str, table: Database
) -> None:
    """A query whose evaluations may not fit together is evaluated once, and each value comes once."""
    if table.name != "postgresql":
        pytest.skip("for PostgreSQL, which tells")
    [(count,)] = postgres.execute(f"SELECT count(*) FROM ({query}) AS q").fetchall()
    frame = industrydb.read_sql(postgres_uri, query, partition_on="k", partitions=4)
    assert frame["k"].n_unique() == frame.height
    if "row_number" in query or "rank" in query:
        assert frame["i"].n_unique() == frame.height
    if not ("BERNOULLI" in query or "WHERE random" in query):
        assert frame.height == count
        assert industrydb.plan_sql(postgres_uri, query, partition_on="k", partitions=4).note is not None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, row_number() OVER (PARTITION BY k ORDER BY n) AS i FROM t",
        "SELECT k, n, sum(n) OVER (PARTITION BY k), sum(g) OVER (PARTITION BY k, g) AS s FROM t",
        "SELECT DISTINCT ON (k) k, n FROM t ORDER BY k, n DESC",
        "SELECT k, n FROM t WHERE k >= (SELECT min(k) FROM t)",
        "SELECT k, n FROM t WHERE k <= (SELECT max(k) FROM t) AND n > (SELECT min(n) FROM t)",
        "SELECT k, n - (SELECT max(k) FROM t) AS n FROM t",
        "SELECT DISTINCT k, g FROM t",
        "SELECT k, count(*) AS c, max(n) AS m FROM t GROUP BY k HAVING max(n) > 3",
        "SELECT n AS k, max(k) AS m FROM t GROUP BY n",
        "SELECT k, n FROM t ORDER BY n",
        "SELECT k FROM t UNION ALL SELECT k FROM u",
        "WITH a AS (SELECT k, n FROM t), b AS (WITH c AS (SELECT k FROM a) SELECT k FROM c) SELECT k FROM b",
        "WITH a AS (SELECT k FROM t) SELECT x.k FROM a AS x JOIN a AS y ON x.k = y.k",
        "WITH RECURSIVE a (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM a WHERE k < 1000) SELECT k FROM a",
        "SELECT t.k, u.k AS other FROM t LEFT JOIN u ON u.k = t.k",
        "SELECT u.k, t.n FROM t LEFT JOIN u ON u.k = t.k",
        "SELECT t.k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
        "SELECT t.k, (SELECT count(*) FROM u WHERE u.k < t.k) AS c FROM t",
        "SELECT coalesce(u.k, -1) AS k, t.n FROM t LEFT JOIN u ON u.k = t.k",
        "SELECT g AS k, max(n) AS m FROM t GROUP BY g",
        'SELECT k, n AS "limit" FROM t -- LIMIT',
    ],
)
def test_queries_that_keep_their_partitions(table: Database, query: str) -> None:
    """A query whose partitions can be evaluated on their own is split."""
    query = query.replace('"limit"', table.quoted("limit"))
    try:
        expected = Counter(table.rows(query))
    except (sqlite3.OperationalError, pymysql.Error):
        pytest.skip("not in the database's SQL")
    frame = industrydb.read_sql(table.uri, query, partition_on="k", partitions=4)
    assert Counter(frame.rows()) == expected
    # MySQL does not tell which rows a window or a set operation needs.
    is_careful = table.name == "mysql" and any(word in query for word in ("OVER", "UNION"))
    assert frame.n_chunks() == (1 if is_careful else 4)


@pytest.mark.parametrize(
    "query",
    [
        "VALUES (1, 'a'), (2, 'b'), (3, NULL), (NULL, 'd')",
        "SELECT 1 AS x",
        "SELECT 1 AS x UNION SELECT 2 UNION SELECT NULL",
    ],
)
def test_rows_without_a_table_in_partitions(table: Database, query: str) -> None:
    """Rows that come from no table, fewer than the partitions, are read once."""
    if query.startswith("VALUES") and table.name == "mysql" and not table.connection.is_mariadb:
        query = query.replace("(", "ROW(")
    frame = industrydb.read_sql(table.uri, query, partition_on=table.columns(query)[0], partitions=8)
    assert Counter(frame.rows()) == Counter(table.rows(query))


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize(
    "split", [{}, {"partition_on": "k", "partitions": 3}, {"partitions": 3}], ids=["whole", "key", "rows"]
)
@pytest.mark.parametrize("parameters", [[], [1]], ids=["plain", "params"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM t WHERE k >= {} RETURNING k",
        "UPDATE t SET n = {} RETURNING k",
        "INSERT INTO t SELECT k + 1000 * {}, n, g FROM t RETURNING k",
        "INSERT INTO t SELECT k + 1000 * {}, n, g FROM t",
        "WITH gone AS (DELETE FROM t WHERE k >= {} RETURNING k) SELECT k FROM gone",
        "WITH gone AS (DELETE FROM t RETURNING k) SELECT k FROM t WHERE k >= {}",
        "WITH more AS (INSERT INTO u VALUES ({}) RETURNING k) SELECT t.k FROM t, more",
        "MERGE INTO t USING u ON t.k = u.k AND u.k > {} WHEN MATCHED THEN DELETE RETURNING t.k",
        "SELECT k, forget({}) AS f FROM t",
        "SELECT k, set_config('transaction_read_only', 'off', false) AS o, forget({}) AS f FROM t",
        "SELECT k FROM t, set_config('default_transaction_read_only', 'off', false), forget({})",
    ],
)
def test_statements_that_change_rows(
    table: Database,
    statement: str,
    parameters: list[int],
    split: dict[str, Any],
    snapshot: bool,  # noqa: FBT001
) -> None:
    """A statement that changes rows is refused however it is sent; the fixture asserts that nothing has changed."""
    if "forget" in statement and table.name != "postgresql":
        pytest.skip("a function of PostgreSQL's")
    if table.name == "postgresql":
        table.execute("""CREATE OR REPLACE FUNCTION forget(int) RETURNS int LANGUAGE plpgsql
            AS 'BEGIN DELETE FROM t; RETURN 1; END'""")
    mark = table.mark(1)
    query = statement.format(mark if parameters else "1")
    with pytest.raises((ConfigurationError, QueryExecutionError)):
        industrydb.read_sql(table.uri, query, params=parameters, snapshot=snapshot, **split)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT * FROM t JOIN u ON t.k = u.k", '"k"'),
        ("SELECT * FROM t AS a, t AS b", '"g", "k", "n"'),
        ("SELECT a.k, b.k, a.n FROM t AS a, t AS b", '"k"'),
        ("SELECT *, k FROM t", '"k"'),
        ('SELECT 1 AS a, 2 AS "A", 3 AS a', '"a"'),
    ],
)
@pytest.mark.parametrize(
    "split", [{}, {"partition_on": "k", "partitions": 3}, {"partitions": 3}], ids=["whole", "key", "rows"]
)
def test_columns_of_the_same_name(table: Database, query: str, names: str, split: dict[str, Any]) -> None:
    """Columns of the same name are refused with an error that names those, and no others."""
    with pytest.raises(ConfigurationError, match=rf"\[{names}\]"):
        industrydb.read_sql(table.uri, query, **split)


# Lists


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_of_queries(table: Database, count: int, kind: type) -> None:
    """The results of a list come in the order of its queries, whichever is ready first."""
    queries = kind(
        f"SELECT k, {part} AS part FROM t WHERE k % {count} = {part} ORDER BY k; -- end" for part in range(count)
    )
    frame = industrydb.read_sql(table.uri, queries, max_connections=5)
    assert frame["part"].to_list() == sorted(frame["part"])
    assert sorted(frame["k"]) == list(range(1000))
    assert frame.n_chunks() == count
    assert frame.rows() == [row for query in queries for row in table.rows(query)]


def test_lists_with_limits_and_without_rows(table: Database) -> None:
    """Each query of a list is evaluated as written, with its LIMIT, and may have no rows."""
    queries = ["SELECT k FROM t ORDER BY k LIMIT 2", "SELECT k FROM t WHERE k < 0", "SELECT max(k) AS k FROM t"]
    assert industrydb.read_sql(table.uri, queries)["k"].to_list() == [0, 1, 999]


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ("SELECT k, n FROM t", ['"k"', '"n"']),
        ("SELECT n FROM t", ['"n"']),
        ('SELECT k AS "K" FROM t', ['"K"']),
        ("SELECT CAST(k AS TEXT) AS k FROM t", ['"k"', "text"]),
    ],
)
def test_lists_of_queries_that_differ(table: Database, other: str, shown: list[str]) -> None:
    """Queries of a list with different columns are refused; the error shows the columns and positions of both."""
    if table.name == "mysql" and "CAST" in other:
        other, shown = other.replace("TEXT", "char"), ['"k"', "char"]
    queries = ["SELECT k FROM t", "SELECT k FROM u", other]
    if table.uri.startswith("sqlite") and "CAST" in other:
        pytest.skip("an expression of SQLite's has no type before it is read")
    with pytest.raises(ConfigurationError) as raised:
        industrydb.read_sql(table.uri, queries)
    first, third = str(raised.value).splitlines()[1:]
    assert first.startswith("query 1 has")
    assert third.startswith("query 3 has")
    assert '"k"' in first
    assert all(text in third for text in shown)


@pytest.mark.parametrize(
    ("queries", "arguments", "message"),
    [
        ([], {}, "empty"),
        ((), {}, "empty"),
        ([""], {}, "empty"),
        (["SELECT k FROM t", " ; "], {}, "empty"),
        (["SELECT k FROM t", "SELECT k FROM t; SELECT 1"], {}, "more than one"),
        (["SELECT k FROM t"], {"partition_on": "k"}, "single query"),
        (["SELECT k FROM t"], {"partition_on": "k", "partitions": 1}, "single query"),
        (["SELECT k FROM t", "SELECT k FROM u"], {"partitions": 2}, "single query"),
        (["SELECT k FROM t", "DELETE FROM t"], {}, r"no rows|is no query"),
        (["SELECT k, k FROM t"], {}, '"k"'),
    ],
)
def test_lists_that_cannot_be_read(table: Database, queries: Any, arguments: dict[str, Any], message: str) -> None:  # noqa: ANN401
    """A list must have at least one query, each item must be a single query, and a list cannot be split."""
    with pytest.raises(ConfigurationError, match=message):
        industrydb.read_sql(table.uri, queries, **arguments)


def test_a_list_with_a_query_that_fails(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """A query of a list that fails while it is read is named by its position, and nothing is returned."""
    queries = [f"SELECT 1 / ({part} - i) AS a FROM generate_series(3, 3) AS i" for part in range(6)]
    with pytest.raises(QueryExecutionError, match="partition 4: division by zero"):
        industrydb.read_sql(postgres_uri, queries)
    with pytest.raises(QueryExecutionError, match='"nowhere" does not exist'):
        industrydb.read_sql(postgres_uri, [*queries, "SELECT a FROM nowhere"])
    queries = [f"SELECT abs({-(2**62) - 2**61 * part}) AS a" for part in range(3)]
    with pytest.raises(QueryExecutionError, match="partition 3: integer overflow"):
        industrydb.read_sql(sqlite_file.uri, queries)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k FROM t INTERSECT SELECT k FROM u",
        "SELECT k FROM t EXCEPT SELECT k FROM u",
        "SELECT k FROM t UNION SELECT k + 500 FROM u",
        "SELECT sum(n) AS k, g FROM t GROUP BY g",
        "SELECT lower(CAST(g AS TEXT)) AS k FROM (SELECT DISTINCT g FROM t) AS q",
    ],
)
def test_keys_that_are_made_of_groups(table: Database, query: str) -> None:
    """A key that is made of groups is evaluated once: an expression may distinguish values that a group holds equal."""
    if table.name == "mysql":
        query = query.replace("AS TEXT", "AS char")
    plan = industrydb.plan_sql(table.uri, query, partition_on="k", partitions=4)
    assert len(plan) == 1
    assert plan.note is not None
    frame = industrydb.read_sql(table.uri, query, partition_on="k", partitions=4)
    assert Counter(frame.rows()) == Counter(table.rows(query))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, n FROM (SELECT now() - make_interval(secs => n) AS k, n FROM t OFFSET 0) AS q",
        "WITH q AS MATERIALIZED (SELECT now() - make_interval(secs => n) AS k, n FROM t) SELECT k, n FROM q",
        "SELECT (SELECT now()) - make_interval(secs => n) AS k, n FROM t",
        "SELECT 'now'::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT timestamptz $$ Today $$ - make_interval(secs => n) AS k, n FROM t",
        "SELECT $a$now$a$::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT E'n\\157w'::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT U&'n\\006fw'::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT 'n'\n'ow'::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT ($1::text)::timestamptz - make_interval(secs => n) AS k, n FROM t",
        "SELECT n + pg_backend_pid() AS k, n FROM t",
        "SELECT n + txid_current()::text::int8 AS k, n FROM t",
        "SELECT since(n) AS k, n FROM t",
        "SELECT n ## 5 AS k, n FROM t",
    ],
)
def test_keys_that_are_others_in_each_session(
    postgres: psycopg.Connection, postgres_uri: str, query: str, table: Database
) -> None:
    """A key with the time, or with functions or operators that may read it, is evaluated once, wherever it stands."""
    if table.name != "postgresql":
        pytest.skip("in PostgreSQL's SQL")
    postgres.execute("""
        CREATE OR REPLACE FUNCTION since(int) RETURNS interval LANGUAGE plpgsql STABLE
            AS 'BEGIN RETURN now() - timestamptz ''2024-01-01'' + make_interval(secs => $1); END';
        CREATE OR REPLACE FUNCTION rolled(int, int) RETURNS int LANGUAGE plpgsql VOLATILE
            AS 'BEGIN RETURN $1 * random() * $2; END';
        DROP OPERATOR IF EXISTS ## (int, int);
        CREATE OPERATOR ## (leftarg = int, rightarg = int, procedure = rolled)
    """)
    try:
        params = ["now"] if "$1" in query else None
        frame = industrydb.read_sql(postgres_uri, query, params=params, partition_on="k", partitions=16)
        assert sorted(frame["n"]) == sorted(n for (n,) in postgres.execute("SELECT n FROM t"))
        assert industrydb.plan_sql(postgres_uri, query, params=params, partition_on="k", partitions=16).note is not None
    finally:
        postgres.execute("DROP OPERATOR ## (int, int)")


@pytest.mark.parametrize(
    "key", ["julianday()", "julianday('NOW')", "unixepoch('subsec')", "strftime('%J')", "julianday(w)"]
)
def test_sqlite_keys_that_are_made_of_the_time(sqlite_file: SqliteFile, key: str) -> None:
    """An SQLite key that is made of the time is evaluated once, however it asks for the time."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE t (n INTEGER, w TEXT DEFAULT 'now')")
    connection.executemany("INSERT INTO t (n) VALUES (?)", [(n,) for n in range(1000)])
    plan = industrydb.plan_sql(
        sqlite_file.uri, f"SELECT n / 1e3 - {key} AS k, n FROM t", partition_on="k", partitions=4
    )
    assert plan.note is not None
    assert sorted(plan.read()["n"]) == list(range(1000))


@pytest.mark.parametrize("query", ['SELECT "rowid" AS r, x FROM t', 'SELECT x FROM t WHERE "oid" > 100'])
def test_quoted_rowids_are_no_texts(sqlite_file: SqliteFile, query: str) -> None:
    """A query with a quoted rowid is not split: over a subquery, SQLite would read the quoted name as a text."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE t (x INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(3000)])
    with pytest.raises(ConfigurationError, match="partition_on"):
        industrydb.read_sql(sqlite_file.uri, query, partitions=2)
