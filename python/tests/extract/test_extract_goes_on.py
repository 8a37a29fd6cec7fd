"""Tests of what ``extract`` checks and says before it continues: others may have changed the manifest."""

import json
import logging
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from industrydb import ConfigurationError, IndustryDbError, TypeConversionError, extract
from industrydb._text.partition_sql import is_of
from industrydb.industrydb import plan_sql
from tests.kit.databases import Database, Feature
from tests.kit.support import PATIENCE_S, SqliteFile, eventually

pytestmark = pytest.mark.needs(Feature.DRIVER)

QUERY = "SELECT i, s FROM t WHERE i > 0 -- all rows"


@pytest.fixture
def table(database: Database) -> tuple[str, Any]:
    """Make a table of 1000 rows and one of secrets; return the database's URI and another driver's connection."""
    rows = ", ".join(f"({i}, 'row {i}')" for i in range(1, 1001))
    key = database.divisible_by("i")
    database.script(
        f"DROP TABLE IF EXISTS t; CREATE TABLE t (i INTEGER, s TEXT{key}); INSERT INTO t VALUES {rows};"
        "DROP TABLE IF EXISTS secrets; CREATE TABLE secrets (i INTEGER, s TEXT)"
    )
    return database.uri, database.connection


def unfinished(folder: Path, change: str | None = None, index: int = 1) -> None:
    """Remove a file of a finished extract, and change the file's statement in the manifest if `change` is given."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    part = manifest["generations"][-1]["parts"][index]
    (folder / part["name"]).unlink()
    part["finished"] = None
    if change is not None:
        part["sql"] = change.replace("{sql}", part["sql"])
    path.write_text(json.dumps(manifest), encoding="utf-8")


WAYS: list[dict[str, Any]] = [
    {"partitions": 3},
    {"partition_on": "i", "partitions": 3},
    {"partition_on": "s", "partitions": 3},
    {"partition_on": "i", "partitions": 3, "since": "i"},
]


@pytest.mark.parametrize("given", WAYS, ids=str)
def test_the_manifests_statements_are_run_if_they_are_the_calls(
    table: tuple[str, Any], tmp_path: Path, given: dict[str, Any]
) -> None:
    """A missing file is read by the manifest's statement, even if the table has changed and would be cut elsewhere."""
    uri, connection = table
    extract(uri, QUERY, tmp_path / "x", **given)
    changes = ["SELECT 1", "UPDATE t SET i = i * 2 WHERE i > 500", "DELETE FROM t WHERE i > 3"]
    if "partition_on" in given:  # otherwise, nothing is left by which the table could be cut
        changes.append("DELETE FROM t")
    for change in changes:
        connection.execute(change)
        parts = json.loads((tmp_path / "x" / "manifest.json").read_text())["generations"][-1]["parts"]
        for index in range(len(parts)):
            unfinished(tmp_path / "x", index=index)
            extract(uri, QUERY, tmp_path / "x", **given)


@pytest.mark.parametrize("given", WAYS, ids=str)
@pytest.mark.parametrize(
    "change",
    [
        "SELECT i, s FROM secrets",
        "{sql} UNION ALL SELECT i, s FROM secrets",
        "{sql} AND (SELECT count(*) FROM secrets) > 0",
        "SELECT * FROM (\nSELECT i, s FROM t WHERE i > 5\n) AS q",
        "SELECT i, s FROM secrets WHERE s <> 'SELECT i, s FROM t WHERE i > 0'",
        "SELECT i, s FROM t WHERE s <> 'SELECT i, s FROM t WHERE i > 0' OR i > 5",
        "SELECT i, s FROM secrets -- SELECT i, s FROM t WHERE i > 0",
        "SELECT i, s FROM secrets /*SELECT i, s FROM t WHERE i > 0*/",
        "{sql}; DELETE FROM secrets",
        "{sql} OR random() > 0",
        '{sql} OR "secrets" IS NULL',
    ],
)
def test_the_manifests_statements_are_not_run_if_they_are_others(
    table: tuple[str, Any], tmp_path: Path, given: dict[str, Any], change: str
) -> None:
    """A statement that is not of the call's query is refused, since others may have written it to the manifest."""
    uri, _ = table
    extract(uri, QUERY, tmp_path / "x", **given)
    unfinished(tmp_path / "x", change)
    with pytest.raises(ConfigurationError, match="none of this call's query"):
        extract(uri, QUERY, tmp_path / "x", **given)
    assert extract(uri, QUERY, tmp_path / "x", **given, resume="restart").rows == 1000


@pytest.mark.parametrize("as_list", [False, True], ids=["partitions", "list"])
def test_queries_that_ask_for_the_time_go_on_at_theirs(
    table: tuple[str, Any], tmp_path: Path, *, as_list: bool
) -> None:
    """Missing files are read with the first call's time; a kept statement may differ from the query by that alone."""
    uri, _ = table
    now = "datetime('now')" if uri.startswith("sqlite") else "now()"
    query = f"SELECT i, s, {now} AS n FROM t WHERE {now} > '2024-01-02' -- of old"
    asked = [query.replace("WHERE", f"WHERE i % 3 = {part} AND") for part in range(3)] if as_list else query
    given: dict[str, Any] = {} if as_list else {"partition_on": "i", "partitions": 3}
    extract(uri, asked, tmp_path / "x", **given)
    first = pl.read_parquet(tmp_path / "x" / "*.parquet").sort("i")
    assert first["n"].n_unique() == 1
    for index in range(3):
        unfinished(tmp_path / "x", index=index)
        assert extract(uri, asked, tmp_path / "x", **given).rows == 1000
    assert pl.read_parquet(tmp_path / "x" / "*.parquet").sort("i").equals(first)
    for pattern, other in (("2024-01-02", "2023-01-02"), (r"'\d{4}-[^']*'", "(SELECT min(s) FROM secrets)")):
        parts = json.loads((tmp_path / "x" / "manifest.json").read_text())["generations"][-1]["parts"]
        change, changed = re.subn(pattern, other, parts[1]["sql"], count=1)
        assert changed == 1
        unfinished(tmp_path / "x", change)
        with pytest.raises(ConfigurationError, match="none of this call's query"):
            extract(uri, asked, tmp_path / "x", **given)
        extract(uri, asked, tmp_path / "x", **given, resume="restart")


def test_each_query_of_a_list_is_compared(table: tuple[str, Any], tmp_path: Path) -> None:
    """A statement of the manifest that is not one of the list's queries is refused."""
    uri, _ = table
    queries = [f"SELECT i, s FROM t WHERE i = {i}" for i in (1, 2)]
    extract(uri, queries, tmp_path / "x")
    unfinished(tmp_path / "x", "SELECT i, s FROM t WHERE i = 3")
    with pytest.raises(ConfigurationError, match="part-00001"):
        extract(uri, queries, tmp_path / "x")


def test_signs_around_a_query() -> None:
    """Conditions as the dialects' ranges have them are accepted, with values of any kind; others are not."""
    query = "SELECT a FROM t"
    start = f"SELECT * FROM (\n{query}\n) AS q WHERE "
    for condition in (
        "q.[a] >= CAST(2 AS bigint) AND q.[a] < CAST(4 AS bigint)",
        "q.[a] < N'it''s' OR q.[a] IS NULL",
        """q."a" OPERATOR(pg_catalog.>=) E'a\\\\b\\'; DROP' ::pg_catalog.text""",
        '+q."a" >= -1.5e-7 AND +q."a" < x\'00ff\'',
        r"q.[a] >= N'C:\new\' AND q.[a] < N'it''s\n'",
        "q.`a` >= _utf8mb4 x'00ff' OR q.`a` IS NULL",
    ):
        planned = [start + condition.replace("-1.5e-7", "7"), query]
        assert is_of(start + condition, [query], planned, ["a"]), condition
    for condition in ('q."a" < pg_sleep(5)', "1 = 1 --", "a = 'x", "a = $$x$$", 'q."b" < 1', "q.a < 1 /* x", "`b` < 1"):
        assert not is_of(start + condition, [query], [query], ["a"]), condition
    # MySQL's text ends where the others' goes on, and the other way round.
    for text in (
        r"'x\'' OR sleep(5) OR '1'",
        r"'x\\'' OR sleep(5) OR '1'",
        r"n'\'' OR sleep(5) OR '\'",
        "`x``` < sleep(5)",
    ):
        assert not is_of(f"{start}q.`a` < {text}", [query], [query], ["a"]), text


def test_a_complete_extract_says_so(table: tuple[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A complete extract says so in its result, in the log and on the command line."""
    uri, connection = table
    before = datetime.now(timezone.utc)
    ways: list[dict[str, Any]] = [{}, {"since": "i"}]
    for given in ways:
        folder = tmp_path / f"x{len(given)}"
        first = extract(uri, QUERY, folder, **given)
        assert first.complete_since is None
        with caplog.at_level(logging.INFO, "industrydb"):
            caplog.clear()
            second = extract(uri, QUERY, folder, **given)
        assert second == first
        assert second.complete_since is not None
        assert timedelta(0) <= second.complete_since - before < timedelta(hours=1)
        assert f"is complete since {second.complete_since:%Y-%m-%d %H:%M:%S} UTC" in caplog.text
        assert "nothing was read" in caplog.text
        assert extract(uri, QUERY, folder, **given).complete_since == second.complete_since
        command = [sys.executable, "-m", "industrydb", "extract", QUERY, str(folder), "-u", uri]
        command += [f"--{name}={value}" for name, value in given.items()]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        assert "complete since" in told
        assert "--resume restart" in told
        printed = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout
        assert json.loads(printed)["complete_since"] == second.complete_since.isoformat()
    connection.execute("INSERT INTO t VALUES (2000, 'new')")
    assert extract(uri, QUERY, tmp_path / "x1", since="i").complete_since is None


INTERRUPTED = """
import sys, industrydb
queries = ["SELECT 1 AS i", "SELECT 2 AS i", "SELECT 3 AS i FROM pg_sleep(60)"]
try:
    industrydb.extract(sys.argv[1], queries, sys.argv[2])
except KeyboardInterrupt as interrupt:
    print(interrupt)
"""


def test_ctrl_c_says_what_is_kept(postgres_uri: str, tmp_path: Path) -> None:
    """On Ctrl-C, the exception says how many files are kept and how to go on."""
    path = tmp_path / "x" / "manifest.json"

    def finished() -> int:
        if not path.exists():
            return 0
        parts = json.loads(path.read_text())["generations"][0]["parts"]
        return sum(part["finished"] is not None for part in parts)

    command = [sys.executable, "-c", INTERRUPTED, postgres_uri, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        eventually(lambda: finished() == 2)
        child.send_signal(signal.SIGINT)
        told = child.communicate(timeout=PATIENCE_S)[0]
    assert f"2 of 3 files in {tmp_path / 'x'} are finished and kept" in told
    assert "the same call goes on" in told


def test_ctrl_c_says_so_on_the_command_line(postgres_uri: str, tmp_path: Path) -> None:
    """On Ctrl-C, the command says how many files are kept, even if none is finished."""
    query = "SELECT 1 AS i FROM pg_sleep(60)"
    command = [sys.executable, "-m", "industrydb", "extract", query, str(tmp_path / "x"), "-u", postgres_uri]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        eventually((tmp_path / "x" / "manifest.json").exists)
        child.send_signal(signal.SIGINT)
        told = child.communicate(timeout=PATIENCE_S)[1]
    assert child.returncode == 130
    assert "0 of 1 files" in told
    assert "goes on" in told


@pytest.mark.parametrize(
    "target", ["s3://bucket/x", "S3://bucket", "gs://b", "abfss://a@b/c", "file:///tmp/x", Path("s3://b/x"), "hdfs:/x"]
)
def test_targets_that_are_no_folder_are_refused(
    sqlite_file: SqliteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str | Path
) -> None:
    """A URI is refused as the target, instead of becoming a folder of that name; ``./a:b`` is a folder."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match="folders of this machine"):
        extract(sqlite_file.uri, "SELECT i FROM t", target)
    assert sorted(tmp_path.iterdir()) == before
    extract(sqlite_file.uri, "SELECT i FROM t", "./a:b/x")


GROWING = [Decimal("1.5"), Decimal("2.25"), Decimal("3.123456789")]


def test_types_that_could_grow_are_asked_for_up_front(
    postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path
) -> None:
    """`since` needs an override for each column whose values decide its type, so that later values fit."""
    postgres.execute(
        "DROP TABLE IF EXISTS growing; CREATE TABLE growing (i int, n numeric, m numeric, p numeric(9, 2))"
    )
    query = "SELECT * FROM growing"
    with pytest.raises(ConfigurationError, match=r"'n', 'm'.*schema_overrides") as raised:
        extract(postgres_uri, query, tmp_path / "x", since="i")
    assert "'p'" not in str(raised.value)
    assert not (tmp_path / "x" / "manifest.json").exists()
    overrides: dict[str, Any] = {"n": pl.Decimal(38, 10), "m": pl.String}
    for i, value in enumerate(GROWING):
        postgres.execute("INSERT INTO growing VALUES (%s, %s, %s, 1)", [i, value, value])
        extract(postgres_uri, query, tmp_path / "x", since="i", schema_overrides=overrides)
    frame = pl.read_parquet(tmp_path / "x" / "*.parquet").sort("i")
    assert frame["n"].to_list() == GROWING
    assert frame["m"].to_list() == [str(value) for value in GROWING]
    cast = "SELECT i, n::numeric(38, 10) AS n FROM growing"
    assert extract(postgres_uri, cast, tmp_path / "cast", since="i").rows == len(GROWING)
    assert extract(postgres_uri, query, tmp_path / "whole").rows == len(GROWING)


def test_expressions_of_sqlite_are_asked_for_too(tmp_path: Path) -> None:
    """`since` needs an override for SQLite's expressions, since each value has a type of its own."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (i INTEGER, n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 2)")
    uri, query = f"sqlite://{tmp_path}/a.db", "SELECT i, n * 2 AS twice FROM t"
    with pytest.raises(ConfigurationError, match="'twice'"):
        extract(uri, query, tmp_path / "x", since="i")
    done = extract(uri, query, tmp_path / "x", since="i", schema_overrides={"twice": pl.Float64})
    assert done.schema == {"i": pl.Int64, "twice": pl.Float64}


def altered(table: tuple[str, Any], kind: str, value: str) -> None:
    """Make the table anew, with a column ``i`` of the given type and one row."""
    table[1].execute("DROP TABLE IF EXISTS t")
    table[1].execute(f"CREATE TABLE t (i {kind}, s TEXT)")
    table[1].execute(f"INSERT INTO t VALUES ({value}, 'row')")


def test_a_column_altered_as_its_largest_value_is_asked_for(
    table: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a column altered during the call names the column, and no override, since there is none."""
    uri, _ = table
    blob = ("bytea", r"'\x00'") if uri.startswith("postgres") else ("BLOB", "x'00'")

    def plan(call: Any) -> Any:  # noqa: ANN401, types of the compiled module
        planned = plan_sql(call)
        altered(table, *blob)
        return planned

    monkeypatch.setattr("industrydb._extract.increments._plan_sql", plan)
    with pytest.raises(IndustryDbError, match=r"column .i.|since=.i.") as raised:
        extract(uri, "SELECT i, s FROM t", tmp_path / "x", since="i")
    assert "schema_overrides asks" not in str(raised.value)


KINDS = {"INTEGER": "7", "DATE": "'2024-01-02'", "TIMESTAMP": "'2024-01-02 03:04:05'"}


@pytest.mark.parametrize("now", KINDS)
@pytest.mark.parametrize("before", KINDS)
def test_a_column_of_another_kind_ends_an_extract(
    table: tuple[str, Any], tmp_path: Path, before: str, now: str
) -> None:
    """A `since` column that has changed between numbers, dates and times is an error: they have no common order."""
    uri, _ = table
    altered(table, before, KINDS[before])
    extract(uri, "SELECT i, s FROM t", tmp_path / "x", since="i")
    altered(table, now, KINDS[now])
    if now == before:
        assert extract(uri, "SELECT i, s FROM t", tmp_path / "x", since="i").rows == 1
        return
    with pytest.raises(TypeConversionError, match=r"since='i': the largest value is .* resume='restart'"):
        extract(uri, "SELECT i, s FROM t", tmp_path / "x", since="i")
    assert extract(uri, "SELECT i, s FROM t", tmp_path / "x", since="i", resume="restart").rows == 1
