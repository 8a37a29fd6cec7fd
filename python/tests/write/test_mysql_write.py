"""Writes into MariaDB, where rows are loaded from memory and where they are inserted: exactly, and all or nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConstraintViolationError,
    IndustryDbError,
    QueryExecutionError,
    TypeConversionError,
)
from tests.kit.mariadb import MariaDb, Pymysql
from tests.kit.support import PATIENCE_S, eventually

UTC = timezone.utc


@pytest.fixture
def other(server: MariaDb) -> Iterator[Pymysql]:
    """Connect with pymysql in UTC, and drop all tables afterwards."""
    with closing(Pymysql(server.uri, init_command="SET time_zone = '+00:00'")) as connection:
        yield connection
        connection.execute("SET foreign_key_checks = 0")
        for (table,) in connection.execute("SHOW TABLES"):
            connection.execute(f"DROP TABLE IF EXISTS `{table}`")


@pytest.fixture
def connection(server: MariaDb, other: Pymysql) -> Iterator[Connection]:  # noqa: ARG001, which drops the tables after
    """Connect to the server."""
    with Connection(server.uri) as connected:
        yield connected


# Declared types, and values whose like pymysql reads.
VALUES: list[tuple[str, pl.Series]] = [
    ("tinyint", pl.Series([-128, 127, None], dtype=pl.Int8)),
    ("tinyint(1)", pl.Series([True, False, None])),
    ("bigint", pl.Series([-(2**63), 2**63 - 1, None])),
    ("bigint unsigned", pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64)),
    ("mediumint", pl.Series([8388607.0, -8388608.0, None])),
    ("double", pl.Series([0.1, -5e-324, 1.7976931348623157e308, None])),
    (
        "decimal(38,10)",
        pl.Series([Decimal("-9999999999999999999999999999.0123456789"), None], dtype=pl.Decimal(38, 10)),
    ),
    ("double(10,2)", pl.Series([-0.07, 0.29, -12345678.91, None])),
    ("double(20,7)", pl.Series([-408617.5439399, 1234567890.0123458, None])),
    ("decimal(65,30)", pl.Series([Decimal("0.5"), Decimal(-3), None], dtype=pl.Decimal(20, 4))),
    ("decimal(20,0)", pl.Series([2**64 - 1, None], dtype=pl.UInt64)),
    ("year", pl.Series([1901, 2155, None], dtype=pl.Int16)),
    ("date", pl.Series([date(1, 1, 1), date(9999, 12, 31), None])),
    ("datetime(6)", pl.Series([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), None])),  # noqa: DTZ001
    ("time(6)", pl.Series([timedelta(hours=-838, microseconds=-1), timedelta(hours=838), timedelta(0), None])),
    ("varchar(30)", pl.Series(["", " a ", "tab\tline\nback\\slash\\N", "nul\0", "'\"`;--", "äöü☃😀", "NULL", None])),
    ("char(5) character set latin1", pl.Series(["é€", None])),
    ("longtext", pl.Series(["x" * 300_000, "\\" * 70_000, None])),
    ("json", pl.Series(['{"a": [1, "\\n"]}', None])),
    ("enum('a','b c','2')", pl.Series(["2", "b c", None])),
    ("set('a','b')", pl.Series(["a,b", "", None])),
    ("varbinary(300)", pl.Series([bytes(range(256)), b"", b"\\N\t\n", None])),
    ("longblob", pl.Series([b"\xff" * 300_000, None])),
    ("uuid", pl.Series(["6f9619ff-8b86-d011-b42d-00c04fc964ff", None])),
    ("inet6", pl.Series(["2001:db8::ff", None])),
]


@pytest.mark.parametrize(("declared", "values"), VALUES, ids=[declared for declared, _ in VALUES])
def test_values_are_written_exactly(connection: Connection, other: Pymysql, declared: str, values: pl.Series) -> None:
    """Each value is the same when pymysql reads it, and when industrydb does."""
    if declared in ("uuid", "inet6"):
        other.needs_mariadb("a type of MariaDB")
    other.execute(f"CREATE TABLE written (i int PRIMARY KEY, v {declared} NULL)")
    frame = pl.DataFrame({"i": range(len(values)), "v": values})
    assert connection.insert("written", frame) == frame.height
    found = [value for (value,) in other.execute("SELECT v FROM written ORDER BY i")]
    expected = values.to_list()
    assert found == expected
    read = connection.select("written", order_by="i")["v"]
    assert read.is_null().to_list() == values.is_null().to_list()
    if not declared.startswith(("decimal(65", "mediumint", "tinyint(1)", "year", "decimal(20")):
        assert read.to_list() == expected


def test_other_values_are_written_exactly(connection: Connection, other: Pymysql) -> None:
    """Floats of 32 bits, bits, points in time, times of the day and geometries are written exactly."""
    declared = "i int, f float, b bit(3), p timestamp(6) NULL, t time(3), g geometry"
    other.execute(f"CREATE TABLE written ({declared})")
    point = datetime(2024, 3, 31, 1, 30, 0, 1, tzinfo=UTC)
    # Extended well-known binary of a point in the reference system 4326.
    extended = bytes.fromhex("0101000020e6100000000000000000f03f0000000000000040")
    frame = pl.DataFrame(
        {
            "i": [1, 2],
            "f": pl.Series([0.1, 16777217.0], dtype=pl.Float32),
            "b": [5, None],
            "p": pl.Series([point, None]).dt.convert_time_zone("Asia/Tokyo"),
            "t": [time(23, 59, 59, 123000), None],
            "g": [extended, None],
        }
    )
    assert connection.insert("written", frame) == 2
    # MySQL prints the latitude first, which extended well-known binary has last.
    text = "ST_AsText(g)" if other.is_mariadb else "ST_AsText(g, 'axis-order=long-lat')"
    query = f"SELECT CAST(f AS double), b + 0, p, t, {text}, ST_SRID(g) FROM written WHERE i = 1"
    (row,) = other.execute(query)
    expected_time = timedelta(hours=23, minutes=59, seconds=59, milliseconds=123)
    assert row == (frame["f"][0], 5, point.replace(tzinfo=None), expected_time, "POINT(1 2)", 4326)
    assert connection.select("written", order_by="i")["g"].to_list() == [extended, None]


def test_a_single_empty_text_is_a_row(connection: Connection, other: Pymysql) -> None:
    """Rows of one column with empty texts are rows."""
    other.execute("CREATE TABLE written (v varchar(5))")
    assert connection.insert("written", {"v": ["", "a", "", None, ""]}) == 5
    assert sorted(str(value) for (value,) in other.execute("SELECT v FROM written")) == ["", "", "", "None", "a"]


# Messages of MySQL in place of MariaDB's.
OF_MYSQL = {"Incorrect string value": "Conversion from collation", "CONSTRAINT": "Invalid JSON"}

REFUSED: list[tuple[str, Any, str]] = [
    ("tinyint", 128, "128 is not among the integers"),
    ("int unsigned", -1, "-1 is not among"),
    ("year", 70, "70 is not among the years"),
    ("double", float("nan"), "fill_nan"),
    ("float", float("inf"), "fill_nan"),
    ("double(5,2)", float("nan"), "fill_nan"),
    ("double(5,2)", 1.005, "has more digits behind the point than"),
    ("float(5,2)", 1.005, "has more digits behind the point than"),
    ("decimal(5,2)", Decimal("1.005"), "has more digits"),
    ("decimal(5,2)", 1000, "has more digits"),
    ("datetime", datetime(2024, 1, 1, 0, 0, 0, 1), "is finer"),  # noqa: DTZ001
    ("time", timedelta(hours=839), "longer than 838:59:59"),
    ("enum('a','b')", "2", "is no value of the column"),
    ("varchar(3)", "abcd", "too long"),
    ("varchar(3) character set latin1", "☃", "Incorrect string value"),
    ("enum('a','b')", "c", "is no value of the column"),
    ("enum('a','b')", "A", "is no value of the column"),
    ("enum('a','b')", "a ", "is no value of the column"),
    ("set('a','b')", "a,B", "is no value of the column"),
    ("binary(3)", b"ab", "does not have the length of the column"),
    ("tinytext", "a" * 255 + "\t\n", "would lose the white space"),
    ("tinytext", "é" * 127 + "a\n", "would lose the white space"),
    ("tinytext character set latin1", "é" * 255 + "\n", "would lose the white space"),
    ("tinytext character set ucs2", "a" * 127 + "\n", "would lose the white space"),
    ("text", "é" * 32767 + "x\n", "would lose the white space"),
    ("json", "{", "CONSTRAINT"),
    ("int NOT NULL", None, "cannot be null"),
    ("int NOT NULL AUTO_INCREMENT, KEY (v)", None, "a value of its own"),
]


@pytest.mark.parametrize(("declared", "value", "message"), REFUSED, ids=[f"{row[0]} {row[1]}" for row in REFUSED])
def test_values_that_would_change_are_refused(
    connection: Connection, other: Pymysql, declared: str, value: Any, message: str  # noqa: ANN401
) -> None:  # fmt: skip
    """A value that the column would change is an error that names its row, and no row is kept.

    Where keys may be known, the rows that break a constraint are refused together, on their way from another table.
    """
    if not other.is_mariadb:
        message = OF_MYSQL.get(message, message)
    other.execute(f"CREATE TABLE refusing (i int PRIMARY KEY, v {declared})")
    good: Any = {int: 1, float: 1.0, str: "a", Decimal: Decimal(1), type(None): 1}.get(type(value), value)
    if isinstance(value, datetime):
        good = value.replace(microsecond=0)
    elif isinstance(value, timedelta):
        good = timedelta(0)
    elif declared in {"json", "year", "binary(3)"}:
        good = {"json": "{}", "year": 2000, "binary(3)": b"abc"}[declared]
    frame = pl.DataFrame({"i": range(1500), "v": pl.Series([*[good] * 1499, value])})
    for on_conflict in ("error", "ignore", "replace"):
        place = "" if message == "CONSTRAINT" and on_conflict != "error" else "row 1500.*"
        with pytest.raises(IndustryDbError, match=f"(?s){place}{message}"):
            connection.insert("refusing", frame, on_conflict=on_conflict)
        assert list(other.execute("SELECT count(*) FROM refusing")) == [(0,)]


def test_broken_constraints_are_refused(connection: Connection, other: Pymysql) -> None:
    """A row that breaks a constraint is an error that names constraint and row, and no row is kept."""
    other.execute("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1)")
    other.execute(
        "CREATE TABLE child (id int PRIMARY KEY, u int UNIQUE, p int, c int, CONSTRAINT positive CHECK (c > 0), "
        "CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id))"
    )
    good = pl.DataFrame({"id": range(3000), "u": range(3000), "p": [1] * 3000, "c": [1] * 3000})
    for column, value, code in [
        ("id", 5, "1062"),
        ("u", 5, "1062"),
        ("p", 2, "1452"),
        ("c", 0, "4025" if other.is_mariadb else "3819"),
    ]:
        bad = good.with_columns(pl.when(pl.col("id") == 2222).then(value).otherwise(column).alias(column))
        with pytest.raises(ConstraintViolationError, match="row 2223: ") as raised:
            connection.insert("child", bad)
        assert raised.value.code == code
        assert list(other.execute("SELECT count(*) FROM child")) == [(0,)]
        if code != "1062":
            # They are not what `on_conflict` is about.
            with pytest.raises(ConstraintViolationError):
                connection.insert("child", bad, on_conflict="ignore")
    with connection.transaction():
        connection.execute("INSERT INTO child VALUES (-1, -1, 1, 1)")
        with pytest.raises(ConstraintViolationError):
            connection.insert("child", bad)
        assert connection.insert("child", good) == 3000
    assert list(other.execute("SELECT count(*) FROM child")) == [(3001,)]


def test_zeros_and_generated_columns(connection: Connection, other: Pymysql) -> None:
    """A zero is no request for a key; columns that the server generates or hides keep their meaning."""
    other.execute(
        "CREATE TABLE made (id int AUTO_INCREMENT PRIMARY KEY, v int, twice int AS (v * 2) STORED, "
        "hidden int INVISIBLE DEFAULT 7, at timestamp(6) DEFAULT current_timestamp(6))"
    )
    assert connection.insert("made", {"id": [0, 5], "v": [1, 2]}) == 2
    assert connection.insert("made", {"v": [3]}) == 1
    assert connection.insert("made", {"id": [9], "v": [4], "hidden": [8]}) == 1
    rows = list(other.execute("SELECT id, v, twice, hidden, at > '2020-01-01' FROM made ORDER BY id"))
    assert rows == [(0, 1, 2, 7, 1), (5, 2, 4, 7, 1), (6, 3, 6, 7, 1), (9, 4, 8, 8, 1)]
    with pytest.raises(ConfigurationError, match=r'"twice" .* generated by the server'):
        connection.insert("made", {"v": [1], "twice": [2]})


def test_known_rows(connection: Connection, other: Pymysql) -> None:
    """Rows with known keys are left out by any unique key, or replaced by the primary key, and are counted."""
    other.execute("CREATE TABLE known (a int, b varchar(5), u int UNIQUE, v int DEFAULT 5, PRIMARY KEY (a, b))")
    connection.insert("known", {"a": [1, 1], "b": ["x", "y"], "u": [1, 2], "v": [1, 2]})
    new = {"a": [1, 2, 2, 3], "b": ["x", "z", "Z", "q"], "u": [9, 3, 4, 2], "v": [10, 20, 30, 40]}
    assert connection.insert("known", new, on_conflict="ignore") == 1
    assert list(other.execute("SELECT a, b, u, v FROM known ORDER BY a, b")) == [
        (1, "x", 1, 1),
        (1, "y", 2, 2),
        (2, "z", 3, 20),
    ]
    # The collation takes z and Z for one key: the last one counts.
    assert (
        connection.insert("known", {"a": [2, 2, 4], "b": ["Z", "z", "q"], "u": [4, 5, 6]}, on_conflict="replace") == 2
    )
    assert list(other.execute("SELECT a, b, u, v FROM known WHERE a > 1 ORDER BY a")) == [
        (2, "z", 5, 20),
        (4, "q", 6, 5),
    ]
    with pytest.raises(ConstraintViolationError):
        connection.insert("known", {"a": [7], "b": ["x"], "u": [1]}, on_conflict="replace")
    many = pl.DataFrame({"a": range(5000), "b": ["n"] * 5000, "u": range(100, 5100)})
    assert connection.insert("known", many, on_conflict="ignore") == 5000
    assert connection.insert("known", many, on_conflict="ignore") == 0
    assert connection.insert("known", many, on_conflict="replace") == 5000
    assert connection.insert("known", {"a": [1], "b": ["x"]}, on_conflict="ignore") == 0


def test_known_rows_of_careful_servers(connection: Connection, other: Pymysql) -> None:
    """Rows with known keys are sorted out where a table needs a primary key, and an update a condition."""
    other.execute("CREATE TABLE careful (industrydb_row int PRIMARY KEY, v int)")
    connection.execute("SET sql_safe_updates = 1")
    if not other.is_mariadb:
        connection.execute("SET SESSION sql_require_primary_key = ON")
    assert connection.insert("careful", {"industrydb_row": [1, 2, 2], "v": [10, 20, 21]}, on_conflict="ignore") == 2
    assert connection.insert("careful", {"industrydb_row": [2, 3], "v": [30, 40]}, on_conflict="replace") == 2
    assert list(other.execute("SELECT * FROM careful ORDER BY 1")) == [(1, 10), (2, 30), (3, 40)]
    assert connection.execute("SELECT @@sql_safe_updates AS safe").item() == 1
    other.execute("CREATE TABLE begun (v varchar(300), PRIMARY KEY (v(10)))")
    with pytest.raises(ConfigurationError, match='only the beginning of column "v", 10 long'):
        connection.insert("begun", {"v": ["x"]}, on_conflict="replace")


def test_settings_of_the_caller_come_back(connection: Connection, other: Pymysql) -> None:
    """An insert is exact whatever the caller has set, and leaves the settings as they were."""
    other.execute("CREATE TABLE exact (i int AUTO_INCREMENT PRIMARY KEY, p timestamp(6) NULL, t varchar(9))")
    mode = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"
    connection.execute(f"SET sql_mode = '{mode}'")
    point = datetime(2024, 1, 1, tzinfo=UTC)
    connection.insert("exact", {"i": [0], "p": [point], "t": ["a\\\t☃"]})
    assert list(other.execute("SELECT * FROM exact")) == [(0, point.replace(tzinfo=None), "a\\\t☃")]
    assert connection.execute("SELECT @@sql_mode AS m").item() == mode
    with pytest.raises(TypeConversionError):
        connection.insert("exact", {"i": [2**40]})
    assert connection.execute("SELECT @@sql_mode AS m").item() == mode


def test_tables_are_replaced_whole(server: MariaDb, other: Pymysql) -> None:
    """A table is replaced at once, or stays as it was with its rows; nothing is left beside it."""
    other.execute("CREATE TABLE `big table` (a int); INSERT INTO `big table` VALUES (1)")
    for data in ({"a": ["x", "\ud800"]}, {"a": [float("nan")]}, {"a" * 70: [1]}):
        with pytest.raises(Exception):  # noqa: B017, PT011, of several kinds
            industrydb.write_sql(data, "big table", server.uri, if_exists="replace")
        assert list(other.execute("SELECT * FROM `big table`")) == [(1,)]
    assert industrydb.write_sql({"b": ["ä☃😀"]}, "test.big table", server.uri, if_exists="replace") == 1
    assert list(other.execute("SELECT * FROM `big table`")) == [("ä☃😀",)]
    with pytest.raises(QueryExecutionError, match="already exists"):
        industrydb.write_sql({"b": ["x"]}, "big table", server.uri)
    other.execute("CREATE TABLE parent (a int PRIMARY KEY); CREATE TABLE child (a int REFERENCES parent (a))")
    with pytest.raises(ConfigurationError, match=r'\["child"\] refer'):
        industrydb.write_sql({"a": [1]}, "parent", server.uri, if_exists="replace")
    other.execute("CREATE VIEW seen AS SELECT * FROM parent")
    kinds = [("seen", "view"), ("test.seen", "view")]
    if other.is_mariadb:
        other.execute("CREATE SEQUENCE numbers")
        kinds.append(("numbers", "sequence"))
    try:
        for name, kind in kinds:
            with pytest.raises(ConfigurationError, match=f"{name} is a {kind} and no table, and is not replaced"):
                industrydb.write_sql({"a": [1]}, name, server.uri, if_exists="replace")
        assert industrydb.write_sql({"a": [1]}, "seen", server.uri, if_exists="append") == 1
        assert list(other.execute("SELECT * FROM parent")) == [(1,)]
    finally:
        other.execute("DROP VIEW seen")
        if other.is_mariadb:
            other.execute("DROP SEQUENCE numbers")
    names = {name for (name,) in other.execute("SHOW TABLES")}
    assert names >= {"big table", "parent", "child"}
    assert not any(name.startswith("industrydb_") for name in names)


def test_a_row_may_be_longer_than_a_packet(server: MariaDb, connection: Connection, other: Pymysql) -> None:
    """A row that is longer than the server's packets is loaded, or refused by a message that names its limit."""
    (most,) = next(iter(other.execute("SELECT @@max_allowed_packet")))
    other.execute("CREATE TABLE wide (a longtext, b longtext)")
    frame = {"a": ["x", "y" * (most * 2 // 3)], "b": ["x", "z" * (most * 2 // 3)]}
    (loads,) = next(iter(other.execute("SELECT @@local_infile")))
    if loads:
        assert connection.insert("wide", frame) == 2
        assert list(other.execute("SELECT sum(length(a)), sum(length(b)) FROM wide")) == [(most * 2 // 3 + 1,) * 2]
    else:
        with pytest.raises(ConfigurationError, match=r"row 2 has .* bytes.*max_allowed_packet"):
            connection.insert("wide", frame)
        assert list(other.execute("SELECT count(*) FROM wide")) == [(0,)]
    assert not connection.is_closed()
    assert server.process.poll() is None


def test_rows_of_many_columns(connection: Connection, other: Pymysql) -> None:
    """Tables of many columns are written, and numbers of rows that no statement takes at once."""
    names = [f"c{number}" for number in range(500)]
    other.execute(f"CREATE TABLE many ({', '.join(f'{name} int' for name in names)})")
    frame = pl.DataFrame({name: range(333) for name in names})
    assert connection.insert("many", frame) == 333
    assert list(other.execute("SELECT count(*), sum(c0), sum(c499) FROM many")) == [(333, 55278, 55278)]


def test_keys_that_come_meanwhile_lose_no_value(connection: Connection, other: Pymysql) -> None:
    """Without locks between keys, a row that another session inserts behind the update is told, and nothing is kept."""
    other.execute("CREATE TABLE met (id int PRIMARY KEY, v varchar(9)); INSERT INTO met VALUES (1, 'old')")
    other.execute("CREATE TRIGGER waits AFTER UPDATE ON met FOR EACH ROW SET @gate = GET_LOCK('gate', 60)")
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    rows = {"id": [0, 1], "v": ["new", "new"]}
    other.execute("SELECT GET_LOCK('gate', 0)")
    with ThreadPoolExecutor() as executor:
        insert = executor.submit(lambda: connection.insert("met", rows, on_conflict="replace"))
        waiting = "SELECT id FROM information_schema.processlist WHERE state = 'User lock'"
        eventually(lambda: bool(other.execute(waiting).fetchall()))
        other.execute("INSERT INTO met VALUES (0, 'other')")
        other.execute("SELECT RELEASE_LOCK('gate')")
        with pytest.raises(QueryExecutionError, match="insert again") as raised:
            insert.result(PATIENCE_S)
    assert raised.value.is_transient
    assert list(other.execute("SELECT * FROM met ORDER BY id")) == [(0, "other"), (1, "old")]
    assert connection.insert("met", rows, on_conflict="replace") == 2
    assert list(other.execute("SELECT * FROM met ORDER BY id")) == [(0, "new"), (1, "new")]


NOT_NULL = [
    "int",
    "int DEFAULT 7",
    "double",
    "decimal(5,2)",
    "varchar(5)",
    "enum('a','b')",
    "date",
    "time",
    "json",
    "bit",
]


@pytest.mark.parametrize("declared", NOT_NULL)
def test_a_trigger_makes_no_zero_of_a_null(connection: Connection, other: Pymysql, declared: str) -> None:
    """With a trigger, MySQL loads zeros in place of NULLs, without a warning: they are refused all the same."""
    other.execute(f"CREATE TABLE needed (id int, v {declared} NOT NULL)")
    other.execute("CREATE TRIGGER idle BEFORE INSERT ON needed FOR EACH ROW SET @seen = 1")
    for on_conflict in ("error", "ignore"):
        with pytest.raises(IndustryDbError, match="cannot be null"):
            connection.insert("needed", {"id": [1, 2], "v": [None, None]}, on_conflict=on_conflict)
        assert list(other.execute("SELECT count(*) FROM needed")) == [(0,)]


def test_a_trigger_may_fill_a_null(connection: Connection, other: Pymysql) -> None:
    """A trigger that gives a value in place of a NULL does so."""
    other.execute("CREATE TABLE filled (id int, v int NOT NULL)")
    other.execute("CREATE TRIGGER fills BEFORE INSERT ON filled FOR EACH ROW SET NEW.v = COALESCE(NEW.v, 5)")
    assert connection.insert("filled", {"id": [1, 2], "v": [None, 3]}) == 2
    assert list(other.execute("SELECT * FROM filled ORDER BY id")) == [(1, 5), (2, 3)]


def test_known_rows_are_left_as_they_are(connection: Connection, other: Pymysql) -> None:
    """A row that is left out updates nothing: no trigger runs, and no constraint is passed over."""
    other.execute("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1)")
    other.execute(
        "CREATE TABLE kept (e enum('a','b'), id int PRIMARY KEY, ver int DEFAULT 0, p int, n int NOT NULL DEFAULT 1, "
        "FOREIGN KEY (p) REFERENCES parent (id), CHECK (n < 10)); CREATE TABLE noted (id int)"
    )
    other.execute("SET sql_mode = ''; INSERT IGNORE INTO kept VALUES ('x', 1, 0, 1, 1)")
    other.execute("CREATE TRIGGER counts BEFORE UPDATE ON kept FOR EACH ROW SET NEW.ver = OLD.ver + 1")
    other.execute("CREATE TRIGGER notes AFTER UPDATE ON kept FOR EACH ROW INSERT INTO noted VALUES (1)")
    before = list(other.execute("SELECT * FROM kept"))
    rows = {"e": ["a", "b", "b"], "id": [1, 2, 2], "p": [1, 1, None]}
    assert connection.insert("kept", rows, on_conflict="ignore") == 1
    assert list(other.execute("SELECT * FROM kept WHERE id = 1")) == before
    assert list(other.execute("SELECT e, id, p FROM kept WHERE id = 2")) == [("b", 2, 1)]
    assert list(other.execute("SELECT count(*) FROM noted")) == [(0,)]
    for bad, message in (({"id": [3], "p": [9]}, "foreign key"), ({"id": [3], "n": [11]}, "(?i)constraint")):
        with pytest.raises(ConstraintViolationError, match=message):
            connection.insert("kept", bad, on_conflict="ignore")
        with pytest.raises(IndustryDbError, match="cannot be null"):
            connection.insert("kept", {"id": [4], "n": pl.Series([None], dtype=pl.Int32)}, on_conflict="ignore")
    assert list(other.execute("SELECT count(*) FROM kept")) == [(2,)]
    many = {"id": [*range(1, 45_001), *range(10, 20)], "p": [1] * 45_010}
    assert connection.insert("kept", many, on_conflict="ignore") == 44_998
    assert connection.insert("kept", many, on_conflict="ignore") == 0


def test_a_trigger_that_breaks_a_constraint_is_no_known_row(connection: Connection, other: Pymysql) -> None:
    """A duplicate in another table, which a trigger writes to, is an error."""
    other.execute("CREATE TABLE once (id int PRIMARY KEY); INSERT INTO once VALUES (1); CREATE TABLE rows_ (id int)")
    other.execute("CREATE TRIGGER twice AFTER INSERT ON rows_ FOR EACH ROW INSERT INTO once VALUES (1)")
    with pytest.raises(ConstraintViolationError):
        connection.insert("rows_", {"id": [5]}, on_conflict="ignore")
    assert list(other.execute("SELECT count(*) FROM rows_")) == [(0,)]


@pytest.mark.parametrize("local_infile", [0, 1])
def test_settings_of_bulk_loads_lose_no_row(connection: Connection, other: Pymysql, local_infile: int) -> None:
    """A statement that is refused takes back no earlier one's rows, and all settings come back."""
    other.execute("CREATE TABLE bulk (id int PRIMARY KEY)")
    settings = {"unique_checks": 0, "foreign_key_checks": 0, "sql_select_limit": 2, "max_error_count": 0}
    connection.execute("SET " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    ((before,),) = other.execute("SELECT @@global.local_infile").fetchall()
    other.execute(f"SET GLOBAL local_infile = {local_infile}")
    try:
        with pytest.raises(ConstraintViolationError):
            connection.insert("bulk", {"id": [*range(2000), 10, *range(2000, 3000)]})
        assert list(other.execute("SELECT count(*) FROM bulk")) == [(0,)]
        assert connection.insert("bulk", {"id": range(3000)}) == 3000
    finally:
        other.execute(f"SET GLOBAL local_infile = {before}")
    for name, value in settings.items():
        assert connection.execute(f"SELECT @@{name} AS v").item() == value


def test_limits_of_the_caller_hide_no_column(connection: Connection, other: Pymysql) -> None:
    """A limit of the caller's for the rows of a SELECT is none for the description of a table."""
    other.execute("CREATE TABLE wide (a int, b int, c int DEFAULT 1, PRIMARY KEY (a, b, c))")
    connection.execute("SET sql_select_limit = 1")
    with pytest.raises(ConfigurationError, match="the data lack some of its columns"):
        connection.insert("wide", {"a": [1], "b": [1]}, on_conflict="replace")
    assert connection.insert("wide", {"a": [1], "b": [1], "c": [1]}, on_conflict="replace") == 1


def test_columns_behind_a_view(connection: Connection, other: Pymysql) -> None:
    """A view hides neither a generated column nor a generated key."""
    other.execute("CREATE TABLE made (id int AUTO_INCREMENT PRIMARY KEY, a int, g int AS (a + 1) STORED)")
    other.execute("CREATE VIEW seen AS SELECT id, a, g FROM made")
    try:
        with pytest.raises(IndustryDbError, match=r"(?i)generated"):
            connection.insert("seen", {"id": [1], "a": [1], "g": [99]})
        with pytest.raises(TypeConversionError, match="a value of its own"):
            connection.insert("seen", {"id": pl.Series([None], dtype=pl.Int32), "a": [1]})
        assert connection.insert("seen", {"id": [4], "a": [1]}) == 1
        assert list(other.execute("SELECT * FROM made")) == [(4, 1, 2)]
    finally:
        other.execute("DROP VIEW seen")


def test_tables_with_names_like_ours(connection: Connection, other: Pymysql) -> None:
    """A table may have the name of the one that we make, or a name that looks like two."""
    for name in ("industrydb_rows", "x.`y"):
        quoted = "`" + name.replace("`", "``") + "`"
        other.execute(f"CREATE TABLE {quoted} (id int PRIMARY KEY)")
        target = "test." + (name if name.isidentifier() else '"' + name + '"')
        for on_conflict in ("ignore", "replace"):
            assert connection.insert(target, {"id": [1, 2]}, on_conflict=on_conflict) in {0, 2}
        assert list(other.execute(f"SELECT count(*) FROM {quoted}")) == [(2,)]
        other.execute(f"DROP TABLE {quoted}")


def test_members_of_enums_and_sets(connection: Connection, other: Pymysql) -> None:
    """Values with commas between them, with backslashes, and of digits are written as they are."""
    other.execute(r"CREATE TABLE members (a set('1','2','it''s'), b enum('\\','1','x\ny'))")
    rows = {"a": ["1,2", "", "it's"], "b": ["\\", "1", "x\ny"]}
    assert connection.insert("members", rows) == 3
    assert sorted(other.execute("SELECT * FROM members")) == sorted(zip(*rows.values(), strict=True))


def test_temporary_tables_are_tables_of_the_session(connection: Connection, other: Pymysql) -> None:
    """`write_sql` finds the connection's own temporary table, and replaces none."""
    connection.execute("CREATE TEMPORARY TABLE own (id int)")
    assert industrydb.write_sql({"id": [1]}, "own", connection, if_exists="append") == 1
    assert connection.execute("SELECT * FROM own").rows() == [(1,)]
    with pytest.raises(ConfigurationError, match="temporary table of the session"):
        industrydb.write_sql({"id": [2]}, "own", connection, if_exists="replace")
    assert not list(other.execute("SHOW TABLES LIKE 'own'"))


def test_created_instants_have_no_default(connection: Connection, other: Pymysql) -> None:
    """A column of instants keeps its values when others are updated, whatever the server adds to timestamps."""
    connection.execute("SET SESSION explicit_defaults_for_timestamp = OFF")
    point = datetime(2020, 1, 1, tzinfo=UTC)
    industrydb.write_sql({"id": [1, 2], "at": [point, None], "b": [point, None], "n": ["a", "b"]}, "ev", connection)
    connection.execute("UPDATE ev SET n = 'x'")
    naive = point.replace(tzinfo=None)
    assert list(other.execute("SELECT * FROM ev ORDER BY id")) == [(1, naive, naive, "x"), (2, None, None, "x")]


def test_a_user_of_one_database_may_write(server: MariaDb, other: Pymysql) -> None:
    """No setting of ours needs a right that such a user does not have; a full list of warnings is not needed."""
    other.execute("CREATE USER writer; GRANT ALL ON test.* TO writer")
    uri = f"mysql://writer@127.0.0.1:{server.port}/test"
    try:
        assert industrydb.write_sql({"id": [1, 2]}, "plain", uri) == 2
        other.execute("ALTER TABLE plain ADD PRIMARY KEY (id)")
        assert industrydb.write_sql({"id": [3]}, "plain", uri, if_exists="append") == 1
        many = {"id": range(5000)}
        with Connection(uri) as connection:
            assert connection.insert("plain", many, on_conflict="ignore") == 4997
            assert connection.insert("plain", many, on_conflict="ignore") == 0
            with pytest.raises(ConstraintViolationError):
                connection.insert("plain", {"id": [7]})
    finally:
        other.execute("DROP USER writer")


@pytest.mark.parametrize("on_conflict", ["ignore", "replace"])
def test_errors_within_a_block_are_the_rows_own(
    connection: Connection, other: Pymysql, on_conflict: Literal["ignore", "replace"]
) -> None:
    """A temporary table of ours does not count as one that keeps its rows."""
    other.execute("CREATE TABLE plain (id int PRIMARY KEY, n int NOT NULL, v varchar(3))")
    with connection.transaction():
        with pytest.raises(IndustryDbError, match=r"row 2.*cannot be null") as raised:
            connection.insert("plain", {"id": [3, 4], "n": [1, None]}, on_conflict=on_conflict)
        assert "rows stay" not in str(raised.value)
        assert (
            connection.insert("plain", {"id": [5, 6], "n": [1, 2], "v": ["abc  ", "x"]}, on_conflict=on_conflict) == 2
        )
    assert list(other.execute("SELECT * FROM plain ORDER BY id")) == [(5, 1, "abc"), (6, 2, "x")]


def test_tables_of_the_caller_stay(connection: Connection, other: Pymysql) -> None:
    """A temporary table that has the name of ours is not dropped."""
    other.execute("CREATE TABLE plain (id int PRIMARY KEY)")
    connection.execute("CREATE TEMPORARY TABLE industrydb_rows (id int)")
    connection.execute("INSERT INTO industrydb_rows VALUES (7)")
    for on_conflict in ("ignore", "replace"):
        connection.insert("plain", {"id": [1, 2]}, on_conflict=on_conflict)
    assert connection.execute("SELECT * FROM industrydb_rows").rows() == [(7,)]
