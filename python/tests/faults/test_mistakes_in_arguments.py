"""Arguments of other libraries, misspelled values, and values of the wrong kind: each message says what to pass."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from industrydb import ConfigurationError, Connection
from industrydb._text.near import near
from tests.kit.support import SqliteFile
from tests.kit.untyped import batches, connectorx, database, extract, hold, plan, read, scan, write

ALL = "SELECT id, customer FROM orders"


@pytest.fixture
def uri(sqlite_file: SqliteFile) -> str:
    """Return the URI of a file with the table ``orders (id, customer)``."""
    sqlite_file.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT)")
    sqlite_file.execute("INSERT INTO orders VALUES (1, 'Ada')")
    return sqlite_file.uri


def opened(uri: str) -> Any:  # noqa: ANN401, for calls that its types refuse
    """Return an open connection."""
    return Connection(uri)


# What is done with the URI, the exception's class, and the end of its message.
Mistake = tuple[Callable[[str], object], type[Exception], str]

# Values that are not one of an argument's, and the one that is meant.
VALUES: dict[str, Mistake] = {
    "a letter too few": (
        lambda uri: read(uri, ALL, return_type="polar"), ConfigurationError, "'polar', did you mean 'polars'?",
    ),
    "an abbreviation": (lambda uri: read(uri, ALL, return_type="pd"), ConfigurationError, "did you mean 'pandas'?"),
    "a part": (
        lambda uri: read(uri, ALL, return_type="pandas", dtype_backend="numpy"),
        ConfigurationError,
        "not 'numpy', did you mean 'numpy_nullable'?",
    ),
    "gz": (lambda uri: extract(uri, ALL, "x", compression="gz"), ConfigurationError, "did you mean 'gzip'?"),
    "zst": (lambda uri: extract(uri, ALL, "x", compression="zst"), ConfigurationError, "did you mean 'zstd'?"),
    "none": (lambda uri: extract(uri, ALL, "x", compression="none"), ConfigurationError, "mean 'uncompressed'?"),
    "a codec that is none": (lambda uri: extract(uri, ALL, "x", compression="rar"), ConfigurationError, "not 'rar'"),
    "overwrite": (lambda uri: extract(uri, ALL, "x", resume="overwrite"), ConfigurationError, "did you mean 'restart'"),
    "append": (lambda uri: extract(uri, ALL, "x", resume="append"), ConfigurationError, "did you mean 'continue'?"),
    "feather": (lambda uri: extract(uri, ALL, "x", format="feather"), ConfigurationError, "did you mean 'ipc'?"),
    "if_exists of others": (
        lambda uri: write({"id": [1]}, "orders", uri, if_exists="overwrite"), ConfigurationError, "mean 'replace'?",
    ),
    "raise": (
        lambda uri: write({"id": [1]}, "orders", uri, if_exists="raise"), ConfigurationError, "did you mean 'fail'?",
    ),
    "on_conflict of others": (
        lambda uri: write({"id": [1]}, "orders", uri, on_conflict="fail"), ConfigurationError, "did you mean 'error'?",
    ),
    "connectorx's return_type": (
        lambda uri: connectorx.read_sql(uri, ALL, return_type="polar"),
        ValueError,
        "one of pandas, polars, arrow, modin, dask, arrow_stream, not 'polar', did you mean 'polars'?",
    ),
    "connectorx's protocol": (
        lambda uri: connectorx.read_sql(uri, ALL, protocol="binry"), ValueError, "did you mean 'binary'?",
    ),
    "since": (lambda uri: extract(uri, ALL, "x", since="di"), ConfigurationError, "did you mean 'id'?"),
    "partition_on": (
        lambda uri: read(uri, ALL, partition_on="idd", partitions=2),
        ConfigurationError,
        'did you mean "id"?; it has ["id", "customer"]',
    ),
    "schema_overrides": (
        lambda uri: read(uri, ALL, schema_overrides={"custmoer": pl.String}),
        ConfigurationError,
        'did you mean "customer"?; its columns are ["id", "customer"]',
    ),
}  # fmt: skip

# Values of another kind than the argument's.
KINDS: dict[str, Mistake] = {
    "a true timeout": (
        lambda uri: read(uri, ALL, timeout=True), TypeError, "a number of seconds or a timedelta, not bool",
    ),
    "a list for a timeout": (lambda uri: read(uri, ALL, timeout=[1]), TypeError, "or a timedelta, not list"),
    "a long timeout": (
        lambda uri: read(uri, ALL, timeout=1e30),
        ConfigurationError,
        "timeout must be at most 86,399,999,999,999 seconds, not 1e+30: leave it out for a call without a limit",
    ),
    "an endless timeout": (lambda uri: read(uri, ALL, timeout=float("inf")), ConfigurationError, "without a limit"),
    "no timeout at all": (lambda uri: read(uri, ALL, timeout=float("nan")), ConfigurationError, "above 0, not nan"),
    "true partitions": (lambda uri: read(uri, ALL, partitions=True), TypeError, "partitions must be an int, not bool"),
    "true sessions": (lambda uri: read(uri, ALL, max_connections=True), TypeError, "must be an int, not bool"),
    "a true size": (lambda uri: batches(uri, ALL, batch_size=True), TypeError, "batch_size must be an int, not bool"),
    "a true number": (lambda uri: plan(uri, ALL).read(index=True), TypeError, "index must be an int, not bool"),
    "a true limit": (lambda uri: opened(uri).select("orders", limit=True), TypeError, "must be an int, not bool"),
    "a connection of sqlite3": (
        lambda _: read_on_sqlite3(), TypeError, "not sqlite3's Connection: pass its URI",
    ),
    "a connection of ours": (
        lambda uri: hold(opened(uri), tables="orders"),
        ConfigurationError,
        "a Connection is a session already: pass the URI of its database",
    ),
    "a series": (lambda uri: write(pl.Series("a", [1]), "t", uri), ConfigurationError, "not Series: give its values"),
    "an array": (lambda uri: write(pa.array([1]), "t", uri), ConfigurationError, "not Int64Array: give its values"),
    "a chunked array": (
        lambda uri: write(pa.chunked_array([[1]]), "t", uri), ConfigurationError, "as in {'name': values}",
    ),
    "an array of NumPy": (lambda uri: write(np.array([1]), "t", uri), ConfigurationError, "not ndarray: give its"),
    "an inserted series": (
        lambda uri: opened(uri).insert("orders", pl.Series("id", [1])), ConfigurationError, "not Series: give its",
    ),
    "an update of no column's value": (
        lambda uri: opened(uri).update("orders", {"id": 1}, where={}),
        ConfigurationError,
        "where names no column: leave it out, and pass all_rows=True, for all rows",
    ),
    "a delete by an empty text": (
        lambda uri: opened(uri).delete("orders", where=" "),
        ConfigurationError,
        "where is an empty text: leave it out, and pass all_rows=True, for all rows",
    ),
    "a select of no column's value": (
        lambda uri: opened(uri).select("orders", where={}), ConfigurationError, "no column: leave it out for all rows",
    ),
}  # fmt: skip


def read_on_sqlite3() -> object:
    """Read on a connection of Python's own library."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return read(connection, ALL)


def of_write(name: str) -> Callable[[str], object]:
    """Return a call of `write_sql` with an argument that it has not."""
    return lambda uri: write({"id": [1]}, "t", uri, **{name: 1})


def of_read(name: str) -> Callable[[str], object]:
    """Return a call of `read_sql` with an argument that it has not."""
    return lambda uri: read(uri, ALL, **{name: 1})


def of_extract(name: str) -> Callable[[str], object]:
    """Return a call of `extract` with an argument that it has not."""
    return lambda uri: extract(uri, ALL, "x", **{name: 1})


# Arguments and methods of other libraries.
NAMES: dict[str, Mistake] = {
    "write_sql(chunksize)": (of_write("chunksize"), TypeError, "a LazyFrame, read_sql_batches(…) or an Arrow stream"),
    "write_sql(schema)": (of_write("schema"), TypeError, "in front of the table's name, as in 'schema.table'"),
    "write_sql(index)": (of_write("index"), TypeError, "frame.reset_index() makes it a column"),
    "write_sql(method)": (of_write("method"), TypeError, "fastest way to insert is always used"),
    "write_sql(dtype)": (of_write("dtype"), TypeError, "or create the table before, and pass if_exists='append'"),
    "write_sql(mode)": (of_write("mode"), TypeError, "if_exists='append' or if_exists='replace' says what to do"),
    "read_sql(columns)": (of_read("columns"), TypeError, "name them in the query, as in SELECT a, b FROM …"),
    "read_sql(lower_bound)": (of_read("lower_bound"), TypeError, "partition_range=(lowest, highest) has both"),
    "read_sql(upper_bound)": (of_read("upper_bound"), TypeError, "partition_range=(lowest, highest) has both"),
    "read_sql(fetchsize)": (of_read("fetchsize"), TypeError, "read_sql_batches(…, batch_size=…) reads in batches"),
    "read_sql(chunksize)": (of_read("chunksize"), TypeError, "'chunksize': read_sql_batches(…, batch_size=…)"),
    "read_sql(table)": (of_read("table"), TypeError, "such as SELECT * FROM the table; scan_sql takes the name"),
    "scan_sql(table)": (lambda uri: scan(uri, table="orders"), TypeError, "it is called query here"),
    "scan_sql(columns)": (lambda uri: scan(uri, ALL, columns=["id"]), TypeError, "call .select(…) on the LazyFrame"),
    "extract(overwrite)": (of_extract("overwrite"), TypeError, "resume='restart' removes the files of the last call"),
    "extract(incremental)": (of_extract("incremental"), TypeError, "since=COLUMN appends the rows that are new"),
    "extract(append)": (of_extract("append"), TypeError, "since=COLUMN appends the rows that are new"),
    "extract(watermark)": (of_extract("watermark"), TypeError, "it is called since here"),
    "extract(chunksize)": (of_extract("chunksize"), TypeError, "it is called batch_size here"),
    "hold_snapshot(table)": (lambda uri: hold(uri, table="orders"), TypeError, "it is called tables here"),
    "profile(plot)": (
        lambda uri: plan(uri, ALL).profile(plot=True),
        TypeError,
        "profile() has no argument 'plot', did you mean 'show_plot'?",
    ),
    "profile by its place": (
        lambda uri: plan(uri, ALL).profile(1), TypeError, "takes all arguments by name, such as show_plot=…",
    ),
    "read(partition)": (lambda uri: plan(uri, ALL).read(partition=0), TypeError, "it is called index here"),
    "batches(chunksize)": (lambda uri: plan(uri, ALL).batches(chunksize=9), TypeError, "called batch_size here"),
    "database(config)": (lambda _: database(config="x"), TypeError, "'config', did you mean 'config_file'?"),
    "too many by place": (
        lambda uri: opened(uri).select("orders", ["id"], {"id": 1}),
        TypeError,
        "select() takes table, columns by their place, and all other arguments by name, such as where=…",
    ),
    "one too many for all": (lambda uri: opened(uri).execute("SELECT 1", [], 1), TypeError, "positional argument"),
    "connection.query": (lambda uri: opened(uri).query, AttributeError, "'query': execute() runs a statement"),
    "connection.read": (lambda uri: opened(uri).read, AttributeError, "industrydb.read_sql(connection, query) reads"),
    "connection.write": (lambda uri: opened(uri).write, AttributeError, "industrydb.write_sql(data, table, connec"),
}  # fmt: skip

MISTAKES = {**VALUES, **KINDS, **NAMES}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_explained(uri: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the argument, what is wrong with it, and what to pass instead."""
    monkeypatch.chdir(tmp_path)
    do, kind, part = MISTAKES[what]
    with pytest.raises(kind) as raised:
        do(uri)
    assert part in str(raised.value)
    assert type(raised.value) is kind


def test_arrays_of_structs_are_tables(uri: str) -> None:
    """A series or a chunked array whose values are structs has columns with names, and is written."""
    rows = [{"id": 7, "customer": "Ada"}]
    for number, data in enumerate((pl.Series("s", rows), pa.chunked_array([rows]))):
        assert write(data, f"t{number}", uri) == 1
        assert read(uri, f"SELECT id, customer FROM t{number}").to_dicts() == rows


def test_an_index_is_not_written(uri: str) -> None:
    """The hint about an index is true: it is not written, and ``reset_index`` makes it a column."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([8, 9], name="i"))
    write(frame, "plain", uri)
    write(frame.reset_index(), "reset", uri)
    assert read(uri, "SELECT * FROM plain").columns == ["a"]
    assert read(uri, "SELECT * FROM reset").columns == ["i", "a"]


@given(st.text("abcdefgh", min_size=2, max_size=9), st.integers(0, 8), st.sampled_from(["swap", "miss", "double"]))
def test_one_mistake_is_forgiven(name: str, at: int, kind: str) -> None:
    """A name with two letters swapped, one missing, or one doubled, is found, and no other one is nearer."""
    at %= len(name) - 1
    wrong = {
        "swap": name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        "miss": name[:at] + name[at + 1 :],
        "double": name[:at] + name[at] + name[at:],
    }[kind]
    assert near(wrong, ["xyzxyzxyz", name, "zzz"]) == f", did you mean {name!r}?"


def test_what_is_not_near_is_not_suggested() -> None:
    """A name with nothing in common with the known ones gets no suggestion, nor does a single letter."""
    assert near("colour", ["id", "customer"]) == ""
    assert near("x", ["y", "xy", "id"]) == ", did you mean 'xy'?"
    assert near("i", ["x"]) == ""
    assert near("", ["id"]) == ""
