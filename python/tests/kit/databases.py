"""The databases that tests run on: one `Database` per server, with its features and its SQL spellings."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from tests.kit import sql_server


class Feature(Enum):
    """A feature that not every database has; a test's mark `needs` names the features it requires."""

    DRIVER = "another driver of Python's reads it too"
    PARAMETERS = "values stand beside a statement's text"
    COUNTS = "a statement tells how many rows it has changed"
    SPLITS_ANY_TABLE = "partitions alone divide a table without a primary key"
    NUMBERED = "placeholders of parameters have numbers"
    LOOKS_UP_ORDER = "ORDER BY a column that there is not is an error"


_ALL = frozenset(Feature)

# Features of each database. The SQL Server emulator has fewer than a real server.
FEATURES = {
    "postgresql": _ALL,
    "sqlite": _ALL,
    "mysql": _ALL - {Feature.SPLITS_ANY_TABLE, Feature.NUMBERED},
    "mssql": _ALL - {Feature.DRIVER} if sql_server.given_uri() else frozenset(),
}

# Placeholder of a numbered parameter.
MARKS = {"postgresql": "${}", "sqlite": "?{}", "mysql": "?", "mssql": "@P{}"}

# Types that a value can be cast to.
TEXT_AND_FLOAT = {"text": "TEXT", "float": "double precision"}
CASTS = {"mysql": {"text": "CHAR", "float": "DOUBLE"}}


@dataclass(frozen=True)
class Database:
    """One database and a second driver's connection to it."""

    name: str
    uri: str
    connection: Any = None
    """Psycopg connection (PostgreSQL), `Pymysql` (MySQL) or `SqliteFile` (SQLite); `None` for SQL Server."""

    def has(self, feature: Feature) -> bool:
        """Tell whether the database has a feature."""
        return feature in FEATURES[self.name]

    def execute(self, statement: str) -> Any:  # noqa: ANN401, a cursor of either driver
        """Run a statement with the other driver."""
        return self.connection.execute(statement)

    def script(self, statements: str) -> None:
        """Run several statements with the other driver."""
        if self.name == "sqlite":
            with closing(sqlite3.connect(self.connection.path, isolation_level=None)) as connection:
                connection.executescript(statements)
        else:
            self.connection.execute(statements)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows as the other driver reads them."""
        if self.name == "sqlite":
            return list(self.connection.execute(query))
        rows: list[tuple[Any, ...]] = self.execute(query).fetchall()
        return rows

    def columns(self, query: str) -> list[str]:
        """Return the names of a query's columns as the other driver reads them."""
        if self.name == "sqlite":
            with closing(sqlite3.connect(self.connection.path)) as connection:
                return [name for name, *_ in connection.execute(query).description]
        return [column[0] for column in self.execute(query).description]

    def divisible_by(self, column: str) -> str:
        """Return the clause without which `partitions` alone does not divide a new table, if there is one."""
        return "" if self.has(Feature.SPLITS_ANY_TABLE) else f", PRIMARY KEY ({column})"

    def mark(self, number: int) -> str:
        """Return the placeholder of a parameter."""
        return MARKS[self.name].format(number)

    def quoted(self, name: str) -> str:
        """Return a name in quotes."""
        quote = "`" if self.name == "mysql" else '"'
        return quote + name.replace(quote, 2 * quote) + quote

    def joined(self, *texts: str) -> str:
        """Return texts, one behind the other."""
        return f"concat({', '.join(texts)})" if self.name == "mysql" else " || ".join(texts)

    def cast(self, value: str, kind: str) -> str:
        """Return a value as a text or a float."""
        return f"CAST({value} AS {CASTS.get(self.name, TEXT_AND_FLOAT)[kind]})"

    def date(self, text: str) -> str:
        """Return a date literal."""
        return f"'{text}'" if self.name == "sqlite" else f"DATE '{text}'"


def opened(request: pytest.FixtureRequest, name: str) -> Database:
    """Return the database called `name`: the test's own SQLite file, or the session's server."""
    if name == "sqlite":
        file = request.getfixturevalue("sqlite_file")
        return Database(name, file.uri, file)
    server = "postgres" if name == "postgresql" else name
    connection = None if name == "mssql" else request.getfixturevalue(server)
    return Database(name, request.getfixturevalue(f"{server}_uri"), connection)
