"""What each SQLite column is read as: one row of a table for each kind of column, with sqlite3's values."""

from collections.abc import Callable
from datetime import date, datetime, time

import polars as pl
import pytest

import industrydb
from tests.kit.support import SqliteFile, plain

DATETIME = pl.Datetime("us")
LARGE = 2**53 + 1  # no float is equal to it


def same(value: object) -> object:
    """Return sqlite3's value."""
    return value


def as_float(value: object) -> object:
    """Return a number as a float."""
    return float(str(value))


def as_text(value: object) -> object:
    """Return a value as Python prints it."""
    return str(value)


def as_bytes(value: object) -> object:
    """Return the bytes of a value, or of its text as Python prints it."""
    return value if isinstance(value, bytes) else str(value).encode()


# A declared type, SQL for its values, the column's dtype, and the function from sqlite3's to the expected values.
Column = tuple[str, str, pl.DataType, Callable[[object], object]]

DECLARED: list[Column] = [
    ("INTEGER", "1, NULL, -9223372036854775808, 9223372036854775807", pl.Int64(), same),
    ("UNSIGNED BIG INT", "1, NULL", pl.Int64(), same),
    ("INTERVAL", "1, NULL", pl.Int64(), same),
    ("REAL", "0.1, NULL, 1e308, -0.5, 9e999, -9e999, 5e-324, 3", pl.Float64(), same),
    ("DOUBLE PRECISION", "0.1, NULL", pl.Float64(), same),
    ("DECIMAL(10,5)", "0.5, NULL, 3", pl.Float64(), as_float),
    ("NUMERIC", "0.5, NULL, 3", pl.Float64(), as_float),
    ("NUMERIC", "9007199254740992, -9007199254740992", pl.Float64(), as_float),
    ("TEXT", "'', NULL, 'twelve bytes', 'thirteen byte', 'größer €𝄞'", pl.String(), same),
    ("VARCHAR(3)", "'longer than declared', 5", pl.String(), same),
    ("CLOB", "'text'", pl.String(), same),
    ("BLOB", "x'', NULL, x'00ff', zeroblob(13), zeroblob(100000)", pl.Binary(), same),
    ("BOOLEAN", "0, NULL, 1", pl.Boolean(), bool),
    ("BOOL", "true, false", pl.Boolean(), bool),
    (
        "BOOLEAN",
        "'true', 'F', NULL, 'FALSE', 't', 1",
        pl.Boolean(),
        lambda value: str(value).lower() in ("true", "t", "1"),
    ),
    ("DATE", "'2024-02-29', NULL", pl.Date(), lambda text: date.fromisoformat(str(text))),
    ("TIME", "'23:59:59.999999', NULL, '00:00'", pl.Time(), lambda text: time.fromisoformat(str(text))),
    ("DATETIME", "'2024-02-29 12:34:56', NULL", DATETIME, lambda text: datetime.fromisoformat(str(text))),
    ("TIMESTAMP", "'2024-02-29 12:34', NULL", DATETIME, lambda text: datetime.fromisoformat(str(text))),
    ("", "1, NULL, 2", pl.Int64(), same),
    ("", "NULL, 0.5", pl.Float64(), same),
    ("", "NULL, 'a'", pl.String(), same),
    ("", "NULL, x'00'", pl.Binary(), same),
    ("", "NULL, NULL", pl.Null(), same),
    ("JSON", "NULL, '[1]'", pl.String(), same),
    ("UUID", "1, 2", pl.Int64(), same),
]

# Values that do not fit their column's declaration widen the column, and nothing is lost.
WIDENED: list[Column] = [
    ("INTEGER", "1, NULL, 0.5", pl.Float64(), as_float),
    ("INTEGER", f"{2**53}, 0.5", pl.Float64(), as_float),
    ("INTEGER", f"{LARGE}, 0.5", pl.String(), as_text),
    ("INTEGER", f"0.5, {LARGE}", pl.String(), as_text),
    ("INTEGER", "0.5, 9223372036854775807", pl.String(), as_text),
    ("INTEGER", "1, 'n/a'", pl.String(), as_text),
    ("INTEGER", "'n/a', 1, NULL", pl.String(), as_text),
    ("INTEGER", "1, x'ff'", pl.Binary(), as_bytes),
    ("REAL", "0.5, 'n/a'", pl.String(), as_text),
    ("REAL", "0.5, x'ff', 'ä'", pl.Binary(), as_bytes),
    ("NUMERIC", f"{LARGE}", pl.String(), as_text),
    ("TEXT", "'ä', NULL, x'ff', 5", pl.Binary(), as_bytes),
    ("", f"1, 0.5, {LARGE}", pl.String(), as_text),
    ("", "1, 'a', 0.5", pl.String(), as_text),
    ("", "1, 0.5, 'a', x'ff', NULL", pl.Binary(), as_bytes),
    ("BOOLEAN", "0, 2, NULL", pl.Int64(), same),
    ("BOOLEAN", "1, 0.5", pl.Float64(), as_float),
    ("BOOLEAN", "1, 'yes'", pl.String(), as_text),
    ("DATE", "'2024-02-29', 'soon', NULL", pl.String(), same),
    ("DATE", "'2024-02-29', '2023-02-29'", pl.String(), same),
    ("DATE", "'2024-02-29', '2024-02-29 12:00'", pl.String(), same),
    ("TIME", "'12:00', '25:00'", pl.String(), same),
    ("DATETIME", "'2024-02-29', 'now'", pl.String(), same),
    ("DATETIME", "0, 99999999999999", pl.Int64(), same),
]


def column_id(column: Column) -> str:
    """Return the test id of a column."""
    declared, values, *_ = column
    return f"{declared or 'undeclared'}: {values}"


@pytest.mark.parametrize("column", DECLARED + WIDENED, ids=column_id)
def test_columns_have_the_type_that_keeps_their_values(sqlite_file: SqliteFile, column: Column) -> None:
    """A column that is read at once has the type that keeps all its values."""
    declared, values, dtype, expected = column
    sqlite_file.connection.execute(f"CREATE TABLE t (v {declared})")
    sqlite_file.connection.executescript("".join(f"INSERT INTO t VALUES ({value});" for value in values.split(", ")))
    query = "SELECT v FROM t ORDER BY rowid"
    read = industrydb.read_sql(sqlite_file.uri, query)["v"]
    assert read.dtype == dtype
    stored = [value for (value,) in sqlite_file.connection.execute(query)]
    assert plain(read.to_list()) == plain([None if value is None else expected(value) for value in stored])


@pytest.mark.parametrize("column", DECLARED + WIDENED, ids=column_id)
def test_columns_widen_across_partitions(sqlite_file: SqliteFile, column: Column) -> None:
    """Values that do not fit the type widen the whole column, although only the last partitions have them."""
    declared, values, dtype, expected = column
    first, *misfits = values.split(", ")
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER, v {declared})")
    for i, value in enumerate([first] * 100 + misfits):
        sqlite_file.connection.execute(f"INSERT INTO t VALUES ({i}, {value})")
    query = "SELECT v, i FROM t"
    read = industrydb.read_sql(sqlite_file.uri, query, partition_on="i", partitions=16)
    assert read["v"].dtype == dtype
    stored = [value for value, _ in sqlite_file.connection.execute(query)]
    assert plain(read["v"].to_list()) == plain([None if value is None else expected(value) for value in stored])
    assert read["i"].to_list() == list(range(len(stored)))


# Every form of moments that SQLite documents, for one and for other moments.
MOMENTS = [
    "'2024-02-29'",
    "'2024-02-29 12:34'",
    "'2024-02-29T12:34'",
    "'2024-02-29 12:34:56'",
    "'2024-02-29 12:34:56.789'",
    "'2024-02-29T12:34:56.789Z'",
    "'2024-02-29 12:34:56+05:45'",
    "'2024-02-29 12:34:56.789-08:00'",
    "'2024-02-29 12:34:56 +14:00'",
    "'0000-01-01'",
    "'9999-12-31 23:59:59.999'",
    "'1582-10-10'",
    "0",
    "-1",
    "1709210096",
    "253402300799",
    "2460369.5",
    "2460370.02425926",
    "0.0 + 2440587.5",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_datetimes_are_what_sqlite_says_they_are(sqlite_file: SqliteFile, moment: str) -> None:
    """A DATETIME has the milliseconds that SQLite's own functions compute; they are no more precise."""
    sqlite_file.connection.execute("CREATE TABLE t (v DATETIME)")
    sqlite_file.connection.execute(f"INSERT INTO t VALUES ({moment})")
    # SQLite takes an integer for a Julian day, unless the modifier says that it counts seconds.
    modifier = "iif(typeof(v) = 'integer', 'unixepoch', '+0 days')"
    milliseconds = f"round((julianday(v, {modifier}) - 2440587.5) * 86400000)"
    [expected] = sqlite_file.connection.execute(f"SELECT CAST({milliseconds} AS INTEGER) FROM t")
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT v FROM t")
    assert frame.dtypes == [DATETIME]
    assert frame.select(pl.col("v").cast(pl.Datetime("ms")).to_physical()).rows() == [expected]


def test_fractions_of_a_second_go_to_the_microsecond(sqlite_file: SqliteFile) -> None:
    """A text's fraction of a second is kept beyond the milliseconds of SQLite's functions."""
    sqlite_file.connection.execute("CREATE TABLE t (v DATETIME, d DATE, n TIME)")
    sqlite_file.connection.execute(
        "INSERT INTO t VALUES ('2024-02-29 12:34:56.123456', '2024-02-29 00:00:00', '12:34:56.123456789')"
    )
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT v, d, n FROM t")
    moment = datetime.fromisoformat("2024-02-29 12:34:56.123456")
    assert frame.select("v", "d").rows() == [(moment, moment.date())]
    nanoseconds = ((12 * 60 + 34) * 60 + 56) * 10**9 + 123_456_789
    assert frame["n"].to_physical().to_list() == [nanoseconds]


def test_a_finer_fraction_makes_text(sqlite_file: SqliteFile) -> None:
    """A fraction finer than a microsecond, which the column cannot hold, makes it text."""
    text = "2024-02-29 12:34:56.1234567"
    sqlite_file.connection.execute("CREATE TABLE t (v DATETIME)")
    sqlite_file.connection.execute("INSERT INTO t VALUES (?)", [text])
    assert industrydb.read_sql(sqlite_file.uri, "SELECT v FROM t").rows() == [(text,)]


def test_an_empty_result_has_the_declared_types(sqlite_file: SqliteFile) -> None:
    """A result without rows, or with NULLs only, has the declared types."""
    declared: dict[str, pl.DataType] = {
        "INTEGER": pl.Int64(),
        "REAL": pl.Float64(),
        "TEXT": pl.String(),
        "BLOB": pl.Binary(),
        "BOOLEAN": pl.Boolean(),
        "DATE": pl.Date(),
        "TIME": pl.Time(),
        "DATETIME": DATETIME,
        "": pl.Null(),
    }
    columns = ", ".join(f'"{name or "nothing"}" {name}' for name in declared)
    sqlite_file.connection.execute(f"CREATE TABLE t ({columns})")
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t")
    assert frame.dtypes == list(declared.values())
    assert frame.height == 0
    sqlite_file.connection.execute("INSERT INTO t DEFAULT VALUES")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").dtypes == list(declared.values())
