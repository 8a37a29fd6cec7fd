"""Sample values of PostgreSQL's types, and their values as psycopg reads them."""

import polars as pl
import psycopg
import pytest

DATETIME = pl.Datetime("us")

DATETIME_UTC = pl.Datetime("us", "UTC")

DURATION = pl.Duration("us")

NINES = "9" * 38

# Types with a Polars counterpart.
NATIVE: list[tuple[str, pl.DataType]] = [
    ("true", pl.Boolean()),
    ("false", pl.Boolean()),
    ("(-32768)::int2", pl.Int16()),
    ("32767::int2", pl.Int16()),
    ("(-2147483648)::int4", pl.Int32()),
    ("2147483647", pl.Int32()),
    ("(-9223372036854775808)::int8", pl.Int64()),
    ("9223372036854775807", pl.Int64()),
    ("4294967295::oid", pl.UInt32()),
    ("'3.4028235e38'::float4", pl.Float32()),
    ("'1.4e-45'::float4", pl.Float32()),
    ("'0.1'::float4", pl.Float32()),
    ("'NaN'::float4", pl.Float32()),
    ("'-Infinity'::float4", pl.Float32()),
    ("'1.7976931348623157e308'::float8", pl.Float64()),
    ("'5e-324'::float8", pl.Float64()),
    ("'0.1'::float8", pl.Float64()),
    ("'-0'::float8", pl.Float64()),
    ("'NaN'::float8", pl.Float64()),
    ("'Infinity'::float8", pl.Float64()),
    ("'-Infinity'::float8", pl.Float64()),
    ("(-1234567890123.45)::numeric(15,2)", pl.Decimal(15, 2)),
    ("0::numeric(15,2)", pl.Decimal(15, 2)),
    ("1.5::numeric(10,4)", pl.Decimal(10, 4)),
    ("(-0.00000001)::numeric(20,10)", pl.Decimal(20, 10)),
    ("10000000.00010000::numeric(16,8)", pl.Decimal(16, 8)),
    ("120000000::numeric(9)", pl.Decimal(9, 0)),
    (f"{NINES}::numeric(38)", pl.Decimal(38, 0)),
    (f"(-{NINES})::numeric(38)", pl.Decimal(38, 0)),
    (f"0.{NINES}::numeric(38,38)", pl.Decimal(38, 38)),
    (f"-{NINES[19:]}.{NINES[:19]}::numeric(38,19)", pl.Decimal(38, 19)),
    ("0.00123::numeric(3,5)", pl.Decimal(5, 5)),
    ("(-98765)::numeric(2,-3)", pl.Decimal(5, 0)),
    ("1.50::numeric", pl.Decimal(38, 1)),
    ("0::numeric", pl.Decimal(38, 0)),
    ("0.00::numeric", pl.Decimal(38, 0)),
    ("-1e37::numeric", pl.Decimal(38, 0)),
    ("1e-38::numeric", pl.Decimal(38, 38)),
    (f"{NINES[19:]}.{NINES[:19]}::numeric", pl.Decimal(38, 19)),
    ("''", pl.String()),
    ("'twelve bytes'", pl.String()),
    ("'thirteen byte'", pl.String()),
    ("'zwölf Bytes'::text", pl.String()),
    ("repeat('aé€𝄞', 5000)", pl.String()),
    ("'abc'::varchar(10)", pl.String()),
    ("'ab'::char(5)", pl.String()),
    ("'pg_class'::name", pl.String()),
    (r"'\x'::bytea", pl.Binary()),
    (r"'\x00ff00'::bytea", pl.Binary()),
    (r"decode(repeat('00ff', 9), 'hex')", pl.Binary()),
    ("'0001-01-01'::date", pl.Date()),
    ("'1969-12-31'::date", pl.Date()),
    ("'2024-02-29'::date", pl.Date()),
    ("'9999-12-31'::date", pl.Date()),
    ("'00:00'::time", pl.Time()),
    ("'23:59:59.999999'::time", pl.Time()),
    ("'12:34:56.789'::time(0)", pl.Time()),
    ("'0001-01-01'::timestamp", DATETIME),
    ("'1969-12-31 23:59:59.999999'::timestamp", DATETIME),
    ("'9999-12-31 23:59:59.999999'::timestamp", DATETIME),
    ("'2024-02-29 12:34:56.789+05:45'::timestamptz", DATETIME_UTC),
    ("'1969-12-31 23:59:59.999999-08'::timestamptz", DATETIME_UTC),
    ("'0'::interval", DURATION),
    ("'-1 microsecond'::interval", DURATION),
    ("'-3 days +04:05:06.789'::interval", DURATION),
    ("'100000 days'::interval", DURATION),
    ("ARRAY[true, NULL, false]", pl.List(pl.Boolean())),
    ("ARRAY[1, NULL, -1]::int2[]", pl.List(pl.Int16())),
    ("ARRAY[1, NULL, -1]", pl.List(pl.Int32())),
    ("ARRAY[1, NULL, -1]::int8[]", pl.List(pl.Int64())),
    ("'{}'::int8[]", pl.List(pl.Int64())),
    ("ARRAY[NULL]::int8[]", pl.List(pl.Int64())),
    ("'[-1:1]={1,2,3}'::int4[]", pl.List(pl.Int32())),
    ("ARRAY[1, NULL]::oid[]", pl.List(pl.UInt32())),
    ("ARRAY[0.5, 'NaN', NULL]::float4[]", pl.List(pl.Float32())),
    ("ARRAY[0.1, 'Infinity', NULL]::float8[]", pl.List(pl.Float64())),
    ("ARRAY[1.25, NULL]::numeric(10,2)[]", pl.List(pl.Decimal(10, 2))),
    ("ARRAY[1.5, NULL, -2.255]", pl.List(pl.Decimal(38, 3))),
    ("ARRAY['', NULL, 'a', 'NULL', 'longer than a view']", pl.List(pl.String())),
    ("ARRAY['ab', NULL]::char(3)[]", pl.List(pl.String())),
    ("ARRAY['ab', NULL]::varchar[]", pl.List(pl.String())),
    ("ARRAY['ab', NULL]::name[]", pl.List(pl.String())),
    (r"ARRAY['\x00', NULL, '\x']::bytea[]", pl.List(pl.Binary())),
    ("ARRAY['2024-02-29', NULL]::date[]", pl.List(pl.Date())),
    ("ARRAY['12:34', NULL]::time[]", pl.List(pl.Time())),
    ("ARRAY['2024-02-29 12:34', NULL]::timestamp[]", pl.List(DATETIME)),
    ("ARRAY['2024-02-29 12:34+02', NULL]::timestamptz[]", pl.List(DATETIME_UTC)),
    ("ARRAY['1 day', NULL, '-1 second']::interval[]", pl.List(DURATION)),
]

# Types without a Polars counterpart, or with one that cannot hold every value: read as PostgreSQL's own text.
TEXTUAL: list[str] = [
    "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
    """'{"b" : 1,  "a": [1.0, "ä\\u0000\\n"], "b":2}'::json""",
    """'{"b" : 1,  "a": [1.0, "ä\\n", null, 1e400], "b":2}'::jsonb""",
    "'null'::jsonb",
    "1234567890123456789012345678901234567890.5::numeric(50,10)",
    "'NaN'::numeric(50,10)",
    "'1 year 2 mons -3 days +04:05:06.789'::interval",
    "'infinity'::interval",
    "'107000000 days'::interval",
    "'12:34:56+05:45'::timetz",
    "'192.168.0.1/24'::inet",
    "'192.168.0.1'::inet",
    "'::1'::inet",
    "'10.0.0.0/8'::cidr",
    "'2001:db8::/32'::cidr",
    "'08:00:2b:01:02:03'::macaddr",
    "'08:00:2b:01:02:03:04:05'::macaddr8",
    "'-1234.5'::money",
    "'101'::bit(3)",
    "'10111'::bit varying",
    "'[1,5)'::int4range",
    "'(,0.5]'::numrange",
    "'[2024-01-01 12:34+00, infinity)'::tstzrange",
    "'{[1,3),[5,7)}'::int8multirange",
    "point(0.1, 1e300)",
    "'(1,2),(3,4)'::box",
    "'<(1,2),3>'::circle",
    "'a fat cat'::tsvector",
    "'fat & rat'::tsquery",
    "$$$.a[*] ? (@ > 1)$$::jsonpath",
    "'x'::\"char\"",
    "'pg_class'::regclass",
    "'1 2 3'::int2vector",
    "'16/B374D848'::pg_lsn",
    "'(0,1)'::tid",
    "ROW(1, 'a \"b\"', NULL, ARRAY[1])",
]


def with_null(expression: str) -> str:
    """Return a query for a value and a NULL of exactly its type, including numeric's precision."""
    return (
        f"SELECT value FROM (SELECT {expression} AS value) AS one "
        "RIGHT JOIN generate_series(1, 2) AS row ON row = 1 ORDER BY row"
    )


def by_psycopg(postgres: psycopg.Connection, query: str) -> list[object]:
    """Return the values of a single column, decoded by psycopg from the exact binary format."""
    return [value for (value,) in postgres.execute(query, binary=True)]


def printed(postgres: psycopg.Connection, query: str) -> str:
    """Return the server's text of a single value: the output of its type's output function."""
    result = postgres.execute(query).pgresult
    value = None if result is None else result.get_value(0, 0)
    assert value is not None
    return value.decode()


def create_extension(postgres: psycopg.Connection, name: str) -> None:
    """Create an extension, or skip the test if the server does not have it."""
    try:
        postgres.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    except psycopg.Error as error:
        pytest.skip(f"the server has no such extension: {error}")
