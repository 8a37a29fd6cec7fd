"""Tests that values are written to the columns of their names, in the table that is named, and in its types."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import industrydb
from industrydb import ConfigurationError, Connection, QueryExecutionError, TypeConversionError
from tests.kit.support import SqliteFile, eventually, sessions, sqlite_database, with_options

# The columns of a table, all of one type: nothing but the name tells to which column a value belongs.
COLUMNS = ["a", "B c", 'd"e', "id", "é`]"]
CREATE = 'CREATE TABLE placed ("a" int, "B c" int, "d""e" int DEFAULT 7, "id" int, "é`]" int DEFAULT 8)'
DEFAULTS = {'d"e': 7, "é`]": 8}

Ask = Callable[[str], list[Any]]


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def placed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ask]]:
    """Make the table; yield the database's URI, and a function that runs SQL by an independent driver."""
    if request.param == "postgresql":
        uri = request.getfixturevalue("postgres_uri")
        with psycopg.connect(uri, autocommit=True) as server:
            server.execute(CREATE)
            yield uri, lambda sql: _rows(server.execute(sql.encode()))
            server.execute("DROP TABLE placed")
    else:
        with sqlite_database(tmp_path_factory.mktemp("placed")) as file:
            file.execute(CREATE)
            yield file.uri, file.execute


def _rows(cursor: Any) -> list[Any]:  # noqa: ANN401, a cursor of either driver
    return cursor.fetchall() if cursor.description else []


def insert(uri: str, data: dict[str, list[int | None]]) -> int:
    """Insert a dict of columns."""
    with Connection(uri) as connection:
        return connection.insert("placed", data)


def insert_rows(uri: str, data: dict[str, list[int | None]]) -> int:
    """Insert dicts, the second of which has its columns in the opposite order."""
    rows = pl.DataFrame(data, schema=dict.fromkeys(data, pl.Int64)).to_dicts()
    with Connection(uri) as connection:
        return connection.insert("placed", [rows[0], *(dict(reversed(row.items())) for row in rows[1:])])


def insert_new(uri: str, data: dict[str, list[int | None]]) -> int:
    """Insert rows that may conflict, which go through a temporary table on PostgreSQL."""
    with Connection(uri) as connection:
        return connection.insert("placed", pl.DataFrame(data), on_conflict="ignore")


def append(uri: str, data: dict[str, list[int | None]]) -> int:
    """Append a frame to the existing table."""
    return industrydb.write_sql(pl.DataFrame(data).lazy(), "placed", uri, if_exists="append")


@st.composite
def some_columns(draw: st.DrawFn) -> dict[str, list[int | None]]:
    """Draw two rows of some columns in some order, the second with a NULL."""
    order = draw(st.permutations(COLUMNS))[: draw(st.integers(1, len(COLUMNS)))]
    number = st.integers(-(2**31), 2**31 - 1)
    null = draw(st.sampled_from([None, *order]))
    return {name: [draw(number), None if name == null else draw(number)] for name in order}


@pytest.mark.parametrize("way", [insert, insert_rows, insert_new, append])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some_columns())
def test_columns_find_their_places_by_name(
    placed: tuple[str, Ask],
    way: Callable[[str, dict[str, list[int | None]]], int],
    data: dict[str, list[int | None]],
) -> None:
    """Columns of the data may be in any order; missing ones get their defaults, and NULLs stay NULL."""
    uri, ask = placed
    ask("DELETE FROM placed")
    assert way(uri, data) == 2
    expected = [tuple(data[name][row] if name in data else DEFAULTS.get(name) for name in COLUMNS) for row in (0, 1)]
    assert sorted(ask("SELECT * FROM placed"), key=repr) == sorted(expected, key=repr)


CUT = "t" * 63
LONG = "t" * 70 + "zzz"


@pytest.fixture
def cut(postgres: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Make a table, a column and a schema, with names to which the server would cut longer ones."""
    postgres.execute(f"CREATE TABLE {CUT} ({CUT} int)".encode())
    postgres.execute(f"INSERT INTO {CUT} VALUES (1)".encode())
    postgres.execute(f"CREATE SCHEMA s{CUT[1:]}".encode())
    yield postgres
    postgres.execute(f"DROP TABLE {CUT}".encode())
    postgres.execute(f"DROP SCHEMA s{CUT[1:]} CASCADE".encode())


FRAME = pl.DataFrame({CUT: [2]})


@pytest.mark.parametrize(
    ("call", "name"),
    [
        *(
            (lambda _, uri, choice=choice: industrydb.write_sql(FRAME, LONG, uri, if_exists=choice), LONG)
            for choice in ("fail", "append", "replace")
        ),
        (lambda _, uri: industrydb.write_sql(FRAME.rename({CUT: LONG}), "new_table", uri), LONG),
        (lambda _, uri: industrydb.write_sql(FRAME, f"s{LONG}.new_table", uri), f"s{LONG}"),
        (lambda connection, _: connection.insert(LONG, FRAME), LONG),
        (lambda connection, _: connection.insert(LONG, FRAME, on_conflict="replace"), LONG),
        (lambda connection, _: connection.insert(CUT, {LONG: [1]}), LONG),
        (lambda connection, _: connection.select(LONG), LONG),
        (lambda connection, _: connection.select(CUT, columns=[LONG]), LONG),
        (lambda connection, _: connection.select(CUT, where={LONG: 1}), LONG),
        (lambda connection, _: connection.select(CUT, order_by=LONG), LONG),
        (lambda connection, _: connection.update(LONG, {CUT: 3}, all_rows=True), LONG),
        (lambda connection, _: connection.update(CUT, {LONG: 3}, all_rows=True), LONG),
        (lambda connection, _: connection.update(CUT, {CUT: 3}, where={LONG: 1}), LONG),
        (lambda connection, _: connection.delete(LONG, all_rows=True), LONG),
        (lambda connection, _: connection.delete(CUT, where={LONG: 1}), LONG),
        (lambda connection, _: connection.delete("é" * 32, all_rows=True), "é" * 32),
    ],
)
def test_names_that_the_server_would_cut_are_refused(
    cut: psycopg.Connection, postgres_uri: str, call: Callable[[Connection, str], object], name: str
) -> None:
    """A name that the server would cut is refused before anything runs; the table of the shorter name is unchanged."""
    length = len(name.encode())
    with (
        Connection(postgres_uri) as connection,
        pytest.raises(ConfigurationError, match=f'name "{name}" has {length} bytes.* 63'),
    ):
        call(connection, postgres_uri)
    assert cut.execute(f"SELECT * FROM {CUT}".encode()).fetchall() == [(1,)]
    assert cut.execute("SELECT to_regclass('new_table')").fetchall() == [(None,)]


def test_names_of_just_the_limit_are_kept(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A name of 63 bytes, whatever its number of characters, is kept whole."""
    name = "é" * 31 + "x"
    assert industrydb.write_sql({name: [1]}, name, postgres_uri) == 1
    with Connection(postgres_uri) as connection:
        assert connection.update(name, {name: 2}, where={name: 1}) == 1
        assert connection.select(name, columns=[name], order_by=name).to_dict(as_series=False) == {name: [2]}
    assert postgres.execute(f'SELECT "{name}" FROM "{name}"'.encode()).fetchall() == [(2,)]
    postgres.execute(f'DROP TABLE "{name}"'.encode())


def test_names_in_sqlite_have_any_length(sqlite_file: SqliteFile) -> None:
    """SQLite's names of any length are kept whole."""
    industrydb.write_sql({LONG * 9: [1]}, LONG * 9, sqlite_file.uri)
    industrydb.write_sql({"b": [2]}, LONG * 9 + "b", sqlite_file.uri, if_exists="replace")
    assert sqlite_file.execute(f"SELECT * FROM {LONG * 9}") == [(1,)]


NAME = "industrydb_altering"


@pytest.fixture
def altering(postgres_uri: str) -> Iterator[Connection]:
    """Yield a connection with an application name of its own."""
    with Connection(with_options(postgres_uri, application_name=NAME)) as connection:
        yield connection


@contextmanager
def altered_meanwhile(
    postgres: psycopg.Connection, uri: str, change: str, work: Callable[[], int]
) -> Iterator[Future[int]]:
    """Change a table in a transaction that is committed once `work`, in a thread, waits for the table's lock."""
    with psycopg.connect(uri) as other, ThreadPoolExecutor() as threads:
        other.execute(change.encode())
        future = threads.submit(work)
        eventually(lambda: future.done() or any(event == "relation" for _, event in sessions(postgres, NAME)))
        other.commit()
        yield future


PLAIN = "CREATE TABLE altered (v int, k int PRIMARY KEY)"
PARTITIONED = (
    "CREATE TABLE altered (v int, k int PRIMARY KEY) PARTITION BY RANGE (k);"
    "CREATE TABLE altered_1 PARTITION OF altered FOR VALUES FROM (0) TO (10);"
)


RETYPED = "ALTER TABLE altered ALTER v TYPE real"
SWAPPED = "ALTER TABLE altered RENAME TO old; CREATE TABLE altered (v real, k int PRIMARY KEY); DROP TABLE old"


@pytest.mark.parametrize("table", [(PLAIN, RETYPED), (PLAIN, SWAPPED), (PARTITIONED, RETYPED), (PARTITIONED, SWAPPED)])
@pytest.mark.parametrize("how", [("error", False), ("error", True), ("ignore", False), ("replace", False)])
def test_values_are_of_the_types_that_the_table_has_when_they_come(
    postgres: psycopg.Connection, postgres_uri: str, altering: Connection, table: tuple[str, str], how: tuple[Any, bool]
) -> None:
    """Values are sent in the types that a table has once its lock is held: an integer's bytes are no float's."""
    create, change = table
    on_conflict, begins = how
    postgres.execute(create.encode())
    if begins:
        altering.execute("BEGIN")

    def work() -> int:
        return altering.insert("altered", {"k": [1], "v": [50006]}, on_conflict=on_conflict)

    with altered_meanwhile(postgres, postgres_uri, change, work) as future:
        assert future.result() == 1
    with pytest.raises(TypeConversionError, match=r'"v" \(real\), row 1: 16777217'):
        altering.insert("altered", {"k": [2], "v": [16_777_217]}, on_conflict=on_conflict)
    if begins:
        altering.execute("COMMIT")
    assert postgres.execute("SELECT v, k FROM altered").fetchall() == [(50006.0, 1)]
    postgres.execute("DROP TABLE altered")


def test_a_table_altered_behind_the_snapshot_is_refused(
    postgres: psycopg.Connection, postgres_uri: str, altering: Connection
) -> None:
    """An insert in a snapshot from before a change of the table's types is refused; a new transaction can insert."""
    postgres.execute(PLAIN)
    altering.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    altering.execute("SELECT 1")
    with psycopg.connect(postgres_uri) as other:
        other.execute("ALTER TABLE altered ALTER v TYPE real")
    with pytest.raises(
        QueryExecutionError, match=r'"v" of table altered is integer .* snapshot, and real since'
    ) as error:
        altering.insert("altered", {"k": [1], "v": [50006]})
    assert error.value.code is None
    altering.execute("COMMIT")
    assert altering.insert("altered", {"k": [1], "v": [50006]}) == 1
    assert postgres.execute("SELECT v FROM altered").fetchall() == [(50006.0,)]
    postgres.execute("DROP TABLE altered")


def test_whoever_may_insert_can_insert(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The right to insert is enough for some columns, a view and a partitioned table, even to lock the table."""
    postgres.execute(
        "CREATE ROLE inserting; CREATE DOMAIN above_zero AS int CHECK (VALUE > 0);"
        "CREATE TABLE granted (id int GENERATED ALWAYS AS IDENTITY, v above_zero, w int, kind char(3));"
        "CREATE VIEW shown AS SELECT v, w FROM granted;"
        "CREATE TABLE parts (v above_zero, w int) PARTITION BY LIST (w); CREATE TABLE part PARTITION OF parts DEFAULT;"
        "GRANT INSERT (v, kind) ON granted TO inserting; GRANT INSERT ON shown, parts TO inserting"
    )
    try:
        with Connection(postgres_uri) as connection:
            connection.execute("SET ROLE inserting")
            assert connection.insert("granted", {"kind": ["abc"], "v": [1]}) == 1
            assert connection.insert("shown", {"w": [2], "v": [3]}) == 1
            assert connection.insert("parts", {"w": [4], "v": [5]}) == 1
            with pytest.raises(QueryExecutionError, match="permission denied"):
                connection.insert("granted", {"w": [1]})
            connection.execute("RESET ROLE")
            assert connection.insert("granted", {"w": [6], "id": [9]}) == 1
        rows = postgres.execute("SELECT id, v, w, kind FROM granted ORDER BY v").fetchall()
        assert rows == [(1, 1, None, "abc"), (2, 3, 2, None), (9, None, 6, None)]
        assert postgres.execute("SELECT v, w FROM parts").fetchall() == [(5, 4)]
    finally:
        postgres.execute("DROP TABLE granted, parts CASCADE; DROP DOMAIN above_zero; DROP ROLE inserting")


def test_a_failed_transaction_says_so(altering: Connection) -> None:
    """An insert in a failed transaction raises PostgreSQL's own error, and none about a missing savepoint."""
    altering.execute("CREATE TEMP TABLE own (v int)")
    altering.execute("BEGIN")
    with pytest.raises(QueryExecutionError):
        altering.execute("SELECT 1 / 0")
    with pytest.raises(QueryExecutionError, match="aborted") as error:
        altering.insert("own", {"v": [1]})
    assert error.value.code == "25P02"
    altering.execute("ROLLBACK")
    assert altering.insert("own", {"v": [1]}) == 1


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("begins", [False, True])
def test_a_table_of_sqlite_that_others_made_anew_is_looked_at_anew(tmp_path: Path, mode: str, *, begins: bool) -> None:
    """A table that another process has made anew is looked up again, since its types decide a text's value."""
    file = tmp_path / "made.db"

    def change(sql: str) -> None:
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
        subprocess.run([sys.executable, "-c", code, file, sql], check=True)

    change(f"PRAGMA journal_mode = {mode}; CREATE TABLE altered (v TEXT)")
    with Connection(f"sqlite://{file}") as connection:
        assert connection.insert("altered", {"v": ["007"]}) == 1
        change("DROP TABLE altered; CREATE TABLE altered (w TEXT, v INTEGER)")
        if begins:
            connection.execute("BEGIN")
        with pytest.raises(TypeConversionError, match=r'"v" \(INTEGER\), row 1: "007"'):
            connection.insert("altered", {"v": ["007"]})
        assert connection.insert("altered", {"v": [7], "w": ["x"]}) == 1
        if begins:
            connection.execute("COMMIT")
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT w, v FROM altered").fetchall() == [("x", 7)]
