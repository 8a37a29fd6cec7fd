"""An unknown name in a statement, or a text in place of a URI, is answered with what may be meant."""

from collections.abc import Iterator

import pytest

import industrydb
from industrydb import ConfigurationError, QueryExecutionError
from tests.kit.databases import Database, Feature

SALES = "WITH sales AS (SELECT total AS amount FROM invoice) "
STATEMENTS = {
    "SELECT * FROM invoces": "invoice",
    "SELECT * FROM nivoice": "invoice",
    "SELECT isued_ FROM invoice": "issued",
    "SELECT ag FROM invoice": "age",
    f"{SALES}SELECT * FROM sale": "sales",
    f"{SALES}SELECT amout FROM sales": "amount",
    "SELECT amout FROM (SELECT total AS amount FROM invoice) AS x": "amount",
    "SELECT total AS amount FROM invoice ORDER BY amout": "amount",
}


@pytest.fixture
def invoices(database: Database) -> Iterator[Database]:
    """Make a table in each database."""
    database.script("CREATE TABLE invoice (id int, total int, issued varchar(10), age int)")
    yield database
    database.script("DROP TABLE invoice")


@pytest.mark.needs(Feature.PARAMETERS)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_name_nearby_is_suggested(invoices: Database, statement: str) -> None:
    """Suggested are names of the database, and those that the statement gives, with up to two letters amiss.

    PostgreSQL has a hint of its own for some columns.
    """
    name = STATEMENTS[statement]
    hint = rf'HINT: (did you mean (\w+\.)?{name}\?|Perhaps you meant to reference the column "\w+\.{name}")'
    with pytest.raises(QueryExecutionError, match=rf"LINE 1: (.|\n)*{hint}"):
        industrydb.read_sql(invoices.uri, statement)


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("psotgres://db/shop", 'did you mean "postgres"'),
        ("mssqlserver://db/shop", 'did you mean "sqlserver"'),
        ("$DATABASE_URL", "the name of a variable"),
        ("%DATABASE_URL%", "the name of a variable"),
        ("'postgresql://db/shop'", "one in quotes"),
        ("DSN=shop", "key=value pairs"),
        (":memory:", "database in memory: put the scheme"),
        ("warehouse", r"industrydb.database\(name\)"),
        ("data/shop.db", "perhaps a path"),
        ("tcp:db,1433", "no :// divides"),
    ],
)
def test_a_text_in_place_of_a_uri_is_recognized(uri: str, meant: str) -> None:
    """The message says what the text may be instead, or which kind of database may be meant."""
    with pytest.raises(ConfigurationError, match=meant):
        industrydb.read_sql(uri, "SELECT 1")
