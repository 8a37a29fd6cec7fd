"""Tests of ``extract(since=…)``, which reads the rows above the last largest value, in any form of storage."""

import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from industrydb import ConfigurationError, IndustryDbError, TypeConversionError, extract
from tests.kit.mariadb import Pymysql
from tests.kit.support import SqliteFile

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001, without a zone as below
START = datetime(2024, 1, 1)  # noqa: DTZ001, SQLite's datetimes are UTC, and are read without a zone


def forms(moment: datetime) -> list[Any]:
    """Return a moment in all forms that keep it exactly and that SQLite's functions take for the same moment."""
    texts: list[Any] = [
        f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond:06}",
        f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}Z",
    ]
    for hours, minutes in ((5, 30), (-8, 0), (14, 0)):
        there = moment + timedelta(hours=hours, minutes=minutes * (1 if hours > 0 else -1))
        texts.append(f"{there:%Y-%m-%d %H:%M:%S}.{there.microsecond:06}{hours:+03}:{minutes:02}")
    if moment.microsecond % 1000 == 0:
        texts.append(f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}")
    if not moment.microsecond:
        texts += [
            f"{moment:%Y-%m-%d %H:%M:%S}",
            f"{moment:%Y-%m-%dT%H:%M:%S}Z",
            int((moment - EPOCH).total_seconds()),
        ]
        if not moment.second:
            texts.append(f"{moment:%Y-%m-%dT%H:%M}")
        # At noon, a Julian day is a whole number, which SQLite keeps as an integer: seconds since 1970.
        if moment.hour in (0, 6, 18) and not moment.minute and not moment.second:
            texts.append((moment - EPOCH) / timedelta(days=1) + 2_440_587.5)
    if (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        texts.append(f"{moment:%Y-%m-%d}")
    return texts


MOMENTS = st.one_of(
    st.integers(0, 2 * 24).map(lambda hours: START + timedelta(hours=hours)),
    st.integers(0, 10**6).map(lambda some: START + timedelta(days=some % 3, microseconds=some * 7)),
    st.integers(0, 20).map(lambda halves: START + timedelta(seconds=halves / 2)),
)
STORED = MOMENTS.flatmap(lambda moment: st.tuples(st.just(moment), st.sampled_from(forms(moment))))


def added(batches: list[list[tuple[int, Any]]]) -> list[list[int]]:
    """Return the rows that each call adds: those above the largest value of the calls before."""
    above, calls = None, []
    for batch in batches:
        calls.append([number for number, value in batch if above is None or value > above])
        above = max(value for _, value in [*batch, *([] if above is None else [(0, above)])])
    return calls


@pytest.mark.parametrize("declared", ["DATETIME", "TIMESTAMP", "", "TEXT"])
@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 2}], ids=["whole", "partitions"])
@settings(max_examples=8)
@given(batches=st.lists(st.lists(STORED, min_size=1, max_size=6), min_size=1, max_size=4))
def test_datetimes_of_any_form_come_once(
    declared: str, split: dict[str, Any], batches: list[list[tuple[datetime, Any]]]
) -> None:
    """Each call adds the rows above the largest moment so far, whatever text or number stands for a moment."""
    with TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/x.db", isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, at {declared})")
        connection.close()
        overrides = None if declared in ("DATETIME", "TIMESTAMP") else {"at": pl.Datetime("us")}
        numbered: list[list[tuple[int, datetime]]] = []
        count = 0
        for batch in batches:
            with closing(sqlite3.connect(f"{folder}/x.db", isolation_level=None)) as writer:
                numbered.append([])
                for moment, stored in batch:
                    # A TEXT column would keep a number as text, which is no date any more.
                    text = (
                        f"{moment:%Y-%m-%d %H:%M:%S}" if declared == "TEXT" and not isinstance(stored, str) else stored
                    )
                    writer.execute("INSERT INTO t VALUES (?, ?)", (count, text))
                    numbered[-1].append((count, moment))
                    count += 1
            extract(
                f"sqlite://{folder}/x.db",
                "SELECT * FROM t",
                f"{folder}/out",
                since="at",
                schema_overrides=overrides,
                **split,
            )
            read = pl.read_parquet(f"{folder}/out/*.parquet").rows()
            moments = dict(row for batch in numbered for row in batch)
            assert all(moments[number] == moment for number, moment in read)
            expected = [number for call in added(numbered) for number in call]
            assert sorted(number for number, _ in read) == sorted(expected)


@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 3}], ids=["whole", "partitions"])
@pytest.mark.parametrize(
    ("declared", "override", "values", "expected"),
    [
        # Three times of one day, in two forms.
        ("DATETIME", None, ["2024-01-01T08:00:00", "2024-01-01 09:00:00", "2024-01-01 12:00:00"], 3),
        ("DATETIME", None, ["2024-01-01 08:00:00Z", "2024-01-01 08:00:00.5Z", "2024-01-01 08:00:00.25"], 3),
        ("TIMESTAMP", None, ["2024-01-01 23:00:00-05:00", "2024-01-02 01:00:00", "2024-01-02 03:00:00+05:30"], 3),
        ("DATETIME", None, [1_704_067_200, "2023-01-01 00:00:00", 2_460_311.5], 3),
        ("DATE", None, ["2024-01-03", 1_704_067_200, "2024-01-02T00:00:00Z"], 3),
        ("", pl.Datetime("us"), ["2024-01-01T08:00:00", "2024-01-01 12:00:00", 1_704_067_200], 3),
        ("TEXT", pl.Int64(), ["9", "10", "100"], 3),
        ("TEXT", pl.Decimal(10, 2), ["9.5", "10.25", "-3"], 3),
        ("NUMERIC", pl.Decimal(10, 2), [9.5, 10, "10.25"], 3),
        ("INTEGER", None, [9, 10, 2**62], 3),
        ("", pl.Int64(), [9, 10, -1], 3),
    ],
)
def test_all_rows_come_in_whatever_form_the_largest_value_is(  # noqa: PLR0913, PLR0917, rows of a table and fixtures
    sqlite_file: SqliteFile,
    tmp_path: Path,
    split: dict[str, Any],
    declared: str,
    override: pl.DataType | None,
    values: list[Any],
    expected: int,
) -> None:
    """The first call reads every row, whatever form the largest value has, and the next call adds none."""
    connection = sqlite_file.connection
    connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, at {declared})")
    connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(values))
    overrides = None if override is None else {"at": override}

    def call() -> int:
        done = extract(
            sqlite_file.uri, "SELECT * FROM t", tmp_path / "x", since="at", schema_overrides=overrides, **split
        )
        return done.rows

    assert call() == expected
    assert call() == expected


@pytest.mark.parametrize(
    ("declared", "values", "error"),
    [
        ("DATETIME", ["2024-01-01", "soon"], TypeConversionError),
        ("DATE", ["2024-01-01", "2023-12-31 12:00:00"], TypeConversionError),
        ("INTEGER", [1, 10.5], TypeConversionError),
        ("INTEGER", [10, 1.5], TypeConversionError),
        ("INTEGER", [1, "x"], TypeConversionError),
        ("", [11, 1.5], ConfigurationError),
        ("", [9, "10"], ConfigurationError),
        ("", [2**53 + 1, 0.5], ConfigurationError),
        ("TIME", ["12:00", "13:00"], ConfigurationError),
        ("DECIMAL(10,2)", [1.5, 2], ConfigurationError),
    ],
)
def test_a_column_without_one_order_is_refused(
    sqlite_file: SqliteFile, tmp_path: Path, declared: str, values: list[Any], error: type[IndustryDbError]
) -> None:
    """A column whose values have no common order is refused before a file is written."""
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, at {declared})")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(values))
    with pytest.raises(error, match="at"):
        extract(sqlite_file.uri, "SELECT * FROM t", tmp_path / "x", since="at")
    assert not list((tmp_path / "x").glob("*.parquet"))


@pytest.mark.parametrize(
    ("declared", "override", "rows"),
    [
        ("text", pl.Int64(), [["9", "10"], ["100"]]),
        ("text", pl.Date(), [["2024-01-01", "2023-12-31"], ["2024-02-01"]]),
        ("numeric(10, 2)", pl.Decimal(20, 2), [[Decimal("9.50"), Decimal("10.25")], [Decimal("100.00")]]),
        ("timestamptz", None, [["2024-01-01 12:00+14", "2024-01-01 00:00-08"], ["2024-01-01 09:00Z"]]),
        ("date", None, [[date(1, 1, 1), date(9999, 1, 1)], [date(9999, 12, 31)]]),
        ("float8", pl.Decimal(20, 2), [[9.5, 10.25], [100.0]]),
    ],
)
def test_rows_since_of_postgresql_come_in_the_order_that_they_are_read_in(  # noqa: PLR0913, PLR0917, rows of a table and fixtures
    postgres: psycopg.Connection,
    postgres_uri: str,
    tmp_path: Path,
    declared: str,
    override: pl.DataType | None,
    rows: list[list[Any]],
) -> None:
    """No row is lost where `schema_overrides` change the order: texts read as numbers are compared as numbers."""
    postgres.execute("DROP TABLE IF EXISTS in_order")
    postgres.execute(f"CREATE TABLE in_order (i serial, at {declared})")
    count = 0
    for batch in rows:
        for value in batch:
            postgres.execute(f"INSERT INTO in_order (at) VALUES (%s::{declared})", [value], prepare=False)
            count += 1
        overrides = None if override is None else {"at": override}
        done = extract(postgres_uri, "SELECT * FROM in_order", tmp_path / "x", since="at", schema_overrides=overrides)
        assert done.rows == count


@pytest.mark.parametrize(
    ("declared", "override", "value"),
    [
        ("timestamp", None, "infinity"),
        ("date", None, "infinity"),
        ("numeric", pl.Decimal(20, 2), "NaN"),
        ("float8", pl.Decimal(20, 2), "NaN"),
    ],
)
def test_a_largest_value_without_a_number_is_refused_on_postgresql(  # noqa: PLR0913, PLR0917, rows of a table and fixtures
    postgres: psycopg.Connection,
    postgres_uri: str,
    tmp_path: Path,
    declared: str,
    override: pl.DataType | None,
    value: str,
) -> None:
    """A largest value of infinity or NaN is refused, since it would be above every later row."""
    postgres.execute("DROP TABLE IF EXISTS endless")
    postgres.execute(f"CREATE TABLE endless (at {declared})")
    postgres.execute("INSERT INTO endless VALUES (%s)", [value], prepare=False)
    with pytest.raises(TypeConversionError, match="at"):
        extract(
            postgres_uri,
            "SELECT * FROM endless",
            tmp_path / "x",
            since="at",
            schema_overrides=None if override is None else {"at": override},
        )


@pytest.mark.parametrize("declared", ["bigint unsigned", "decimal(20,0)"])
def test_rows_since_a_number_beyond_63_bits(mysql: Pymysql, mysql_uri: str, tmp_path: Path, declared: str) -> None:
    """A largest value that needs the 64th bit, as MySQL's unsigned integers may, is gone on from."""
    mysql.execute(f"CREATE TABLE grown (n {declared} PRIMARY KEY)")
    try:
        for step in ([1, 2**63 - 1], [2**63], [2**63 + 1, 2**64 - 2], [], [2**64 - 1], []):
            for number in step:
                mysql.execute("INSERT INTO grown VALUES (%s)", [number])
            extract(mysql_uri, "SELECT n FROM grown", tmp_path, since="n")
            found = [int(n) for file in tmp_path.glob("*.parquet") for n in pl.read_parquet(file)["n"]]
            assert sorted(found) == [n for (n,) in mysql.execute("SELECT n FROM grown ORDER BY n")]
    finally:
        mysql.execute("DROP TABLE grown")


def test_zones_are_brought_to_utc() -> None:
    """The forms of the tests above mean the same moment in Python."""
    for form in forms(START):
        if isinstance(form, str) and len(form) > 10:
            found = datetime.fromisoformat(form)
            assert (found.astimezone(timezone.utc).replace(tzinfo=None) if found.tzinfo else found) == START
