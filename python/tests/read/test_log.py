"""The log has a line at the start of a read, one at the end of each partition, and one at the end of all."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import industrydb
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile

QUERY = "SELECT id, name FROM logged"


@pytest.fixture
def table(database: Database) -> Database:
    """Return a database with a table ``logged (id, name)`` of 900 rows."""
    rows = ", ".join(f"({n}, 'name {n}')" for n in range(900))
    database.script("DROP TABLE IF EXISTS logged; CREATE TABLE logged (id INTEGER PRIMARY KEY, name TEXT)")
    database.execute(f"INSERT INTO logged VALUES {rows}")
    return database


WAYS: dict[str, Callable[..., Any]] = {
    "read": industrydb.read_sql,
    "batches": lambda *a, **k: list(industrydb.read_sql_batches(*a, **k)),
    "scan": lambda *a, **k: industrydb.scan_sql(*a, **k).collect(),
    "plan": lambda *a, **k: industrydb.plan_sql(*a, **k).read(),
    "profile": lambda *a, **k: industrydb.plan_sql(*a, **k).profile(),
}


@pytest.mark.needs(Feature.DRIVER)
@pytest.mark.parametrize("way", WAYS)
def test_every_read_is_logged(table: Database, caplog: pytest.LogCaptureFixture, way: str) -> None:
    """Each line has the rows that another driver counts, bytes and seconds; the query and the URI are in none."""
    split = {"partition_on": "id", "partitions": 4, "max_connections": 2}
    expected = [len(table.rows(sql)) for sql in industrydb.plan_sql(table.uri, QUERY, **split).sql]  # type: ignore[arg-type]
    caplog.set_level(logging.INFO, "industrydb")
    WAYS[way](table.uri, QUERY, **split)
    told = [record for record in caplog.records if record.name == "industrydb.core"]
    assert {record.levelno for record in told} == {logging.INFO}
    first, *middle, last = [record.getMessage() for record in told]
    assert first == "reading 4 partitions, 2 at a time"
    parts = [re.fullmatch(r"partition (\d) of 4: (\d+) rows, (\d+) bytes, [\d.]+ s", line) for line in middle]
    found = sorted((int(part[1]), int(part[2]), int(part[3])) for part in parts if part)
    assert [(number, rows) for number, rows, _ in found] == list(enumerate(expected, 1))
    assert min(size for *_, size in found) > 1000
    assert re.fullmatch(rf"read 4 partitions: 900 rows, {sum(size for *_, size in found)} bytes, [\d.]+ s", last)


@pytest.mark.needs(Feature.DRIVER)
def test_one_partition_and_a_failed_read(table: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A read of one partition has no line for it, and the last line of a read that fails tells how far it came."""
    caplog.set_level(logging.INFO, "industrydb.core")
    industrydb.read_sql(table.uri, f"{QUERY} WHERE id < 1")
    first, last = caplog.messages
    assert first == "reading 1 partition"
    assert last.startswith("read 1 partition: 1 row, ")
    caplog.clear()
    with pytest.raises(industrydb.IndustryDbError):
        industrydb.read_sql(table.uri, f"{QUERY} WHERE id IN (1, 2)", schema_overrides={"name": pl.Float64})
    first, *_, last = caplog.messages
    assert first == "reading 1 partition"
    assert re.fullmatch(r"ended in the middle: 0 of 1 partition complete, [\d.]+ s", last)


def test_an_extract_is_logged(sqlite_file: SqliteFile, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """An extract has a line at its start, and one at its end with the rows and bytes of its files."""
    sqlite_file.connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    caplog.set_level(logging.INFO, "industrydb")
    done = industrydb.extract(sqlite_file.uri, "SELECT * FROM t", tmp_path / "out", partition_on="id", partitions=2)
    told = [record.getMessage() for record in caplog.records if record.name == "industrydb"]
    size = sum(file.stat().st_size for file in done.files)
    assert told[0] == f"extracting 2 of 2 partitions to {tmp_path / 'out'}"
    assert told[1].startswith(f"extracted to {tmp_path / 'out'}: 100 rows, {size} bytes in files, ")
