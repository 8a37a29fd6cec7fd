"""Tests of SQLite files that another library of this process has open: file locks belong to the whole process."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import industrydb
from industrydb import ConfigurationError, Connection, DatabaseConnectionError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks belong to who asked for them there")

SHARED = "open in this process outside industrydb"

# Another process adds 20,000 rows, waiting for no lock.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
try:
    connection.executemany("INSERT INTO t VALUES ('process', ?)", ((n,) for n in range(20_000)))
    connection.commit()
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture(params=["DELETE", "WAL"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Make a file that no connection has open."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.execute("CREATE TABLE t (who TEXT, n INTEGER)")
    return path


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file with Python's own copy of SQLite, and read from it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert count(connection) == 0
        yield connection


def count(connection: sqlite3.Connection) -> int:
    """Return the number of rows."""
    return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def stored(path: Path) -> dict[str, int]:
    """Check that the file is not corrupt; return the number of rows of each writer."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT who, count(*) FROM t GROUP BY who"))


def add_by_process(path: Path) -> str:
    """Add rows in another process; return the error that it prints, or an empty text."""
    result = subprocess.run([sys.executable, "-c", WRITER, path], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_rows_of_two_processes_survive(path: Path, other: sqlite3.Connection) -> None:
    """A write is refused if `sqlite3` has the file open: closing that drops our locks, and rows would be lost."""
    rows = {"who": ["ours"] * 109, "n": range(109)}

    def write() -> None:
        with Connection.from_uri(f"sqlite://{path}") as ours, ours.transaction():
            ours.insert("t", rows)
            other.close()
            add_by_process(path)

    with pytest.raises(ConfigurationError, match=rf"a\.db is {SHARED}.*sqlite3.*[Cc]lose the other connection"):
        write()
    other.close()
    assert add_by_process(path) == ""
    assert stored(path) == {"process": 20_000}


def test_every_way_to_write_is_refused(path: Path, other: sqlite3.Connection) -> None:
    """Every way to write is refused while another library has the file open, and works once it is closed there."""
    rows = {"who": ["ours"], "n": [1]}
    uri = f"sqlite://{path}"

    def in_transaction(ours: Connection) -> None:
        with ours.transaction():
            ours.execute("INSERT INTO t VALUES ('ours', 2)")

    ways: list[Callable[[Connection], object]] = [
        lambda ours: ours.insert("t", rows),
        lambda ours: ours.update("t", {"n": 3}, where={"n": 1}),
        lambda ours: ours.delete("t", where={"n": 3}),
        lambda ours: ours.execute("INSERT INTO t VALUES ('ours', 4) RETURNING n"),
        lambda ours: ours.execute("CREATE TABLE u (i INTEGER)"),
        in_transaction,
        lambda _: industrydb.write_sql(rows, "t", uri, if_exists="append"),
        lambda _: industrydb.write_sql(rows, "v", uri),
    ]
    with Connection.from_uri(uri) as ours:
        for way in ways:
            with pytest.raises(ConfigurationError, match=SHARED):
                way(ours)
        assert ours.execute("SELECT count(*) AS n FROM t").item() == 0  # reading is allowed
    assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",)]
    assert count(other) == 0
    other.close()
    with Connection.from_uri(uri) as ours:
        for way in ways:
            way(ours)
    assert stored(path) == {"ours": 3}


def test_a_connection_opened_after_ours_is_seen_before_the_next_transaction(tmp_path: Path) -> None:
    """Another library's connection, opened after ours, makes our writes fail until that connection is closed."""
    path = tmp_path / "a.db"
    with Connection.from_uri(f"sqlite://{path}") as ours:
        ours.execute("CREATE TABLE t (who TEXT, n INTEGER)")
        ours.execute("INSERT INTO t VALUES ('ours', 1)")
        with closing(sqlite3.connect(path)) as later:
            assert count(later) == 1
            with pytest.raises(ConfigurationError, match=SHARED):
                ours.execute("INSERT INTO t VALUES ('ours', 2)")
        ours.execute("INSERT INTO t VALUES ('ours', 3)")
    assert stored(path) == {"ours": 2}


def test_a_log_that_another_connection_has_removed_takes_no_rows(tmp_path: Path) -> None:
    """No rows are written to a log that `sqlite3` removed on closing (it sees no lock of ours): they would be lost."""
    path = tmp_path / "a.db"
    uri = f"sqlite://{path}"
    with Connection.from_uri(uri) as ours:
        ours.execute("PRAGMA journal_mode = WAL")
        ours.execute("CREATE TABLE t (who TEXT, n INTEGER)")
        ours.execute("INSERT INTO t VALUES ('ours', 1)")
        with closing(sqlite3.connect(path)) as later:
            assert count(later) == 1
        assert not path.with_name("a.db-wal").exists()
        for read in (lambda: industrydb.read_sql(uri, "SELECT * FROM t"), lambda: Connection.from_uri(uri)):
            with pytest.raises(DatabaseConnectionError, match="close all connections to the file, and connect again"):
                read()
        with pytest.raises(DatabaseConnectionError, match=r"log .* was removed .* connect again"):
            ours.execute("INSERT INTO t VALUES ('ours', 2)")
        assert ours.is_closed()
    with Connection.from_uri(uri) as ours:
        ours.execute("INSERT INTO t VALUES ('ours', 3)")
        assert ours.execute("SELECT n FROM t").rows() == [(1,), (3,)]
    assert stored(path) == {"ours": 2}


def test_a_connection_opened_within_our_transaction_ends_it(path: Path) -> None:
    """A transaction during which another library opens the file is rolled back, since its locks may be gone."""

    def transaction(ours: Connection, later: list[sqlite3.Connection]) -> None:
        with ours.transaction():
            ours.execute("INSERT INTO t VALUES ('ours', 2)")
            later.append(sqlite3.connect(path))

    later: list[sqlite3.Connection] = []
    with Connection.from_uri(f"sqlite://{path}") as ours, pytest.raises(ConfigurationError, match=SHARED):
        transaction(ours, later)
    later[0].close()
    assert stored(path) == {}


def test_a_file_that_is_open_without_locks_counts(path: Path) -> None:
    """A file that is open without SQLite (for a backup, say, by any name) counts too: closing it drops our locks."""
    link = path.with_name("link.db")
    link.hardlink_to(path)
    with link.open("rb"), pytest.raises(ConfigurationError, match=SHARED):
        industrydb.write_sql({"who": ["ours"], "n": [1]}, "t", f"sqlite://{path}", if_exists="append")
    assert stored(path) == {}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are texts")
def test_paths_that_are_no_text_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is open elsewhere is noticed by a relative path in a folder whose name is not UTF-8."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(folder)).mkdir()
    monkeypatch.chdir(os.fsdecode(folder))
    with closing(sqlite3.connect("a.db")) as other:
        other.execute("CREATE TABLE t (who TEXT, n INTEGER)")
        with pytest.raises(ConfigurationError, match=SHARED):
            industrydb.write_sql({"who": ["ours"], "n": [1]}, "t", "sqlite://a.db", if_exists="append")


@pytest.mark.usefixtures("other")
def test_attached_files_count(path: Path) -> None:
    """An attached file that is open elsewhere counts, since a transaction has locks in all of its files."""
    with Connection.from_uri(f"sqlite://{path.with_name('main.db')}") as ours:
        ours.execute("CREATE TABLE own (i INTEGER)")
        ours.execute("ATTACH ? AS b", [str(path)])
        with pytest.raises(ConfigurationError, match=rf"a\.db is {SHARED}"):
            ours.execute("INSERT INTO b.t VALUES ('ours', 1)")
    assert stored(path) == {}


def test_our_own_connections_are_no_others(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Connections, writes and partitioned reads of this library, in any threads, do not count as another library."""
    uri = f"sqlite://{path}"
    rows = {"who": ["ours"] * 200, "n": range(200)}
    errors: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(20):
                industrydb.read_sql(uri, "SELECT * FROM t", partition_on="n", partitions=3)
        except Exception as error:  # noqa: BLE001, shown below
            errors.append(error)

    with Connection.from_uri(uri) as first, Connection.from_uri(uri) as second:
        first.insert("t", rows)
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert first.select("t", limit=1).height == 1
            assert second.select("t", limit=1).height == 1
        for thread in threads:
            thread.join()
        industrydb.write_sql(rows, "t", uri, if_exists="append")
        second.insert("t", rows)
    assert errors == []
    assert SHARED not in caplog.text
    assert stored(path) == {"ours": 600}


def test_reading_warns_once_per_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A read of a file that another library has open gives one warning per file, whatever way of reading is used."""
    uri = f"sqlite://{path}"
    lone = path.with_name("lone.db")
    industrydb.write_sql({"i": [1]}, "t", f"sqlite://{lone}")

    def warnings() -> list[str]:
        return [record.getMessage() for record in caplog.records if SHARED in record.getMessage()]

    industrydb.read_sql(uri, "SELECT * FROM t")
    assert warnings() == []
    with closing(sqlite3.connect(path)) as other:
        assert count(other) == 0
        industrydb.read_sql(f"sqlite://{lone}", "SELECT * FROM t")
        assert warnings() == []
        industrydb.read_sql(uri, "SELECT * FROM t")
        (warning,) = warnings()
        assert str(path) in warning
        assert "Close the other connection first" in warning
        industrydb.scan_sql(uri, "SELECT * FROM t").collect()
        with Connection.from_uri(uri) as ours:
            ours.execute("SELECT * FROM t")
        assert len(warnings()) == 1


@pytest.mark.parametrize(
    "way", ["read_sql", "read_sql_batches", "scan_sql", "plan_sql", "extract", "Connection", "partitions"]
)
def test_each_way_to_read_warns(
    path: Path, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """Each way to read warns of a file that another library has opened before."""
    uri, query = f"sqlite://{path}", "SELECT * FROM t"
    assert count(other) == 0
    if way == "Connection":
        with Connection.from_uri(uri) as ours:
            ours.execute(query)
    elif way == "partitions":
        industrydb.read_sql(uri, query, partition_on="n", partitions=2)
    elif way == "extract":
        industrydb.extract(uri, query, path.with_name("folder"))
    elif way == "scan_sql":
        industrydb.scan_sql(uri, query).collect()
    else:
        getattr(industrydb, way)(uri, query)
    assert SHARED in caplog.text


@pytest.mark.parametrize("way", ["read", "connection", "kept"])
def test_a_live_transaction_is_not_rolled_back(tmp_path: Path, way: str) -> None:
    """Another library's open transaction is an error: its journal, without visible locks, is not rolled back."""
    path = tmp_path / "a.db"
    uri = f"sqlite://{path}"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (who TEXT, n INTEGER)")
    with Connection.from_uri(uri) as kept, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA cache_size = 5")  # pages, so that some are written before the commit
        other.execute("BEGIN")
        other.executemany("INSERT INTO t VALUES (?, ?)", (("x" * 500, n) for n in range(2000)))
        reads: dict[str, Callable[[], object]] = {
            "read": lambda: industrydb.read_sql(uri, "SELECT count(*) AS n FROM t"),
            "connection": lambda: Connection.from_uri(uri),
            "kept": lambda: kept.execute("SELECT count(*) AS n FROM t"),
        }
        with pytest.raises(ConfigurationError, match=rf"{SHARED}.*in a transaction.*end that transaction"):
            reads[way]()
        other.execute("COMMIT")
    assert sum(stored(path).values()) == 2000


def test_closing_leaves_the_log_of_another_connection(tmp_path: Path) -> None:
    """Closing our connection does not remove the log of a file in WAL mode that another library has open."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (who TEXT, n INTEGER)")
        with Connection.from_uri(f"sqlite://{path}") as ours:
            assert ours.execute("SELECT count(*) AS n FROM t").item() == 0
        other.execute("INSERT INTO t VALUES ('sqlite3', 1)")
        # A copy of the files as a killed process would leave them on the disk.
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            source = Path(f"{path}{suffix}")
            if source.exists():
                Path(f"{copy}{suffix}").write_bytes(source.read_bytes())
    assert stored(copy) == {"sqlite3": 1}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what is open by Linux's own list")
def test_no_descriptor_stays_open(path: Path) -> None:
    """The search for other users of a file leaves no descriptor open, and other descriptors as they were."""
    uri = f"sqlite://{path}"
    industrydb.read_sql(uri, "SELECT * FROM t")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with path.open("rb") as file:
        for _ in range(3):
            industrydb.read_sql(uri, "SELECT * FROM t")
            with pytest.raises(ConfigurationError, match=SHARED):
                industrydb.write_sql({"who": ["ours"], "n": [1]}, "t", uri, if_exists="append")
        assert file.read(6) == b"SQLite"
    assert len(list(Path("/proc/self/fd").iterdir())) == before
