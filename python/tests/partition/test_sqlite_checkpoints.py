"""Partitioned reads of SQLite files in WAL mode during checkpoints, which move the log into the file."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

import industrydb
from tests.kit.support import PATIENCE_S, SqliteFile, eventually

ROWS = 20_000
QUERY = "SELECT id, a FROM t"
# A read with several connections tries to begin for twice this time.
HURRY = "PRAGMA busy_timeout = 250"

# Runs in another process: closing our connections would drop the locks of one in this process.
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM t").fetchall()
print("reads", flush=True)
sys.stdin.read()
"""

# Checkpoints of these kinds wait for readers, and hold the checkpoint lock meanwhile.
CHECKPOINT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=600)
connection.execute(f"PRAGMA wal_checkpoint({sys.argv[2]})").fetchall()
"""

# Increments the number in all rows and then checkpoints the whole log, again and again.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=600)
connection.execute("PRAGMA synchronous = OFF")
while True:
    connection.execute("UPDATE t SET a = a + 1")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
"""


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a script until the end of the block."""
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def logged(sqlite_file: SqliteFile) -> SqliteFile:
    """Return a file in WAL mode, whose log holds its rows."""
    connection = sqlite_file.connection
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i, 0 FROM n"
    connection.execute(f"INSERT INTO t {numbers}")
    return sqlite_file


def read(uri: str, _: Path) -> pl.DataFrame:
    """Read by a key."""
    return industrydb.read_sql(uri, QUERY, partition_on="id", partitions=6, pre_execution_query=HURRY)


def split(uri: str, _: Path) -> pl.DataFrame:
    """Read without a key."""
    return industrydb.read_sql(uri, QUERY, partitions=6, pre_execution_query=HURRY)


def batches(uri: str, _: Path) -> pl.DataFrame:
    """Read in batches."""
    read = industrydb.read_sql_batches(uri, QUERY, partition_on="id", partitions=6, pre_execution_query=HURRY)
    return pl.concat(read)


def scan(uri: str, _: Path) -> pl.DataFrame:
    """Read with a scan and a filter."""
    scanned = industrydb.scan_sql(uri, QUERY, partition_on="id", partitions=6, pre_execution_query=HURRY)
    return scanned.filter(pl.col("id") > 0).collect()


def extract(uri: str, folder: Path) -> pl.DataFrame:
    """Read into files."""
    target = folder / "extracted"
    industrydb.extract(uri, QUERY, target, partition_on="id", partitions=6, pre_execution_query=HURRY)
    return pl.read_parquet(target / "*.parquet")


@pytest.mark.parametrize("kind", ["FULL", "RESTART", "TRUNCATE"])
@pytest.mark.parametrize("way", [read, split, batches, scan, extract])
def test_a_checkpoint_that_waits_keeps_no_read_waiting(
    logged: SqliteFile, tmp_path: Path, way: Callable[[str, Path], pl.DataFrame], kind: str
) -> None:
    """A read does not wait for a checkpoint that waits for another reader, and its connections see one state."""
    with running(READER, str(logged.path)) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        logged.connection.execute("UPDATE t SET a = 1")
        with running(CHECKPOINT, str(logged.path), kind) as checkpoint:
            logged.connection.execute("PRAGMA busy_timeout = 0")
            passive = "PRAGMA wal_checkpoint(PASSIVE)"
            eventually(lambda: logged.connection.execute(passive).fetchone()[0] == 1)
            logged.connection.close()
            frame = way(logged.uri, tmp_path)
            assert checkpoint.poll() is None
    assert frame.sort("id").rows() == [(i, 1) for i in range(1, ROWS + 1)]


def test_the_time_to_wait_for_locks_is_the_callers(sqlite_file: SqliteFile) -> None:
    """A `PRAGMA busy_timeout` in any statement of `pre_execution_query` takes effect."""
    sqlite_file.connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
    for statements in ("PRAGMA busy_timeout = 321", ["SELECT 1; PRAGMA busy_timeout = 321", "SELECT 2"]):
        frame = industrydb.read_sql(sqlite_file.uri, "PRAGMA busy_timeout", pre_execution_query=statements)
        assert frame.rows() == [(321,)]


@pytest.mark.parametrize("way", [read, split, batches, scan])
def test_reads_beside_a_writer_who_empties_the_log(
    logged: SqliteFile, tmp_path: Path, way: Callable[[str, Path], pl.DataFrame]
) -> None:
    """Each read beside a writer that checkpoints sees one state, and later reads see the same or later states."""
    with running(WRITER, str(logged.path)) as process:
        seen: list[int] = []
        while len(seen) < 5 or seen[-1] == seen[0]:
            frame = way(logged.uri, tmp_path)
            assert frame["id"].sort().to_list() == list(range(1, ROWS + 1))
            seen.append(frame["a"].unique().item())
            assert process.poll() is None
            assert len(seen) < PATIENCE_S * 10
    assert seen == sorted(seen)
