"""Settings of the session, by a user's statements or a role, change no value silently and end no read."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any, TypeVar

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import Connection, IndustryDbError
from tests.kit.servers import Server
from tests.kit.support import eventually, with_options

# Settings of a session. A side that ignores them takes the other side's texts for other values.
SETTINGS = {
    "latin1": "SET client_encoding = 'LATIN1'",
    "win1252": "SET NAMES 'WIN1252'",
    "latin1_by_function": "SELECT set_config('client_encoding', 'LATIN1', false)",
    "date_style": "SET DateStyle = 'SQL, DMY'",
    "date_style_german": "SET DateStyle = 'German'",
    "interval_style": "SET IntervalStyle = 'iso_8601'",
    "interval_style_standard": "SET IntervalStyle = 'sql_standard'",
    "strings_with_escapes": "SET standard_conforming_strings = off",
    "time_zone": "SET TimeZone = 'America/St_Johns'",
    "float_digits": "SET extra_float_digits = -15",
    "bytea_output": "SET bytea_output = 'escape'",
}
each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)

# Values whose text depends on a setting, most of them of types that are read as text, and the expected values.
VALUES = {
    "'grüße'": "grüße",
    "length('ü')": 1,
    "chr(195) || chr(188)": "Ã¼",
    "ARRAY[chr(195) || chr(188)]": ["Ã¼"],
    "json_build_array(chr(195) || chr(188))": '["Ã¼"]',
    "ROW(chr(195) || chr(188))": "(Ã¼)",
    "ARRAY[daterange('2024-02-01', '2024-03-04')]": ["[2024-02-01,2024-03-04)"],
    "daterange('2024-02-01', '2024-03-04')": "[2024-02-01,2024-03-04)",
    "point(0.1, 1e-7)": "(0.1,1e-07)",
    "interval '1 month -2 days'": "1 mon -2 days",
    "ROW(interval '1 month -2 days')": '("1 mon -2 days")',
    "ROW(decode('00ff', 'hex'))": '("\\\\x00ff")',
    "ROW('2024-02-01'::date, 0.1::float8 + 0.2::float8)": "(2024-02-01,0.30000000000000004)",
}

READS: dict[str, dict[str, Any]] = {
    "whole": {},
    "by_key": {"partition_on": "i", "partitions": 2},
    "without_snapshot": {"snapshot": False},
    "parameters": {"params": [0]},
    "parameters_without_snapshot": {"params": [0], "snapshot": False},
}


T = TypeVar("T")


def result(setting: str, call: Callable[[], T]) -> T | None:
    """Return a call's result, or `None` if it raises, as it may with settings of encodings and string literals."""
    if not any(name in setting for name in ("client_encoding", "NAMES", "standard_conforming_strings")):
        return call()
    try:
        return call()
    except (IndustryDbError, pl.exceptions.ComputeError):  # the latter is what Polars makes of a scan's error
        return None


@each_setting
@pytest.mark.parametrize("arguments", READS.values(), ids=READS)
def test_a_preparation_changes_no_value(postgres_uri: str, arguments: dict[str, Any], setting: str) -> None:
    """A setting by `pre_execution_query` changes no value, or the read raises."""
    condition = " WHERE i > $1" if "params" in arguments else ""
    for sql, expected in VALUES.items():
        query = f"SELECT i, {sql} AS v FROM generate_series(1, 2) AS i{condition}"

        def read(query: str = query) -> pl.DataFrame:
            frame: pl.DataFrame = industrydb.read_sql(postgres_uri, query, pre_execution_query=setting, **arguments)
            return frame

        frame = result(setting, read)
        assert frame is None or frame["v"].to_list() == [expected] * 2, sql


ORDERS = ["SQL, DMY", "ISO, MDY", "ISO, YMD", "German"]


@pytest.mark.parametrize("arguments", READS.values(), ids=READS)
@pytest.mark.parametrize("style", ORDERS)
def test_days_and_months_are_read_in_the_order_of_the_database(
    postgres: psycopg.Connection, postgres_uri: str, style: str, arguments: dict[str, Any]
) -> None:
    """Texts are cast to dates in the database's order of day and month, set by default or by `pre_execution_query`."""
    condition = " WHERE i > $1" if "params" in arguments else ""
    text = "2024/02/03" if style == "ISO, YMD" else "02/03/2024"
    query = f"SELECT i, '{text}'::date AS d, ('{text}'::text)::timestamp AS t FROM generate_series(1, 2) AS i"
    with postgres.transaction():
        postgres.execute(f"SET LOCAL DateStyle = '{style}'")
        expected = postgres.execute(query.encode()).fetchall()
    database = postgres.info.dbname
    postgres.execute(f"ALTER DATABASE {database} SET DateStyle = '{style}'".encode())
    try:
        by_default = industrydb.read_sql(postgres_uri, query + condition, **arguments)
    finally:
        postgres.execute(f"ALTER DATABASE {database} RESET DateStyle".encode())
    assert by_default.rows() == expected
    setting = f"SET DateStyle = '{style}'"
    assert (
        industrydb.read_sql(postgres_uri, query + condition, pre_execution_query=setting, **arguments).rows()
        == expected
    )


def test_a_query_that_changes_the_encoding(postgres_uri: str) -> None:
    """A query that changes the encoding while its rows are sent has the right texts, or raises."""
    query = "SELECT set_config('client_encoding', 'LATIN1', true) AS s, 'Ã¼' AS v UNION ALL SELECT 'LATIN1', 'Ã¼'"
    frame = result("client_encoding", lambda: industrydb.read_sql(postgres_uri, query))
    assert frame is None or frame["v"].to_list() == ["Ã¼"] * 2


KEYS = {
    "t": "'\\' || i || 'ü'",
    "d": "'2024-01-01'::date + i",
    "z": "'2024-01-01 00:00:00+00'::timestamptz + i * interval '1 hour'",
    "f": "i / 7::float8",
    "b": "decode(lpad(to_hex(i), 8, '0'), 'hex')",
    "v": "i * interval '-1 hour'",
}


@pytest.fixture(scope="module")
def keyed(postgres: psycopg.Connection) -> None:
    """Create a table with a key of each type whose literals or texts depend on settings."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql in KEYS.items())
    postgres.execute("DROP TABLE IF EXISTS keyed")
    postgres.execute(f"CREATE TABLE keyed AS SELECT i, {columns} FROM generate_series(1, 500) AS i".encode())


@each_setting
@pytest.mark.usefixtures("keyed")
def test_a_preparation_moves_no_cut(postgres_uri: str, setting: str) -> None:
    """Every row comes once under each setting, whatever the type of the key, or the read raises."""
    for key in KEYS:

        def read(key: str = key) -> list[int]:
            frame = industrydb.read_sql(
                postgres_uri, f"SELECT i, {key} FROM keyed", partition_on=key, partitions=4, pre_execution_query=setting
            )
            return sorted(frame["i"])

        assert result(setting, read) in (None, list(range(1, 501))), key


# Conditions that are true of the seventh row only.
FILTERS = {
    "text": pl.col("t") == "\\7ü",
    "date": pl.col("d") == date(2024, 1, 8),
    "datetime": pl.col("z") == datetime(2024, 1, 1, 7, tzinfo=timezone.utc),
    "float": pl.col("f") == 1.0,
    "binary": pl.col("b") == b"\0\0\0\7",
    "duration": pl.col("v") == timedelta(hours=-7),
}


@each_setting
@pytest.mark.usefixtures("keyed")
def test_a_preparation_changes_no_filter(postgres_uri: str, setting: str) -> None:
    """A scan's filter in the database finds the same row under each setting, or the scan raises."""
    for name, condition in FILTERS.items():

        def read(condition: pl.Expr = condition) -> list[int]:
            scan = industrydb.scan_sql(postgres_uri, "SELECT * FROM keyed", pre_execution_query=setting)
            return scan.filter(condition).select("i").collect()["i"].to_list()

        assert result(setting, read) in (None, [7]), name


@pytest.fixture
def kept(postgres: psycopg.Connection) -> psycopg.Connection:
    """Create a table with one row, for a connection to write into."""
    postgres.execute("DROP TABLE IF EXISTS kept")
    postgres.execute("CREATE TABLE kept (t text PRIMARY KEY, d date, v interval, z timestamptz, b bytea)")
    postgres.execute("INSERT INTO kept (t) VALUES ('old ü')")
    return postgres


ROW: dict[str, Any] = {
    "t": "ü \\ ½",
    "d": date(2024, 2, 1),
    "v": timedelta(days=-1, seconds=30),
    "z": datetime(2024, 2, 1, 3, tzinfo=timezone.utc),
    "b": b"\\a\0\xff",
}

INSERTED = "INSERT INTO kept VALUES ($1, $2, $3, $4, $5)"

# Each writes the row once; an update writes it in place of the old one.
WRITES: dict[str, Callable[[Connection], object]] = {
    "insert": lambda connection: connection.insert("kept", [ROW]),
    "insert_ignore": lambda connection: connection.insert("kept", [ROW], on_conflict="ignore"),
    "insert_replace": lambda connection: connection.insert("kept", [ROW], on_conflict="replace"),
    "parameters": lambda connection: connection.execute(INSERTED, list(ROW.values())),
    "update": lambda connection: connection.update("kept", ROW, where={"t": "old ü"}),
    "update_by_parameter": lambda connection: connection.update("kept", ROW, where="t = $1", params=["old ü"]),
}


@each_setting
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_statement_before_changes_nothing_that_is_written(
    kept: psycopg.Connection, postgres_uri: str, write: Callable[[Connection], object], setting: str
) -> None:
    """After a setting, a write stores exactly the given row, as psycopg reads it, or raises and stores nothing."""
    with Connection(postgres_uri) as connection:
        result(setting, lambda: connection.execute(setting))
        written = result(setting, lambda: write(connection))
    rows = kept.execute("SELECT t, d, v, z, b FROM kept WHERE d IS NOT NULL OR t <> 'old ü'").fetchall()
    assert rows == ([] if written is None else [tuple(ROW.values())])


@each_setting
def test_a_statement_before_changes_no_condition(kept: psycopg.Connection, postgres_uri: str, setting: str) -> None:
    """After a setting, a condition finds and deletes only the row that it names, or raises."""
    kept.execute(
        "INSERT INTO kept VALUES (%s, %s, %s, %s, %s), ('Ã¼ \\ Â½', null, null, null, null)", list(ROW.values())
    )
    with Connection(postgres_uri) as connection:
        result(setting, lambda: connection.execute(setting))
        for name, value in ROW.items():

            def select(name: str = name, value: object = value) -> list[date]:
                return connection.select("kept", ["d"], where={name: value})["d"].to_list()

            assert result(setting, select) in (None, [ROW["d"]]), name
        length = result(setting, lambda: connection.execute("SELECT length($1::text) AS n", ["ü"]).item())
        assert length in (None, 1)
        deleted = result(setting, lambda: connection.delete("kept", where={"t": ROW["t"]}))
    rows = {text for (text,) in kept.execute("SELECT t FROM kept").fetchall()}
    assert rows == {"old ü", "Ã¼ \\ Â½"} | (set() if deleted else {ROW["t"]})


def test_an_encoding_among_the_options(kept: psycopg.Connection, postgres_uri: str) -> None:
    """An encoding among the URI's options changes no text that is written or read."""
    uri = with_options(postgres_uri, options="-c client_encoding=LATIN1")
    assert industrydb.write_sql([ROW], "kept", uri, if_exists="append") == 1
    texts = {text for (text,) in kept.execute("SELECT t FROM kept").fetchall()}
    assert texts == {"old ü", ROW["t"]}
    assert set(industrydb.read_sql(uri, "SELECT t FROM kept")["t"]) == texts


LIMITS = ["idle_in_transaction_session_timeout", "transaction_timeout"]
LIMIT_MS = 300


@pytest.fixture
def limited(own_server: Server, postgres: psycopg.Connection, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URI of a role with a time limit on transactions."""
    postgres.execute("CREATE ROLE limited LOGIN")
    postgres.execute(f"ALTER ROLE limited SET {request.param} = '{LIMIT_MS}ms'".encode())
    yield own_server.uri.replace("postgres@", "limited@", 1)
    postgres.execute("DROP ROLE limited")


@pytest.mark.parametrize("limited", LIMITS, indirect=True)
@pytest.mark.parametrize("max_connections", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 1000], ids=["waiting_sessions", "sending_sessions"])
def test_a_consumer_that_takes_its_time(
    postgres: psycopg.Connection, limited: str, max_connections: int, width: int
) -> None:
    """A role's time limit on transactions does not end a read that waits for its batches to be taken."""

    def is_over() -> bool:
        recent = "SELECT FROM pg_stat_activity WHERE usename = 'limited' AND state_change > clock_timestamp() - %s"
        return not postgres.execute(recent, [timedelta(milliseconds=2 * LIMIT_MS)]).fetchall()

    with industrydb.read_sql_batches(
        limited,
        f"SELECT i, repeat('x', {width}) AS v FROM generate_series(1, 8000) AS i",
        partition_on="i",
        partitions=4,
        max_connections=max_connections,
        batch_size=100,
    ) as reader:
        first = next(reader)
        eventually(is_over)
        frame = pl.concat([first, *reader])
    assert sorted(frame["i"]) == list(range(1, 8001))
