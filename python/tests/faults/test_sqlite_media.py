"""Tests of SQLite files that cannot be written to, and of files that a writer left in the middle of a transaction."""

import ctypes
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, IndustryDbError

ROWS = 1000

# All ways to read, in a process that obeys file permissions, as root otherwise would not.
READS = """
import json, sys, industrydb
uri, ways = sys.argv[1], {}
query = "SELECT i, s FROM t"
def connected(**given):
    with industrydb.Connection.from_uri(uri) as connection:
        return connection.execute(query)
def batched(**given):
    return industrydb.read_sql_batches(uri, query, **given).read_all()
for name, way in {
    "read": lambda: industrydb.read_sql(uri, query),
    "partitions": lambda: industrydb.read_sql(uri, query, partition_on="i", partitions=3),
    "rows": lambda: industrydb.read_sql(uri, query, partitions=3),
    "apart": lambda: industrydb.read_sql(uri, query, partition_on="i", partitions=3, snapshot=False),
    "scan": lambda: industrydb.scan_sql(uri, query, partition_on="i", partitions=2).collect(),
    "plan": lambda: industrydb.plan_sql(uri, query, partition_on="i", partitions=2).read(),
    "batches": lambda: __import__("polars").concat(industrydb.read_sql_batches(uri, query)),
    "connection": connected,
}.items():
    try:
        frame = way()
        ways[name] = [frame.height, frame["i"].sum()]
    except industrydb.IndustryDbError as error:
        ways[name] = f"{type(error).__name__}: {error}"
print(json.dumps(ways))
"""
EXPECTED = [ROWS, ROWS * (ROWS + 1) // 2]

# A writer that kills itself: pages of its transaction are in the file, the old ones in the journal.
CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
connection.execute("PRAGMA cache_spill = ON")
connection.execute("BEGIN")
connection.execute("UPDATE t SET s = 'never committed' || i, i = -i")
os.kill(os.getpid(), 9)
"""


def made(path: Path, journal_mode: str = "DELETE") -> Path:
    """Make a file with a table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("CREATE TABLE t (i INTEGER, s TEXT)")
        rows = ((i, f"row {i} " + "x" * 200) for i in range(1, ROWS + 1))
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    return path


def crashed(path: Path) -> Path:
    """Run a writer that is killed in a transaction; return the journal that is left."""
    assert subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False).returncode == -9
    journal = path.with_name(path.name + "-journal")
    assert journal.stat().st_size > 0
    return journal


def _without_power() -> None:
    """Give up root's right to write where the permissions forbid it."""
    if os.geteuid() == 0:
        cap_dac_override, pr_capbset_drop = 1, 24
        assert ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0) == 0


def read_only(folder: Path, uri: str) -> dict[str, object]:
    """Read in all ways while neither the folder nor its files can be written to."""
    files = [*folder.iterdir()]
    for path in files:
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READS, uri], check=True, capture_output=True, text=True, preexec_fn=_without_power
        )
    finally:
        folder.chmod(0o755)
        for path in files:
            path.chmod(0o644)
    assert sorted(folder.iterdir()) == sorted(files)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


linux = pytest.mark.skipif(sys.platform != "linux", reason="drops a capability of Linux")


@linux
@pytest.mark.parametrize("option", ["", "?mode=ro", "?immutable=1", "?mode=ro&immutable=true"])
@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_files_on_read_only_media(tmp_path: Path, journal_mode: str, option: str) -> None:
    """Every way to read works on read-only media; a file in WAL mode needs `immutable=1`, and the error says so."""
    path = made(tmp_path / "größe & 100%.db", journal_mode)
    uri = f"sqlite://{str(path).replace('%', '%25')}{option}"
    for name, answer in read_only(tmp_path, uri).items():
        if journal_mode == "WAL" and "immutable" not in option:
            assert isinstance(answer, str), name
            assert "DatabaseConnectionError" in answer, name
            assert "?immutable=1" in answer, f"{name}: {answer}"
        else:
            assert answer == EXPECTED, name


@linux
def test_what_immutable_would_leave_out_is_refused(tmp_path: Path) -> None:
    """`immutable=1` is refused for a file with a log or a journal, whose rows SQLite would leave out."""
    path = made(tmp_path / "a.db", "WAL")
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO t VALUES (0, 'in the log')")
        for name in ("a.db", "a.db-wal"):
            shutil.copy(tmp_path / name, copy / name)
    with pytest.raises(DatabaseConnectionError, match=r"a\.db-wal"):
        industrydb.read_sql(f"sqlite://{copy}/a.db?immutable=1", "SELECT * FROM t")
    with (
        pytest.raises(DatabaseConnectionError, match=r"a\.db-wal"),
        industrydb.Connection.from_uri(f"sqlite://{copy}/a.db?immutable=1"),
    ):
        pass
    assert industrydb.read_sql(f"sqlite://{copy}/a.db", "SELECT * FROM t").height == ROWS + 1
    other = made(tmp_path / "b.db")
    crashed(other)
    with pytest.raises(DatabaseConnectionError, match=r"b\.db-journal"):
        industrydb.read_sql(f"sqlite://{other}?immutable=1", "SELECT * FROM t")


def test_what_immutable_would_leave_out_stands_beside_the_file_itself(tmp_path: Path) -> None:
    """The log is looked for beside the file that a symbolic link leads to, as SQLite does it."""
    (tmp_path / "data").mkdir()
    path, link = tmp_path / "data" / "a.db", tmp_path / "link.db"
    link.symlink_to(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
        assert industrydb.read_sql(f"sqlite://{link}", "SELECT * FROM t").height == 1
        with pytest.raises(DatabaseConnectionError, match="would leave out"):
            industrydb.read_sql(f"sqlite://{link}?immutable=1", "SELECT * FROM t")
    assert industrydb.read_sql(f"sqlite://{link}?immutable=1", "SELECT * FROM t").height == 1


@pytest.mark.parametrize("way", ["read", "partitions", "batches", "scan", "extract", "connection"])
def test_a_hot_journal_is_rolled_back(tmp_path: Path, way: str) -> None:
    """Every way to read rolls a hot journal back, as `sqlite3` does: the rows are those before the killed writer."""
    path = made(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection:
        expected = connection.execute("SELECT i, s FROM t").fetchall()
    journal = crashed(path)
    uri, query = f"sqlite://{path}", "SELECT i, s FROM t"
    if way == "read":
        frame = industrydb.read_sql(uri, query)
    elif way == "partitions":
        frame = industrydb.read_sql(uri, query, partition_on="i", partitions=3)
    elif way == "batches":
        frame = pl.concat(industrydb.read_sql_batches(uri, query))
    elif way == "scan":
        frame = industrydb.scan_sql(uri, query).collect()
    elif way == "extract":
        industrydb.extract(uri, query, tmp_path / "x")
        frame = pl.read_parquet(tmp_path / "x" / "*.parquet")
    else:
        with industrydb.Connection.from_uri(uri) as kept:
            frame = kept.execute(query)
    assert frame.rows() == expected
    assert not journal.exists()


def test_a_hot_journal_of_an_attached_file(tmp_path: Path) -> None:
    """The hot journal of an attached file is an error that says to read that file by itself, which rolls it back."""
    attached, path = made(tmp_path / "a.db"), made(tmp_path / "b.db")
    crashed(attached)
    uri, query, attach = f"sqlite://{path}", "SELECT i FROM other.t", f"ATTACH '{attached}' AS other"
    with pytest.raises(IndustryDbError, match="read from it once by itself"):
        industrydb.read_sql(uri, query, pre_execution_query=attach)
    assert industrydb.read_sql(f"sqlite://{attached}", "SELECT i FROM t").height == ROWS
    assert industrydb.read_sql(uri, query, pre_execution_query=attach).height == ROWS


@linux
@pytest.mark.parametrize("option", ["", "?mode=ro"])
def test_a_hot_journal_that_cannot_be_rolled_back(tmp_path: Path, option: str) -> None:
    """A hot journal on read-only media, or with `mode=ro`, is an error that names the journal."""
    path = made(tmp_path / "a.db")
    journal = crashed(path)
    answers = read_only(tmp_path, f"sqlite://{path}{option}")
    assert all("a.db-journal" in str(answer) for answer in answers.values()), answers
    if option:
        with pytest.raises(DatabaseConnectionError, match="mode=ro"):
            industrydb.read_sql(f"sqlite://{path}{option}", "SELECT * FROM t")
    assert journal.exists()


def test_the_log_of_a_killed_writer_is_read(tmp_path: Path) -> None:
    """The committed rows in a killed writer's log are read, and no others."""
    path = made(tmp_path / "a.db", "WAL")
    script = CRASH.replace('"BEGIN"', "\"INSERT INTO t VALUES (0, 'committed')\"", 1).replace(
        'connection.execute("UPDATE', 'connection.execute("BEGIN")\nconnection.execute("UPDATE'
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    frame = industrydb.read_sql(f"sqlite://{path}", "SELECT i FROM t", partition_on="i", partitions=2)
    assert (frame.height, frame["i"].min()) == (ROWS + 1, 0)


@pytest.mark.parametrize("option", ["?mode=ro", "?immutable=1"])
def test_read_only_files_are_not_written_to(tmp_path: Path, option: str) -> None:
    """With `mode=ro` or `immutable=1`, every way to write is an error, and a missing file is not created."""
    path = made(tmp_path / "a.db")
    before = path.read_bytes()
    frame = pl.DataFrame({"i": [1], "s": ["x"]})
    with pytest.raises(IndustryDbError, match="readonly") as raised:
        industrydb.write_sql(frame, "t", f"sqlite://{path}{option}", if_exists="append")
    assert raised.value.code == "SQLITE_READONLY"
    with industrydb.Connection.from_uri(f"sqlite://{path}{option}") as connection:
        assert connection.execute("SELECT count(*) AS n FROM t").item() == ROWS
        with pytest.raises(IndustryDbError, match="readonly"):
            connection.execute("DELETE FROM t")
    assert path.read_bytes() == before
    with pytest.raises(DatabaseConnectionError):
        industrydb.Connection.from_uri(f"sqlite://{tmp_path}/absent.db{option}")
    assert not (tmp_path / "absent.db").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("mode=rwc", "mode must be"),
        ("mode=", "mode must be"),
        ("immutable=2", "immutable must be"),
        ("immutble=1", "immutble.*immutable"),
        ("cache=shared", "cache.*%3F"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, option: str, message: str) -> None:
    """Wrong options of a URI are refused by an error that names them."""
    path = made(tmp_path / "a.db")
    with pytest.raises(ConfigurationError, match=message):
        industrydb.read_sql(f"sqlite://{path}?{option}", "SELECT 1")


def test_options_stand_in_a_config() -> None:
    """The URI's options for SQLite are keys of a `DatabaseConfig`, as those of other databases are."""
    config = industrydb.DatabaseConfig("sqlite", path="/a/b.db", immutable="1")
    assert config.to_uri() == "sqlite:///a/b.db?immutable=1"
    assert industrydb.DatabaseConfig.from_uri(config.to_uri()) == config
