"""Columns have the names that the database gives them."""

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, QueryExecutionError
from tests.kit.support import SqliteFile

NAMES = [
    "plain",
    "Mixed Case",
    "select",
    'quo"ted',
    "it's",
    "größe ☃ 𝄞",
    " blanks ",
    "tab\tand\nline",
    "%s $1 ? :a {}",
    "x" * 63,
    "é" * 31,
]


def quoted(name: str) -> str:
    """Quote a name as an identifier, for both databases."""
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("name", NAMES)
def test_names_on_postgres(postgres: psycopg.Connection, postgres_uri: str, name: str) -> None:
    """A column keeps its name, also if the SELECT list is rewritten, for partitions or a type without a decoder."""
    query = f"SELECT n AS {quoted(name)}, n::text::inet AS i FROM (VALUES ('10.0.0.1'), ('10.0.0.2')) AS t(n)"
    cursor = postgres.execute(query.encode())
    assert (cursor.description or [])[0].name == name
    for key in (None, name):
        frame = industrydb.read_sql(postgres_uri, query, partition_on=key, partitions=None if key is None else 2)
        assert frame.columns == [name, "i"]
        assert frame[name].to_list() == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("name", [*NAMES, "x" * 1000])
def test_names_on_sqlite(sqlite_file: SqliteFile, name: str) -> None:
    """A column keeps its name on SQLite, which has no maximum length."""
    query = f"SELECT n AS {quoted(name)} FROM (SELECT 1 AS n UNION ALL SELECT 2)"
    for key in (None, name):
        frame = industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=None if key is None else 2)
        assert frame.columns == [name]
        assert frame[name].to_list() == [1, 2]


def test_names_that_postgres_makes(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Unnamed expressions and names that are too long have the names that PostgreSQL gives them."""
    for query in ("SELECT 1 + 1", "SELECT 1::bigint", "SELECT count(*)", f"SELECT 1 AS {'y' * 100}"):
        cursor = postgres.execute(query.encode())
        assert industrydb.read_sql(postgres_uri, query).columns == [c.name for c in cursor.description or []]


def test_names_that_sqlite_makes(sqlite_file: SqliteFile) -> None:
    """Unnamed expressions have the names that SQLite gives them: their own texts."""
    for query in ("SELECT 1 + 1", "SELECT count( * )", "SELECT (SELECT 1)"):
        cursor = sqlite_file.connection.execute(query)
        assert industrydb.read_sql(sqlite_file.uri, query).columns == [name for name, *_ in cursor.description]


def test_empty_names_on_sqlite(sqlite_file: SqliteFile) -> None:
    """An empty column name stays empty, beside a column with the name that Polars would give it."""
    assert industrydb.read_sql(sqlite_file.uri, 'SELECT 1 AS a, 2 AS "", 3 AS column_1').columns == [
        "a",
        "",
        "column_1",
    ]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT 1 AS a, 2 AS b, 3 AS a, 4 AS b, 5 AS c", r'"a", "b"'),
        ("SELECT * FROM (SELECT 1 AS id) AS x JOIN (SELECT 1 AS id) AS y ON x.id = y.id", '"id"'),
    ],
)
def test_names_that_stand_twice(postgres_uri: str, sqlite_file: SqliteFile, query: str, shown: str) -> None:
    """Column names that occur twice are refused with a list of them, as a frame cannot have them."""
    for uri in (postgres_uri, sqlite_file.uri):
        with pytest.raises(ConfigurationError, match=shown):
            industrydb.read_sql(uri, query)


def test_unnamed_columns_stand_twice(postgres_uri: str) -> None:
    """PostgreSQL gives all unnamed expressions the same name, so two are refused; it refuses an empty name itself."""
    with pytest.raises(ConfigurationError, match=r'"\?column\?".*AS'):
        industrydb.read_sql(postgres_uri, "SELECT 1, 2")
    with pytest.raises(QueryExecutionError, match="zero-length"):
        industrydb.read_sql(postgres_uri, 'SELECT 1 AS ""')
