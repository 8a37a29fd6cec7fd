"""Spark, Ray, Dask and Daft read every row of a query once, with exact values, by industrydb's modules."""

import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

import industrydb
from tests.kit.databases import Database, opened
from tests.kit.engines import ENGINES, Engine
from tests.kit.engines import engine as started
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.sqlite_elsewhere import elsewhere, kept_open
from tests.kit.support import PATIENCE_S, eventually, sessions

# The engines raise warnings of their own.
pytestmark = pytest.mark.filterwarnings("default")

ROWS = 5000


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine that is installed."""
    return started(request.param)


@pytest.fixture(params=["postgresql", "sqlite"])
def keyed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make a table with keys that are NULL, extreme and skewed; the workers' environment has the password."""
    database = opened(request, request.param)
    database.script(f"""
        DROP TABLE IF EXISTS keyed;
        CREATE TABLE keyed (k bigint, n integer, t text);
        WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {ROWS})
        INSERT INTO keyed SELECT CASE WHEN i % 10 = 0 THEN NULL WHEN i % 3 = 0 THEN 7 ELSE i * 1000 END, i, 'row ' || i
        FROM s;
        INSERT INTO keyed VALUES (9223372036854775807, -1, 'most'), (-9223372036854775807, -2, NULL)
    """)
    return without_password(database, monkeypatch)


def without_password(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return the database by a URI without a password, which the environment has instead."""
    parts = urlsplit(database.uri)
    if database.name != "postgresql" or parts.password is None:
        return database
    monkeypatch.setenv("PGPASSWORD", parts.password)
    place = parts.netloc.replace(f":{parts.password}@", "@")
    return Database(database.name, parts._replace(netloc=place).geturl(), database.connection)


@pytest.mark.parametrize("partitions", [1, 7])
def test_every_row_comes_once(engine: Engine, keyed: Database, partitions: int) -> None:
    """The rows of all tasks are those of another driver, with NULL, extreme and skewed keys."""
    frame = engine.frame(keyed.uri, "SELECT k, n, t FROM keyed", partition_on="k", partitions=partitions)
    expected = sorted(keyed.rows("SELECT n, k, t FROM keyed"))
    assert sorted(engine.rows(frame, ["n", "k", "t"])) == expected
    assert engine.count(frame) == len(expected)


CONDITIONS: list[tuple[str, str, Any]] = [
    *(("n", comparison, 4000) for comparison in ("=", "<>", "<", "<=", ">", ">=")),
    ("k", ">", 2**62),
    ("t", "=", "row 77"),
    ("t", "<", "row 2"),
]


@pytest.mark.parametrize(("column", "comparison", "value"), CONDITIONS)
def test_filters_are_the_engines_own(
    engine: Engine, keyed: Database, column: str, comparison: str, value: object
) -> None:
    """A filter of the engine gives the rows that another driver's WHERE gives, and reads no other columns."""
    frame = engine.frame(keyed.uri, "SELECT k, n, t FROM keyed", partition_on="k", partitions=3)
    kept = engine.filtered(frame, column, comparison, value)
    literal = f"'{value}'" if isinstance(value, str) else value
    collation = ' COLLATE "C"' if column == "t" and keyed.name == "postgresql" else ""
    expected = keyed.rows(f"SELECT n FROM keyed WHERE {column}{collation} {comparison} {literal}")
    assert sorted(engine.rows(kept, ["n"])) == sorted(expected)


def test_empty_results_have_their_columns(engine: Engine, keyed: Database) -> None:
    """A query without rows has its columns, in their types, and no rows."""
    frame = engine.frame(keyed.uri, "SELECT k, t FROM keyed WHERE 1 = 0")
    full = engine.frame(keyed.uri, "SELECT k, t FROM keyed")
    assert engine.rows(frame, ["k", "t"]) == []
    assert engine.types(frame) == engine.types(full)


VALUES: dict[str, tuple[str, Any]] = {
    "int2": ("'-32768'::int2", -32768),
    "int8": ("'9223372036854775807'::int8", 2**63 - 1),
    "bool": ("true", True),
    "float8": ("'0.1'::float8", 0.1),
    "numeric": ("'12345678901234567890.123456'::numeric(38, 6)", Decimal("12345678901234567890.123456")),
    "text": ("'zwölf — Ω'::text", "zwölf — Ω"),
    "bytea": ("'\\x00ff'::bytea", b"\x00\xff"),
    "date": ("'2024-02-29'::date", date(2024, 2, 29)),
    "timestamp": ("'2024-02-29 23:59:59.999999'::timestamp", datetime(2024, 2, 29, 23, 59, 59, 999999)),  # noqa: DTZ001, without a zone
    "timestamptz": ("'2024-02-29 23:59:59.5+01'::timestamptz", datetime(2024, 2, 29, 22, 59, 59, 500000)),  # noqa: DTZ001, in UTC
    "int4[]": ("'{1,2,NULL}'::int4[]", [1, 2, None]),
}


def plain(value: Any) -> Any:  # noqa: ANN401, any value of an engine
    """Return a value as the types of Python that the table of values has."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, datetime):
        return datetime(*value.timetuple()[:6], value.microsecond)  # noqa: DTZ001, without a zone
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("name", VALUES)
def test_values_are_exact(engine: Engine, own_server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of each type arrives unchanged, and so does NULL."""
    database = without_password(Database("postgresql", own_server.uri), monkeypatch)
    written, expected = VALUES[name]
    query = f"SELECT 1 AS n, {written} AS v UNION ALL SELECT 2, NULL"
    rows = dict(engine.rows(engine.frame(database.uri, query), ["n", "v"]))
    assert plain(rows[1]) == expected
    assert rows[2] is None or rows[2] != rows[2]


def test_errors_of_the_server_reach_the_user(engine: Engine, keyed: Database) -> None:
    """An error of one task names its class, the database's message and its code; Dask and Ray keep all of its types."""
    if keyed.name == "sqlite":
        pytest.skip("SQLite divides by zero")
    frame = engine.frame(keyed.uri, "SELECT n, 1 / (n - 4999) AS x FROM keyed", partition_on="n", partitions=3)
    with pytest.raises(Exception, match=r"division by zero \[22012\]") as raised:
        engine.rows(frame, ["x"])
    if engine.name in {"dask", "ray"}:
        assert isinstance(raised.value, industrydb.QueryExecutionError)
        assert (raised.value.code, raised.value.is_transient) == ("22012", False)
    else:
        assert "QueryExecutionError: division by zero" in str(raised.value)


def test_all_tasks_see_a_held_moment(engine: Engine, keyed: Database) -> None:
    """Tasks that run after a commit give the rows of the held moment."""
    script = "DELETE FROM keyed WHERE n % 2 = 0; UPDATE keyed SET n = -n"
    with ExitStack() as open_files:
        if keyed.name == "sqlite":  # a log with a commit keeps the held rows beside later ones
            log = "PRAGMA journal_mode = wal; CREATE TABLE other (x)"
            open_files.enter_context(kept_open(keyed.connection.path, log))
        with industrydb.hold_snapshot(keyed.uri, tables="keyed") as snapshot:
            frame = engine.frame(keyed.uri, "SELECT k, n FROM keyed", partition_on="k", partitions=4, snapshot=snapshot)
            if keyed.name == "sqlite":
                assert elsewhere(keyed.connection.path, script) == ""
            else:
                keyed.script(script)
            numbers = sorted(number for (number,) in engine.rows(frame, ["n"]))
        assert numbers == sorted([*range(1, ROWS + 1), -1, -2])
        assert industrydb.read_sql(keyed.uri, "SELECT n FROM keyed").height < ROWS


def test_no_task_has_the_password(engine: Engine, own_server: Server) -> None:
    """A pickle of the plan's partitions has no password; Spark refuses a URI that has one."""
    password = PASSWORDS["scram_user"]
    uri = tcp_uri(own_server.port, "scram_user", password)
    if engine.name == "spark":
        with pytest.raises(Exception, match="the option uri has a password") as raised:
            engine.frame(uri, "SELECT 1 AS n")
        assert password not in str(raised.value)
        return
    from industrydb._engines.parts import parts  # noqa: PLC0415, needs pyarrow

    plan = industrydb.plan_sql(uri, "SELECT 1 AS n")
    assert password.encode() not in pickle.dumps(parts(plan))


def python_workers() -> list[int]:
    """Return the PIDs of this machine's Spark workers in Python: the children of their daemon."""
    daemons, parents = set(), {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            command = (folder / "cmdline").read_bytes()
            if b"pyspark" in command and b"daemon" in command:
                daemons.add(pid)
                parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return [pid for pid, parent in parents.items() if parent in daemons]


def test_a_killed_worker_leaves_every_row_once(keyed: Database, postgres: psycopg.Connection) -> None:
    """A worker that is killed in the middle of its task leads to the task's rows once: Spark runs the task again."""
    if keyed.name == "sqlite":
        pytest.skip("looks at the server's sessions")
    spark = started("spark")
    query = "SELECT n, (SELECT 1 FROM pg_sleep(0.001 + 0 * n)) AS one FROM keyed"
    frame = spark.frame(keyed.uri, query, partition_on="n", partitions=2)
    running = "SELECT FROM pg_stat_activity WHERE application_name = 'industrydb' AND wait_event = 'PgSleep'"
    with ThreadPoolExecutor() as executor:
        rows = executor.submit(spark.rows, frame, ["n"])
        eventually(lambda: bool(postgres.execute(running).fetchall()))
        killed = python_workers()
        assert killed
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        numbers = sorted(number for (number,) in rows.result(timeout=PATIENCE_S))
    assert numbers == sorted([*range(1, ROWS + 1), -1, -2])
    eventually(lambda: sessions(postgres) == [])


def test_tasks_hold_no_more_sessions_than_run(engine: Engine, keyed: Database, postgres: psycopg.Connection) -> None:
    """Eight tasks of which two run at once hold at most two sessions at a time, and none at the end."""
    if keyed.name == "sqlite" or engine.name not in {"ray", "spark"}:
        pytest.skip("looks at the server's sessions, and at engines with two workers here")
    query = "SELECT n, (SELECT 1 FROM pg_sleep(0.0002 + 0 * n)) AS one FROM keyed"
    frame = engine.frame(keyed.uri, query, partition_on="n", partitions=8)
    # A session whose task has ended may still be there for a moment, and is idle.
    reading = "SELECT FROM pg_stat_activity WHERE application_name = 'industrydb' AND state = 'active'"
    most = 0
    with ThreadPoolExecutor() as executor:
        rows = executor.submit(engine.rows, frame, ["n"])
        while not rows.done():
            most = max(most, len(postgres.execute(reading).fetchall()))
    assert len(rows.result()) == ROWS + 2
    assert 1 <= most <= 2
    eventually(lambda: sessions(postgres) == [])


# Runs in its own process as a worker does: reads one task of a plan, and prints by how much that has raised the memory.
WORKER = """
import pickle, sys
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

def blocks(plan):
    if sys.argv[1] == "ray":
        from industrydb.ray import SqlDatasource
        [task] = SqlDatasource(plan).get_read_tasks(1)
        yield from task()
    else:
        from industrydb.spark import _Reader
        reader = _Reader(plan)
        [task] = reader.partitions()
        yield from reader.read(pickle.loads(pickle.dumps(task)))

plan = pickle.loads(Path(sys.argv[2]).read_bytes())
next(iter(blocks(plan)))
before = peak()
rows = size = 0
for block in blocks(plan):
    rows += block.num_rows
    size += block.nbytes
print(rows, size, peak() - before)
"""


@pytest.mark.parametrize("name", ["ray", "spark"])
def test_the_memory_of_a_task_is_that_of_a_few_batches(name: str, own_server: Server, tmp_path: Path) -> None:
    """A worker that reads a task of hundreds of megabytes needs the memory of a few batches."""
    pytest.importorskip({"ray": "ray.data", "spark": "pyspark"}[name])
    query = "SELECT id, repeat(md5(id::text), 3) AS text FROM generate_series(1, 4000000) AS id"
    plan = industrydb.plan_sql(own_server.uri, query, include_secrets=True)
    pickled = tmp_path / "plan"
    pickled.write_bytes(pickle.dumps(plan))
    command = [sys.executable, "-c", WORKER, name, str(pickled)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    rows, size, peak = map(int, done.stdout.split())
    assert rows == 4_000_000
    batch = size / rows * 65_536
    bound = 10 * batch  # as Polars' columns, and in Arrow's and the engine's types
    assert size > 5 * bound
    assert peak < bound
