"""Data that arrive batch by batch are written in bounded memory, and all or nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pyarrow as pa
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConstraintViolationError,
    QueryExecutionError,
    TypeConversionError,
)
from industrydb._write import stream
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile

N = 2500


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of few rows, so that several are written."""
    monkeypatch.setattr(stream, "ROWS", 700)


def batches(until: int = N, size: int = 100) -> Iterator[pa.RecordBatch]:
    """Yield batches of an integer and a text."""
    for start in range(0, until, size):
        numbers = range(start, min(start + size, until))
        yield pa.record_batch({"i": pa.array(numbers, pa.int64()), "t": [f"text {number}" for number in numbers]})


def reader(until: int = N) -> pa.RecordBatchReader:
    """Return the batches as an Arrow stream."""
    schema = pa.schema([("i", pa.int64()), ("t", pa.string())])
    return pa.RecordBatchReader.from_batches(schema, batches(until))


def lazy() -> pl.LazyFrame:
    """Return the same rows as a LazyFrame."""
    return pl.LazyFrame({"i": range(N)}).with_columns(t=pl.format("text {}", "i"))


class Stream:
    """An object of which only its Arrow stream is known."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream."""
        return reader().__arrow_c_stream__(requested_schema)


def read_batches(tmp_path: Path) -> object:
    """Return the batches of a read of another database."""
    source = f"sqlite://{tmp_path}/source.db"
    industrydb.write_sql(lazy().collect(), "source", source)
    return industrydb.read_sql_batches(source, "SELECT * FROM source", batch_size=300)


SOURCES: dict[str, Any] = {
    "LazyFrame": lambda _: lazy(),
    "reader": lambda _: reader(),
    "table": lambda _: reader().read_all(),
    "stream": lambda _: Stream(),
    "batches": read_batches,
}


@pytest.mark.needs(Feature.PARAMETERS)  # the emulator of SQL Server has no bulk load
@pytest.mark.parametrize("source", SOURCES)
def test_streams_arrive(database: Database, tmp_path: Path, source: str) -> None:
    """Every kind of stream is written with all its rows, in their order."""
    data = SOURCES[source](tmp_path)
    assert industrydb.write_sql(data, "streamed", database.uri, if_exists="replace") == N
    if database.has(Feature.DRIVER):
        rows = database.rows("SELECT i, t FROM streamed ORDER BY i")
    else:
        rows = industrydb.read_sql(database.uri, "SELECT i, t FROM streamed ORDER BY i").rows()
    assert rows == [(number, f"text {number}") for number in range(N)]


@pytest.mark.needs(Feature.PARAMETERS)
@pytest.mark.parametrize("source", ["LazyFrame", "reader", "batches"])
def test_streams_without_rows_make_a_table(database: Database, tmp_path: Path, source: str) -> None:
    """A stream of no rows makes the table with its columns."""
    uri = f"sqlite://{tmp_path}/source.db"
    industrydb.write_sql(lazy().collect().clear(), "source", uri)
    data: Any = {
        "LazyFrame": lazy().filter(pl.col("i") < 0),
        "reader": reader(0),
        "batches": industrydb.read_sql_batches(uri, "SELECT * FROM source"),
    }[source]
    assert industrydb.write_sql(data, "no_rows", database.uri, if_exists="replace") == 0
    assert industrydb.read_sql(database.uri, "SELECT * FROM no_rows").columns == ["i", "t"]


def failing() -> Iterator[pa.RecordBatch]:
    """Yield batches, and fail in the middle."""
    yield from batches(N, 100)
    msg = "the source has failed"
    raise OSError(msg)


@pytest.mark.needs(Feature.PARAMETERS)
@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_a_source_that_fails_leaves_nothing_behind(database: Database, if_exists: Any) -> None:  # noqa: ANN401, a literal
    """An error of the source is raised, and the table has the rows that it had."""
    industrydb.write_sql({"i": [-1], "t": ["kept"]}, "kept_rows", database.uri, if_exists="replace")
    schema = pa.schema([("i", pa.int64()), ("t", pa.string())])
    with pytest.raises(ConfigurationError, match=r"stream has failed.*the source has failed"):
        industrydb.write_sql(
            pa.RecordBatchReader.from_batches(schema, failing()), "kept_rows", database.uri, if_exists=if_exists
        )
    assert industrydb.read_sql(database.uri, "SELECT i, t FROM kept_rows").rows() == [(-1, "kept")]


def test_a_value_that_does_not_fit_is_named_with_its_row(sqlite_file: SqliteFile) -> None:
    """The row number counts from the first row of the stream, and the table stays empty."""
    sqlite_file.execute("CREATE TABLE floats (v REAL)")
    frame = pl.LazyFrame({"v": [1.0] * 2000 + [float("nan")] + [1.0] * 10})
    with pytest.raises(TypeConversionError, match=r'column "v".*row 2001'):
        industrydb.write_sql(frame, "floats", sqlite_file.uri, if_exists="append")
    assert sqlite_file.execute("SELECT count(*) FROM floats") == [(0,)]


@pytest.mark.needs(Feature.PARAMETERS)
def test_a_row_that_the_database_refuses_leaves_nothing_behind(database: Database) -> None:
    """A constraint that the last frame violates takes back all of them."""
    with Connection(database.uri) as connection:
        connection.execute("CREATE TABLE constrained (i BIGINT PRIMARY KEY, t VARCHAR(30))")
        connection.insert("constrained", {"i": [N - 1], "t": ["first"]})
        with pytest.raises(ConstraintViolationError):
            industrydb.write_sql(reader(), "constrained", database.uri, if_exists="append")
        assert connection.select("constrained").rows() == [(N - 1, "first")]
        connection.execute("DROP TABLE constrained")


@pytest.mark.parametrize("name", ["postgresql", "sqlite"])
def test_conflicts_are_left_out_or_replaced(request: pytest.FixtureRequest, postgres_uri: str, name: str) -> None:
    """`on_conflict` is that of `Connection.insert`, also across the frames of a stream: the last row wins."""
    uri = postgres_uri if name == "postgresql" else request.getfixturevalue("sqlite_file").uri
    with Connection(uri) as connection:
        connection.execute("DROP TABLE IF EXISTS upserted")
        connection.execute("CREATE TABLE upserted (i BIGINT PRIMARY KEY, t TEXT)")
        connection.insert("upserted", {"i": [5], "t": ["first"]})
        written = industrydb.write_sql(reader(), "upserted", uri, if_exists="append", on_conflict="ignore")
        assert written == N - 1
        assert connection.select("upserted", where={"i": 5}).rows() == [(5, "first")]
        doubled = pl.concat([lazy(), lazy().with_columns(t=pl.lit("last"))])
        industrydb.write_sql(doubled, "upserted", uri, if_exists="append", on_conflict="replace")
        assert connection.execute("SELECT count(*) AS n, min(t) AS a, max(t) AS b FROM upserted").rows() == [
            (N, "last", "last")
        ]
        with pytest.raises(ConfigurationError, match="on_conflict must be one of"):
            industrydb.write_sql(reader(), "upserted", uri, on_conflict="update")  # type: ignore[arg-type]
        connection.execute("DROP TABLE upserted")


def test_types_are_those_of_a_frame(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Extension types, dictionaries and decimals of a stream are written as those of a table."""
    table = pa.table(
        {
            "u": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(int=5).bytes, None], pa.binary(16))),
            "d": pa.array(["a", "b"]).dictionary_encode(),
            "n": pa.array([1, None], pa.decimal128(10, 2)),
        }
    )
    industrydb.write_sql(table.to_reader(), "typed_stream", postgres_uri, if_exists="replace")
    assert postgres.execute("SELECT u, d, n FROM typed_stream").fetchall() == [
        (str(UUID(int=5)), "a", 1),
        (None, "b", None),
    ]
    postgres.execute("DROP TABLE typed_stream")
    wrong = pa.table({"x": pa.ListArray.from_arrays([0, 2], table["u"].chunk(0))}).to_reader()
    with pytest.raises(ConfigurationError):
        industrydb.write_sql(wrong, "typed_stream", postgres_uri)
    with pytest.raises(QueryExecutionError):
        industrydb.read_sql(postgres_uri, "SELECT * FROM typed_stream")


MEMORY = """
import sys
from pathlib import Path

import polars as pl
import industrydb

uri, path, how = sys.argv[1:4]
source = pl.scan_parquet(path)
data = source if how == "stream" else source.collect()
industrydb.write_sql(source.head(10), "warm", uri, if_exists="replace")
industrydb.write_sql(data, "large", uri, if_exists="replace")
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(peak, source.select(pl.len()).collect().item())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A LazyFrame of 400 MB is written with far less memory than the collected frame takes."""
    path = tmp_path / "large.parquet"
    text = pl.DataFrame({"t": ["x" * 200] * 50_000})
    part = pl.concat([text] * 40).with_row_index("i").with_columns(t=pl.format("{} {}", "i", "t"))
    part.write_parquet(path, row_group_size=50_000)
    size_kb = part.estimated_size() / 1024
    del part, text

    def peak(how: str) -> int:
        command = [sys.executable, "-c", MEMORY, f"sqlite://{tmp_path}/{how}.db", str(path), how]
        peak_kb, rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(rows) == 2_000_000
        return int(peak_kb)

    assert peak("collected") - peak("stream") > size_kb / 3
