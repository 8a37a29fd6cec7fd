"""``read_sql_batches``: the rows of ``read_sql`` in bounded memory; an error is never taken for the end."""

import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import industrydb
from industrydb import (
    ConfigurationError,
    ConnectionClosedError,
    DatabaseConnectionError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

ROWS = 25_000


@pytest.fixture(scope="module")
def table(postgres: psycopg.Connection) -> str:
    """Create a table; return a query on it."""
    postgres.execute(
        "CREATE TABLE batched AS SELECT id, 'name ' || id AS name, id::numeric(12, 2) / 4 AS price,"
        f" CASE WHEN id % 7 > 0 THEN id * 0.5::float8 END AS half FROM generate_series(1, {ROWS}) AS id"
    )
    postgres.execute("ANALYZE batched")
    return "SELECT * FROM batched"


@pytest.fixture
def file(sqlite_file: SqliteFile) -> SqliteFile:
    """Make a file with a table."""
    sqlite_file.connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, x REAL)")
    rows = ((number, f"name {number}" if number % 7 else None, number / 4) for number in range(ROWS))
    sqlite_file.connection.execute("BEGIN")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    sqlite_file.connection.execute("COMMIT")
    return sqlite_file


def test_the_batches_are_the_rows_of_the_partitions_in_their_order(
    postgres_uri: str, postgres: psycopg.Connection, table: str
) -> None:
    """Batches hold the rows in the order of the partitions, with at most `batch_size` rows each."""
    expected = postgres.execute(f"{table} ORDER BY id").fetchall()
    with industrydb.read_sql_batches(
        postgres_uri, f"{table} ORDER BY id", partition_on="id", partitions=3, batch_size=1000
    ) as batches:
        frames = list(batches)
    assert all(frame.height == 1000 for frame in frames[:5])
    assert max(frame.height for frame in frames) == 1000
    assert [row for frame in frames for row in frame.rows()] == expected


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("partitions", [1, 2, 5, 40])
def test_every_row_comes_once(file: SqliteFile, ordered: bool, partitions: int) -> None:  # noqa: FBT001, a parameter
    """Every row comes once, whatever the number of partitions, and in order if `ordered`."""
    batches = industrydb.read_sql_batches(
        file.uri, "SELECT * FROM t", partition_on="id", partitions=partitions, batch_size=999, ordered=ordered
    )
    rows = [row for batch in batches for row in batch.rows()]
    expected = file.connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert sorted(rows) == expected
    if ordered:
        assert rows == expected


def test_an_empty_result_has_a_schema_and_no_batch(file: SqliteFile, postgres_uri: str) -> None:
    """An empty result has a schema and no batch."""
    batches = industrydb.read_sql_batches(file.uri, "SELECT id, name FROM t WHERE id < 0")
    assert batches.schema == {"id": pl.Int64, "name": pl.String}
    assert list(batches) == []
    assert list(batches) == []
    none = industrydb.read_sql_batches(postgres_uri, "SELECT 1::int8 AS a, now() AS b WHERE false")
    assert none.schema == {"a": pl.Int64, "b": pl.Datetime("us", "UTC")}
    assert pa.table(none).num_rows == 0


def test_a_list_of_queries_is_read_in_its_order(file: SqliteFile) -> None:
    """A list of queries is read in its order."""
    queries = [f"SELECT id FROM t WHERE id % 5 = {rest} ORDER BY id" for rest in (3, 1, 4)]
    batches = industrydb.read_sql_batches(file.uri, queries, batch_size=700)
    expected = [row for query in queries for row in file.connection.execute(query)]
    assert [row for batch in batches for row in batch.rows()] == expected


OPEN = [
    ("numeric", "CASE WHEN n < 900 THEN n::numeric / 4 ELSE n::numeric / 1024 END", pl.Decimal(38, 10)),
    ("numeric-null", "CASE WHEN n > 900 THEN 1.5 END", pl.Decimal(38, 1)),
    ("days", "n * interval '1 hour'", pl.Duration("us")),
    ("months", "CASE WHEN n = 3 THEN interval '1 mon 2 days' ELSE n * interval '1 second' END", pl.String),
    ("numerics", "ARRAY[n::numeric / 4, NULL]", pl.List(pl.Decimal(38, 2))),
]


@pytest.mark.parametrize(("expression", "dtype"), [row[1:] for row in OPEN], ids=[row[0] for row in OPEN])
def test_columns_whose_values_decide_have_the_types_of_the_whole(
    postgres_uri: str, expression: str, dtype: pl.DataType
) -> None:
    """A column whose type depends on its values has the whole result's type in every batch."""
    query = f"SELECT n, {expression} AS v FROM generate_series(1, 1000) AS n"
    batches = industrydb.read_sql_batches(postgres_uri, query, batch_size=100)
    assert batches.schema["v"] == dtype
    frames = list(batches)
    assert all(frame.schema["v"] == dtype for frame in frames)
    assert_frame_equal(pl.concat(frames), industrydb.read_sql(postgres_uri, query))


def test_the_types_of_such_columns_can_be_asked_for(postgres_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """An override spares columns whose types depend on their values a second read, which is logged otherwise."""
    query = "SELECT n::numeric / 4 AS v FROM generate_series(1, 10) AS n"
    caplog.set_level("INFO", "industrydb.core")
    asked = industrydb.read_sql_batches(postgres_uri, query, schema_overrides={"v": pl.Decimal(38, 1)})
    assert asked.schema["v"] == pl.Decimal(38, 1)
    assert not any("decide their types" in message for message in caplog.messages)
    with pytest.raises(TypeConversionError, match='column "v"'):
        list(asked)
    asked = industrydb.read_sql_batches(postgres_uri, query, schema_overrides={"v": pl.Float64})
    assert pl.concat(asked)["v"].to_list() == [number / 4 for number in range(1, 11)]
    industrydb.read_sql_batches(postgres_uri, query).close()
    assert [message for message in caplog.messages if "decide their types" in message] == [
        'the values of ["v"] decide their types: these columns are read twice; schema_overrides saves that'
    ]


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.binary(max_size=20),
)


@given(values=st.lists(VALUES, max_size=30), batch_size=st.integers(1, 10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sqlites_expressions_have_the_types_of_the_whole(
    shared_sqlite_file: SqliteFile, values: list[object], batch_size: int
) -> None:
    """Columns and expressions of mixed values in SQLite have the whole result's types in every batch."""
    connection = shared_sqlite_file.connection
    connection.execute("DROP TABLE IF EXISTS mixed")
    connection.execute("CREATE TABLE mixed (v)")
    connection.executemany("INSERT INTO mixed VALUES (?)", [(value,) for value in values])
    query = "SELECT v, CASE WHEN typeof(v) <> 'blob' THEN v END AS w FROM mixed"
    whole = industrydb.read_sql(shared_sqlite_file.uri, query)
    batches = industrydb.read_sql_batches(shared_sqlite_file.uri, query, batch_size=batch_size)
    frames = list(batches)
    assert batches.schema == whole.schema
    assert_frame_equal(pl.concat([whole.clear(), *frames]), whole)


def test_a_value_that_its_declared_column_has_no_place_for_is_an_error(file: SqliteFile) -> None:
    """A value that does not fit its declared column raises in its batch; an override reads it."""
    file.connection.execute("UPDATE t SET id = id, x = 'n/a' WHERE id = 24000")
    batches = industrydb.read_sql_batches(file.uri, "SELECT id, x FROM t ORDER BY id", batch_size=1000)
    seen = [next(batches) for _ in range(24)]
    assert sum(frame.height for frame in seen) == 24_000
    message = (
        r'column "x" \(REAL\), row 24001: "?n/a"? is no pl.Float64, the type that the column is read as; ask for the '
        r"column as pl\.String by schema_overrides, or convert it in the query"
    )
    with pytest.raises(TypeConversionError, match=message):
        next(batches)
    asked = industrydb.read_sql_batches(file.uri, "SELECT id, x FROM t", schema_overrides={"x": pl.String})
    assert pl.concat(asked)["x"].to_list().count("n/a") == 1


def test_arrays_of_other_dimensions_are_an_error(postgres_uri: str) -> None:
    """Arrays of different dimensions in one column are an error."""
    query = "SELECT CASE WHEN n < 50 THEN ARRAY[n] ELSE ARRAY[[n]] END AS v FROM generate_series(1, 100) AS n"
    with pytest.raises(TypeConversionError, match=r"an array of 1 dimension\(s\) does not fit a column of arrays of 2"):
        list(industrydb.read_sql_batches(postgres_uri, query, batch_size=10))


def test_types_that_polars_makes_of_others(file: SqliteFile) -> None:
    """Overrides to Categorical and Int32 apply to each batch; a value that is not in an Enum raises."""
    overrides = {"name": pl.Categorical(), "id": pl.Int32()}
    batches = industrydb.read_sql_batches(file.uri, "SELECT * FROM t", schema_overrides=overrides, batch_size=6000)
    assert batches.schema == {"id": pl.Int32, "name": pl.Categorical(), "x": pl.Float64}
    names = pl.concat(batches)["name"]
    expected = [name for (name,) in file.connection.execute("SELECT name FROM t")]
    assert names.cast(pl.String).to_list() == expected
    asked = {"name": pl.Enum(["name 1"])}
    batches = industrydb.read_sql_batches(file.uri, "SELECT * FROM t", schema_overrides=asked)
    with pytest.raises(TypeConversionError, match="column 'name', row 3 of the batch: 'name 2' is no Enum"):
        next(batches)


# Runs in its own process, and prints by how much the read has raised the peak memory.
MEMORY = """
import resource, sys
import polars as pl
import industrydb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

industrydb.read_sql(sys.argv[1], "SELECT 1 AS a")
before = peak()
rows, size = 0, 0
for batch in industrydb.read_sql_batches(
    sys.argv[1], sys.argv[2], partition_on="id", partitions=2, batch_size=20_000, ordered=sys.argv[3] == "True"
):
    rows += batch.height
    size += batch.estimated_size()
print(rows, size, (peak() - before) * 1024)
"""


@pytest.mark.parametrize("ordered", [True, False])
def test_memory_stays_with_the_batches(postgres_uri: str, ordered: bool) -> None:  # noqa: FBT001, a parameter
    """Memory is bounded by a few batches, however large the result is."""
    query = "SELECT id, repeat(md5(id::text), 4) AS text FROM generate_series(1, 3400000) AS id"
    command = [sys.executable, "-c", MEMORY, postgres_uri, query, str(ordered)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    rows, size, peak = map(int, done.stdout.split())
    assert rows == 3_400_000
    batch = size / rows * 20_000
    bound = (2 + 6) * 2 * batch  # two workers and a few batches; builders reserve up to twice their size
    assert size > 10 * bound
    assert peak < bound


def test_a_slow_consumer_slows_the_readers(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """A slow consumer slows the readers: the server waits while no batch is taken."""
    query = "SELECT id, repeat('x', 1000) AS text FROM generate_series(1, 600000) AS id"
    uri = with_options(postgres_uri, application_name="slow consumer")
    with industrydb.read_sql_batches(uri, query, batch_size=1000) as batches:
        next(batches)
        # The server waits to send until the rows that it has sent are read.
        eventually(lambda: [wait for _, wait in sessions(postgres, "slow consumer")] == ["ClientWrite"])
        next(batches)
    eventually(lambda: not sessions(postgres, "slow consumer"))


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("how", ["close", "break", "with", "gc", "error"])
def test_an_early_end_cancels_the_work(
    postgres_uri: str,
    postgres: psycopg.Connection,
    how: str,
    ordered: bool,  # noqa: FBT001, a parameter
) -> None:
    """Ending the iteration early, in any way, closes the sessions and ends the threads."""
    name = f"ended by {how} {ordered}"
    query = "SELECT id, repeat('x', 1000) AS text FROM generate_series(1, 600000) AS id"

    def read() -> industrydb.BatchReader:
        return industrydb.read_sql_batches(
            with_options(postgres_uri, application_name=name),
            query,
            partition_on="id",
            partitions=3,
            partition_range=(1, 600_000),
            batch_size=500,
            ordered=ordered,
        )

    before = threading.active_count()
    match how:
        case "close":
            batches = read()
            next(batches)
            batches.close()
            batches.close()
            with pytest.raises(ConnectionClosedError):
                next(batches)
        case "break":
            for _ in read():
                break
        case "with":
            with read() as batches:
                next(batches)
        case "gc":
            batches = read()
            del batches
            gc.collect()
        case "error":
            with pytest.raises(ZeroDivisionError), read() as batches:
                1 / (next(batches).height - 500)
    # Closing the reader closes the session; the server notices at once, or when it next sends.
    eventually(lambda: not sessions(postgres, name))
    assert threading.active_count() == before


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("partitions", [1, 3])
def test_an_error_in_the_middle_is_no_end(postgres_uri: str, partitions: int, ordered: bool) -> None:  # noqa: FBT001
    """An error in the middle is raised, and not taken for the end of the rows."""
    query = "SELECT id, 1 / (id - 9000) AS v FROM generate_series(1, 10000) AS id"
    batches = industrydb.read_sql_batches(
        postgres_uri,
        query,
        partition_on="id" if partitions > 1 else None,
        partition_range=(1, 10_000) if partitions > 1 else None,
        partitions=partitions,
        batch_size=100,
        ordered=ordered,
    )
    rows: list[int] = []
    with pytest.raises(QueryExecutionError, match="division by zero") as raised:
        rows.extend(batch.height for batch in batches)
    assert raised.value.code == "22012"
    assert sum(rows) < 10_000
    with pytest.raises(ConnectionClosedError):
        next(batches)


def test_a_killed_backend_is_an_error(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """A backend killed between batches is an error, and not the end of the rows."""
    uri = with_options(postgres_uri, application_name="killed batches")
    query = "SELECT id, repeat('x', 1000) AS text FROM generate_series(1, 600000) AS id"
    batches = industrydb.read_sql_batches(uri, query, batch_size=1000)
    next(batches)
    ((pid, _),) = sessions(postgres, "killed batches")
    postgres.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises((DatabaseConnectionError, QueryExecutionError)):
        for _ in batches:
            pass


def test_a_timeout_is_for_the_whole(postgres_uri: str) -> None:
    """`timeout` is for the whole read, not for each batch."""
    query = "SELECT pg_sleep(CASE WHEN id > 10 THEN 600 ELSE 0 END)::text AS s FROM generate_series(1, 20) AS id"
    batches = industrydb.read_sql_batches(postgres_uri, query, batch_size=5, timeout=timedelta(seconds=1))
    with pytest.raises(QueryTimeoutError, match=r"after its timeout of 1 s"):
        for _ in batches:
            pass
    with pytest.raises(ConnectionClosedError):
        next(batches)


# A thread prints "reading" once the main thread waits for a batch: an earlier signal would not end that wait.
INTERRUPTED = """
import sys, threading, time, traceback
import industrydb
batches = industrydb.read_sql_batches(sys.argv[1], "SELECT id, pg_sleep(600)::text FROM generate_series(1, 9) AS id")
def tell(main):
    while ".receive(" not in traceback.extract_stack(sys._current_frames()[main])[-1].line:
        time.sleep(0.01)
    print("reading", flush=True)
threading.Thread(target=tell, args=[threading.get_ident()], daemon=True).start()
try:
    next(batches)
except KeyboardInterrupt:
    print("interrupted")
try:
    next(batches)
except industrydb.ConnectionClosedError as error:
    print(error)
"""


def test_ctrl_c_ends_the_wait_for_a_batch(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Ctrl-C ends the wait for a batch."""
    uri = with_options(postgres_uri, application_name="interrupted batches")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "reading\n"
            eventually(lambda: "PgSleep" in [wait for _, wait in sessions(postgres, "interrupted batches")])
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert (out, err) == ("interrupted\nthe connection is closed\n", "")
    eventually(lambda: not sessions(postgres, "interrupted batches"))


def _use_in_child(batches: industrydb.BatchReader, answers: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        next(batches)
    except ConnectionClosedError as error:
        answers.put(str(error))
    os._exit(0)


def test_a_forked_process_has_no_reader(file: SqliteFile) -> None:
    """A forked process cannot use its parent's reader, which the parent can still use."""
    context = multiprocessing.get_context("fork")
    batches = industrydb.read_sql_batches(file.uri, "SELECT * FROM t", batch_size=10)
    answers = context.SimpleQueue()
    child = context.Process(target=_use_in_child, args=(batches, answers))
    child.start()
    child.join(PATIENCE_S)
    assert child.exitcode == 0
    assert answers.get() == "the connection is closed: it belongs to the process that opened it"
    assert sum(batch.height for batch in batches) == ROWS


def test_nothing_piles_up(file: SqliteFile) -> None:
    """Abandoned readers leave no files, threads or memory behind."""

    def once() -> None:
        for batch in industrydb.read_sql_batches(file.uri, "SELECT * FROM t", partition_on="id", partitions=3):
            assert batch.height
            break

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        once()
    files, threads = open_files(), threading.active_count()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        once()
    assert open_files() == files
    assert threading.active_count() == threads
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory + 100_000  # KiB


def test_others_take_the_batches_through_arrows_interface(file: SqliteFile) -> None:
    """Arrow, Polars and pandas take the batches through Arrow's C stream interface."""

    def read() -> industrydb.BatchReader:
        return industrydb.read_sql_batches(file.uri, "SELECT * FROM t ORDER BY id", batch_size=1000)

    expected = file.connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    with pa.RecordBatchReader.from_stream(read()) as batches:
        assert batches.schema.names == ["id", "name", "x"]
        batch = batches.read_next_batch()
        assert batch.num_rows == 1000
        assert batch.to_pylist()[1] == {"id": 1, "name": "name 1", "x": 0.25}
    assert [tuple(row.values()) for row in pa.table(read()).to_pylist()] == expected
    assert pl.DataFrame(read()).rows() == expected
    if hasattr(pd.DataFrame, "from_arrow"):
        frame = pd.DataFrame.from_arrow(read())
        assert frame["x"].tolist() == [row[2] for row in expected]


def test_an_error_reaches_who_takes_the_stream(postgres_uri: str) -> None:
    """A query's error reaches the consumer of the Arrow stream."""
    query = "SELECT 1 / (id - 9000) AS v FROM generate_series(1, 10000) AS id"
    batches = industrydb.read_sql_batches(postgres_uri, query, batch_size=100)
    with pytest.raises(OSError, match="division by zero"):
        pa.table(batches)


def test_the_arrow_stream_of_types_that_only_polars_has(file: SqliteFile) -> None:
    """Polars' Categorical type passes through the Arrow stream."""
    overrides = {"name": pl.Categorical()}
    batches = industrydb.read_sql_batches(file.uri, "SELECT name FROM t", schema_overrides=overrides, batch_size=9000)
    names = [name for (name,) in file.connection.execute("SELECT name FROM t")]
    assert pa.table(batches)["name"].to_pylist() == names


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ConfigurationError, "batch_size must be at least 1, not 0"),
        ({"batch_size": 1.5}, TypeError, "float"),
        ({"partition_on": "nothing"}, ConfigurationError, "nothing"),
        ({"partitions": 0}, ConfigurationError, "partitions must be from 1 to 4096, not 0"),
        ({"schema_overrides": {"b": pl.Int8}}, ConfigurationError, "schema_overrides names"),
        ({"params": [1]}, ConfigurationError, "parameter"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    file: SqliteFile, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    """Bad arguments are refused by the call, before the first batch."""
    with pytest.raises(error, match=message):
        industrydb.read_sql_batches(file.uri, "SELECT * FROM t", **arguments)  # type: ignore[call-overload]


def test_a_repr_tells_nothing_of_the_uri(file: SqliteFile) -> None:
    """A reader's repr shows its columns, but not the URI."""
    with industrydb.read_sql_batches(file.uri, "SELECT id, x FROM t") as batches:
        assert repr(batches) == "<BatchReader: open, id, x>"


def test_parameters_are_bound(postgres_uri: str, postgres: psycopg.Connection, file: SqliteFile) -> None:
    """Positional and named parameters are bound."""
    batches = industrydb.read_sql_batches(
        postgres_uri,
        "SELECT n, $1::text AS t FROM generate_series(1, $2::int) AS n",
        params=["a", 2500],
        batch_size=1000,
    )
    expected = postgres.execute("SELECT n, %s::text AS t FROM generate_series(1, %s::int) AS n", ["a", 2500]).fetchall()
    assert [row for batch in batches for row in batch.rows()] == expected
    named = industrydb.read_sql_batches(file.uri, "SELECT id FROM t WHERE id < :most", params={"most": 3})
    assert pl.concat(named).rows() == [(0,), (1,), (2,)]


def test_batches_see_one_moment(file: SqliteFile) -> None:
    """All batches see the database as it was when the read began."""
    file.connection.execute("PRAGMA journal_mode = WAL")
    file.connection.close()  # no other SQLite may have the file open in this process
    batches = industrydb.read_sql_batches(file.uri, "SELECT * FROM t", partition_on="id", partitions=4, batch_size=100)
    next(batches)
    delete = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM t WHERE id > 100'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", delete, str(file.path)], check=True, timeout=PATIENCE_S)
    assert 100 + sum(batch.height for batch in batches) == ROWS


def test_decimals_keep_their_digits(postgres_uri: str) -> None:
    """Decimals keep their digits."""
    query = "SELECT n::numeric / 3 AS third FROM generate_series(1, 3) AS n"
    (batch,) = industrydb.read_sql_batches(postgres_uri, query)
    assert batch["third"].to_list()[2] == Decimal(1)


def in_another_process(code: str, *arguments: str) -> str:
    """Run a script that must end by itself; return what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


CONSUMER_GOES_FIRST = """
import gc, sys
import pyarrow as pa
import industrydb

def read():
    return industrydb.read_sql_batches(sys.argv[1], "SELECT * FROM t", batch_size=1000)

def fails():
    batches = read()
    consumer = pa.RecordBatchReader.from_stream(batches)
    batches.close()
    try:
        consumer.read_all()
    except OSError as error:
        print(error)

class Cycle:
    pass

fails()
gc.set_threshold(1, 1, 1)
for _ in range(20):
    cycle = Cycle()
    cycle.itself, cycle.consumer = cycle, pa.RecordBatchReader.from_stream(read())
    cycle.consumer.read_next_batch()
    del cycle
    industrydb.read_sql(sys.argv[1], "SELECT 1 AS a")
print(pa.table(read()).num_rows)
"""


def test_a_consumer_may_go_at_any_time(file: SqliteFile) -> None:
    """A consumer may outlive a closed reader, and may be freed by the garbage collector during another call."""
    printed = in_another_process(CONSUMER_GOES_FIRST, file.uri)
    assert "the connection is closed" in printed
    assert printed.splitlines()[-1] == str(ROWS)


STAYS_OPEN = """
import logging, sys
import industrydb
logging.basicConfig(level=logging.DEBUG, filename="/dev/null")
reader = industrydb.read_sql_batches(
    sys.argv[1], sys.argv[2], partition_on="id", partitions=4, batch_size=100, ordered=sys.argv[3] == "True"
)
next(reader)
"""


@pytest.mark.parametrize("ordered", [True, False])
def test_an_open_reader_keeps_no_process(postgres_uri: str, table: str, ordered: bool) -> None:  # noqa: FBT001
    """An open reader does not keep the process alive: its threads end before Python does."""
    for _ in range(5):
        in_another_process(STAYS_OPEN, postgres_uri, table, str(ordered))


def test_a_timeout_counts_what_is_done_in_between(postgres_uri: str, table: str) -> None:
    """`timeout` includes the time that the caller takes between batches, even if the next batch is ready."""
    batches = industrydb.read_sql_batches(postgres_uri, table, batch_size=100, timeout=0.5)
    next(batches)
    deadline = threading.Event()
    deadline.wait(0.6)
    with pytest.raises(QueryTimeoutError, match=r"timeout of 0\.5 s"):
        next(batches)


@pytest.mark.parametrize("ordered", [True, False])
def test_several_threads_share_the_batches(file: SqliteFile, ordered: bool) -> None:  # noqa: FBT001, a parameter
    """Threads that share a reader get different batches, and all reach the end."""
    batches = industrydb.read_sql_batches(
        file.uri, "SELECT * FROM t", partition_on="id", partitions=4, batch_size=100, ordered=ordered
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [batch.height for batch in batches], range(4)))
    assert sum(map(sum, found)) == ROWS


def test_who_waits_is_told_of_an_end(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Closing the reader in another thread ends a wait for the next batch with an error."""
    uri = with_options(postgres_uri, application_name="closed elsewhere")
    batches = industrydb.read_sql_batches(uri, "SELECT 1 AS a, pg_sleep(600)::text")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(next, batches)
        eventually(lambda: "PgSleep" in [wait for _, wait in sessions(postgres, "closed elsewhere")])
        batches.close()
        with pytest.raises(ConnectionClosedError):
            waits.result(PATIENCE_S)


def test_batches_are_handed_over_once(file: SqliteFile) -> None:
    """Batches can be taken once: a second consumer gets an error, not a table without rows."""
    batches = industrydb.read_sql_batches(file.uri, "SELECT * FROM t")
    assert pa.table(batches).num_rows == ROWS
    with pytest.raises(ConnectionClosedError, match="taken already"):
        pa.table(batches)
    ended = industrydb.read_sql_batches(file.uri, "SELECT * FROM t")
    assert sum(batch.height for batch in ended) == ROWS
    with pytest.raises(ConnectionClosedError, match="taken already"):
        pa.table(ended)


def test_a_look_at_the_schema_takes_no_batch(file: SqliteFile) -> None:
    """A consumer such as DuckDB asks for one stream to see the columns, and for another one to take the rows."""
    with industrydb.read_sql_batches(file.uri, "SELECT * FROM t") as batches:
        looked_at, taken = (pa.RecordBatchReader.from_stream(batches) for _ in range(2))
        assert looked_at.schema == taken.schema
        assert taken.read_all().num_rows == ROWS
        with pytest.raises(OSError, match="taken already"):
            looked_at.read_next_batch()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT id AS v FROM t UNION ALL SELECT x FROM t", pl.Float64),
        ("SELECT x AS v FROM t UNION ALL SELECT id FROM t", pl.Float64),
        ("SELECT name AS v FROM t UNION ALL SELECT id FROM t", pl.String),
        ("SELECT id AS v FROM t UNION ALL SELECT name FROM t", pl.String),
        ('SELECT 1 AS v, 2 AS V, 3 AS "true"', pl.Int64),
        ("SELECT 1 AS v, 'x' AS V", pl.Int64),
        ("PRAGMA table_info(t)", None),
        ("EXPLAIN QUERY PLAN SELECT * FROM t", None),
    ],
)
def test_odd_queries_of_sqlite_have_the_types_of_the_whole(
    file: SqliteFile, query: str, expected: pl.DataType | None
) -> None:
    """SQLite's odd queries have the whole result's types in batches and scans, whichever types SQLite reports."""
    whole = industrydb.read_sql(file.uri, query)
    batches = industrydb.read_sql_batches(file.uri, query, batch_size=7000)
    assert batches.schema == whole.schema
    assert expected is None or batches.schema["v"] == expected
    assert_frame_equal(pl.concat(batches), whole)
    assert_frame_equal(industrydb.scan_sql(file.uri, query).collect(), whole)
    first = whole.columns[0]
    assert_frame_equal(industrydb.scan_sql(file.uri, query).select(first).collect(), whole.select(first))
    last = whole.columns[-1]
    kept = industrydb.scan_sql(file.uri, query).filter(pl.col(last).is_not_null()).head(2).collect()
    assert_frame_equal(kept, whole.filter(pl.col(last).is_not_null()).head(2))
    assert_frame_equal(industrydb.scan_sql(file.uri, query).head(3).collect(), whole.head(3))


def test_large_values_make_smaller_batches(file: SqliteFile, postgres_uri: str) -> None:
    """Batches of large values are cut at about 64 MiB, however many rows were requested."""
    file.connection.execute(
        "CREATE TABLE large AS SELECT id, zeroblob(30000) AS b, printf('%.20000c', 'x') AS t FROM t"
    )
    queries = {
        file.uri: "SELECT b, t FROM large WHERE id < 5000",
        postgres_uri: "SELECT repeat('x', 50000) AS t FROM generate_series(1, 5000)",
    }
    for uri, query in queries.items():
        heights = [batch.height for batch in industrydb.read_sql_batches(uri, query, schema_overrides={"t": pl.String})]
        assert sum(heights) == 5000
        assert 1300 < max(heights) < 1420  # 64 MiB are 1342 rows of 50,000 bytes; SQLite's are checked every 64 rows
