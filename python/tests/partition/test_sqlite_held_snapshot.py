"""Held snapshots of SQLite files: processes read the held rows or raise, whatever happens to the file meanwhile."""

import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl
import pytest

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, QueryExecutionError
from tests.kit.sqlite_elsewhere import elsewhere, kept_open, writing
from tests.kit.support import SqliteFile, eventually, working

ROWS = 1000
QUERY = "SELECT id, v FROM t"
EXPECTED = {(number, 1) for number in range(1, ROWS + 1)}
MADE = f"""
    CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) INSERT INTO t SELECT i, 1 FROM n;
"""

# A file without a log, in WAL mode with an empty log, with commits in the log, and with a log that is copied to the
# file but still there.
MODES = ["delete", "truncate", "empty", "log", "copied"]

# Moves 1 from one row to another, again and again; a transfer that has to wait for longer begins again.
TRANSFERS = """
import sqlite3, sys, threading
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.05)
connection.execute("PRAGMA synchronous = OFF")
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
done = 0
while not ended.is_set():
    low, high = 1 + done % 400, 501 + done * 7 % 400
    try:
        connection.execute("UPDATE t SET v = v + CASE id WHEN ?1 THEN 1 ELSE -1 END WHERE id IN (?1, ?2)", (low, high))
    except sqlite3.OperationalError:
        continue
    done += 1
    if done == 1:
        print("begun", flush=True)
print(done)
"""


@contextmanager
def made(file: SqliteFile, mode: str) -> Iterator[None]:
    """Make the table of a file in one of `MODES`."""
    if mode in ("delete", "truncate"):
        assert elsewhere(file.path, f"PRAGMA journal_mode = {mode}; {MADE}") == ""
        yield
        return
    after = {"empty": "PRAGMA wal_checkpoint(TRUNCATE)", "log": "", "copied": "PRAGMA wal_checkpoint(PASSIVE)"}[mode]
    with kept_open(file.path, f"PRAGMA journal_mode = wal; {MADE} {after}"):
        assert (Path(f"{file.path}-wal").stat().st_size == 0) == (mode == "empty")
        yield


def plan_of(uri: str, snapshot: industrydb.HeldSnapshot | str, partitions: int = 4) -> industrydb.ReadPlan:
    """Return a plan that has been pickled, as another process gets it."""
    plan = industrydb.plan_sql(uri, QUERY, partition_on="id", partitions=partitions, snapshot=snapshot)
    unpickled: industrydb.ReadPlan = pickle.loads(pickle.dumps(plan))  # noqa: S301, our own
    return unpickled


def rows_or_error(plan: industrydb.ReadPlan) -> set[tuple[int, int]] | industrydb.IndustryDbError:
    """Return the rows of a plan's partitions, read one by one and in batches, or the error of one of them."""
    try:
        frames = [part.read() for part in plan]
        batches = [batch for part in plan for batch in part.batches(batch_size=100)]
    except industrydb.IndustryDbError as error:
        return error
    rows = pl.concat(frames).rows()
    assert rows == pl.concat(batches).rows()
    assert len(rows) == len({*rows})
    return {*rows}


STATEMENTS = {
    "update": "UPDATE t SET v = 2",
    "delete": "DELETE FROM t WHERE id % 2 = 0",
    "vacuum": "DELETE FROM t WHERE id > 10; VACUUM",
    "checkpoint": "UPDATE t SET v = 3; PRAGMA wal_checkpoint(TRUNCATE)",
    "restart": "UPDATE t SET v = 4; PRAGMA wal_checkpoint(RESTART); UPDATE t SET v = 5",
    "recreated": "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 9)",
    "mode": "PRAGMA journal_mode = wal; PRAGMA journal_mode = delete; UPDATE t SET v = 6",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_partitions_see_the_held_rows_or_raise(sqlite_file: SqliteFile, mode: str, statement: str) -> None:
    """A statement between two tasks leads to the held rows; with an empty log in WAL mode, to an error."""
    with made(sqlite_file, mode), industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
        plan = plan_of(sqlite_file.uri, snapshot)
        first = plan.read(0)
        refused = elsewhere(sqlite_file.path, statement)
        assert ("locked" in refused) == (mode in ("delete", "truncate") or statement.startswith("PRAGMA j")), refused
        found = rows_or_error(plan)
        if mode == "empty" and "locked" not in refused:
            assert isinstance(found, QueryExecutionError)
            assert "log of this file, which is in WAL mode, was empty" in str(found)
        else:
            assert found == EXPECTED
            assert {*first.rows()} < EXPECTED
            assert {*plan.read().rows()} == EXPECTED
            assert {*industrydb.read_sql(sqlite_file.uri, QUERY, partitions=3, snapshot=snapshot).rows()} == EXPECTED
    # Once nobody holds it, the statement runs.
    assert elsewhere(sqlite_file.path, STATEMENTS["update"], 10) == ""
    found = rows_or_error(plan)
    assert isinstance(found, QueryExecutionError)
    assert "no longer held" in str(found)


def wait_for_a_change(path: Path) -> None:
    """Wait until the file or its log is written; this process may not open them, which would drop SQLite's locks."""
    files = [path, path.with_name(path.name + "-wal")]

    def written() -> list[int]:
        return [file.stat().st_mtime_ns for file in files if file.exists()]

    before = written()
    eventually(lambda: written() != before)


@pytest.mark.parametrize("mode", ["delete", "log", "copied"])
def test_balanced_transfers_stay_balanced_in_four_processes(sqlite_file: SqliteFile, mode: str) -> None:
    """Four processes read while another one moves values between rows; the sum never moves."""
    context = multiprocessing.get_context("spawn")
    with (
        made(sqlite_file, mode),
        ProcessPoolExecutor(4, mp_context=context) as pool,
        working(TRANSFERS, str(sqlite_file.path), least=10),
    ):
        for _ in range(5):
            with industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
                plan = plan_of(sqlite_file.uri, snapshot, partitions=8)
                frame = pl.concat(pool.map(plan.read, range(len(plan))))
            assert (frame.height, frame["v"].sum()) == (ROWS, ROWS)
            for _ in range(8):  # the writer gets the lock between two snapshots; a commit is a few writes
                wait_for_a_change(sqlite_file.path)
    assert elsewhere(sqlite_file.path, "SELECT v FROM t") == ""
    assert industrydb.read_sql(sqlite_file.uri, QUERY)["v"].max() != 1


@pytest.mark.parametrize(
    ("happens", "mode"),
    [
        *((happens, mode) for happens in ("replaced", "deleted", "renamed") for mode in MODES),
        # Bytes that come past SQLite's locks are seen by any reader of a log.
        *(("copied over", mode) for mode in ("delete", "truncate", "empty")),
    ],
)
def test_another_file_is_never_read(sqlite_file: SqliteFile, tmp_path: Path, happens: str, mode: str) -> None:
    """A file that is replaced, deleted, renamed or written over between two tasks raises."""
    path, other = sqlite_file.path, tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript(MADE + "UPDATE t SET v = 9; UPDATE t SET v = 8")
    with made(sqlite_file, mode), industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
        plan = plan_of(sqlite_file.uri, snapshot)
        assert plan.read(0).height > 0
        if happens == "replaced":
            other.replace(path)
        elif happens == "deleted":
            path.unlink()
        elif happens == "renamed":
            path.rename(tmp_path / "gone.db")
            shutil.copy2(tmp_path / "gone.db", path)
        else:
            command = [
                sys.executable,
                "-c",
                "import shutil, sys; shutil.copyfile(*sys.argv[1:])",
                str(other),
                str(path),
            ]
            subprocess.run(command, check=True)
        for number in range(1, len(plan)):
            with pytest.raises((QueryExecutionError, DatabaseConnectionError)) as raised:
                plan.read(number)
            # A log beside another file than its own looks like damage.
            is_told = any(why in str(raised.value) for why in ("no longer held", "no such file", "malformed"))
            assert is_told, raised.value


def test_a_copy_is_another_file(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """A plan of another file than the held one raises, even if all bytes are the same."""
    with made(sqlite_file, "delete"):
        copy = tmp_path / "copy.db"
        shutil.copy2(sqlite_file.path, copy)
        with industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
            with pytest.raises(QueryExecutionError, match="another file is in the place of the held one"):
                plan_of(f"sqlite://{copy}", snapshot)
            link = tmp_path / "link.db"
            link.symlink_to(sqlite_file.path)
            assert rows_or_error(plan_of(f"sqlite://{link}", snapshot)) == EXPECTED


def test_attached_files_are_held_too(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """Files that `pre_execution_query` attaches belong to the snapshot, and to every read of it."""
    other = SqliteFile(tmp_path / "other.db")
    setup = f"ATTACH '{other.path}' AS o; ATTACH ':memory:' AS m"
    query = "SELECT t.id, u.v FROM t JOIN o.t AS u USING (id)"
    with (
        made(sqlite_file, "delete"),
        made(other, "log"),
        industrydb.hold_snapshot(sqlite_file.uri, queries=query, pre_execution_query=setup) as snapshot,
    ):
        plan = industrydb.plan_sql(
            sqlite_file.uri, query, partition_on="id", partitions=2, snapshot=snapshot, pre_execution_query=setup
        )
        assert elsewhere(other.path, "UPDATE t SET v = 2") == ""
        assert rows_or_error(plan) == EXPECTED
        with pytest.raises(ConfigurationError, match="held of 2 files, and the read has 1"):
            industrydb.read_sql(sqlite_file.uri, QUERY, snapshot=snapshot)


def test_a_file_that_cannot_be_written_to_is_held(sqlite_file: SqliteFile) -> None:
    """With `mode=ro`, the holder is a reader: nobody commits, and a writer that waits is told so."""
    uri = f"{sqlite_file.uri}?mode=ro"
    with made(sqlite_file, "delete"):
        with industrydb.hold_snapshot(uri, tables="t") as snapshot:
            assert "locked" in elsewhere(sqlite_file.path, "UPDATE t SET v = 2")
            assert rows_or_error(plan_of(uri, snapshot)) == EXPECTED
        with industrydb.hold_snapshot(f"{sqlite_file.uri}?immutable=1", tables="t") as snapshot:
            assert rows_or_error(plan_of(f"{sqlite_file.uri}?immutable=1", snapshot)) == EXPECTED


def test_readers_begin_beside_a_writer_that_waits(sqlite_file: SqliteFile) -> None:
    """A writer that waits for the holder keeps no task from beginning."""
    with (
        made(sqlite_file, "delete"),
        industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot,
        writing(sqlite_file.path, "UPDATE t SET v = 2", 600) as writer,
    ):
        plan = plan_of(sqlite_file.uri, snapshot)
        for _ in range(20):
            assert rows_or_error(plan) == EXPECTED
        assert writer.poll() is None
        snapshot.release()
        assert writer.communicate()[0] == ""
    assert industrydb.read_sql(sqlite_file.uri, QUERY)["v"].unique().to_list() == [2]


def test_a_holder_waits_for_a_writer(sqlite_file: SqliteFile) -> None:
    """A file in the middle of a transaction is held once that is over, or raises as busy after the time for locks."""
    with made(sqlite_file, "delete"):
        with kept_open(sqlite_file.path, "BEGIN IMMEDIATE; UPDATE t SET v = 2"):
            with pytest.raises(DatabaseConnectionError, match="locked") as raised:
                industrydb.hold_snapshot(sqlite_file.uri, tables="t")
            assert (raised.value.code, raised.value.is_transient) == ("SQLITE_BUSY", True)
            with pytest.raises(industrydb.QueryTimeoutError):
                industrydb.hold_snapshot(sqlite_file.uri, tables="t", timeout=0.2)
        with industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
            assert rows_or_error(plan_of(sqlite_file.uri, snapshot)) == EXPECTED


@pytest.mark.parametrize("mode", ["delete", "log"])
def test_a_fork_leaves_the_snapshot_to_its_parent(sqlite_file: SqliteFile, mode: str) -> None:
    """A forked process that releases the snapshot does not end the parent's."""
    with made(sqlite_file, mode), industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
        child = os.fork()
        if child == 0:
            snapshot.release()
            os._exit(0)
        os.waitpid(child, 0)
        elsewhere(sqlite_file.path, "UPDATE t SET v = 2")
        assert rows_or_error(plan_of(sqlite_file.uri, snapshot)) == EXPECTED


def test_a_forked_process_is_refused(sqlite_file: SqliteFile) -> None:
    """A process that was forked from the holder would read without locks: it raises, and names the remedy."""
    with made(sqlite_file, "log"), industrydb.hold_snapshot(sqlite_file.uri, tables="t") as snapshot:
        plan = plan_of(sqlite_file.uri, snapshot)
        child = os.fork()
        if child == 0:
            found = rows_or_error(plan)
            os._exit(0 if isinstance(found, DatabaseConnectionError) and "by spawn" in str(found) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert rows_or_error(plan) == EXPECTED


def test_what_cannot_be_held_is_refused(sqlite_file: SqliteFile) -> None:
    """Databases in memory, tables that there are not, statements that write, and texts of other snapshots raise."""
    with made(sqlite_file, "log"):
        with pytest.raises(ConfigurationError, match="in-memory"):
            industrydb.hold_snapshot("sqlite://:memory:", tables="t")
        with pytest.raises(QueryExecutionError, match="no such table: nothing"):
            industrydb.hold_snapshot(sqlite_file.uri, tables="nothing")
        with pytest.raises(ConfigurationError, match="returns no rows or would change"):
            industrydb.hold_snapshot(sqlite_file.uri, queries="DELETE FROM t")
        for token in ("00000003-0000001B-1", "1-2-3", "' OR 1"):
            with pytest.raises(ConfigurationError, match="no snapshot of an SQLite file"):
                industrydb.read_sql(sqlite_file.uri, QUERY, snapshot=token)
        with industrydb.hold_snapshot(sqlite_file.uri, queries=QUERY) as snapshot:
            # A snapshot of a log that is longer than the file's.
            device, inode, log = snapshot.token.split("-")
            forged = f"{device}-{inode}-{log[:32]}ffffff7f{log[40:]}"
            with pytest.raises(QueryExecutionError, match="no longer held"):
                industrydb.read_sql(sqlite_file.uri, QUERY, snapshot=forged)
