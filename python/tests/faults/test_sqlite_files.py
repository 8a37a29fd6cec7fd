"""Tests of SQLite files: their paths, other processes that use them, and damaged files."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import industrydb
from industrydb import DatabaseConnectionError, QueryExecutionError
from tests.kit.support import HOLD_LOCK, SqliteFile


def test_files_in_wal_mode_and_written_to(sqlite_file: SqliteFile) -> None:
    """A reader of a file in WAL mode sees the committed rows while a writer's transaction is open."""
    sqlite_file.connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (i INT); INSERT INTO t VALUES (1)")
    sqlite_file.connection.executescript("BEGIN; INSERT INTO t VALUES (2)")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT i FROM t").rows() == [(1,)]
    sqlite_file.connection.execute("COMMIT")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT i FROM t").rows() == [(1,), (2,)]


@pytest.mark.parametrize("name", ["plain.db", "with space.db", "ünï.db", "a&b=c#d.db", "100%.db", "it's.db"])
def test_paths_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Files of any name are found by absolute and relative paths; only % and ? need to be encoded."""
    with closing(sqlite3.connect(tmp_path / name)) as connection:
        connection.execute("CREATE TABLE t (i INT)")
    written = name.replace("%", "%25")
    monkeypatch.chdir(tmp_path)
    for uri in (f"sqlite://{tmp_path}/{written}", f"sqlite://{written}", f"SQLITE://./{written}"):
        assert industrydb.read_sql(uri, "SELECT * FROM t").columns == ["i"]


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    """A missing file is an error, and is not created; SQLite itself would make an empty database."""
    with pytest.raises(DatabaseConnectionError, match=r"missing\.db.*no such file"):
        industrydb.read_sql(f"sqlite://{tmp_path}/missing.db", "SELECT 1 AS a")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_database(tmp_path: Path) -> None:
    """A folder, a text file and a file of noise are errors that say what is wrong."""
    (tmp_path / "text.db").write_text("id,name\n1,a\n" * 100)
    (tmp_path / "noise.db").write_bytes(bytes(range(256)) * 64)
    for name, message in (("", "not a file"), ("text.db", "not an SQLite"), ("noise.db", "not an SQLite")):
        with pytest.raises(DatabaseConnectionError, match=message):
            industrydb.read_sql(f"sqlite://{tmp_path}/{name}", "SELECT 1 AS a")


def test_a_corrupt_page_is_an_error(tmp_path: Path) -> None:
    """A corrupt page is an error, and the rows in front of the page are not returned."""
    path = tmp_path / "corrupt.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("""
            CREATE TABLE t AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 9999)
            SELECT i, 'some text ' || i AS v FROM n
        """)
        [page_size] = connection.execute("PRAGMA page_size").fetchone()
    size = path.stat().st_size
    middle = size // 2 // page_size * page_size
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\xff" * page_size)
    for arguments in ({}, {"partition_on": "i", "partitions": 4}):
        with pytest.raises(QueryExecutionError, match="malformed") as raised:
            industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM t", **arguments)  # type: ignore[call-overload]
        assert raised.value.code == "SQLITE_CORRUPT"


def test_a_locked_file_is_an_error(sqlite_file: SqliteFile) -> None:
    """A read waits for another process that is writing, and fails if the file stays locked."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    command = [sys.executable, "-c", HOLD_LOCK, str(sqlite_file.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        with pytest.raises(industrydb.IndustryDbError, match="locked") as raised:
            industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t")
        writer.communicate()
    assert raised.value.code == "SQLITE_BUSY"
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").height == 0
