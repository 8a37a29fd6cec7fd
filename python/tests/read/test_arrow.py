"""Arrow results: one default form of text and bytes, other forms on request, and no second copy in memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pytest

import industrydb
from industrydb import ConfigurationError
from industrydb import industrydb as compiled
from tests.kit.support import PATIENCE_S, SqliteFile

QUERY = """SELECT i, CASE WHEN i % 3 <> 0 THEN repeat('text ', i % 7) END AS s,
    CASE WHEN i % 2 = 0 THEN convert_to(repeat('byte ', i % 5), 'UTF8') END AS b, ARRAY['a', NULL, repeat('b', i)] AS l,
    i::int8 AS big FROM generate_series(1, 100) AS i"""

DEFAULT = pa.schema(
    {
        "i": pa.int32(),
        "s": pa.large_string(),
        "b": pa.large_binary(),
        "l": pa.large_list(pa.large_string()),
        "big": pa.int64(),
    }
)


def tables(uri: str, folder: Path) -> dict[str, pa.Table]:
    """Return the same rows as an Arrow table from every way of reading."""

    def batches(**arguments: Any) -> industrydb.BatchReader:  # noqa: ANN401
        return industrydb.read_sql_batches(uri, QUERY, batch_size=30, **arguments)

    split: dict[str, Any] = {"partition_on": "i", "partitions": 3}
    done = industrydb.extract(uri, QUERY, folder / "files", format="ipc")
    command = [sys.executable, "-m", "industrydb", "read", QUERY, "--uri", uri, "--output", str(folder / "read.arrow")]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    return {
        "read": industrydb.read_sql(uri, QUERY, return_type="arrow"),
        "partitions": industrydb.read_sql(uri, QUERY, return_type="arrow", **split),
        "batches": pa.concat_tables(industrydb.read_sql_batches(uri, QUERY, batch_size=30, return_type="arrow")),
        "stream": pa.table(batches()),
        "stream of partitions": pa.table(batches(**split)),
        "reader": pa.RecordBatchReader.from_stream(batches()).read_all(),
        "stream of pandas' batches": pa.table(batches(return_type="pandas")),
        "file": pa.ipc.open_file(done.files[0]).read_all(),
        "command": pa.ipc.open_file(folder / "read.arrow").read_all(),
    }


def test_every_way_has_the_same_types_and_rows(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """Every way of reading Arrow has the same types, which all of pyarrow's functions take, and psycopg's rows."""
    expected = postgres.execute(QUERY, binary=True).fetchall()
    for way, table in tables(postgres_uri, tmp_path).items():
        assert table.schema.remove_metadata().types == DEFAULT.types, way
        assert table.schema.names == DEFAULT.names, way
        assert [tuple(row.values()) for row in table.to_pylist()] == expected, way


def test_a_table_has_a_chunk_for_each_partition_and_the_metadata_of_its_types(postgres_uri: str) -> None:
    """An Arrow table has one chunk for each partition, and its metadata turns an Enum back into an Enum."""
    enum = pl.Enum(["text 1", "text 0"])
    query = "SELECT i, 'text ' || i % 2 AS e FROM generate_series(1, 90) AS i"
    asked = {"e": enum}
    table = industrydb.read_sql(
        postgres_uri, query, return_type="arrow", partition_on="i", partitions=3, schema_overrides=asked
    )
    assert table["i"].num_chunks == 3
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema["e"] == enum
    assert frame["e"].to_list() == [f"text {i % 2}" for i in range(1, 91)]


def test_a_result_without_columns_keeps_its_height() -> None:
    """A result without columns keeps its height, as Polars' own Arrow table does."""
    from industrydb._read.arrow import table  # noqa: PLC0415

    assert (table([], 7).num_rows, table([], 7).num_columns) == (7, 0)


FORMS = [
    {"s": pa.string_view()},
    {"b": pa.binary_view(), "s": pa.string_view()},
    {"s": pa.string(), "b": pa.binary()},
    {"l": pa.large_list(pa.string_view())},
    {"l": pa.list_(pa.string())},
    {"l": pa.list_(pa.large_string()), "b": pa.binary_view()},
    {},
]


@pytest.mark.parametrize("forms", FORMS, ids=str)
def test_a_requested_schema_is_honoured(
    postgres: psycopg.Connection, postgres_uri: str, forms: dict[str, pa.DataType]
) -> None:
    """A requested schema's forms of text, bytes and lists are delivered, with the rows that psycopg reads."""
    schema = pa.schema({field.name: forms.get(field.name, field.type) for field in DEFAULT})
    expected = postgres.execute(QUERY, binary=True).fetchall()
    batches = industrydb.read_sql_batches(postgres_uri, QUERY, batch_size=30)
    # A `RecordBatchReader` does not cast what the stream delivers.
    table = pa.RecordBatchReader.from_stream(batches, schema=schema).read_all()
    assert table.schema.types == schema.types
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_a_requested_type_of_other_values_is_left_to_who_asks(postgres_uri: str) -> None:
    """A requested type that cannot hold all values is ignored and left to the caller to cast: nothing is cut off."""
    schema = DEFAULT.set(4, pa.field("big", pa.int16())).set(1, pa.field("s", pa.dictionary(pa.int8(), pa.string())))
    batches = industrydb.read_sql_batches(postgres_uri, QUERY)
    assert pa.RecordBatchReader.from_stream(batches, schema=schema).schema.types == DEFAULT.types


@pytest.mark.parametrize("names", [["i", "s"], ["s", "i", "b", "l", "big"], ["i", "s", "b", "l", "other"]])
def test_a_requested_schema_of_other_columns_is_refused(postgres_uri: str, names: list[str]) -> None:
    """A requested schema with other columns is refused with a list of the result's; the batches stay readable."""
    with industrydb.read_sql_batches(postgres_uri, QUERY) as batches:
        schema = pa.schema(dict.fromkeys(names, pa.string_view()))
        with pytest.raises(ConfigurationError, match=r'the result has \["i", "s", "b", "l", "big"\]'):
            pa.RecordBatchReader.from_stream(batches, schema=schema)
        assert pa.table(batches).num_rows == 100


NESTED = pl.DataFrame(
    {
        "a": [["x", None, "y" * 40], None, []],
        "s": [{"t": "z" * 40, "l": [b"1"]}, {"t": None, "l": None}, None],
        "c": pl.Series(["p", None, "q"], dtype=pl.Categorical),
        "e": pl.Series(["q", "p", None], dtype=pl.Enum(["p", "q"])),
        "f": pl.Series([["k", "l"], None, [None, "m"]], dtype=pl.Array(pl.String, 2)),
        "n": [None, None, None],
    }
)


@pytest.mark.parametrize("large", [True, False])
def test_nested_types_have_the_same_form(large: bool) -> None:  # noqa: FBT001
    """Text and bytes have the requested form in lists, structs, arrays and categories too."""
    text, data = (pa.large_string(), pa.large_binary()) if large else (pa.string_view(), pa.binary_view())
    types = {
        "a": pa.large_list(text),
        "s": pa.struct({"t": text, "l": pa.large_list(data)}),
        "c": pa.dictionary(pa.uint32(), text),
        "e": pa.dictionary(pa.uint8(), text, ordered=True),
        "f": pa.list_(text, 2),
        "n": pa.null(),
    }
    requested = None if large else pa.schema(types).__arrow_c_schema__()

    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return compiled.arrow_stream(iter([NESTED, NESTED]), NESTED.clear(), requested)

    table = pa.table(Stream())
    assert table.schema.types == list(types.values())
    table.validate(full=True)
    assert [tuple(row.values()) for row in table.to_pylist()] == NESTED.rows() * 2


def test_views_are_handed_over_without_a_copy() -> None:
    """A string view that was requested shares the frame's buffers."""
    frame = pl.DataFrame({"s": ["a text that is longer than a view", None, "b" * 100]})
    views = pa.schema({"s": pa.string_view()})

    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return compiled.arrow_stream(iter([frame]), frame.clear(), requested_schema)

    (chunk,) = pa.table(Stream(), schema=views)["s"].chunks
    expected = frame["s"].to_arrow(compat_level=pl.CompatLevel.newest())
    addresses = [buffer.address for buffer in chunk.buffers()[1:]]
    assert addresses == [buffer.address for buffer in expected.buffers()[1:]]
    assert len(addresses) > 1


PEAK = """
import json, sys
import pandas, pyarrow, polars
import industrydb

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

uri, arguments = sys.argv[1], json.loads(sys.argv[2])
industrydb.read_sql(uri, "SELECT * FROM t WHERE i < 10", **arguments)  # loads what pandas loads at first use
before = peak()
frame = industrydb.read_sql(uri, "SELECT * FROM t", **arguments)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its /proc tells the peak")
@pytest.mark.parametrize(
    "form",
    [
        {"return_type": "arrow"},
        {"return_type": "pandas", "dtype_backend": "pyarrow"},
        {"return_type": "pandas"},
    ],
    ids=str,
)
@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 3}], ids=["whole", "partitioned"])
def test_memory_holds_the_frame_and_one_more_column(
    sqlite_file: SqliteFile, split: dict[str, Any], form: dict[str, str]
) -> None:
    """Arrow and pandas add at most 2.5 text columns (17 MB each) to the peak; a copy of all six would add 100 MB."""
    sqlite_file.connection.execute(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT, d TEXT, e TEXT, f TEXT)"
    )
    column = "hex(randomblob(50))"
    sqlite_file.connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) "
        f"INSERT INTO t SELECT i{f', {column}' * 6} FROM n"
    )

    def peak(arguments: dict[str, Any]) -> int:
        command = [sys.executable, "-c", PEAK, sqlite_file.uri, json.dumps(split | arguments)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout)

    # A view takes 16 bytes per row beside the text. What allocators keep varies from run to run.
    largest = 150_000 * (100 + 16)
    assert peak(form) - peak({}) < 2.5 * largest
