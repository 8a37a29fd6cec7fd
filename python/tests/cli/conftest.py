"""Fixtures of the tests of the command."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.support import SqliteFile


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unset all settings of the environment, except the tests' servers, and change to the test's own folder."""
    settings = ("INDUSTRYDB_", "PGPASS", "POLARS_", "PYTHONIOENC", "PYTHONUNBUF", "NO_COLOR", "COLUMNS")
    for name in list(os.environ):
        if name.startswith(settings) and not name.startswith("INDUSTRYDB_TEST_"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_other_library() -> Iterator[None]:
    """Drop the warning that Python's sqlite3 has opened a file too, as in these tests."""

    def is_shown(record: logging.LogRecord) -> bool:
        return "is open in this process outside industrydb too" not in record.getMessage()

    logger = logging.getLogger("industrydb.sqlite")
    logger.addFilter(is_shown)
    yield
    logger.removeFilter(is_shown)


@pytest.fixture
def orders(sqlite_file: SqliteFile) -> SqliteFile:
    """Make a table of a hundred orders."""
    sqlite_file.connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, amount REAL)")
    rows = [(n, None if n % 10 == 0 else f"cüstomer, {n % 7}", n / 8) for n in range(1, 101)]
    sqlite_file.connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return sqlite_file
