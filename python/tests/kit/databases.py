"""The databases that tests run on: one `Database` per server, with what it can do and how it spells things."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from tests.kit import sql_server


class Feature(Enum):
    """What not every database can do; a test's mark `needs` names what it asks for."""

    DRIVER = "another driver of Python's reads it too"
    PARAMETERS = "values stand beside a statement's text"
    COUNTS = "a statement tells how many rows it has changed"
    LOOKS_UP_ORDER = "ORDER BY a column that there is not is an error"


_ALL = frozenset(Feature)

# What each can do. SQL Server's emulator does less than a server.
FEATURES = {
    "postgresql": _ALL,
    "sqlite": _ALL,
    "mssql": _ALL - {Feature.DRIVER} if sql_server.given_uri() else frozenset(),
}

# How the parameter of a number is written.
MARKS = {"postgresql": "${}", "sqlite": "?{}", "mssql": "@P{}"}


@dataclass(frozen=True)
class Database:
    """A database of one server."""

    name: str
    uri: str
    connection: Any = None
    """Psycopg's, or the file, which nobody keeps open, where there is `Feature.DRIVER`."""

    def has(self, feature: Feature) -> bool:
        """Tell whether it can do something."""
        return feature in FEATURES[self.name]

    def execute(self, statement: str) -> Any:  # noqa: ANN401, a cursor of either driver
        """Run a statement by the other driver."""
        return self.connection.execute(statement)

    def script(self, statements: str) -> None:
        """Run statements by the other driver."""
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
        return [column.name for column in self.execute(query).description]

    def mark(self, number: int) -> str:
        """Return what stands for a parameter in a statement."""
        return MARKS[self.name].format(number)

    def date(self, text: str) -> str:
        """Return a literal of a date."""
        return f"'{text}'" if self.name == "sqlite" else f"DATE '{text}'"


def opened(request: pytest.FixtureRequest, name: str) -> Database:
    """Return a database of the test's own file, or of the session's server."""
    if name == "sqlite":
        file = request.getfixturevalue("sqlite_file")
        return Database(name, file.uri, file)
    uri = request.getfixturevalue("postgres_uri" if name == "postgresql" else f"{name}_uri")
    return Database(name, uri, request.getfixturevalue("postgres") if name == "postgresql" else None)
