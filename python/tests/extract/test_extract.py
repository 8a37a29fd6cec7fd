"""An extract has every row exactly once, wherever it was ended and however often it was begun."""

import copy
import csv
import datetime as dt
import json
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from industrydb import (
    ConfigurationError,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from industrydb._extract import extract, extraction
from industrydb._extract.manifest import decoded, encoded
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

UTC = dt.timezone.utc
QUERY = "SELECT i, s FROM t"


@pytest.fixture
def table(sqlite_file: SqliteFile) -> SqliteFile:
    """Make a table ``t (i, s)`` of 1000 rows."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT)")
    add(sqlite_file, 0, 1000)
    return sqlite_file


def add(file: SqliteFile, first: int, end: int) -> None:
    """Insert rows."""
    rows = [(i, None if i % 7 == 0 else f"row {i}") for i in range(first, end)]
    file.connection.executemany("INSERT INTO t VALUES (?, ?)", rows)


def rows(target: Path) -> list[tuple[Any, ...]]:
    """Return the rows of all files, read as users read them."""
    return pl.scan_parquet(target / "*.parquet").collect().rows()


def expected(file: SqliteFile, query: str = f"{QUERY} ORDER BY i") -> list[tuple[Any, ...]]:
    """Return the rows that an independent driver reads from the database."""
    return file.connection.execute(query).fetchall()


def manifest(target: Path) -> Any:  # noqa: ANN401, it is JSON
    """Return the manifest."""
    return json.loads((target / "manifest.json").read_text())


def parts(target: Path) -> list[dict[str, Any]]:
    """Return the manifest's partitions of all generations."""
    return [part for generation in manifest(target)["generations"] for part in generation["parts"]]


def names(target: Path) -> set[str]:
    """Return the names in a folder, without the manifest and the lock file."""
    return set(os.listdir(target)) - {"manifest.json", ".extract.lock"}  # noqa: PTH208, names alone


# Written files

SPLITS: list[dict[str, Any]] = [
    {},
    {"partitions": 5},
    {"partition_on": "i", "partitions": 5},
    {"partition_on": "i", "partitions": 40, "max_connections": 2, "batch_size": 7},
    {"partition_on": "i", "partitions": 3, "partition_range": (2000, 3000)},
    {"partition_on": "i", "partitions": 3, "snapshot": False},
]


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_the_files_are_the_result(table: SqliteFile, tmp_path: Path, split: dict[str, Any]) -> None:
    """Each partition is one file, in the order of the partitions; the same call again reads nothing."""
    target = tmp_path / "deep" / "target"
    done = extract(table.uri, QUERY, target, **split)
    count = split.get("partitions", 1)
    assert [file.name for file in done.files] == [f"part-{index:05}.parquet" for index in range(count)]
    assert sorted(rows(target)) == expected(table)
    assert pl.concat(map(pl.read_parquet, done.files)).rows() == rows(target)
    assert names(target) == {file.name for file in done.files}
    assert done.rows == 1000
    assert done.bytes == sum(file.stat().st_size for file in done.files)
    assert done.manifest == target / "manifest.json"
    assert done.schema == {"i": pl.Int64, "s": pl.String} == pl.read_parquet(done.files[0]).schema
    assert [part["finished"]["rows"] for part in parts(target)] == [pl.read_parquet(file).height for file in done.files]
    assert manifest(target)["state"] == "finished"
    before = [file.stat().st_mtime_ns for file in (*done.files, done.manifest)]
    table.path.unlink()
    again = extract(table.uri, QUERY, str(target), **split)
    assert again == done
    assert [file.stat().st_mtime_ns for file in (*done.files, done.manifest)] == before


def test_queries_of_a_list(table: SqliteFile, tmp_path: Path) -> None:
    """Each query of a list is one file, even without rows; the parameters are for all queries."""
    queries = [f"{QUERY} WHERE i > 990 AND i <> ?", f"{QUERY} WHERE i < 0 AND i <> ?", f"{QUERY} WHERE i < ?"]
    done = extract(table.uri, queries, tmp_path / "x", params=[5])
    assert [pl.read_parquet(file).height for file in done.files] == [9, 0, 5]
    assert rows(tmp_path / "x") == expected(table)[991:] + expected(table)[:5]


def test_csv(table: SqliteFile, tmp_path: Path) -> None:
    """The standard library reads the rows from CSV files; NULL is an empty field."""
    done = extract(table.uri, QUERY, tmp_path / "x", format="csv", partition_on="i", partitions=3)
    read: list[list[str]] = []
    for path in done.files:
        with path.open(newline="") as file:
            header, *lines = csv.reader(file)
        assert header == ["i", "s"]
        read += lines
    assert read == [[str(i), s or ""] for i, s in expected(table)]


TYPES = """SELECT i, i::int2 AS i2, i::oid AS o, i::float4 AS f4, (i / 8.0)::numeric(12, 3) AS n, i % 2 = 0 AS b,
    date '2024-02-29' + i AS d, time '12:34' + make_interval(secs => i) AS t, repeat('text', i % 7) AS v,
    timestamp '2024-02-29 12:34' + make_interval(secs => i) AS s, timestamptz '2024-02-29 12:34+02' AS z,
    make_interval(hours => i) AS h, convert_to(repeat('byte', i % 5), 'UTF8') AS bytes,
    CASE WHEN i % 3 = 0 THEN NULL ELSE ARRAY[i, NULL, 3] END AS list, 'only ' || i % 3 AS c
    FROM generate_series(1, 300) AS i"""


@pytest.mark.parametrize("file_format", ["parquet", "ipc"])
def test_types_are_kept(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path, file_format: Any) -> None:  # noqa: ANN401
    """Parquet and Arrow files have the values that psycopg reads from the server, with their types."""
    overrides = {"c": pl.Enum(["only 0", "only 1", "only 2"]), "z": pl.Datetime("us", "Asia/Kathmandu")}
    done = extract(
        postgres_uri,
        TYPES,
        tmp_path / "x",
        format=file_format,
        partition_on="i",
        partitions=3,
        schema_overrides=overrides,
    )
    reader = {"parquet": pl.read_parquet, "ipc": pl.read_ipc}[file_format]
    frame = pl.concat(map(reader, done.files))
    assert frame.rows() == postgres.execute(TYPES, binary=True).fetchall()
    assert frame.schema == done.schema
    assert done.schema["c"] == overrides["c"]
    assert done.schema["z"] == overrides["z"]


@pytest.mark.parametrize("sql", ["ARRAY[1]", "interval '1 h'", "'x'::bytea"])
def test_csv_has_no_form_for_it(postgres_uri: str, tmp_path: Path, sql: str) -> None:
    """A column that CSV has no form for is an error before anything is read or written."""
    with pytest.raises(ConfigurationError, match="CSV has no form for column 'x'"):
        extract(postgres_uri, f"SELECT {sql} AS x, pg_sleep(1000)::text AS y", tmp_path / "x", format="csv")
    assert not names(tmp_path / "x")


def nested(inner: st.SearchStrategy[pl.DataType]) -> st.SearchStrategy[pl.DataType]:
    """Make nested data types of other data types."""
    fields = st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(pl.List),
        st.tuples(inner, st.integers(1, 3)).map(lambda pair: pl.Array(*pair)),
        fields.map(pl.Struct),
    )


FLAT: list[Any] = [
    *(pl.Boolean, pl.Int8, pl.UInt64, pl.Float32, pl.String, pl.Binary, pl.Date, pl.Time, pl.Null, pl.Categorical),
    *(pl.Decimal(38, 0), pl.Decimal(10, 10), pl.Duration("ms"), pl.Datetime("ns"), pl.Datetime("us", "UTC")),
    *(pl.Datetime("ms", "Asia/Kathmandu"), pl.Enum(["", "ü", '"']), pl.Enum([])),
]


@given(st.recursive(st.sampled_from(FLAT).map(lambda dtype: dtype() if isinstance(dtype, type) else dtype), nested))
def test_the_manifest_keeps_data_types(dtype: pl.DataType) -> None:
    """A data type that the manifest keeps as JSON is read back as the same type."""
    assert decoded(json.loads(json.dumps(encoded(dtype)))) == dtype


# Interruptions and errors

CHILD = """
import json, os, signal, sys, threading
from industrydb._extract import extract
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
uri, query, target, partitions, step = sys.argv[1:]

def dying(function):  # at a certain step of what makes files durable
    def called(*arguments):
        global step
        step = int(step) - 1
        if step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return called

os.fsync, os.replace, os.rename = dying(os.fsync), dying(os.replace), dying(os.rename)
print("begins", flush=True)
try:
    split = {"partition_on": "i", "partitions": int(partitions)} if partitions != "0" else {}
    extract(uri, json.loads(query), target, max_connections=2, batch_size=1000, **split)
except KeyboardInterrupt:
    print("interrupted", [t.name for t in threading.enumerate() if t.name.startswith("ThreadPool")], flush=True)
"""


@contextmanager
def child(
    uri: str, query: str | list[str], target: Path, partitions: int = 0, step: int = 0
) -> Iterator[subprocess.Popen[str]]:
    """Extract in another process, which is killed at the end of the block."""
    command = [sys.executable, "-c", CHILD, uri, json.dumps(query), str(target), str(partitions), str(step)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def whole_files(target: Path) -> int:
    """Count the files of partitions, and check that each is whole."""
    files = list(target.glob("part-*"))
    for file in files:
        pl.read_parquet(file)
    return len(files)


@pytest.mark.parametrize("step", [1, 3, 4, 5, 7, 9, 12, 14, 19, 24])
def test_killed_at_a_step(table: SqliteFile, tmp_path: Path, step: int) -> None:
    """An extract killed at any `fsync` or rename, and again at the next one, is finished by a later call."""
    target = tmp_path / "x"
    for number in (step, step + 1):
        with child(table.uri, QUERY, target, 4, number) as killed:
            killed.communicate(timeout=PATIENCE_S)
        assert killed.returncode in (0, -signal.SIGKILL)
        finished = [part for part in parts(target) if part["finished"]] if number > 3 else []
        assert whole_files(target) >= len(finished)
    assert killed.returncode or step > 20
    done = extract(table.uri, QUERY, target, partition_on="i", partitions=4)
    assert rows(target) == expected(table)
    assert names(target) == {file.name for file in done.files}
    assert all(part in parts(target) for part in finished)  # finished partitions are neither read again nor changed


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(table: SqliteFile, tmp_path: Path, seed: int) -> None:
    """A later call finishes an extract killed three times at random; rows inserted meanwhile are all read or none."""
    chance, target = random.Random(seed), tmp_path / "x"  # noqa: S311, not a secret
    add(table, 1000, 60_000)
    before = expected(table)
    for _ in range(3):
        seen = len(names(target)) if target.exists() else 0
        more = seen + chance.randint(1, 8)
        with child(table.uri, QUERY, target, 24) as killed:
            eventually(
                lambda more=more, killed=killed: (  # type: ignore[misc]
                    killed.poll() is not None or (target.exists() and len(names(target)) >= more)
                )
            )
            killed.kill()
            killed.communicate(timeout=PATIENCE_S)
        whole_files(target)
    add(table, 60_000, 60_010)
    done = extract(table.uri, QUERY, target, partition_on="i", partitions=24)
    assert names(target) == {file.name for file in done.files}
    got = rows(target)
    assert got == expected(table)[: len(got)]
    assert len(got) in (len(before), len(before) + 10)
    moments = {part["finished"]["snapshot"] for part in parts(target)}
    assert moments <= {snapshot["number"] for snapshot in manifest(target)["snapshots"]}


# The last of four queries waits. One query, divided, would wait in each partition: volatile functions are not skipped.
PLAIN = [f"SELECT i, NULL::int AS n FROM generate_series({low + 1}, {low + 250}) AS i" for low in (0, 250, 500)]
STALLING = [*PLAIN, "SELECT i, (SELECT count(*)::int FROM pg_sleep(600)) AS n FROM generate_series(751, 1000) AS i"]


def test_ctrl_c(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """Ctrl-C ends the server's work, and leaves no thread and no partial file."""
    name, target = "interrupted extract", tmp_path / "x"
    with child(with_options(postgres_uri, application_name=name), STALLING, target) as interrupted:
        eventually(
            lambda: (
                "PgSleep" in [event for _, event in sessions(postgres, name)]
                and any(part["finished"] for part in parts(target))
            )
        )
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.communicate(timeout=PATIENCE_S / 4)[0] == "begins\ninterrupted []\n"
    assert all(file.startswith("part-") for file in names(target))
    assert manifest(target)["state"] == "failed"
    eventually(lambda: not sessions(postgres, name))


def test_one_process_at_a_time(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """A second extract into the same folder is refused; the lock of a killed process is released."""
    name, target = "holds the lock", tmp_path / "x"
    uri = with_options(postgres_uri, application_name=name)
    with child(uri, STALLING, target) as other:
        eventually(lambda: "PgSleep" in [event for _, event in sessions(postgres, name)])
        with pytest.raises(ConfigurationError, match="another extract is writing"):
            extract(uri, PLAIN, target)
        other.kill()
    # The server goes on with the killed process's statement, whose locks would block other tests.
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])
    assert extract(postgres_uri, PLAIN, target, resume="restart").rows == 750


@pytest.mark.parametrize("damage", ["other byte", "shorter", "gone"])
def test_damaged_files_are_read_again(
    table: SqliteFile, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that are damaged or missing are read again, and only those."""
    split: dict[str, Any] = {"partition_on": "i", "partitions": 4}
    done = extract(table.uri, QUERY, tmp_path / "x", **split)
    victim = done.files[2]
    data = victim.read_bytes()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] + (b"" if damage == "shorter" else bytes([data[-1] ^ 1])))
    with caplog.at_level(logging.WARNING, "industrydb"):
        assert extract(table.uri, QUERY, tmp_path / "x", **split).files == done.files
    assert f"{victim} is not as it was written" in caplog.text
    assert rows(tmp_path / "x") == expected(table)
    assert [part["attempts"] for part in parts(tmp_path / "x")] == [1, 1, 2, 1]
    assert [part["finished"]["snapshot"] for part in parts(tmp_path / "x")] == [1, 1, 2, 1]


def test_an_error_ends_it(table: SqliteFile, tmp_path: Path) -> None:
    """A conversion error is raised as it is; finished files are kept, and a later call reads the rest."""
    table.connection.execute("UPDATE t SET s = i")
    table.connection.execute("UPDATE t SET s = 'no number' WHERE i = 999")
    split: dict[str, Any] = {"partitions": 4, "max_connections": 1, "schema_overrides": {"s": pl.Int32}}
    with pytest.raises(TypeConversionError, match="no number"):
        extract(table.uri, QUERY, tmp_path / "x", **split)
    assert manifest(tmp_path / "x")["state"] == "failed"
    assert "no number" in manifest(tmp_path / "x")["error"]
    assert [bool(part["finished"]) for part in parts(tmp_path / "x")] == [True, True, True, False]
    assert names(tmp_path / "x") == {f"part-{index:05}.parquet" for index in range(3)}
    table.connection.execute("UPDATE t SET s = 999 WHERE i = 999")
    assert extract(table.uri, QUERY, tmp_path / "x", **split).schema["s"] == pl.Int32
    assert rows(tmp_path / "x") == [(i, i) for i in range(1000)]
    assert [part["attempts"] for part in parts(tmp_path / "x")] == [1, 1, 1, 2]
    assert manifest(tmp_path / "x")["error"] is None


LOCK_KEY = 20_240_301
LOCKING = [
    *PLAIN,
    f"SELECT i, (SELECT 1 FROM pg_advisory_xact_lock_shared({LOCK_KEY})) AS n FROM generate_series(751, 1000) AS i",
]


@pytest.mark.parametrize("retries", [0, 2])
def test_a_killed_session_is_replaced(
    postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path, retries: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A partition whose session was killed is read again in a later snapshot, unless `retries` is 0."""
    name, target = f"killed extract {retries}", tmp_path / "x"
    uri = with_options(postgres_uri, application_name=name)
    postgres.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
    with ThreadPoolExecutor() as executor, caplog.at_level(logging.WARNING, "industrydb"):
        running = executor.submit(extract, uri, LOCKING, target, retries=retries)
        try:
            eventually(
                lambda: (
                    "advisory" in [event for _, event in sessions(postgres, name)]
                    and sum(bool(part["finished"]) for part in parts(target)) == 3
                )
            )
            [process] = [pid for pid, event in sessions(postgres, name) if event == "advisory"]
            postgres.execute("SELECT pg_terminate_backend(%s)", [process])
        finally:
            postgres.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
        error = running.exception(PATIENCE_S)
    if retries == 0:
        assert isinstance(error, DatabaseConnectionError)
        assert error.code == "57P01"
        assert manifest(target)["state"] == "failed"
        extract(uri, LOCKING, target)
    else:
        assert error is None
        assert "part-00003.parquet is read again in 0.5 s, in a later snapshot" in caplog.text
    assert [i for i, _ in rows(target)] == list(range(1, 1001))
    assert [part["finished"]["snapshot"] for part in parts(target)] == [1, 1, 1, 2]
    assert [part["attempts"] for part in parts(target)] == [1, 1, 1, 2]


@pytest.mark.parametrize("kind", [DatabaseConnectionError, QueryExecutionError, QueryTimeoutError])
@pytest.mark.parametrize("passes", [True, False])
def test_what_is_tried_again(
    table: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[IndustryDbError], *, passes: bool
) -> None:
    """A transient error is retried as often as `retries` says, with pauses that grow up to 30 s; others are not."""
    pauses: list[float] = []
    error = kind("as it is")
    error.is_transient = passes

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(extraction, "Partitions", failing)
    with pytest.raises(kind) as raised:
        extract(table.uri, QUERY, tmp_path / "x", retries=7)
    assert raised.value is error
    assert pauses == ([0.5, 1, 2, 4, 8, 16, 30] if passes else [])
    assert [part["attempts"] for part in parts(tmp_path / "x")] == [len(pauses) + 1]


def test_a_timeout(postgres_uri: str, tmp_path: Path) -> None:
    """`timeout` limits the whole call; files that are finished by then are kept."""
    with pytest.raises(QueryTimeoutError):
        extract(postgres_uri, STALLING, tmp_path / "x", timeout=2)
    assert [bool(part["finished"]) for part in parts(tmp_path / "x")] == [True, True, True, False]


FULL = """
import resource, signal, sys
from industrydb._extract import extract
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    extract(*sys.argv[1:4], format=sys.argv[4])
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("file_format", ["parquet", "ipc", "csv"])
def test_a_full_disk(table: SqliteFile, tmp_path: Path, file_format: str) -> None:
    """A full disk raises the system's error, and leaves no file behind."""
    query = "SELECT i, random() AS r FROM t, (SELECT i AS j FROM t LIMIT 50)"
    command = [sys.executable, "-c", FULL, table.uri, query, str(tmp_path / "x"), file_format]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "27"  # EFBIG, which stands for ENOSPC
    assert not names(tmp_path / "x")
    assert manifest(tmp_path / "x")["state"] == "failed"


# Other contents of the directory


def test_another_extract(table: SqliteFile, tmp_path: Path) -> None:
    """A folder with another extract is refused; the message says what differs, without values that may be secret."""
    query, target = f"{QUERY} WHERE s <> ?", tmp_path / "x"
    given: dict[str, Any] = {"params": ["the secret"], "partition_on": "i", "partitions": 3}
    done = extract(table.uri, query, target, **given)
    others: list[tuple[dict[str, Any], str]] = [
        ({"params": ["other secret"]}, "params has other values"),
        ({"params": [b"the secret"]}, "params has other values"),
        ({"partitions": 4}, "partitions is 4, and was 3"),
        ({"partition_on": "s"}, "partition_on is 's', and was 'i'"),
        ({"partition_range": (1, 9)}, "partition_range"),
        ({"schema_overrides": {"i": pl.Int32}}, "schema_overrides"),
        ({"pre_execution_query": "PRAGMA user_version"}, "pre_execution_query has other values"),
        ({"format": "csv"}, "format is 'csv', and was 'parquet'"),
        ({"since": "i"}, "since is 'i', and was None"),
    ]
    for changed, message in others:
        with pytest.raises(ConfigurationError, match=message) as raised:
            extract(table.uri, query, target, **(given | changed))
        assert "secret" not in str(raised.value) + repr(raised.value.differences)
        assert [difference.name for difference in raised.value.differences] == list(changed)
    with pytest.raises(ConfigurationError, match=r"queries is \['SELECT 1"):
        extract(table.uri, "SELECT 1 AS i, ? AS s", target, **given)
    assert "secret" not in (target / "manifest.json").read_text()
    assert extract(table.uri, query, target, **given, retries=9, batch_size=3, max_connections=1) == done
    restarted = extract(table.uri, QUERY, target, format="ipc", partitions=2, resume="restart")
    assert names(target) == {"part-00000.ipc", "part-00001.ipc"} == {file.name for file in restarted.files}


def test_the_working_directory_does_not_matter(
    table: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database file is identified by its absolute path, whatever the working directory is."""
    table.connection.execute(f"VACUUM INTO '{tmp_path}/own.db'")
    monkeypatch.chdir(tmp_path)
    done = extract("sqlite://own.db", QUERY, tmp_path / "x")
    assert extract(f"sqlite://{tmp_path}/own.db", QUERY, "x").rows == done.rows
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="database is"):
        extract("sqlite://own.db", QUERY, tmp_path / "x")


def test_other_files(table: SqliteFile, tmp_path: Path) -> None:
    """Files that no extract wrote are named and left alone; temporary files of a killed extract are removed."""
    target = tmp_path / "x"
    target.mkdir()
    (target / "mine.txt").touch()
    with pytest.raises(ConfigurationError, match=r"files that no extract wrote: mine\.txt"):
        extract(table.uri, QUERY, target)
    (target / "mine.txt").unlink()
    (target / f".part-00000.parquet.tmp-{'0' * 16}").touch()
    extract(table.uri, QUERY, target)
    assert names(target) == {"part-00000.parquet"}
    (target / "mine.txt").touch()
    extract(table.uri, QUERY, target)
    (target / "mine.parquet").touch()
    for resume in ("continue", "restart"):
        with pytest.raises(ConfigurationError, match=r"mine\.parquet"):
            extract(table.uri, QUERY, target, resume=resume)
    (target / "mine.parquet").unlink()
    extract(table.uri, QUERY, target, resume="restart")
    assert names(target) == {"mine.txt", "part-00000.parquet"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format_version": 1', '"format_version": 2', "format version 2"),
        ('"format_version": 1,', "", "KeyError"),
        ("part-00000.parquet", "../x.db", "no file of an extract"),
        ('"Int64"', '"int"', "KeyError"),
        ("{", "[", "JSONDecodeError"),
    ],
)
def test_a_manifest_that_is_none(table: SqliteFile, tmp_path: Path, old: str, new: str, message: str) -> None:
    """A file that is no valid manifest is an error, and nothing is removed or changed."""
    path = extract(table.uri, QUERY, tmp_path / "x").manifest
    changed = path.read_text().replace(old, new, 1)
    path.write_text(changed)
    for resume in ("continue", "restart"):
        with pytest.raises(ConfigurationError, match=message):
            extract(table.uri, QUERY, tmp_path / "x", resume=resume)
    assert path.read_text() == changed
    assert table.path.exists()
    assert names(tmp_path / "x") == {"part-00000.parquet"}


@pytest.mark.parametrize("wrong", [{"format": "json"}, {"resume": "yes"}, {"retries": -1}, {"batch_size": 0}])
def test_wrong_arguments(table: SqliteFile, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Wrong arguments are refused before the target folder is made."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        extract(table.uri, QUERY, tmp_path / "x", **wrong)
    assert not (tmp_path / "x").exists()


def test_passwords_stay_out(own_server: Server, tmp_path: Path) -> None:
    """The manifest names the database and the user without the password."""
    uri = tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"])
    extract(uri, "SELECT 1 AS i", tmp_path / "x")
    with pytest.raises(QueryExecutionError):
        extract(uri, "SELECT 1 / (i - 1) AS i FROM generate_series(1, 2) AS i", tmp_path / "y")
    for target in ("x", "y"):
        text = (tmp_path / target / "manifest.json").read_text()
        assert all(secret not in text for secret in (PASSWORDS["scram_user"], uri.split(":")[2].split("@")[0]))
        assert "scram_user@" in text


def test_progress(table: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress drawn last has the rows written of each partition, and the rows estimated by the plan."""
    drawn: list[Any] = []

    class Shown:
        def __enter__(self) -> Any:  # noqa: ANN401
            return lambda state: drawn.append(state())

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(extraction, "shown", lambda enabled, _: Shown() if enabled else pytest.fail("not asked for"))
    extract(table.uri, QUERY, tmp_path / "x", partition_on="i", partitions=4, progress=True)
    last = drawn[-1].partitions
    assert [(part.state, part.rows) for part in last] == [("done", 250)] * 4
    assert [part.estimated_rows for part in last] == [part["estimated_rows"] for part in parts(tmp_path / "x")]


# Rows that have come since the last call

DAY = dt.date(2024, 2, 28)
NOON = dt.datetime(2024, 2, 28, 12, 0, 0, 5)  # noqa: DTZ001, without a zone on purpose


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("int", lambda n: n - 5),
        ("bigint", lambda n: 2**62 + n),
        ("numeric", lambda n: Decimal(n).scaleb(-3) + 10**20),
        ("numeric(10, 2)", lambda n: Decimal(n).scaleb(-2)),
        ("date", lambda n: DAY + dt.timedelta(n)),
        ("timestamp", lambda n: NOON + dt.timedelta(microseconds=n)),
        ("timestamptz", lambda n: (NOON + dt.timedelta(microseconds=n)).replace(tzinfo=UTC)),
    ],
)
def test_rows_since(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path, declared: str, value: Any) -> None:  # noqa: ANN401
    """Each call with `since` adds the new rows once; rows with a NULL there are read by the first call alone."""
    postgres.execute("DROP TABLE IF EXISTS growing")
    postgres.execute(f'CREATE TABLE growing (i int, "At ""it""" {declared})')

    def grow(*rows: tuple[int, Any]) -> None:
        for row in rows:
            postgres.execute("INSERT INTO growing VALUES (%s, %s)", row, prepare=False)

    def call() -> list[int]:
        done = extract(
            postgres_uri,
            "SELECT * FROM growing WHERE i <> $1 -- all but one",
            tmp_path / "x",
            params=[-1],
            since='At "it"',
            # Without an override, the first call's values decide the scale.
            schema_overrides={'At "it"': pl.Decimal(38, 3)} if declared == "numeric" else None,
            partition_on="i",
            partitions=2,
        )
        frame = pl.scan_parquet(tmp_path / "x" / "*.parquet").collect()
        assert frame.rows() == pl.concat(map(pl.read_parquet, done.files)).rows()
        assert done.rows == frame.height
        read: dict[int, Any] = dict(postgres.execute("SELECT * FROM growing", prepare=False).fetchall())
        assert all(row[1] == read[row[0]] for row in frame.rows())
        return frame["i"].to_list()

    grow((0, None))
    assert call() == [0]
    grow(*((n, value(n)) for n in range(1, 10)))
    assert sorted(call()) == list(range(10))
    assert call() == call()
    grow((10, value(9)), (11, None), (12, value(10)))
    assert sorted(call()) == [*range(10), 12]
    grow(*((n, value(n)) for n in range(13, 20)))
    assert sorted(call()) == [*range(10), 12, *range(13, 20)]
    assert [g["number"] for g in manifest(tmp_path / "x")["generations"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("split", [{}, {"partitions": 4}, {"partition_on": "i", "partitions": 4}], ids=str)
@pytest.mark.parametrize("interrupted", ["part-00000-00002", "part-00001-00001"])
def test_rows_that_come_meanwhile(
    table: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: dict[str, Any], interrupted: str
) -> None:
    """Rows inserted for all partitions between interrupted calls are in the files exactly once in the end."""
    target = tmp_path / "x"
    written = extraction._written  # noqa: SLF001

    def failing(path: Path, *arguments: Any) -> Any:  # noqa: ANN401
        if path.name.startswith(interrupted):
            raise KeyboardInterrupt
        return written(path, *arguments)

    query = "SELECT i % 100 AS i, rowid AS at FROM t"  # every partition goes on growing

    def call() -> list[tuple[Any, ...]]:
        extract(table.uri, query, target, since="at", max_connections=1, schema_overrides={"i": pl.Int64}, **split)
        return rows(target)

    if split == {"partitions": 4}:
        query = "SELECT i, i AS at FROM t"
    for end in (1000, 1500, 2000):
        with monkeypatch.context() as patched:
            patched.setattr(extraction, "_written", failing)
            if split and end < 2000:
                try:
                    call()
                except KeyboardInterrupt:
                    assert manifest(target)["state"] == "failed"
                    assert interrupted not in str(names(target))
        add(table, end, end + 500)
    call()
    assert sorted(call(), key=lambda row: row[1]) == expected(table, f"{query} ORDER BY 2")
    assert len(manifest(target)["generations"]) >= 1
    assert call() == call()


def test_columns_that_do_not_grow(table: SqliteFile, tmp_path: Path) -> None:
    """`since` refuses a column of text, whose order may differ from the database's, and an unknown column."""
    for since, message in (("s", "since='s' is a column of String"), ("k", r"since='k' is none of .*\['i', 's'\]")):
        with pytest.raises(ConfigurationError, match=message):
            extract(table.uri, QUERY, tmp_path / "x", since=since)
    assert not names(tmp_path / "x")


def test_dates_of_sqlite(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """`since` works with SQLite's datetimes, which are stored as text."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER, at DATETIME)")

    def call() -> list[tuple[Any, ...]]:
        extract(sqlite_file.uri, "SELECT * FROM t", tmp_path / "x", since="at")
        return rows(tmp_path / "x")

    sqlite_file.connection.execute("INSERT INTO t VALUES (1, '2024-02-28 12:00:00'), (2, '2024-02-28 12:00:00.5')")
    first = [(1, NOON.replace(microsecond=0)), (2, NOON.replace(microsecond=500_000))]
    assert call() == first
    sqlite_file.connection.execute("INSERT INTO t VALUES (3, '2024-02-28 12:00:01'), (4, '2024-02-28 12:00:00')")
    assert call() == [*first, (3, NOON.replace(second=1, microsecond=0))]


def test_types_stay(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """A value that does not fit the schema of older files is an error, so that all files can be read together."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER, x INTEGER)")
    for number, value in enumerate((1, 1.5)):
        sqlite_file.connection.execute("INSERT INTO t VALUES (?, ?)", (number, value))
        try:
            extract(sqlite_file.uri, "SELECT * FROM t", tmp_path / "x", since="i")
        except TypeConversionError:
            assert number == 1
    assert manifest(tmp_path / "x")["state"] == "failed"
    assert rows(tmp_path / "x") == [(0, 1)]


def test_several_at_once(table: SqliteFile, tmp_path: Path) -> None:
    """Several threads may extract at the same time; no worker thread is left."""
    before = {*threading.enumerate()}  # other tests may have used libraries that keep some
    with ThreadPoolExecutor(4, "caller") as executor:
        calls = [executor.submit(extract, table.uri, QUERY, tmp_path / str(n), partitions=8) for n in range(4)]
        assert [call.result(PATIENCE_S).rows for call in calls] == [1000] * 4
    assert not [thread for thread in {*threading.enumerate()} - before if thread.name.startswith("ThreadPool")]


@pytest.mark.parametrize(
    ("compression", "mark"), [(None, "SNAPPY"), ("zstd", "ZSTD"), ("uncompressed", "UNCOMPRESSED")]
)
def test_the_codec_is_the_one_that_was_asked_for(
    sqlite_file: SqliteFile, tmp_path: Path, compression: str | None, mark: str
) -> None:
    """Files have the codec that `compression` asks for, as pyarrow reads them; CSV accepts none."""
    sqlite_file.connection.execute("CREATE TABLE t AS SELECT 'a' AS a UNION ALL SELECT 'b'")
    done = extract(sqlite_file.uri, "SELECT a FROM t", tmp_path / "out", compression=compression)
    metadata = pq.ParquetFile(done.files[0]).metadata
    assert metadata.row_group(0).column(0).compression == mark
    with pytest.raises(ConfigurationError, match="csv files are not compressed: leave compression='zstd' out"):
        extract(sqlite_file.uri, "SELECT a FROM t", tmp_path / "csv", format="csv", compression="zstd")


@pytest.mark.parametrize(("batch_size", "groups"), [(30_000, [60_000, 60_000, 20_000]), (100_000, [100_000, 40_000])])
def test_row_groups_are_whole_batches(
    sqlite_file: SqliteFile, tmp_path: Path, batch_size: int, groups: list[int]
) -> None:
    """A row group has as many whole batches as come near to 65,536 rows, or one larger batch."""
    with sqlite_file.connection as connection:
        connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", ((i,) for i in range(140_000)))
    done = extract(sqlite_file.uri, "SELECT i FROM t", tmp_path / "x", batch_size=batch_size)
    metadata = pq.ParquetFile(done.files[0]).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == groups


def test_other_columns_than_before_are_an_error(table: SqliteFile, tmp_path: Path) -> None:
    """A table whose columns were renamed is an error, since all files of an extract have the same columns."""
    target = tmp_path / "x"
    arguments: dict[str, Any] = {"partition_on": "i", "partitions": 2}
    done = extract(table.uri, "SELECT * FROM t", target, **arguments)
    done.files[1].unlink()
    table.connection.execute("ALTER TABLE t RENAME COLUMN s TO other")
    with pytest.raises(ConfigurationError, match="the query's columns are no longer those of"):
        extract(table.uri, "SELECT * FROM t", target, **arguments)


def test_what_begins_empty_has_the_types_that_were_asked_for(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """An extract that begins without rows has the types of `schema_overrides`; its expressions alone have none."""
    target, query = tmp_path / "x", "SELECT i + 0 AS i, upper(s) AS s FROM t"
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT)")
    asked = {"i": pl.Int64, "s": pl.String}
    assert extract(sqlite_file.uri, query, target, since="i", schema_overrides=asked).rows == 0
    assert extract(sqlite_file.uri, query, target, since="i", schema_overrides=asked).rows == 0
    add(sqlite_file, 1, 4)
    assert extract(sqlite_file.uri, query, target, since="i", schema_overrides=asked).rows == 3
    add(sqlite_file, 4, 6)
    done = extract(sqlite_file.uri, query, target, since="i", schema_overrides=asked)
    assert done.schema == {"i": pl.Int64, "s": pl.String}
    expected = sqlite_file.connection.execute(f"{query} ORDER BY 1").fetchall()
    assert pl.read_parquet(target / "*.parquet").rows() == expected


def test_nanoseconds_say_not_what_has_come(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """`since` refuses datetimes in nanoseconds: the manifest keeps the largest value in microseconds."""
    sqlite_file.connection.execute("CREATE TABLE t (at DATETIME)")
    overrides = {"at": pl.Datetime("ns")}
    with pytest.raises(ConfigurationError, match="datetimes in microseconds"):
        extract(sqlite_file.uri, "SELECT at FROM t", tmp_path / "x", since="at", schema_overrides=overrides)


def test_the_back_off_ends_with_the_time(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """If the timeout leaves no time for another retry, the error that was to be retried is raised."""
    postgres.execute(
        "CREATE OR REPLACE FUNCTION extract_conflict() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$"
    )
    with pytest.raises(QueryExecutionError, match="conflict"):
        extract(postgres_uri, "SELECT extract_conflict() AS a", tmp_path / "x", retries=50, timeout=1)


def test_values_are_in_no_error_of_the_manifest(postgres_uri: str, tmp_path: Path) -> None:
    """With parameters, the manifest has only the kind and code of an error: its text may repeat their values."""
    with pytest.raises(QueryExecutionError, match="SEKRIT"):
        extract(postgres_uri, "SELECT ($1::text || 'x')::int AS a", tmp_path / "x", params=["SEKRIT"])
    manifest = (tmp_path / "x" / "manifest.json").read_text()
    assert "SEKRIT" not in manifest
    assert json.loads(manifest)["error"] == "QueryExecutionError [22P02]"


WRONG: list[Any] = [None, "x", -1, 10**30, 1.5, True, [], [None], {}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401, it is JSON
    """Yield the path of keys and indices to each value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("since", [None, "i"])
def test_whatever_is_wrong_in_a_manifest_is_said(
    sqlite_file: SqliteFile, tmp_path: Path, since: str | None, missing: int
) -> None:
    """A manifest with any one value replaced by a wrong one raises an error of this library, or is accepted."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT)")
    add(sqlite_file, 0, 10)
    target = tmp_path / "x"

    def again() -> tuple[Path, ...]:
        return extract(sqlite_file.uri, QUERY, target, partition_on="i", partitions=2, since=since).files

    files = again()
    text = (target / "manifest.json").read_text()
    refused = 0
    for path in places(json.loads(text)):
        for wrong in WRONG:
            values = json.loads(text)
            part = values
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = wrong
            (target / "manifest.json").write_text(json.dumps(values))
            for file in files[:missing]:
                file.unlink(missing_ok=True)
            try:
                again()
            except IndustryDbError:
                refused += 1
            for name in names(target) - {file.name for file in files}:
                (target / name).unlink()
    assert refused > 100
    (target / "manifest.json").write_text(text)
    again()
    assert sorted(rows(target)) == expected(sqlite_file)


def test_a_manifest_that_was_not_finished_becomes_so(table: SqliteFile, tmp_path: Path) -> None:
    """A manifest left as "running" behind the last file is set to "finished" by the next call."""
    extract(table.uri, QUERY, tmp_path / "x")
    path = tmp_path / "x" / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"state": "running", "error": "ended"}))
    extract(table.uri, QUERY, tmp_path / "x")
    values = json.loads(path.read_text())
    assert (values["state"], values["error"]) == ("finished", None)


@pytest.mark.parametrize("target", ["~/x", "file:"])
def test_a_target_is_where_python_has_it(
    table: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """A target is the path that Python has for it; Polars would take `~` for a home and `file:` for a scheme."""
    monkeypatch.chdir(tmp_path)
    done = extract(table.uri, QUERY, target)
    assert done.files[0].is_relative_to(tmp_path / target)
    assert done.rows == 1000


MEMORY = """
import resource, sys
import industrydb
industrydb.read_sql(sys.argv[1], "SELECT 1 AS a")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = industrydb.extract(sys.argv[1], sys.argv[2], sys.argv[3], format=sys.argv[4], compression="zstd")
print(done.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("format", ["parquet", "ipc"])
def test_memory_is_bounded_for_large_values(postgres_uri: str, tmp_path: Path, format: str) -> None:  # noqa: A002
    """Memory is bounded for large values, though Polars gathers a fixed number of rows before it writes."""
    query = "SELECT i, repeat(md5(i::text), 3000) AS a FROM generate_series(1, 12000) AS i"
    command = [sys.executable, "-c", MEMORY, postgres_uri, query, str(tmp_path / "x"), format]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    written, megabytes = map(int, done.stdout.split())
    assert written == 12_000
    assert megabytes < 700  # of 1,150 MB that are read


def test_a_result_can_be_copied_and_pickled(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """The result of an extract is plain data: orchestrators pickle it, and logs turn it into a dict."""
    sqlite_file.connection.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY)")
    done = extract(sqlite_file.uri, "SELECT id FROM plain", tmp_path / "out")
    assert pickle.loads(pickle.dumps(done)) == copy.deepcopy(done) == done  # noqa: S301, our own
    assert asdict(done)["rows"] == done.rows
