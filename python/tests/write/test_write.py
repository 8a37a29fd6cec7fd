"""Tests of `Connection.insert` and `write_sql`, which write frames into tables, exactly and all or nothing."""
# ruff: noqa: DTZ001, some columns have no zone

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import hypothesis
import numpy as np
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConstraintViolationError,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    TypeConversionError,
)
from tests.kit.databases import Database, Feature
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, plain, sessions, with_options

pytestmark = pytest.mark.needs(Feature.DRIVER)

UTC = timezone.utc


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Connect to each database, with an empty table `item` whose key is `id`."""
    with Connection(database.uri) as connected:
        connected.execute("CREATE TABLE item (id int PRIMARY KEY, name text, score double precision DEFAULT 5)")
        yield connected
        if not connected.is_closed():
            connected.execute("DROP TABLE item")


def items(connection: Connection) -> list[tuple[object, ...]]:
    """Return the rows of the table."""
    return connection.select("item", order_by="id").rows()


class Stream:
    """An object with the Arrow PyCapsule interface, and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame."""
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the frame's stream."""
        return self._frame.__arrow_c_stream__(requested_schema)


FRAME = pl.DataFrame({"id": [2, 1], "name": ["b", None]})


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.lazy(),
        {"id": [2, 1], "name": ["b", None]},
        {"name": pl.Series(["b", None]), "id": (2, 1)},
        {"id": [2, 1], "name": ["b", None], "score": [5, 5.0]},
        [{"id": 2, "name": "b"}, {"id": 1}],
        {0: {"name": "b", "id": 2}, 1: {"id": 1, "name": None}}.values(),
        pa.table({"id": [2, 1], "name": ["b", None]}),
        pa.table({"id": [2, 1], "name": pa.array(["b", None]).dictionary_encode()}),
        pd.DataFrame({"id": [2, 1], "name": ["b", None]}),
        Stream(FRAME),
        pl.concat([FRAME[:1], FRAME[1:]], rechunk=False),
        pl.concat([FRAME, FRAME], rechunk=False)[1:3].sort("id", descending=True),
        pl.DataFrame([pl.concat([FRAME["id"][:1], FRAME["id"][1:]], rechunk=False), FRAME["name"]]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_tables_of_any_library_are_written(connection: Connection, data: Any) -> None:  # noqa: ANN401, data of any library
    """Tables of any library are written by the names of their columns; columns not given get their default."""
    assert connection.insert("item", data) == 2
    assert items(connection) == [(1, None, 5.0), (2, "b", 5.0)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "not NoneType"),
        ("id", "not str"),
        ([1, 2], "must be dicts, not int"),
        ([], "no columns"),
        ({}, "no columns"),
        ({"id": [1, "a"]}, "cannot be made a frame"),
        ({"id": [1], "name": ["a", "b"]}, "cannot be made a frame"),
        ({"id": [object()]}, "Object"),
        ({"i\0d": [1]}, "no database has a column named"),
        ({"id": [Decimal("NaN")]}, "cannot be made a frame"),
        ([{"id": 1}, {"id": date(2024, 1, 1)}], "cannot be made a frame"),
        ([{"id": 2**53 + 1}, {"id": 0.5}], "9007199254740993, is no Float64"),
        ({"id": [datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)]}, "cannot be made a frame"),
        ({"id": [time(1, tzinfo=UTC)]}, "is no Time"),
        (pa.table({"id": pa.array([Decimal("1.5")], pa.decimal256(50, 2))}), "cannot be made a frame"),
        ({"id": [Decimal(10**30), Decimal("0.123456789")]}, "row 1 of column 'id'"),
        ({"id": [[1], [2.5]]}, 'column "id" is'),
        ({"id": [[True], [2]]}, "cannot be made a frame"),
        ({"id": [[date(2024, 1, 1)], [datetime(2024, 1, 1, 5)]]}, "cannot be made a frame"),
        ([{"id": {"a": 1}}, {"id": {"a": 1.5, "b": 2}}], 'column "id" is'),
        ({"id": [np.float64(0.1), 2**53 + 1]}, "9007199254740993, is no Float64"),
        ({"id": [0.1, Decimal("1.23456789012345678901")]}, "cannot be made a frame"),
        ({"id": [np.datetime64("2024-01-01", "ns")]}, "cannot be made a frame"),
        ({"id": [pd.Timestamp("2024-01-02 03:04:05.123456789")]}, "cannot be made a frame"),
        ({"id": pl.Series([2**31 - 1]).cast(pl.Int32).cast(pl.Date)}, 'column "?id"?|the day 2147483647'),
        ({"id": [1], "nmae": ["a"]}, 'no column "nmae", did you mean "name"'),
        ({"id": [1], "name": [[1, 2]]}, 'column "name" is'),
    ],
)
def test_what_is_no_table_is_refused(connection: Connection, data: Any, message: str) -> None:  # noqa: ANN401, data of any type
    """Data that make no table are refused by a message that says why; the connection stays usable."""
    with pytest.raises(IndustryDbError, match=message):
        connection.insert("item", data)
    assert items(connection) == []


def test_wrong_choices_are_refused(connection: Connection) -> None:
    """A wrong choice is refused by a message with the right ones; a wrong table is an error too."""
    wrong: Any = "overwrite"
    with pytest.raises(ConfigurationError, match="'error', 'ignore', 'replace'"):
        connection.insert("item", FRAME, on_conflict=wrong)
    with pytest.raises(ConfigurationError, match="'fail', 'append', 'replace'"):
        industrydb.write_sql(FRAME, "item", "sqlite://:memory:", if_exists=wrong)
    with pytest.raises(QueryExecutionError, match="missing"):
        connection.insert("missing", FRAME)
    with pytest.raises(ConfigurationError, match="no name of a table"):
        connection.insert("", FRAME)


def test_nothing_is_written_of_an_empty_frame(connection: Connection) -> None:
    """Nothing is written of an empty frame, but its columns are checked."""
    assert connection.insert("item", FRAME.clear()) == 0
    with pytest.raises(ConfigurationError, match="other"):
        connection.insert("item", FRAME.clear().rename({"name": "other"}))


def test_a_bad_row_leaves_nothing_behind(connection: Connection) -> None:
    """If the database refuses a row, no row is written, also within a transaction, which goes on."""
    connection.insert("item", {"id": [7]})
    many = {"id": [*range(10, 20_000), 7]}
    for _ in range(2):
        with pytest.raises(ConstraintViolationError, match=r"(?s)(row|line) 19991"):
            connection.insert("item", many)
        assert items(connection) == [(7, None, 5.0)]
    with connection.transaction():
        connection.insert("item", {"id": [8]})
        with pytest.raises(ConstraintViolationError), connection.transaction():
            connection.insert("item", many)
        assert items(connection) == [(7, None, 5.0), (8, None, 5.0)]
    connection.execute("DELETE FROM item")
    connection.insert("item", {"id": [1, 2, 3], "name": ["a", None, "b"], "score": [0.5, None, 1e-20]})
    assert items(connection) == [(1, "a", 0.5), (2, None, None), (3, "b", 1e-20)]


def test_values_that_do_not_fit_are_named(connection: Connection) -> None:
    """The error names the column, row and value that does not fit, and no row is kept."""
    big = {"id": pl.Series([1, 2**63], dtype=pl.UInt64)}
    for _ in range(2):
        with pytest.raises(TypeConversionError, match=r'(?i)column "id" \(int.*\), row 2: 9223372036854775808'):
            connection.insert("item", big)
        assert items(connection) == []


def test_rows_with_known_keys_are_left_out_or_replaced(connection: Connection) -> None:
    """Rows with known keys are left out, or replaced by the last of them; columns not given keep their values."""
    connection.insert("item", {"id": [1, 2], "name": ["one", "two"], "score": [1.0, 2.0]})
    new = {"id": [2, 3, 3], "name": ["zwei", "tri", "drei"]}
    assert connection.insert("item", new, on_conflict="ignore") == 1
    assert items(connection) == [(1, "one", 1.0), (2, "two", 2.0), (3, "tri", 5.0)]
    connection.insert("item", new, on_conflict="replace")
    assert items(connection) == [(1, "one", 1.0), (2, "zwei", 2.0), (3, "drei", 5.0)]
    assert connection.insert("item", {"id": [1, 4]}, on_conflict="replace") == 1
    assert [row[0] for row in items(connection)] == [1, 2, 3, 4]
    with connection.transaction():
        assert connection.insert("item", {"id": [4, 5]}, on_conflict="ignore") == 1
    with pytest.raises(ConfigurationError, match=r"lack some .*id"):
        connection.insert("item", {"name": ["x"]}, on_conflict="replace")
    connection.execute("CREATE TEMPORARY TABLE keyless (a int)")
    with pytest.raises(ConfigurationError, match="has none"):
        connection.insert("keyless", {"a": [1]}, on_conflict="replace")


# PostgreSQL cuts longer names; names that begin with sqlite_ are SQLite's own.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15)
NAMES = NAMES.filter(lambda name: not name.lower().startswith("sqlite_"))


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
@hypothesis.given(table=NAMES, columns=st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower), text=NAMES)
@hypothesis.example(table="a://b", columns=["0"], text="0")
def test_no_name_or_value_says_anything_else(  # noqa: PLR0913, PLR0917, names and values of two databases
    postgres_uri: str, shared_sqlite_file: SqliteFile, database: str, table: str, columns: list[str], text: str
) -> None:
    """Names and values of any characters come back unchanged through every statement that is made of them."""
    uri = postgres_uri if database == "postgresql" else shared_sqlite_file.uri
    quoted = '"' + table.replace('"', '""') + '"'
    industrydb.write_sql({name: [text] for name in columns}, quoted, uri, if_exists="replace")
    with Connection(uri) as connection:
        connection.insert(quoted, {columns[0]: [text, None]})
        assert connection.update(quoted, {columns[-1]: text}, where={columns[0]: None}) == 1
        found = connection.select(quoted, columns, where={columns[0]: [text, None]}, order_by=columns)
        assert found.columns == columns
        assert found.height == 3
        assert set(found[columns[-1]].to_list()) <= {text, None}
        assert connection.delete(quoted, where={columns[0]: text}) >= 2
        connection.execute("DROP TABLE " + (quoted if database == "postgresql" else _backticks(table)))


def test_keys_that_the_table_makes_equal_are_one(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Of rows whose keys are equal once the column's type has rounded them, the last one is kept."""
    postgres.execute("CREATE TABLE rounding (k numeric(10,2) PRIMARY KEY, v int)")
    with Connection(postgres_uri) as connection:
        assert connection.insert("rounding", {"k": [1.001, 1.002], "v": [1, 2]}, on_conflict="replace") == 1
    assert postgres.execute("SELECT * FROM rounding").fetchall() == [(Decimal("1.00"), 2)]
    postgres.execute("DROP TABLE rounding")


def test_nested_values_keep_all_that_they_have(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Nested values keep numbers of several kinds, and fields that the first row lacks."""
    postgres.execute("CREATE TYPE nested AS (a float8, b int)")
    postgres.execute("CREATE TABLE nests (v nested, w float8[])")
    rows = [{"v": {"a": 1}, "w": [1]}, {"v": {"a": 1.5, "b": 2}, "w": [2.5]}]
    with Connection(postgres_uri) as connection:
        assert connection.insert("nests", rows) == 2
    found = postgres.execute("SELECT v::text, w FROM nests").fetchall()
    assert found == [("(1,)", [1.0]), ("(1.5,2)", [2.5])]
    postgres.execute("DROP TABLE nests; DROP TYPE nested")


def test_other_keys_are_no_reason_to_leave_a_row_out(connection: Connection) -> None:
    """`replace` goes by the primary key, even without other columns; a conflict with another key is an error."""
    connection.execute("CREATE TEMPORARY TABLE twice (id int PRIMARY KEY, other int UNIQUE DEFAULT 5)")
    assert connection.insert("twice", {"id": [1]}) == 1
    connection.insert("twice", {"id": [1]}, on_conflict="replace")
    with pytest.raises(ConstraintViolationError, match="other"):
        connection.insert("twice", {"id": [2]}, on_conflict="replace")
    assert connection.insert("twice", {"id": [2, 3], "other": [5, 6]}, on_conflict="ignore") == 1


def test_whole_numbers_and_floats_of_rows_are_floats(connection: Connection) -> None:
    """A column of whole numbers and floats in dicts becomes one of floats."""
    connection.insert("item", [{"id": 1, "score": 1}, {"id": 2, "score": 0.5}, {"id": 3, "score": None}])
    assert [row[2] for row in items(connection)] == [1.0, 0.5, None]


FORKED = """
import os, sys
import industrydb, polars
part = polars.DataFrame({"a": range(10)})
frame = polars.concat([part, part], rechunk=False).with_columns(b=polars.Series(range(20)))

def write():
    connection = industrydb.Connection("sqlite://:memory:")
    connection.execute("CREATE TABLE t (a, b)")
    return connection.insert("t", frame)

write()
if os.fork() == 0:
    os._exit(write())
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_writes() -> None:
    """A forked process can write, although it has none of its parent's threads."""
    printed = subprocess.check_output([sys.executable, "-c", FORKED], text=True, timeout=PATIENCE_S)
    assert printed == "20\n"


def test_a_table_in_memory_is_not_written_for_nobody() -> None:
    """`write_sql` refuses an in-memory database, which would be gone with the call."""
    with pytest.raises(ConfigurationError, match="in-memory"):
        industrydb.write_sql(FRAME, "t", "sqlite://:memory:")


def test_names_are_quoted(connection: Connection) -> None:
    """Names are quoted, so that they may have any characters."""
    names = ['a "b" `c` [d]', "select", "ä; DROP TABLE item; --", "%s ?"]
    quote = (lambda name: '"' + name.replace('"', '""') + '"') if "postgres" in repr(connection) else _backticks
    columns = ", ".join(f"{quote(name)} int" for name in names)
    connection.execute(f"CREATE TEMPORARY TABLE {quote('odd ? name')} ({columns})")
    connection.insert("odd ? name", {name: [number] for number, name in reversed([*enumerate(names)])})
    assert connection.select("odd ? name").rows() == [(0, 1, 2, 3)]


def _backticks(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


# Polars columns, PostgreSQL types, and what psycopg then reads.
POSTGRES: list[tuple[pl.Series, str, list[object]]] = [
    (pl.Series([True, False]), "boolean", [True, False]),
    (pl.Series([-(2**15), 2**15 - 1]), "smallint", [-(2**15), 2**15 - 1]),
    (pl.Series([1.0, -2.0]), "integer", [1, -2]),
    (pl.Series([2**64 - 1], dtype=pl.UInt64), "numeric", [Decimal(2**64 - 1)]),
    (pl.Series([2**32 - 1], dtype=pl.UInt32), "oid", [2**32 - 1]),
    (pl.Series([-(2**63), 2**63 - 1]), "bigint", [-(2**63), 2**63 - 1]),
    (pl.Series([10**37, -1], dtype=pl.Int128), "numeric(38,0)", [Decimal(10**37), Decimal(-1)]),
    (pl.Series([0.1, 1e-45], dtype=pl.Float32), "real", [0.1, 1e-45]),
    (pl.Series([0.5], dtype=pl.Float16), "real", [0.5]),
    (pl.Series([7], dtype=pl.UInt128), "numeric", [Decimal(7)]),
    (
        pl.Series([0.1, -0.0, float("nan"), float("-inf"), 5e-324]),
        "float8",
        [0.1, -0.0, float("nan"), float("-inf"), 5e-324],
    ),
    (
        pl.Series([Decimal("0.00001234"), Decimal("-9999.5")]),
        "numeric",
        [Decimal("0.00001234"), Decimal("-9999.50000000")],
    ),
    (pl.Series([Decimal("1.5")]), "double precision", [1.5]),
    (
        pl.Series([Decimal(10**37)], dtype=pl.Decimal(38, 0)),
        "numeric",
        [Decimal(10**37)],
    ),
    (pl.Series([Decimal("0." + "9" * 38)], dtype=pl.Decimal(38, 38)), "numeric", [Decimal("0." + "9" * 38)]),
    (pl.Series([Decimal("1.005")]), "numeric(10,2)", [Decimal("1.01")]),  # rounded by the server, as by INSERT
    (pl.Series([date(1, 1, 1), date(9999, 12, 31)]), "date", [date(1, 1, 1), date(9999, 12, 31)]),
    (pl.Series([datetime(2024, 2, 29)]), "date", [date(2024, 2, 29)]),
    (pl.Series([time(23, 59, 59, 999999)]), "time", [time(23, 59, 59, 999999)]),
    (
        pl.Series([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),
        "timestamp",
        [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)],
    ),
    (pl.Series([date(2024, 2, 29)]), "timestamp", [datetime(2024, 2, 29)]),
    (
        pl.Series([1_000, -1_000]).cast(pl.Datetime("ns")),
        "timestamp",
        [datetime(1970, 1, 1, 0, 0, 0, 1), datetime(1969, 12, 31, 23, 59, 59, 999999)],
    ),
    (pl.Series([-1]).cast(pl.Datetime("ms")), "timestamp", [datetime(1969, 12, 31, 23, 59, 59, 999000)]),
    (
        pl.Series([datetime(2024, 7, 1, 12, tzinfo=UTC)]).dt.convert_time_zone("America/New_York"),
        "timestamptz",
        [datetime(2024, 7, 1, 12, tzinfo=UTC)],
    ),
    (pl.Series([timedelta(days=-3, microseconds=7)]), "interval", [timedelta(days=-3, microseconds=7)]),
    (pl.Series([1_000_000]).cast(pl.Duration("ns")), "interval", [timedelta(milliseconds=1)]),
    (pl.Series(["", "ä😀\\\n\t'"]), "text", ["", "ä😀\\\n\t'"]),
    (pl.Series(["abc"]), "varchar(3)", ["abc"]),
    (pl.Series(["a", "b"], dtype=pl.Categorical), "text", ["a", "b"]),
    (pl.Series(["sad"], dtype=pl.Enum(["sad", "glad"])), "feeling", ["sad"]),
    (pl.Series([b"", b"\x00\xff"]), "bytea", [b"", b"\x00\xff"]),
    (pl.Series(["6f9619ff-8b86-d011-b42d-00c04fc964ff"]), "uuid", [UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")]),
    (pl.Series([UUID(int=7).bytes]), "uuid", [UUID(int=7)]),
    (pl.Series(['{"a": [1, null]}']), "json", [{"a": [1, None]}]),
    (pl.Series(['{"a":1}']), "jsonb", [{"a": 1}]),
    (pl.Series([[1, None], []]), "integer[]", [[1, None], []]),
    (pl.Series([[["a"], ["b"]]]), "text[]", [[["a"], ["b"]]]),
    (pl.Series([[1.5, 2.5]], dtype=pl.Array(pl.Float64, 2)), "float8[]", [[1.5, 2.5]]),
    (
        pl.Series([[datetime(2024, 7, 1, tzinfo=UTC)]], dtype=pl.List(pl.Datetime("us", "Asia/Kathmandu"))),
        "timestamptz[]",
        [[datetime(2024, 7, 1, tzinfo=UTC)]],
    ),
    (pl.Series([None, None]), "integer", [None, None]),
    # Values that the server reads from a text, or casts.
    (pl.Series(["10.0.0.0/8"]), "cidr", ["10.0.0.0/8"]),
    (pl.Series(["12", "-3"]), "integer", [12, -3]),
    (pl.Series(["2024-02-29"]), "date", [date(2024, 2, 29)]),
    (pl.Series(["[1,5)"]), "int4range", ["[1,5)"]),
    (pl.Series(["101"]), "bit(3)", ["101"]),
    (pl.Series(["101"]), "three_bits", ["101"]),
    (pl.Series([["101"]]), "three_bits[]", ["{101}"]),
    (pl.Series(["x"]), '"char"', ["x"]),
    (pl.Series(["<a/>"]), "xml", ["<a/>"]),
    (pl.Series(["sad"]), "feeling", ["sad"]),
    (pl.Series([["sad", None]]), "feeling[]", ["{sad,NULL}"]),
    (pl.Series([["10.0.0.1"]]), "inet[]", ["{10.0.0.1}"]),
    (pl.Series([5]), "text", ["5"]),
    (pl.Series([None]), "inet", [None]),
    (pl.Series([[None]]), "inet[]", ["{NULL}"]),
    (pl.Series([Decimal("1.25")]), "money", ["$1.25"]),
    (
        pl.Series([0.1 + 0.2, 2.0**53 - 1, 1e300, 5e-324, -123456789.12345679, 0.0, float("nan"), float("-inf")]),
        "numeric",
        [
            *(Decimal(repr(value)) for value in (0.1 + 0.2, 2.0**53 - 1, 1e300, 5e-324, -123456789.12345679, 0.0)),
            Decimal("NaN"),
            Decimal("-Infinity"),
        ],
    ),
    (pl.Series([16777215.0, 0.1], dtype=pl.Float32), "numeric", [Decimal(16777215), Decimal("0.1")]),
    (pl.Series([[0.1 + 0.2]]), "numeric[]", [[Decimal("0.30000000000000004")]]),
    (pl.Series([2**53, -(2**53)]), "float8", [2.0**53, -(2.0**53)]),
    (pl.Series([3]), "above_zero", [3]),
    (pl.Series([[3]]), "above_zero[]", ["{3}"]),
    (pl.Series([{"a": 1, "b": ["x"]}, None]), "couple", ["(1,{x})", None]),
    (pl.Series([{"b": ["x"]}]), "couple", ["(,{x})"]),
    (pl.Series([[{"a": 1, "b": None}]]), "couple[]", ['{"(1,)"}']),
]


@pytest.fixture(scope="module")
def types(postgres: psycopg.Connection) -> Iterator[None]:
    """Make user-defined types."""
    postgres.execute("CREATE TYPE feeling AS ENUM ('sad', 'glad')")
    postgres.execute("CREATE DOMAIN above_zero AS integer CHECK (VALUE > 0)")
    postgres.execute("CREATE DOMAIN three_bits AS bit(3)")
    postgres.execute("CREATE TYPE couple AS (a integer, b text[])")
    yield
    postgres.execute("DROP TABLE IF EXISTS kind; DROP TYPE feeling, couple; DROP DOMAIN above_zero, three_bits")


@pytest.mark.parametrize(
    ("series", "type_name", "expected"), POSTGRES, ids=lambda value: str(getattr(value, "dtype", value))
)
@pytest.mark.usefixtures("types")
def test_postgresql_gets_every_value(
    postgres: psycopg.Connection, postgres_uri: str, series: pl.Series, type_name: str, expected: list[object]
) -> None:
    """PostgreSQL gets every value, in binary or by the server's own casts, followed by a NULL."""
    if type_name == "xml":
        try:
            postgres.execute("SELECT '<a/>'::xml")
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("the server has no xml")
    postgres.execute("DROP TABLE IF EXISTS kind")
    postgres.execute(f"CREATE TABLE kind (n int, v {type_name})")
    frame = pl.DataFrame({"v": series}).with_row_index("n")
    frame = pl.concat([frame, frame.clear(1).with_columns(n=pl.lit(99, pl.UInt32))])
    with Connection(postgres_uri) as connection:
        assert connection.insert("kind", frame) == frame.height
    cast = "::text" if isinstance(expected[0], str) else ""
    found = [row[0] for row in postgres.execute(f"SELECT v{cast} FROM kind ORDER BY n", prepare=False)]
    assert plain(found) == plain([*expected, None])


@pytest.mark.parametrize(
    ("values", "type_name", "message"),
    [
        ([1, 2**15], "smallint", "row 2: 32768 is not among the integers"),
        ([0.5], "integer", "0.5 is not among the integers"),
        ([2**53 + 1], "float8", "9007199254740993 does not fit"),
        ([2**24 + 1], "real", "16777217 does not fit"),
        ([Decimal("9007199254740993.0")], "float8", "does not fit"),
        ([1e-300], "real", "1e-300 does not fit"),
        (["ab"], '"char"', "incorrect binary data"),
        (["10101"], "three_bits", "does not match type bit"),
        ([["10101"]], "three_bits[]", "does not match type bit|domain"),
        ([[2]], "boolean[]", "cannot be made of"),
        ([datetime(2024, 1, 1, 5)], "time", "cannot be made of"),
        ([datetime(2024, 1, 1, 5)], "text", "cannot be made of"),
        ([timedelta(days=4)], "time", "cannot be made of"),
        ([time(12)], "timetz", "cannot be made of"),
        ([b"a"], "text", "cannot be made of"),
        ([[1]], "text", "cannot be made of"),
        ([[datetime(2024, 1, 1)]], "timestamptz[]", "time zone"),
        ([[datetime(2024, 1, 1, tzinfo=UTC)]], "date[]", "time zone"),
        (pl.Series([10957 - 2**31]).cast(pl.Int32).cast(pl.Date), "date", "no date without a time|beyond"),
        (pl.Series([2**63 - 1]).cast(pl.Datetime("ms")), "timestamp", "beyond PostgreSQL's years"),
        ([datetime(2024, 1, 1, 1)], "date", "no date without a time"),
        ([time(1, 2, 3)], "integer", "cannot be made of"),
        ([True], "integer", "boolean"),
        (["x"], "integer", "invalid input syntax"),
        (["abcd"], "varchar(3)", "too long"),
        (["a\0b"], "text", "0x00"),
        (["nonsense"], "uuid", "is no UUID"),
        (["blue"], "feeling", "invalid input value for enum"),
        ([0], "above_zero", "violates check constraint"),
        ([[[1], [2, 3]]], "integer[]", "rectangular"),
        ([[[1], None]], "integer[]", "rectangular"),
        ([[1, 2]], "integer", "cannot be made of|cannot cast"),
        ([datetime(2024, 1, 1)], "timestamptz", "time zone"),
        ([datetime(2024, 1, 1, tzinfo=UTC)], "timestamp", "time zone"),
        ([{"a": 1, "c": 2}], "couple", "cannot be made of"),
        (pl.Series([1]).cast(pl.Datetime("ns")), "timestamp", "finer than a microsecond"),
        (pl.Series([1]).cast(pl.Duration("ns")), "interval", "whole number of microseconds"),
        (pl.Series([2**31 - 1]).cast(pl.Int32).cast(pl.Date), "date", "out of range"),
        ([Decimal(10**9)], "numeric(10,2)", "overflow"),
    ],
)
@pytest.mark.usefixtures("types")
def test_postgresql_refuses_what_does_not_fit(
    postgres: psycopg.Connection,
    postgres_uri: str,
    values: Any,  # noqa: ANN401, any column
    type_name: str,
    message: str,
) -> None:
    """A value that does not fit is a typed error; nothing is written, and the connection stays usable."""
    postgres.execute("DROP TABLE IF EXISTS kind")
    postgres.execute(f"CREATE TABLE kind (v {type_name})")
    with Connection(postgres_uri) as connection:
        for _ in range(2):
            with pytest.raises(IndustryDbError, match=message):
                connection.insert("kind", {"v": values})
            assert connection.select("kind").height == 0


# Polars columns, declared types of SQLite's, and what sqlite3 then reads.
SQLITE: list[tuple[pl.Series, str, list[object]]] = [
    (pl.Series([True, False]), "BOOLEAN", [1, 0]),
    (pl.Series([-(2**63), 2**63 - 1]), "INTEGER", [-(2**63), 2**63 - 1]),
    (pl.Series([2**63 - 1], dtype=pl.UInt64), "", [2**63 - 1]),
    (pl.Series([0.1, float("inf"), -0.0, 5e-324]), "", [0.1, float("inf"), -0.0, 5e-324]),
    (pl.Series([0.1], dtype=pl.Float32), "", [0.10000000149011612]),
    (pl.Series([Decimal("12.50"), Decimal("-0.01")]), "DECIMAL(10,2)", [12.5, -0.01]),
    (pl.Series([Decimal("12.50")], dtype=pl.Decimal(38, 2)), "TEXT", ["12.50"]),
    (pl.Series([Decimal(2**62)], dtype=pl.Decimal(38, 0)), "INTEGER", [2**62]),
    (pl.Series([date(1, 1, 1), date(9999, 12, 31)]), "DATE", ["0001-01-01", "9999-12-31"]),
    (pl.Series([time(1, 2, 3), time(1, 2, 3, 450000)]), "TIME", ["01:02:03", "01:02:03.45"]),
    (pl.Series([datetime(1969, 12, 31, 23, 59, 59, 1)]), "DATETIME", ["1969-12-31 23:59:59.000001"]),
    (pl.Series([1_000]).cast(pl.Datetime("ns")), "DATETIME", ["1970-01-01 00:00:00.000001"]),
    (pl.Series([1]).cast(pl.Datetime("ns")), "TEXT", ["1970-01-01 00:00:00.000000001"]),
    (pl.Series([1]).cast(pl.Time), "TIME", ["00:00:00.000000001"]),
    (
        pl.Series([datetime(2024, 7, 1, 12, tzinfo=UTC)]).dt.convert_time_zone("America/New_York"),
        "DATETIME",
        ["2024-07-01 12:00:00+00:00"],
    ),
    (pl.Series(["", "ä😀'"]), "TEXT", ["", "ä😀'"]),
    (pl.Series(["007", "1e5", "a\0b"]), "TEXT", ["007", "1e5", "a\0b"]),
    (pl.Series(["12", "x", "2024-01-01"]), "INTEGER", [12, "x", "2024-01-01"]),
    (pl.Series(["1.5", "-2"]), "REAL", [1.5, -2.0]),
    (pl.Series([2**53, -(2**53)]), "REAL", [2.0**53, -(2.0**53)]),
    (pl.Series(["a"], dtype=pl.Enum(["a"])), "TEXT", ["a"]),
    (pl.Series([b"", b"\x00\xff"]), "BLOB", [b"", b"\x00\xff"]),
    (pl.Series([None]), "INTEGER", [None]),
]


@pytest.mark.parametrize(
    ("series", "type_name", "expected"), SQLITE, ids=lambda value: str(getattr(value, "dtype", value))
)
def test_sqlite_gets_every_value(
    sqlite_file: SqliteFile, series: pl.Series, type_name: str, expected: list[object]
) -> None:
    """SQLite gets every value in a form that its own functions read, followed by a NULL."""
    sqlite_file.execute(f"CREATE TABLE kind (n INTEGER, v {type_name})")
    frame = pl.DataFrame({"v": series}).with_row_index("n")
    frame = pl.concat([frame, frame.clear(1).with_columns(n=pl.lit(99, pl.UInt32))])
    with Connection(sqlite_file.uri) as connection:
        assert connection.insert("kind", frame) == frame.height
    found = [row[0] for row in sqlite_file.execute("SELECT v FROM kind ORDER BY n")]
    assert plain(found) == plain([*expected, None])
    assert [type(value) for value in found] == [*map(type, expected), type(None)]


@pytest.mark.parametrize(
    ("values", "type_name", "message"),
    [
        ([1.0, float("nan")], "REAL", "row 2: NaN would become NULL"),
        ([Decimal("0.1234567890123456")], "DECIMAL", "more digits"),
        (pl.Series([2**63], dtype=pl.UInt64), "INTEGER", "more digits"),
        ([2**53, 2**53 + 1], "DOUBLE", "row 2: 9007199254740993 has more digits"),
        ([Decimal(2**53 + 1)], "REAL", "more digits"),
        (["123", "0123"], "INTEGER", "row 2: .*0123.* another number"),
        (["1e5"], "STRING", "another number"),
        (["9223372036854775808"], "NUMERIC", "another number"),
        ([" 1"], "DATE", "another number"),
        (["1\0"], "INT", "another number"),
        (["9007199254740993"], "REAL", "another number"),
        (["7\x0b"], "INTEGER", "another number"),
        (["1.0"], "NUMERIC", "another number"),
        (["1e-5"], "REAL", "another number"),
        ([Decimal("9007199254740993.0")], "FLOAT", "more digits"),
        (pl.Series([-719529]).cast(pl.Int32).cast(pl.Date), "DATE", "years 0 to 9999"),
        (
            pl.Series([1_000, 1]).cast(pl.Datetime("ns")),
            "DATETIME",
            "row 2: .*000000001 is finer than the microseconds",
        ),
        (pl.Series([1]).cast(pl.Datetime("ns", "UTC")), "timestamp", "finer than the microseconds"),
        ([timedelta(1)], "INTEGER", "no values for"),
        ([[1]], "TEXT", "no values for"),
        ([{"a": 1}], "TEXT", "no values for"),
    ],
)
def test_sqlite_refuses_what_it_cannot_keep(sqlite_file: SqliteFile, values: Any, type_name: str, message: str) -> None:  # noqa: ANN401, any column
    """A value that SQLite cannot keep is a typed error, and nothing is written."""
    sqlite_file.execute(f"CREATE TABLE kind (v {type_name})")
    with Connection(sqlite_file.uri) as connection, pytest.raises(IndustryDbError, match=message):
        connection.insert("kind", {"v": values})
    assert sqlite_file.execute("SELECT count(*) FROM kind") == [(0,)]


def test_sqlite_finds_columns_in_any_case(sqlite_file: SqliteFile) -> None:
    """Columns of SQLite are found in any case, as in statements; two names of one column are refused."""
    sqlite_file.execute("CREATE TABLE t (Id INTEGER PRIMARY KEY, name)")
    with Connection(sqlite_file.uri) as connection:
        connection.insert("T", {"ID": [1], "NAME": ["a"]})
        connection.insert("main.t", {"id": [1], "name": ["b"]}, on_conflict="replace")
        with pytest.raises(ConfigurationError, match=r'two columns .*"Id"'):
            connection.insert("t", {"ID": [2], "id": [3]})
    assert sqlite_file.execute("SELECT * FROM t") == [(1, "b")]


# Types that both databases return as they were written.
EXACT: list[Any] = [pl.Boolean, pl.Int64, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime("us")]
POSTGRES_EXACT: list[Any] = [
    *EXACT,
    pl.Int16,
    pl.Int32,
    pl.Float32,
    pl.Duration("us"),
    pl.Datetime("us", "UTC"),
    pl.List(pl.Int32),
]
LIMITS: dict[str, Any] = {"allow_null": True, "max_size": 20, "min_cols": 1, "max_cols": 6}


def _tame(frame: pl.DataFrame) -> pl.DataFrame:
    """Replace values that no database has: NUL in texts, years outside 1 to 9999, fractions of microseconds."""
    dates, times = pl.selectors.date(), pl.selectors.time()
    near = dates.is_between(date(1, 1, 1), date(9999, 12, 31))
    moments = pl.selectors.datetime()
    return frame.with_columns(
        pl.selectors.string().str.replace_all("\0", ""),
        pl.when(near).then(dates),
        pl.when(moments.dt.year().is_between(1, 9999)).then(moments),
        (times.cast(pl.Int64) // 1000 * 1000).cast(pl.Time),
    )


@hypothesis.given(frame=dataframes(allowed_dtypes=POSTGRES_EXACT, **LIMITS))
def test_what_is_written_to_postgresql_reads_the_same(postgres_uri: str, frame: pl.DataFrame) -> None:
    """A frame that is written to PostgreSQL reads the same: values, types and names."""
    frame = _tame(frame.select(pl.all().name.prefix("c")))
    assert industrydb.write_sql(frame, "round trip", postgres_uri, if_exists="replace") == frame.height
    assert_frame_equal(industrydb.read_sql(postgres_uri, 'SELECT * FROM "round trip"'), frame, check_exact=True)


@hypothesis.given(frame=dataframes(allowed_dtypes=EXACT, allow_nan=False, **LIMITS), data=st.data())
def test_what_is_written_to_sqlite_reads_the_same(
    shared_sqlite_file: SqliteFile, frame: pl.DataFrame, data: st.DataObject
) -> None:
    """A frame that is written to SQLite, in two calls, reads the same."""
    frame = _tame(frame.select(pl.all().name.prefix("c")).with_columns(pl.selectors.float().fill_nan(None)))
    cut = data.draw(st.integers(0, frame.height))
    uri = shared_sqlite_file.uri
    written = industrydb.write_sql(frame[:cut], "round trip", uri, if_exists="replace")
    written += industrydb.write_sql(frame[cut:], "round trip", uri, if_exists="append")
    assert written == frame.height
    assert_frame_equal(industrydb.read_sql(uri, 'SELECT * FROM "round trip"'), frame, check_exact=True)


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_tables_are_made_added_to_and_replaced(postgres_uri: str, tmp_path: Path, database: str) -> None:
    """`write_sql` makes, extends and replaces tables; a table that cannot be replaced stays as it was."""
    uri = postgres_uri if database == "postgresql" else f"sqlite://{tmp_path}/made.db"
    first = pl.DataFrame({"a": [1, 2]})
    assert industrydb.write_sql(first, "made", uri, if_exists="append") == 2
    with pytest.raises(QueryExecutionError, match="already exists"):
        industrydb.write_sql(first, "made", uri)
    assert industrydb.write_sql({"a": [3]}, "made", uri, if_exists="append") == 1
    impossible = {"b": [2**63 - 1, 2**63]} if database == "sqlite" else {"b": ["x", "y\0z"]}
    with pytest.raises(IndustryDbError):
        industrydb.write_sql(
            pl.DataFrame(impossible, strict=False, schema={"b": pl.UInt64} if database == "sqlite" else None),
            "made",
            uri,
            if_exists="replace",
        )
    query = "SELECT * FROM made ORDER BY 1"
    assert industrydb.read_sql(uri, query).equals(pl.DataFrame({"a": [1, 2, 3]}))
    assert industrydb.write_sql({"b": ["x"]}, "made", uri, if_exists="replace") == 1
    assert industrydb.read_sql(uri, query).equals(pl.DataFrame({"b": ["x"]}))
    assert industrydb.write_sql(first.clear(), "made", uri, if_exists="replace") == 0
    assert industrydb.read_sql(uri, query).equals(first.clear())
    with Connection(uri) as connection:
        connection.execute("DROP TABLE made")


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
def test_replacing_a_table_changes_no_other_one(sqlite_file: SqliteFile, action: str) -> None:
    """A table whose rows others refer to is not replaced: SQLite would delete its rows, and change the others."""
    database = sqlite_file
    database.execute("CREATE TABLE parent (i INTEGER PRIMARY KEY)")
    database.execute(f"CREATE TABLE child (i INTEGER DEFAULT 0 REFERENCES Parent (i) ON DELETE {action})")
    database.execute("INSERT INTO parent VALUES (0), (1)")
    assert industrydb.write_sql({"i": [0, 1]}, "parent", sqlite_file.uri, if_exists="replace") == 2
    database.execute("DROP TABLE parent")
    database.execute("CREATE TABLE parent (i INTEGER PRIMARY KEY, s TEXT)")
    database.execute("INSERT INTO parent VALUES (0, 'a'), (1, 'b')")
    database.execute("INSERT INTO child VALUES (1)")
    for table in ("parent", "main.PARENT"):
        with pytest.raises(IndustryDbError, match=r'"child"|FOREIGN KEY'):
            industrydb.write_sql({"i": [0, 1]}, table, sqlite_file.uri, if_exists="replace")
    assert database.execute("SELECT * FROM child") == [(1,)]
    assert database.execute("SELECT * FROM parent") == [(0, "a"), (1, "b")]
    database.execute("DELETE FROM child")
    assert industrydb.write_sql({"i": [2]}, "parent", sqlite_file.uri, if_exists="replace") == 1


@pytest.mark.parametrize("dtype", [pl.Struct({"a": pl.Int64}), pl.List(pl.List(pl.Struct({"a": pl.Int64})))])
def test_types_that_no_column_keeps_are_refused(
    postgres: psycopg.Connection, postgres_uri: str, dtype: pl.DataType
) -> None:
    """A type that no column can keep is refused before a table is made."""
    with pytest.raises(ConfigurationError, match='column "x" is'):
        industrydb.write_sql(pl.DataFrame(schema={"x": dtype}), "never", postgres_uri)
    assert postgres.execute("SELECT to_regclass('never')").fetchone() == (None,)


def test_tables_of_schemas_partitions_and_identities(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Identities that are given are kept, and others are generated; rows go to their partition."""
    postgres.execute('CREATE SCHEMA IF NOT EXISTS "My.Schema"')
    postgres.execute(
        'CREATE TABLE "My.Schema".t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, '
        "w text GENERATED ALWAYS AS (v || '!') STORED)"
    )
    postgres.execute("CREATE TABLE parted (k int) PARTITION BY RANGE (k)")
    postgres.execute("CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10)")
    with Connection(postgres_uri) as connection:
        assert connection.insert('"My.Schema".t', {"id": [7], "v": ["a"]}) == 1
        assert connection.insert('"My.Schema".t', {"v": ["b"]}) == 1
        assert connection.insert('"My.Schema".t', {"id": [7], "v": ["c"]}, on_conflict="replace") == 1
        assert connection.insert("parted", {"k": [1, 9]}) == 2
        with pytest.raises(ConstraintViolationError, match="no partition"):
            connection.insert("parted", {"k": [1, 10]})
    assert postgres.execute('SELECT * FROM "My.Schema".t ORDER BY id').fetchall() == [(1, "b", "b!"), (7, "c", "c!")]
    assert postgres.execute("SELECT count(*) FROM low").fetchone() == (2,)
    postgres.execute('DROP SCHEMA "My.Schema" CASCADE; DROP TABLE parted')


def test_views_and_guarded_tables_take_rows(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Views are written by INSERT, since COPY cannot; columns that an index only includes are no part of the key."""
    postgres.execute("CREATE TABLE base (id int, extra int, price smallint, PRIMARY KEY (id) INCLUDE (extra))")
    postgres.execute("CREATE VIEW seen AS SELECT id, price FROM base")
    with Connection(postgres_uri) as connection:
        assert connection.insert("seen", {"id": [1], "price": [5]}) == 1
        assert connection.insert("base", {"id": [1], "price": [6]}, on_conflict="replace") == 1
        # An insert with `on_conflict` names the column in an error, too.
        with pytest.raises(TypeConversionError, match=r'column "price" \(smallint\), row 2: 99999'):
            connection.insert("base", {"id": [1, 2], "price": [7, 99999]}, on_conflict="ignore")
    assert postgres.execute("SELECT * FROM base").fetchall() == [(1, None, 6)]
    postgres.execute("DROP TABLE base CASCADE")


def test_a_row_may_be_longer_than_a_message(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A row that is longer than a message is sent in several messages."""
    postgres.execute("CREATE TABLE long (a bytea, b bytea)")
    values = {"a": [b"x" * 3_000_000], "b": [bytes(range(256)) * 10_000]}
    with Connection(postgres_uri) as connection:
        assert connection.insert("long", values) == 1
    found = postgres.execute("SELECT a, b FROM long").fetchall()
    assert found == [(values["a"][0], values["b"][0])]
    postgres.execute("DROP TABLE long")


@pytest.fixture
def noisy(postgres: psycopg.Connection) -> Iterator[Callable[[str], None]]:
    """Yield a function that makes a table `noisy` with a trigger, which runs the given body for each row."""

    def make(body: str) -> None:
        postgres.execute("CREATE TABLE noisy (id int, filler text)")
        postgres.execute(
            f"CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$"
        )
        postgres.execute("CREATE TRIGGER shout BEFORE INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION shout()")

    yield make
    postgres.execute("DROP TABLE noisy; DROP FUNCTION shout")


# Far more than the buffers of both sides hold.
MANY = pl.DataFrame({"id": range(50_000)}).with_columns(filler=pl.lit("x" * 400))


def test_notices_do_not_block(noisy: Callable[[str], None], postgres_uri: str) -> None:
    """Notices are received during an insert: until then, the server would wait, and take no more rows."""
    noisy("RAISE NOTICE '%', NEW.filler;")
    with Connection(postgres_uri) as connection:
        assert connection.insert("noisy", MANY) == MANY.height


def test_an_error_in_the_middle_ends_the_insert(noisy: Callable[[str], None], postgres_uri: str) -> None:
    """An error in the middle ends an insert at once, and the rest is not sent; the session stays usable."""
    noisy("IF NEW.id = 5000 THEN RAISE 'not %', NEW.id; END IF;")
    with Connection(postgres_uri) as connection:
        for _ in range(2):
            with pytest.raises(QueryExecutionError, match=r"(?s)not 5000.*line 5001"):
                connection.insert("noisy", MANY)
            assert connection.select("noisy").height == 0


def test_a_lost_session_is_told(noisy: Callable[[str], None], postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A session lost during an insert is a connection error; nothing is written, and the connection is closed."""
    noisy("IF NEW.id = 5000 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;")
    with Connection(postgres_uri) as connection:
        with pytest.raises(DatabaseConnectionError):
            connection.insert("noisy", MANY)
        assert connection.is_closed()
    assert postgres.execute("SELECT count(*) FROM noisy").fetchone() == (0,)


INSERTING = """
import signal, sys
import industrydb, polars
signal.signal(signal.SIGINT, signal.default_int_handler)
frame = polars.select(id=polars.int_range(2_000_000))
connection = industrydb.Connection(sys.argv[1])
print("begins", flush=True)
try:
    connection.insert("busy", frame)
except KeyboardInterrupt:
    print("interrupted", connection.is_closed(), flush=True)
"""


@pytest.mark.parametrize("waits", ["for a lock", "within rows"])
def test_ctrl_c_ends_an_insert(postgres: psycopg.Connection, postgres_uri: str, waits: str) -> None:
    """Ctrl-C ends an insert, whatever the insert waits for, and its session; nothing is written."""
    uri = with_options(postgres_uri, application_name="inserting")
    postgres.execute("CREATE TABLE busy (id int PRIMARY KEY)")
    with psycopg.connect(postgres_uri) as blocker:
        if waits == "for a lock":
            blocker.execute("LOCK TABLE busy")
        else:
            blocker.execute("INSERT INTO busy VALUES (1000000)")
        with subprocess.Popen([sys.executable, "-c", INSERTING, uri], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            event = {"for a lock": "relation", "within rows": "transactionid"}[waits]
            eventually(lambda: [waited for _, waited in sessions(postgres, "inserting")] == [event])
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=PATIENCE_S / 4)[0] == "interrupted True\n"
        eventually(lambda: not sessions(postgres, "inserting"))
        blocker.rollback()
    assert postgres.execute("SELECT count(*) FROM busy").fetchone() == (0,)
    postgres.execute("DROP TABLE busy")


def test_no_session_is_left(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """`write_sql` leaves no session on the server, after success and after failure."""
    uri = with_options(postgres_uri, application_name="writing")
    industrydb.write_sql(FRAME, "left", uri, if_exists="replace")
    with pytest.raises(QueryExecutionError):
        industrydb.write_sql(FRAME, "left", uri)
    eventually(lambda: not sessions(postgres, "writing"))
    postgres.execute('DROP TABLE "left"')


def test_sqlite_triggers_and_declared_conflicts_keep_their_meaning(sqlite_file: SqliteFile) -> None:
    """Rows that a trigger or conflict clause ignores are not counted; a trigger's ROLLBACK undoes the insert."""
    execute = sqlite_file.execute
    execute("CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT IGNORE)")
    execute("CREATE TRIGGER pass BEFORE INSERT ON t WHEN NEW.a = 2 BEGIN SELECT RAISE(IGNORE); END")
    execute("CREATE TRIGGER stop BEFORE INSERT ON t WHEN NEW.a = 9 BEGIN SELECT RAISE(ROLLBACK, 'no nine'); END")
    with Connection(sqlite_file.uri) as connection:
        assert connection.insert("t", {"a": [1, 1, 2, 3]}) == 2
        with pytest.raises(IndustryDbError, match="no nine"):
            connection.insert("t", {"a": [4, 9]})
        assert connection.select("t")["a"].to_list() == [1, 3]
        assert connection.insert("t", {"a": [5]}) == 1


def test_a_sqlite_file_that_is_locked_is_told(sqlite_file: SqliteFile) -> None:
    """An insert into a locked file fails after `busy_timeout`, and works once the lock is released."""
    sqlite_file.execute("CREATE TABLE t (a)")
    with Connection(sqlite_file.uri) as other, Connection(sqlite_file.uri) as connection:
        connection.execute("PRAGMA busy_timeout = 1")
        with other.transaction(), pytest.raises(QueryExecutionError, match="locked"):
            connection.insert("t", {"a": [1]})
        assert connection.insert("t", {"a": [1]}) == 1


def test_a_right_that_is_missing_is_named(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """`on_conflict` needs the right to make temporary tables, and its error says so; other inserts do not."""
    postgres.execute("DROP TABLE IF EXISTS granted; CREATE TABLE granted (i integer PRIMARY KEY)")
    postgres.execute(
        "DROP ROLE IF EXISTS untemporary; CREATE ROLE untemporary LOGIN; GRANT ALL ON granted TO untemporary"
    )
    [database] = postgres.execute("SELECT quote_ident(current_database())").fetchone() or ("",)
    postgres.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    try:
        with industrydb.Connection.from_uri(postgres_uri) as connection:
            connection.execute("SET SESSION AUTHORIZATION untemporary")
            for on_conflict in ("ignore", "replace"):
                with pytest.raises(QueryExecutionError, match="GRANT TEMPORARY ON DATABASE") as raised:
                    connection.insert("granted", {"i": [1]}, on_conflict=on_conflict)
                assert raised.value.code == "42501"
            assert connection.insert("granted", {"i": [1]}) == 1
    finally:
        postgres.execute(f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC; DROP TABLE granted; DROP ROLE untemporary")


@pytest.mark.parametrize("on_conflict", ["ignore", "replace"])
def test_a_table_with_the_name_of_ours(
    postgres: psycopg.Connection, postgres_uri: str, on_conflict: Literal["ignore", "replace"]
) -> None:
    """A table that is called as our temporary one gets its rows."""
    postgres.execute("CREATE TABLE industrydb_rows (id int PRIMARY KEY)")
    try:
        for table in ("industrydb_rows", "public.industrydb_rows"):
            data = {"id": [1, 2]}
            industrydb.write_sql(data, table, postgres_uri, if_exists="append", on_conflict=on_conflict)
            assert postgres.execute("SELECT count(*) FROM industrydb_rows").fetchone() == (2,)
    finally:
        postgres.execute("DROP TABLE industrydb_rows")


def test_rules_of_a_table_hold_for_all_rows(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A rule of a table holds whichever way its rows come; a COPY would pass over it."""
    postgres.execute("CREATE TABLE ruled (id int PRIMARY KEY); CREATE TABLE noted (id int)")
    postgres.execute("CREATE RULE note AS ON INSERT TO ruled DO ALSO INSERT INTO noted VALUES (NEW.id)")
    try:
        industrydb.write_sql({"id": [1, 2]}, "ruled", postgres_uri, if_exists="append")
        assert postgres.execute("SELECT id FROM noted ORDER BY id").fetchall() == [(1,), (2,)]
    finally:
        postgres.execute("DROP TABLE ruled, noted")


def test_sqlite_makes_no_key_of_a_null(sqlite_file: SqliteFile) -> None:
    """A NULL in a column that stands for the rowid is refused, and one that is no rowid stays."""
    sqlite_file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    sqlite_file.execute("CREATE TABLE other (id INT PRIMARY KEY, v)")
    with Connection(sqlite_file.uri) as connection:
        for on_conflict in ("error", "ignore", "replace"):
            with pytest.raises(TypeConversionError, match=r'"id".*row 2: a NULL, in whose place SQLite'):
                connection.insert("t", {"id": [1, None], "v": [1, 2]}, on_conflict=on_conflict)
        assert connection.insert("t", {"v": [3]}) == 1
        assert connection.insert("other", {"id": [None, None], "v": [1, 2]}) == 2
    assert list(sqlite_file.execute("SELECT * FROM t")) == [(1, 3)]
    assert list(sqlite_file.execute("SELECT id FROM other")) == [(None,), (None,)]


def test_intervals_without_hours(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A duration is hours to PostgreSQL: a column without them would make it 0."""
    for fields in ("day", "month", "year to month"):
        postgres.execute(f"CREATE TABLE spans (v interval {fields})")
        try:
            with pytest.raises(ConfigurationError, match="a duration would become 0"):
                industrydb.write_sql({"v": [timedelta(days=1)]}, "spans", postgres_uri, if_exists="append")
        finally:
            postgres.execute("DROP TABLE spans")
