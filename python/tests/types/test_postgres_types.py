"""What each PostgreSQL type is read as: one row of a table for each type, with psycopg's values."""

import polars as pl
import psycopg
import pytest

import industrydb
from tests.kit.pages import PROSE, shown_dtype, type_table
from tests.kit.postgres_types import (
    DATETIME,
    DATETIME_UTC,
    DURATION,
    NATIVE,
    TEXTUAL,
    by_psycopg,
    create_extension,
    printed,
    with_null,
)
from tests.kit.support import plain, with_options


@pytest.mark.parametrize(("expression", "dtype"), NATIVE)
def test_native_types(postgres_uri: str, postgres: psycopg.Connection, expression: str, dtype: pl.DataType) -> None:
    """Types with a Polars counterpart are read as such, also NULLs and arrays of them."""
    query = with_null(expression)
    column = industrydb.read_sql(postgres_uri, query)["value"]
    assert column.dtype == dtype
    assert plain(column.to_list()) == plain(by_psycopg(postgres, query))
    assert column.to_list()[1] is None


@pytest.mark.parametrize("expression", TEXTUAL)
def test_other_types_are_text(postgres_uri: str, postgres: psycopg.Connection, expression: str) -> None:
    """Types without a Polars counterpart become the text that PostgreSQL prints."""
    column = industrydb.read_sql(postgres_uri, with_null(expression))["value"]
    assert column.dtype == pl.String
    assert column.to_list() == [printed(postgres, f"SELECT {expression}"), None]


@pytest.mark.parametrize("expression", TEXTUAL)
def test_arrays_of_other_types_are_lists_of_text(
    postgres_uri: str, postgres: psycopg.Connection, expression: str
) -> None:
    """Arrays of types without a Polars counterpart are lists of the texts that PostgreSQL prints."""
    column = industrydb.read_sql(postgres_uri, with_null(f"ARRAY[{expression}]"))["value"]
    assert column.dtype == pl.List(pl.String)
    assert column.to_list() == [[printed(postgres, f"SELECT {expression}")], None]


@pytest.mark.parametrize("nothing", ["WHERE false", ""], ids=["no rows", "only NULLs"])
def test_types_do_not_depend_on_values(postgres_uri: str, nothing: str) -> None:
    """A result without rows, or with NULLs only, has the types of a full one."""
    declared: dict[str, pl.DataType] = {
        "bool": pl.Boolean(),
        "int2": pl.Int16(),
        "float4": pl.Float32(),
        "numeric(15,2)": pl.Decimal(15, 2),
        "numeric": pl.Decimal(38, 0),
        "numeric(50,10)": pl.String(),
        "text": pl.String(),
        "bytea": pl.Binary(),
        "date": pl.Date(),
        "time": pl.Time(),
        "timestamp": DATETIME,
        "timestamptz": DATETIME_UTC,
        "interval": DURATION,
        "uuid": pl.String(),
        "inet": pl.String(),
        "int8[]": pl.List(pl.Int64()),
        "numeric(15,2)[]": pl.List(pl.Decimal(15, 2)),
        "interval[]": pl.List(DURATION),
        "inet[]": pl.List(pl.String()),
    }
    columns = ", ".join(f'NULL::{name} AS "{name}"' for name in declared)
    frame = industrydb.read_sql(postgres_uri, f"SELECT {columns} {nothing}")
    assert dict(frame.schema) == declared
    assert frame.null_count().row(0) == (frame.height,) * frame.width


def test_types_of_the_user(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Enums are text, composites are structs, and a domain is its base type, in arrays too."""
    postgres.execute("""
        DROP TYPE IF EXISTS mood, pair CASCADE;
        DROP DOMAIN IF EXISTS price, positive, moody;
        CREATE TYPE mood AS ENUM ('sad', 'très content');
        CREATE TYPE pair AS (a int, "b c" mood);
        CREATE DOMAIN price AS numeric(10, 2);
        CREATE DOMAIN positive AS int CHECK (VALUE > 0);
        CREATE DOMAIN moody AS mood;
    """)
    query = """SELECT 'très content'::mood AS e, ARRAY['sad', NULL]::mood[] AS es, (1, 'sad')::pair AS c,
               ARRAY[(1, NULL)::pair] AS cs, 1.5::price AS p, 7::positive AS i, ARRAY[7]::positive[] AS "is",
               ARRAY[1.5, NULL]::price[] AS ps, ARRAY['sad']::moody[] AS ms"""
    frame = industrydb.read_sql(postgres_uri, query)
    text, texts, decimal = pl.String(), pl.List(pl.String()), pl.Decimal(10, 2)
    pair = pl.Struct({"a": pl.Int32, "b c": pl.String})
    expected_types = [
        *(text, texts, pair, pl.List(pair), decimal, pl.Int32(), pl.List(pl.Int32()), pl.List(decimal), texts)
    ]
    assert list(frame.schema.values()) == expected_types
    as_text = (
        """SELECT e::text, es::text[], to_json(c), to_json(cs), p, i, "is"::int[], ps::numeric[], ms::text[]
                 FROM ("""
        + query
        + ") AS q"
    )
    assert frame.rows() == postgres.execute(as_text).fetchall()


@pytest.mark.parametrize(
    ("extension", "expression"),
    [
        ("citext", "'Straße'::citext"),
        ("hstore", "'a=>1, b=>NULL'::hstore"),
        ("ltree", "'a.b.c'::ltree"),
        ("vector", "'[1,2.5,-3e4]'::halfvec"),
        ("vector", "'{1:1,3:2.5}/5'::sparsevec"),
    ],
)
def test_types_of_extensions(postgres_uri: str, postgres: psycopg.Connection, extension: str, expression: str) -> None:
    """An extension's type that industrydb does not know is text."""
    create_extension(postgres, extension)
    frame = industrydb.read_sql(postgres_uri, f"SELECT {expression} AS value, ARRAY[{expression}] AS list")
    [expected] = by_psycopg(postgres, f"SELECT ({expression})::text")
    assert frame.rows() == [(expected, [expected])]
    assert frame.dtypes == [pl.String, pl.List(pl.String)]


def test_vectors(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Vectors of pgvector are lists of 32-bit floats, with or without a declared length; arrays of them are text."""
    create_extension(postgres, "vector")
    rows = "('[1,2.5,-3e10]'::vector(3)), ('[0.1,1.4e-45,3.4028235e38]'), (NULL)"
    query = f"SELECT v, v::vector AS w, ARRAY[v] AS a FROM (VALUES {rows}) AS t(v)"
    frame = industrydb.read_sql(postgres_uri, query)
    floats = pl.List(pl.Float32())
    assert frame.dtypes == [floats, floats, pl.List(pl.String())]
    expected = postgres.execute(f"SELECT v::real[], w::real[], a::text[] FROM ({query}) AS q", binary=True).fetchall()
    assert frame.rows() == expected
    own = "CREATE SCHEMA IF NOT EXISTS own; DROP TYPE IF EXISTS own.vector; CREATE TYPE own.vector AS ENUM ('x')"
    postgres.execute(own)
    assert industrydb.read_sql(postgres_uri, "SELECT 'x'::own.vector AS v").item() == "x"


def test_every_type_of_the_server(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Every type of the server is in the page's table, by its own or its element's name, or becomes text."""
    table: dict[str, str] = {}
    for name, shown in type_table("postgresql.md"):
        if name in PROSE:
            continue
        [(plain_name,)] = postgres.execute("SELECT to_regtype(%s)::text", [name]).fetchall()
        # A type's last row is the one without a precision, or with one that is too large. NULLs have no scale.
        if "(50,10)" not in name:
            table[plain_name] = shown.replace("(38, s)", "(38, 0)")
    types = postgres.execute("""
        SELECT format_type(t.oid, NULL), format_type(e.oid, NULL), format('%I.%I', n.nspname, t.typname),
        (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = coalesce(e.typrelid, t.typrelid) AND attnum > 0)
        FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
        LEFT JOIN pg_type AS e ON e.typarray = t.oid
        WHERE t.typtype <> 'p' AND coalesce(e.typtype, '') <> 'p' AND n.nspname = 'pg_catalog'
        ORDER BY t.oid
    """).fetchall()
    assert len(types) > 300
    columns = ", ".join(f'NULL::{literal} AS "{number}"' for number, (_, _, literal, _) in enumerate(types))
    dtypes = industrydb.read_sql(postgres_uri, f"SELECT {columns}").dtypes
    for (name, element, _, fields), dtype in zip(types, dtypes, strict=True):
        if fields and dtype != pl.List(pl.String):  # arrays of rows whose fields have no decoder are text
            struct = dtype.inner if element and isinstance(dtype, pl.List) else dtype
            assert isinstance(struct, pl.Struct)
            assert [field.name for field in struct.fields] == fields
            continue
        expected = f"List({table.get(element, 'String')})" if element else table.get(name, "String")
        assert shown_dtype(dtype) == expected, name


@pytest.mark.parametrize("relation", ["pg_type", "pg_attribute", "pg_index", "pg_proc", "pg_rewrite", "pg_operator"])
def test_whole_catalogs(postgres_uri: str, postgres: psycopg.Connection, relation: str) -> None:
    """Whole catalogs, with types that are rarely used elsewhere, have PostgreSQL's own text in each text column."""
    names = [column.name for column in postgres.execute(f"SELECT * FROM {relation} LIMIT 0").description or []]
    frame = industrydb.read_sql(postgres_uri, f"SELECT * FROM {relation} AS r ORDER BY r::text")
    assert frame.columns == names
    textual = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    selected = ", ".join(f"{name}::text" for name in textual)
    expected = postgres.execute(f"SELECT {selected} FROM {relation} AS r ORDER BY r::text").fetchall()
    assert frame.select(textual).rows() == expected


@pytest.mark.parametrize(
    ("setting", "value", "expression"),
    [
        ("DateStyle", "German", "'[2024-02-03, 2024-03-04]'::daterange"),
        ("IntervalStyle", "iso_8601", "ROW('1 mon 2 days'::interval)"),
        ("IntervalStyle", "iso_8601", "'1 mon 2 days'::interval"),
        ("extra_float_digits", "0", "point(0.1, 0.30000000000000004)"),
        ("bytea_output", "escape", r"ROW('\xff'::bytea)"),
    ],
)
def test_text_does_not_depend_on_settings(
    postgres_uri: str, postgres: psycopg.Connection, setting: str, value: str, expression: str
) -> None:
    """A role's settings of how dates, intervals, floats and bytes are printed change no value, and no digit."""
    expected = by_psycopg(postgres, f"SELECT ({expression})::text")
    postgres.execute("DROP ROLE IF EXISTS opinionated; CREATE ROLE opinionated SUPERUSER LOGIN")
    postgres.execute(f"ALTER ROLE opinionated SET {setting} = '{value}'")
    column = industrydb.read_sql(with_options(postgres_uri, user="opinionated"), f"SELECT {expression} AS value")
    assert column["value"].to_list() == expected
