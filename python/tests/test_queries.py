"""Queries are read as their database reads them, whatever their comments, quotes and semicolons look like."""

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, IndustryDbError

from .support import SqliteFile

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
    """The names and rows are psycopg's."""
    cursor = postgres.execute(query)
    frame = industrydb.read_sql(postgres_uri, query)
    assert frame.columns == [column.name for column in cursor.description or []]
    assert frame.rows() == cursor.fetchall()


@pytest.mark.parametrize("query", [query for query in POSTGRES if "1 AS a" in query])
def test_queries_on_postgres_in_partitions(postgres: psycopg.Connection, postgres_uri: str, query: str) -> None:
    """The same, inside of another statement."""
    cursor = postgres.execute(query)
    key = (cursor.description or [])[0].name
    frame = industrydb.read_sql(postgres_uri, query, partition_on=key, partitions=2)
    assert sorted(frame.rows()) == sorted(cursor.fetchall())


@pytest.mark.parametrize("query", SQLITE)
def test_queries_on_sqlite(sqlite_file: SqliteFile, query: str) -> None:
    """The names and rows are sqlite3's."""
    cursor = sqlite_file.connection.execute(query)
    frame = industrydb.read_sql(sqlite_file.uri, query)
    assert frame.columns == [name for name, *_ in cursor.description]
    assert frame.rows() == cursor.fetchall()


@pytest.mark.parametrize("query", [query for query in SQLITE if not query.startswith("PRAGMA")])
def test_queries_on_sqlite_in_partitions(sqlite_file: SqliteFile, query: str) -> None:
    """The same, inside of another statement."""
    cursor = sqlite_file.connection.execute(query)
    key = cursor.description[0][0]
    frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=2)
    assert sorted(frame.rows()) == sorted(cursor.fetchall())


@pytest.mark.parametrize("query", ["SELECT $1::int AS a", "SELECT 1 AS a WHERE $1"])
def test_parameters_on_postgres(postgres_uri: str, query: str) -> None:
    """They have no values yet, and the message says so."""
    with pytest.raises(ConfigurationError, match="parameters"):
        industrydb.read_sql(postgres_uri, query)


@pytest.mark.parametrize("query", ["SELECT ? AS a", "SELECT :a AS a", "SELECT 1 AS a WHERE 1 = @b", "SELECT $c AS a"])
def test_parameters_on_sqlite(sqlite_file: SqliteFile, query: str) -> None:
    """The same; to SQLite they would be NULL."""
    with pytest.raises(ConfigurationError, match="parameters"):
        industrydb.read_sql(sqlite_file.uri, query)


@pytest.mark.parametrize("query", ["SHOW work_mem", "EXPLAIN SELECT 1", "EXECUTE nothing", "COPY pg_am TO STDOUT"])
def test_statements_that_are_no_queries(postgres_uri: str, query: str) -> None:
    """Whatever they return, it cannot be copied, and is no crash."""
    with pytest.raises(IndustryDbError):
        industrydb.read_sql(postgres_uri, query)


def test_rows_without_columns(postgres_uri: str) -> None:
    """PostgreSQL has them; a frame that cannot is no crash, and has no columns."""
    assert industrydb.read_sql(postgres_uri, "SELECT FROM generate_series(1, 3)").width == 0
