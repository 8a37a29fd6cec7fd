"""Every type of MySQL and MariaDB is read with the values that pymysql reads."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb import TypeConversionError
from tests.kit.mariadb import MariaDb, Pymysql
from tests.kit.support import plain

UTC = timezone.utc


@pytest.fixture(scope="module")
def other(mysql_uri: str) -> Iterator[Pymysql]:
    """Connect with pymysql in UTC, and without any rules about what is stored."""
    settings = "SET time_zone = '+00:00', sql_mode = ''"
    with closing(Pymysql(mysql_uri, init_command=settings)) as connection:
        yield connection


def same(value: Any) -> Any:  # noqa: ANN401, of any type
    """Return a value of pymysql's as it is."""
    return value


def bits(value: bytes) -> int:
    """Return the number that bits are."""
    return int.from_bytes(value, "big")


def wkb(value: bytes) -> bytes:
    """Return well-known binary, extended by the number of a reference system that is not 0, of what the server has."""
    srid, order, kind, rest = value[:4], value[4:5], int.from_bytes(value[5:9], "little"), value[9:]
    return value[4:] if srid == bytes(4) else order + (kind | 1 << 29).to_bytes(4, "little") + srid + rest


def float32(value: float) -> float:
    """Return the nearest float of 32 bits."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


# Declared types, values as SQL, the dtype, and what makes pymysql's value the expected one.
TYPES: list[tuple[str, list[str], pl.DataType, Callable[[Any], Any]]] = [
    ("tinyint", ["-128", "127", "0"], pl.Int8(), same),
    ("tinyint(1)", ["0", "1", "-5"], pl.Int8(), same),
    ("boolean", ["false", "true"], pl.Int8(), same),
    ("smallint", ["-32768", "32767"], pl.Int16(), same),
    ("mediumint", ["-8388608", "8388607"], pl.Int32(), same),
    ("int", ["-2147483648", "2147483647"], pl.Int32(), same),
    ("int(5) zerofill", ["7", "4294967295"], pl.UInt32(), int),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], pl.Int64(), same),
    ("tinyint unsigned", ["255"], pl.UInt8(), same),
    ("smallint unsigned", ["65535"], pl.UInt16(), same),
    ("mediumint unsigned", ["16777215"], pl.UInt32(), same),
    ("int unsigned", ["4294967295"], pl.UInt32(), same),
    ("bigint unsigned", ["18446744073709551615", "9223372036854775808", "0"], pl.UInt64(), same),
    ("double", ["0.1", "-0.0", "1e308", "-5e-324", "9007199254740993"], pl.Float64(), same),
    ("float(7,3)", ["-0.07", "0.07", "9999.999"], pl.Float32(), float32),
    ("double(10,2)", ["-0.07", "0.07", "-12345678.91", "1.005", "99999999.99"], pl.Float64(), same),
    ("double(20,10)", ["-0.0468278221", "-408617.5439399544", "1234567890.0123458"], pl.Float64(), same),
    ("double(60,30)", ["-0.07", "1e20"], pl.Float64(), same),
    ("decimal(15,2)", ["-1234567890123.45", "0.01", "0"], pl.Decimal(15, 2), same),
    ("decimal(5,5) unsigned", ["0.00001", "0.99999"], pl.Decimal(5, 5), same),
    ("decimal(38,0)", ["9" * 38, "-" + "9" * 38], pl.Decimal(38, 0), same),
    ("decimal(38,30)", ["0." + "0" * 29 + "1", "-99999999.5"], pl.Decimal(38, 30), same),
    ("decimal(39,1)", ["-" + "9" * 38 + ".1", "0"], pl.String(), str),
    ("decimal(65,30)", ["9" * 35 + "." + "1" * 30, "-0.5"], pl.String(), str),
    ("bit(1)", ["b'0'", "b'1'"], pl.Boolean(), lambda value: value == b"\1"),
    ("bit(2)", ["b'10'"], pl.UInt64(), bits),
    ("bit(64)", ["18446744073709551615", "1"], pl.UInt64(), bits),
    ("date", ["'0001-01-01'", "'1969-12-31'", "'2024-02-29'", "'9999-12-31'"], pl.Date(), same),
    ("datetime", ["'1000-01-01 00:00:00'", "'2024-02-29 23:59:59'"], pl.Datetime("us"), same),
    ("datetime(3)", ["'2024-02-29 23:59:59.999'"], pl.Datetime("us"), same),
    ("datetime(6)", ["'0001-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"], pl.Datetime("us"), same),
    ("timestamp", ["'1970-01-01 00:00:01'"], pl.Datetime("us", "UTC"), lambda value: value.replace(tzinfo=UTC)),
    (
        "timestamp(6)",
        ["'2038-01-19 03:14:07.999999'", "'2024-03-31 02:30:00'"],
        pl.Datetime("us", "UTC"),
        lambda value: value.replace(tzinfo=UTC),
    ),
    ("time", ["'838:59:59'", "'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'23:59:59'"], pl.Duration("us"), same),
    ("time(6)", ["'-838:59:58.999999'", "'100:00:00.000001'", "'-00:00:00.5'"], pl.Duration("us"), same),
    ("year", ["1901", "2155", "0", "70"], pl.Int16(), same),
    ("char(5)", ["'a'", "'äöü☃😀'", "''"], pl.String(), same),
    ("varchar(20)", ["' a '", "'x\\0y'", "'\\\\'", "''"], pl.String(), same),
    ("char(5) character set latin1", ["'é€'"], pl.String(), same),
    ("varchar(9) character set latin2", ["'ő'"], pl.String(), same),
    ("varchar(9) character set cp1251", ["'Жя'"], pl.String(), same),
    ("varchar(9) character set sjis", ["'日本'"], pl.String(), same),
    ("varchar(9) character set utf16", ["'😀'"], pl.String(), same),
    ("varchar(9) character set ucs2", ["'☃'"], pl.String(), same),
    ("varchar(9) collate utf8mb4_bin", ["'a'", "'A'"], pl.String(), same),
    ("tinytext", ["'t'"], pl.String(), same),
    ("text", ["repeat('ä', 30000)", "''"], pl.String(), same),
    ("mediumtext", ["repeat('m', 70000)"], pl.String(), same),
    ("longtext", ["repeat('l', 300)", "repeat('x', 251)", "repeat('x', 250)"], pl.String(), same),
    ("enum('a','it''s','☃')", ["'a'", "'it''s'", "'☃'"], pl.String(), same),
    ("set('a','b','c d')", ["'a,c d'", "''", "'b'"], pl.String(), same),
    ("json", ['\'{"a": [1, 2.50, null, "ä"]}\'', "'7'"], pl.String(), same),
    ("binary(4)", ["'a'", "x'00ff'"], pl.Binary(), same),
    ("varbinary(4)", ["x'00ff'", "''"], pl.Binary(), same),
    ("tinyblob", ["x'ff'"], pl.Binary(), same),
    ("blob", ["repeat(x'fe', 65535)"], pl.Binary(), same),
    ("mediumblob", ["repeat(x'00', 65536)"], pl.Binary(), same),
    ("longblob", ["x'deadbeef'"], pl.Binary(), same),
    ("geometry", ["ST_GeomFromText('POINT(1 2)', 4326)"], pl.Binary(), wkb),
    ("point", ["ST_GeomFromText('POINT(-0.5 1e300)')"], pl.Binary(), wkb),
    ("polygon", ["ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"], pl.Binary(), wkb),
]

# Those of MariaDB only.
OF_MARIADB: list[tuple[str, list[str], pl.DataType, Callable[[Any], Any]]] = [
    ("uuid", ["'6F9619FF-8B86-D011-B42D-00C04FC964FF'"], pl.String(), same),
    ("inet4", ["'10.0.0.1'"], pl.String(), same),
    ("inet6", ["'2001:db8::ff'", "'::ffff:10.0.0.1'"], pl.String(), same),
]


@pytest.mark.parametrize(
    ("declared", "values", "dtype", "made"), TYPES + OF_MARIADB, ids=[row[0] for row in TYPES + OF_MARIADB]
)
@pytest.mark.parametrize("partitions", [1, 2])
def test_values_are_those_of_pymysql(  # noqa: PLR0913, PLR0917
    other: Pymysql,
    mysql_uri: str,
    declared: str,
    values: list[str],
    dtype: pl.DataType,
    made: Callable[[Any], Any],
    partitions: int,
) -> None:
    """Each value, and NULL, of each type is the one that pymysql reads, in one partition and in several."""
    if declared in ("uuid", "inet4", "inet6"):
        other.needs_mariadb("a type of MariaDB")
    other.execute(f"DROP TABLE IF EXISTS typed; CREATE TABLE typed (i int PRIMARY KEY, v {declared} NULL)")
    for number, value in enumerate([*values, "NULL"]):
        other.execute(f"INSERT INTO typed VALUES ({number}, {value})")
    query = "SELECT i, v FROM typed"
    expected = [None if value is None else made(value) for (value,) in other.execute("SELECT v FROM typed ORDER BY i")]
    assert len(expected) == len(values) + 1
    found = industrydb.read_sql(mysql_uri, query, partition_on="i", partitions=partitions).sort("i")["v"]
    assert found.dtype == dtype
    assert plain(found.to_list()) == plain(expected)
    empty = industrydb.read_sql(mysql_uri, f"{query} WHERE i < 0")
    assert dict(empty.schema) == {"i": pl.Int32(), "v": dtype}
    other.execute("DROP TABLE typed")


def test_floats_of_32_bits(other: Pymysql, mysql_uri: str) -> None:
    """Floats of 32 bits have all their bits, of which the server's own text, and so pymysql, shows six digits."""
    values = [0.1, -16777217.0, 3.4e38, 1.4e-45, 0.0]
    rows = ", ".join(f"({number}, {value!r})" for number, value in enumerate(values))
    other.execute("DROP TABLE IF EXISTS typed; CREATE TABLE typed (i int, v float)")
    other.execute(f"INSERT INTO typed VALUES {rows}")
    found = industrydb.read_sql(mysql_uri, "SELECT v FROM typed ORDER BY i")["v"]
    assert found.dtype == pl.Float32
    assert found.to_list() == [float32(value) for value in values]
    other.execute("DROP TABLE typed")


def test_floats_with_a_number_of_digits(other: Pymysql, mysql_uri: str) -> None:
    """Floats that the server stores rounded are those that it prints, for any digits, filters and other types too."""
    generator = random.Random(0)  # noqa: S311, for data
    rows = [
        (number, generator.uniform(-1, 1) * 10 ** generator.randint(-2, 8), generator.uniform(-9999, 9999))
        for number in range(5000)
    ]
    other.execute("DROP TABLE IF EXISTS typed")
    other.execute("CREATE TABLE typed (i int PRIMARY KEY, d double(20,7), f float(7,3))")
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO typed VALUES (%s, %s, %s)", [*rows, (5000, -0.07, -0.07)])
    expected = [
        (number, wide, float32(narrow)) for number, wide, narrow in other.execute("SELECT * FROM typed ORDER BY i")
    ]
    found = industrydb.read_sql(mysql_uri, "SELECT * FROM typed", partition_on="i", partitions=2)
    assert found.sort("i").rows() == expected
    assert dict(found.schema) == {"i": pl.Int32(), "d": pl.Float64(), "f": pl.Float32()}
    scan = industrydb.scan_sql(mysql_uri, "SELECT * FROM typed")
    for condition in (pl.col("d") == -0.07, pl.col("d") > -0.07, pl.col("d") <= -0.07, pl.col("f") < 0):
        assert scan.filter(condition).collect().sort("i").equals(found.filter(condition).sort("i"))
    decimals = industrydb.read_sql(
        mysql_uri, "SELECT d FROM typed WHERE i = 5000", schema_overrides={"d": pl.Decimal(20, 7)}
    )
    assert decimals.item() == Decimal("-0.07")
    other.execute("DROP TABLE typed")


@pytest.mark.parametrize(("column", "made"), [("float(20,10)", float32), ("double(30,20)", float)])
def test_small_floats_with_many_digits(
    other: Pymysql, mysql_uri: str, column: str, made: Callable[[float], float]
) -> None:
    """Small numbers, whose neighbours are far away for their size, are those that the server prints."""
    generator = random.Random(5)  # noqa: S311, for data
    other.execute(f"DROP TABLE IF EXISTS typed; CREATE TABLE typed (i int PRIMARY KEY, v {column})")
    with other.driver.cursor() as cursor:
        values = [-(10 ** generator.uniform(-9, 1)) for _ in range(5000)]
        cursor.executemany("INSERT INTO typed VALUES (%s, %s)", enumerate(values))
    expected = [(number, made(value)) for number, value in other.execute("SELECT * FROM typed ORDER BY i")]
    assert industrydb.read_sql(mysql_uri, "SELECT * FROM typed ORDER BY i").rows() == expected
    texts = industrydb.read_sql(mysql_uri, "SELECT v FROM typed ORDER BY i", schema_overrides={"v": pl.Float64})
    assert [made(value) for value in texts["v"]] == [value for _, value in expected]
    other.execute("DROP TABLE typed")


# Expressions, which no column declares, and their dtypes; MariaDB's and MySQL's where these differ.
EXPRESSIONS = [
    ("count(*)", pl.Int64()),
    ("sum(i)", pl.Decimal(32, 0)),
    ("avg(i)", pl.Decimal(14, 4)),
    ("max(d)", pl.Date()),
    ("group_concat(t)", pl.String()),
    ("1 + 1", (pl.Int32(), pl.Int64())),
    ("1.50", pl.Decimal(3, 2)),
    ("1e0", pl.Float64()),
    ("'x'", pl.String()),
    ("NULL", pl.String()),
    ("CAST(5000000000 AS unsigned) + 0", pl.UInt64()),
    ("x'00ff'", pl.Binary()),
    ("min(i) = 1", (pl.Int32(), pl.Int64())),
    ("timediff('10:00:00', '12:30:00.5')", pl.Duration("us")),
    ("coalesce(max(t), 'none')", pl.String()),
]


@pytest.mark.parametrize(("expression", "dtype"), EXPRESSIONS, ids=[row[0] for row in EXPRESSIONS])
def test_expressions_have_types_too(other: Pymysql, mysql_uri: str, expression: str, dtype: Any) -> None:  # noqa: ANN401
    """The values of expressions are pymysql's, whatever type the server gives them."""
    other.execute("DROP TABLE IF EXISTS typed; CREATE TABLE typed (i int, d date, t text)")
    other.execute("INSERT INTO typed VALUES (1, '2024-02-29', 'a'), (2, NULL, NULL)")
    query = f"SELECT {expression} AS v FROM typed"
    found = industrydb.read_sql(mysql_uri, query)["v"]
    assert found.dtype == (dtype[0 if other.is_mariadb else 1] if isinstance(dtype, tuple) else dtype)
    assert found.to_list() == [value for (value,) in other.execute(query)]
    other.execute("DROP TABLE typed")


@pytest.fixture
def zeros(other: Pymysql) -> Iterator[str]:
    """Make a table of days, of which two are in no calendar; yield a query for its columns."""
    other.execute("DROP TABLE IF EXISTS zeros")
    other.execute("CREATE TABLE zeros (i int, d date, t datetime(3), s timestamp NULL)")
    other.execute("INSERT INTO zeros VALUES (1, '2024-01-10', '2024-01-10 01:02:03.5', '2024-01-10')")
    other.execute(
        "INSERT INTO zeros VALUES (2, '0000-00-00', '2024-00-10', '0000-00-00 00:00:00'), (3, NULL, NULL, NULL)"
    )
    yield "SELECT {} AS v FROM zeros ORDER BY i"
    other.execute("DROP TABLE zeros")


@pytest.mark.parametrize(("column", "text"), [("d", "0000-00-00"), ("t", "2024-00-10"), ("s", "0000-00-00")])
def test_days_of_no_calendar(mysql_uri: str, zeros: str, column: str, text: str) -> None:
    """A day that no calendar has is an error, NULL if the URI says so, or its text."""
    query = zeros.format(column)
    with pytest.raises(TypeConversionError, match=rf'column "v".* row 2: {text}.*zero_dates'):
        industrydb.read_sql(mysql_uri, query)
    found = industrydb.read_sql(f"{mysql_uri}?zero_dates=null", query)["v"]
    assert found.is_null().to_list() == [False, True, True]
    texts = industrydb.read_sql(mysql_uri, query, schema_overrides={"v": pl.String})["v"].to_list()
    assert texts[1].startswith(text)
    assert texts[2] is None
    assert texts[0].startswith("2024-01-10")


def test_asked_types(other: Pymysql, mysql_uri: str) -> None:
    """`schema_overrides` makes truth values of a tinyint, an Enum of an enum, and times of short times."""
    other.execute("DROP TABLE IF EXISTS asked")
    other.execute("CREATE TABLE asked (b tinyint(1), e enum('x','y'), t time(3), n decimal(50,1))")
    other.execute("INSERT INTO asked VALUES (1, 'y', '01:02:03.5', 7.5), (0, NULL, NULL, NULL)")
    asked: dict[str, Any] = {"b": pl.Boolean, "e": pl.Enum(["x", "y"]), "n": pl.Decimal(5, 1)}
    frame = industrydb.read_sql(mysql_uri, "SELECT b, e, n FROM asked", schema_overrides=asked)
    assert dict(frame.schema) == {"b": pl.Boolean(), "e": pl.Enum(["x", "y"]), "n": pl.Decimal(5, 1)}
    assert frame.rows() == [(True, "y", Decimal("7.5")), (False, None, None)]
    other.execute("INSERT INTO asked (b) VALUES (5)")
    with pytest.raises(TypeConversionError, match=r'column "b".*row 3: 5 '):
        industrydb.read_sql(mysql_uri, "SELECT b FROM asked", schema_overrides={"b": pl.Boolean})
    other.execute("DROP TABLE asked")


@pytest.mark.parametrize("size", [250, 251, 65_535, 65_536, 16_777_214, 16_777_215, 16_777_216, 40_000_000])
def test_values_of_any_length(mysql_uri: str, size: int) -> None:
    """Values at the borders of the protocol's lengths arrive whole, also those longer than a packet."""
    query = f"SELECT repeat('x', {size}) AS a, 7 AS b, repeat('y', 3) AS c"
    with closing(Pymysql(mysql_uri)) as connection:
        connection.execute("SET GLOBAL max_allowed_packet = 67108864")
    (row,) = industrydb.read_sql(mysql_uri, query).rows()
    assert row == ("x" * size, 7, "yyy")


def test_vectors_of_mysql(mysql_itself: MariaDb) -> None:
    """A vector is read as the floats that MySQL prints, whole and in partitions."""
    with closing(Pymysql(mysql_itself.uri)) as other:
        other.execute("CREATE TABLE spaces (id int PRIMARY KEY, v VECTOR(3))")
        other.execute("INSERT INTO spaces VALUES (1, STRING_TO_VECTOR('[1,-2.5,0]')), (2, NULL)")
        ((printed,),) = other.execute("SELECT VECTOR_TO_STRING(v) FROM spaces WHERE id = 1").fetchall()
        ways: list[dict[str, Any]] = [{}, {"partition_on": "id", "partitions": 2}]
        for split in ways:
            found = industrydb.read_sql(mysql_itself.uri, "SELECT * FROM spaces", **split).sort("id")["v"]
            assert found.dtype == pl.List(pl.Float32)
            assert found.to_list() == [json.loads(printed), None]
        other.execute("DROP TABLE spaces")
