"""Composite types of PostgreSQL as structs: psycopg says what the values are, attribute by attribute."""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl
import psycopg
import pytest

import industrydb

from .support import with_options

TEXT, INTEGER, DURATION = pl.String(), pl.Int32(), pl.Duration("us")
# The last one has 63 bytes, which is all that PostgreSQL keeps.
ODD_NAMES = ['a "b"', "select", " ", "größe €", "'", "$1", "a.b", "ctid", "text", "q", "\\", "%s{}", "ä" * 31 + "x"]

# Fields of types that have a decoder: each with what it becomes and a value.
SCALAR_FIELDS: list[tuple[str, pl.DataType, str]] = [
    ("bool", pl.Boolean(), "true"),
    ("int2", pl.Int16(), "-32768"),
    ("int8", pl.Int64(), "9223372036854775807"),
    ("oid", pl.UInt32(), "4294967295"),
    ("float4", pl.Float32(), "'1.4e-45'"),
    ("float8", pl.Float64(), "-0.1"),
    ("numeric(10, 2)", pl.Decimal(10, 2), "-1.5"),
    ("text", TEXT, """'ä "(,)" \\'"""),
    ("char(3)", TEXT, "'ab'"),
    ("varchar(5)", TEXT, "'abc'"),
    ("name", TEXT, "'pg_class'"),
    ("bytea", pl.Binary(), r"'\x00ff'"),
    ("date", pl.Date(), "'2024-02-29'"),
    ("time", pl.Time(), "'23:59:59.999999'"),
    ("timestamp", pl.Datetime("us"), "'1969-12-31 23:59:59.999999'"),
    ("timestamptz", pl.Datetime("us", "UTC"), "'2024-02-29 12:34+05:45'"),
    ("uuid", TEXT, "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
    ("json", TEXT, "'{\"b\" : 1}'"),
    ("jsonb", TEXT, "'{\"b\" : 1}'"),
    ("mood", TEXT, "'très content'"),
    ("int[]", pl.List(INTEGER), "'{1,NULL}'"),
    ("text[]", pl.List(TEXT), "'{}'"),
    ("price[]", pl.List(pl.Decimal(10, 2)), "'{1.5,NULL}'"),
    ("mood[]", pl.List(TEXT), "'{sad,NULL}'"),
    ("date[]", pl.List(pl.Date()), "'[5:6]={2024-02-29,2024-03-01}'"),
]
# Of types that have none: text, or lists of it.
PRINTED_FIELDS = [
    *[("inet", "'192.168.0.1'"), ("int4range", "'[1,5)'"), ("money", "-1234.5"), ("timetz", "'12:34+05:45'")],
    *[("bit(3)", "'101'"), ("point", "'(1,2)'"), ("numeric(50, 10)", "1e39"), ("macaddr", "'08:00:2b:01:02:03'")],
    *[('"char"', "'x'"), ("int4multirange", "'{[1,3)}'"), ("regclass", "'pg_class'"), ("int2vector", "'1 2'")],
    *[("inet[]", "'{::1,NULL}'"), ("numeric(50, 10)[]", "'{1.5,NULL}'"), ("bit(1)[]", "'{}'")],
]


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"{}"'.format(name.replace('"', '""'))


# Everything is in a schema of its own, in front of another one that has types of the same names.
SETUP = f"""
DROP SCHEMA IF EXISTS composites, others CASCADE;
CREATE SCHEMA composites; CREATE SCHEMA others; SET search_path = composites, public;
CREATE TYPE mood AS ENUM ('sad', 'très content');
CREATE DOMAIN price AS numeric(10, 2);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE others.pair AS (b date, a pair);
CREATE TYPE scalars AS ({", ".join(f"f{n} {name}" for n, (name, _, _) in enumerate(SCALAR_FIELDS))});
CREATE TYPE printed AS ({", ".join(f"f{n} {name}" for n, (name, _) in enumerate(PRINTED_FIELDS))});
CREATE TYPE address AS (k int, i inet);
CREATE TYPE arrays AS (n int[]);
CREATE TYPE nested AS (p pair, a address, ps pair[], "as" address[], o others.pair);
CREATE DOMAIN named_pair AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN named_address AS address;
CREATE DOMAIN numbers AS int[];
CREATE TYPE of_domains AS (p price, n named_pair, a named_address, l numbers, ls numbers[], ns named_pair[]);
CREATE TYPE loose AS (n numeric, i interval, ns numeric[], "is" interval[]);
CREATE TYPE within AS (x loose, xs loose[]);
CREATE TYPE odd AS ({", ".join(f"{quoted(name)} inet" for name in ODD_NAMES)});
CREATE TYPE nothing AS ();
CREATE TYPE moments AS (d date, t time, n numeric, ts timestamptz, p numeric(4, 2), ds date[]);
CREATE TYPE outer_moments AS (m moments, ms moments[]);
"""

PAIR = pl.Struct({"a": pl.Int32, "b": pl.String})
OTHER_PAIR = pl.Struct({"b": pl.Date, "a": PAIR})
ADDRESS = pl.Struct({"k": pl.Int32, "i": pl.String})
NESTED = pl.Struct({"p": PAIR, "a": ADDRESS, "ps": pl.List(PAIR), "as": pl.List(TEXT), "o": OTHER_PAIR})
OF_DOMAINS = pl.Struct(
    {"p": pl.Decimal(10, 2), "n": PAIR, "a": ADDRESS, "l": pl.List(INTEGER), "ls": pl.List(TEXT), "ns": pl.List(PAIR)}
)
ODD = pl.Struct(dict.fromkeys(ODD_NAMES, TEXT))
SCALARS = pl.Struct({f"f{n}": dtype for n, (_, dtype, _) in enumerate(SCALAR_FIELDS)})
PRINTED = pl.Struct(
    {f"f{n}": pl.List(TEXT) if name.endswith("[]") else TEXT for n, (name, _) in enumerate(PRINTED_FIELDS)}
)
SOME_SCALARS = f"({', '.join(value for _, _, value in SCALAR_FIELDS)})"
SOME_PRINTED = f"({', '.join(value for _, value in PRINTED_FIELDS)})"
SOME_NESTED = """((1, 'a'), (2, '::1'), ARRAY[(3, NULL), NULL]::pair[], ARRAY[(4, '::2'), NULL]::address[],
    ('2024-02-29', (5, 'c')))"""


class Case(NamedTuple):
    """A type, what it becomes, and values of it."""

    database_type: str
    dtype: pl.DataType
    values: list[str]


# The dtypes of these do not depend on values.
CASES = [
    Case(
        "pair", PAIR, ["ROW(1, 'a')", "ROW(NULL, NULL)", "ROW(NULL, '')", "ROW(-1, NULL)", "ROW(2, 'longer than 12')"]
    ),
    Case("others.pair", OTHER_PAIR, ["('2024-02-29', (1, 'a'))", "(NULL, (NULL, NULL))", "(NULL, NULL)"]),
    Case("scalars", SCALARS, [SOME_SCALARS, f"ROW({', '.join(['NULL'] * len(SCALAR_FIELDS))})"]),
    Case("printed", PRINTED, [SOME_PRINTED, f"ROW({', '.join(['NULL'] * len(PRINTED_FIELDS))})"]),
    Case(
        "nested",
        NESTED,
        [SOME_NESTED, "((NULL, NULL), NULL, '{}', '{}', (NULL, NULL))", "(NULL, NULL, NULL, NULL, NULL)"],
    ),
    Case(
        "of_domains",
        OF_DOMAINS,
        [
            """(1.5, ROW(1, 'a')::pair, ROW(2, '::1')::address, '{1,2}', ARRAY['{1}', NULL]::numbers[],
                ARRAY[ROW(3, 'b')::pair]::named_pair[])""",
            "(NULL, NULL, NULL, NULL, NULL, NULL)",
        ],
    ),
    Case("odd", ODD, ["(" + ", ".join(f"'::{n}'" for n, _ in enumerate(ODD_NAMES)) + ")"]),
    Case("named_pair", PAIR, ["ROW(1, 'a')::pair", "ROW(NULL, NULL)::pair"]),
    Case("named_address", ADDRESS, ["ROW(1, '::1')::address", "ROW(NULL, NULL)::address"]),
    Case("pair[]", pl.List(PAIR), ["ARRAY[(1, 'a'), NULL, (NULL, NULL)]::pair[]", "'{}'", "'[3:3]={\"(1,a)\"}'"]),
    Case("scalars[]", pl.List(SCALARS), [f"ARRAY[{SOME_SCALARS}]::scalars[]"]),
    Case("named_pair[]", pl.List(PAIR), ["ARRAY[ROW(1, 'a')::pair, NULL]::named_pair[]"]),
    Case("nested[]", pl.List(TEXT), [f"ARRAY[{SOME_NESTED}]::nested[]"]),
    Case("printed[]", pl.List(TEXT), [f"ARRAY[{SOME_PRINTED}, NULL]::printed[]", "'{}'"]),
    Case("nothing", TEXT, ["ROW()"]),
    Case("nothing[]", pl.List(TEXT), ["ARRAY[ROW()::nothing]"]),
]

# Those of these do.
LOOSE = {"n": pl.Decimal(38, 3), "i": DURATION, "ns": pl.List(pl.Decimal(38, 1)), "is": pl.List(DURATION)}
LOOSE_CASES = [
    Case("loose", pl.Struct(LOOSE), ["(1, '1 day', '{1.5}', '{1 day}')", "(0.125, '-1 us', '{}', '{}')"]),
    Case(
        "loose",
        pl.Struct(LOOSE | {"i": TEXT, "is": pl.List(pl.List(TEXT))}),
        ["(0.125, '1 day', '{}', '{{1 mon}}')", "(1, '1 mon', '{1.5}', '{{1 day},{NULL}}')"],
    ),
    Case(
        "loose[]",
        pl.List(pl.Struct(LOOSE | {"i": TEXT})),
        [
            "'{}'",
            "ARRAY[(1, '1 day', '{1.5}', '{1 day}'), NULL]::loose[]",
            "ARRAY[(0.125, '1 mon', '{}', NULL)]::loose[]",
        ],
    ),
    Case(
        "within",
        pl.Struct({"x": pl.Struct(LOOSE | {"n": pl.Decimal(38, 1)}), "xs": pl.List(pl.Struct(LOOSE | {"i": TEXT}))}),
        [
            "((1.5, '1 day', '{1.5}', '{1 day}'), ARRAY[(1, '1 day', '{1.5}', '{1 day}')]::loose[])",
            "(NULL, ARRAY[(0.125, '1 mon', NULL, NULL)]::loose[])",
        ],
    ),
]


# Arrays that psycopg does not know, by what their elements become.
CASTS: dict[pl.DataType, str] = {TEXT: "text[]", pl.Decimal(10, 2): "numeric[]"}


@pytest.fixture(scope="module")
def uri(postgres_uri: str, postgres: psycopg.Connection) -> str:
    """Make the types; return the URI of sessions that find them."""
    with postgres.transaction():
        postgres.execute(SETUP.encode())
        postgres.execute("SET LOCAL search_path = public")
    postgres.execute("RESET search_path")
    return with_options(postgres_uri, options="-c search_path=composites,public")


@pytest.fixture(scope="module")
def server(uri: str) -> Iterator[psycopg.Connection]:
    """Connect to the same types by psycopg."""
    with psycopg.connect(uri, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def column(server: psycopg.Connection, query: str, value: str, dtype: pl.DataType) -> list[object]:
    """Return an expression's values, those of composites put together from their attributes."""

    def select(expression: str) -> list[object]:
        return [found for (found,) in server.execute(f"SELECT {expression} FROM ({query}) AS q", binary=True)]

    if isinstance(dtype, pl.Struct):
        fields = [
            column(server, query, f"(({value}).{quoted(field.name)})", _instance(field.dtype)) for field in dtype.fields
        ]
        names = [field.name for field in dtype.fields]
        nulls = select(f"{value} IS NOT DISTINCT FROM NULL")
        return [
            None if is_null else dict(zip(names, row, strict=True))
            for is_null, row in zip(nulls, zip(*fields, strict=True), strict=True)
        ]
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        lengths = select(f"cardinality({value})")
        most = max((length for length in lengths if isinstance(length, int)), default=0)
        indices = [f"array_lower({value}, 1) + {index}" for index in range(most)]
        elements = [column(server, query, f"({value})[{index}]", dtype.inner) for index in indices]
        rows = zip(*elements, strict=True) if elements else [()] * len(lengths)
        return [
            list(row[:length]) if isinstance(length, int) else None for length, row in zip(lengths, rows, strict=True)
        ]
    if isinstance(dtype, pl.List) and (cast := CASTS.get(_innermost(dtype))):
        return select(f"{value}::{cast}")
    if dtype == TEXT:
        # Casts to text cut the blanks of char(n).
        texts, values = select(f"{value}::text"), select(value)
        return [own if isinstance(own, str) else text for own, text in zip(values, texts, strict=True)]
    return select(value)


def _instance(dtype: object) -> pl.DataType:
    assert isinstance(dtype, pl.DataType) or (isinstance(dtype, type) and issubclass(dtype, pl.DataType))
    return dtype() if isinstance(dtype, type) else dtype


def _innermost(dtype: pl.DataType) -> pl.DataType:
    return _innermost(_instance(dtype.inner)) if isinstance(dtype, pl.List) else dtype


def rows(case: Case) -> str:
    """Return a query for the values of a case, and NULL."""
    values = [*case.values, "NULL"]
    return "SELECT * FROM (VALUES {}) AS t(i, v) ORDER BY i".format(
        ", ".join(f"({number}, ({value})::{case.database_type})" for number, value in enumerate(values))
    )


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("case", CASES + LOOSE_CASES, ids=lambda case: case.database_type)
def test_composites_are_structs(uri: str, server: psycopg.Connection, case: Case, partitions: int) -> None:
    """Fields have the types and values of columns; NULL is no row of NULLs; partitions come to one type."""
    frame = industrydb.read_sql(uri, rows(case), partition_on="i", partitions=partitions)
    assert frame.schema["v"] == case.dtype
    assert frame["v"].to_list() == column(server, rows(case), "v", case.dtype)


@pytest.mark.parametrize("nothing", ["WHERE false", ""], ids=["no rows", "only NULLs"])
def test_types_do_not_depend_on_values(uri: str, nothing: str) -> None:
    """An empty result, and one of NULLs alone, has the types of a full one."""
    columns = ", ".join(f'NULL::{case.database_type} AS "{case.database_type}"' for case in CASES)
    frame = industrydb.read_sql(uri, f"SELECT {columns} {nothing}")
    assert list(frame.schema.items()) == [(case.database_type, case.dtype) for case in CASES]
    assert frame.null_count().row(0) == (frame.height,) * frame.width


# Relations whose row types are read, in their own ways; the last column tells the rows apart.
RELATIONS = {
    "of a type": "CREATE TABLE r OF others.pair; INSERT INTO r VALUES ('2024-02-29', (1, 'a')), (NULL, NULL)",
    "dropped": """CREATE TABLE r (x inet, a pair, y int, k int); INSERT INTO r VALUES ('::1', (1, 'a'), 2, 3);
        ALTER TABLE r DROP COLUMN x, DROP COLUMN y; ALTER TABLE r ADD COLUMN z int[] DEFAULT '{7}'""",
    "generated": """CREATE TABLE r (k int, i inet GENERATED ALWAYS AS ('::1'::inet + k) STORED,
        d int GENERATED ALWAYS AS (k * 2) STORED); INSERT INTO r VALUES (1), (2)""",
    "inherited": """CREATE TABLE r (k int, i inet); CREATE TABLE heir (i inet, more int, k int); INSERT INTO r VALUES
        (1); ALTER TABLE heir INHERIT r; INSERT INTO heir VALUES ('::1', 2, 3)""",
    "partitioned": """CREATE TABLE r (k int, m mood) PARTITION BY RANGE (k); CREATE TABLE part (m mood, x int, k int);
        ALTER TABLE part DROP COLUMN x; ALTER TABLE r ATTACH PARTITION part DEFAULT; INSERT INTO r VALUES (1, 'sad')""",
    "view": "CREATE VIEW r AS SELECT (1, 'a')::pair AS p, '::1'::inet AS i, (2, '::2')::address AS a",
    "older rows": """CREATE TYPE grown AS (a int, gone int); CREATE TABLE r (g grown); INSERT INTO r VALUES ((1, 2));
        ALTER TYPE grown ADD ATTRIBUTE i inet; INSERT INTO r VALUES ((3, 4, '::1'));
        ALTER TYPE grown DROP ATTRIBUTE gone""",
    "1600 columns": "CREATE TABLE r ({}); INSERT INTO r (c7, c1599) VALUES (true, false)".format(
        ", ".join(f"c{number} bool" for number in range(1600))
    ),
}


@pytest.mark.parametrize("script", RELATIONS.values(), ids=RELATIONS.keys())
def test_rows_of_relations_are_structs(uri: str, server: psycopg.Connection, script: str) -> None:
    """A row's fields are what the columns are; where there is no row, there is no struct."""
    with psycopg.connect(uri, autocommit=True) as own:
        own.execute("DROP SCHEMA IF EXISTS relations CASCADE; CREATE SCHEMA relations")
        own.execute("SET search_path = relations, composites")
        own.execute(script.encode())
    schema = industrydb.read_sql(uri, "SELECT * FROM relations.r").schema
    query = "SELECT r AS v FROM relations.r RIGHT JOIN (VALUES (true), (false)) AS t(is_row) ON is_row ORDER BY r"
    frame = industrydb.read_sql(uri, query)
    assert frame.schema["v"] == pl.Struct(schema)
    assert frame["v"].to_list() == column(server, query, "v", pl.Struct(schema))
    assert frame["v"].to_list()[-1] is None
    names = server.execute("SELECT * FROM relations.r").description or []
    assert list(schema) == [name for name, *_ in names]


@pytest.fixture(scope="module")
def filled(server: psycopg.Connection) -> pl.DataFrame:
    """Fill a table with rows that a partition ends between, among them NULLs and rows of NULLs."""
    server.execute("""
        CREATE TABLE filled AS SELECT i, CASE i % 100 WHEN 3 THEN NULL WHEN 5 THEN ROW(NULL, NULL)::pair ELSE
        ROW(i % 900, i)::pair END AS p, CASE i % 100 WHEN 3 THEN NULL WHEN 5 THEN ROW(NULL, NULL)::address ELSE ROW(i, '::1')::address
        END::named_address AS a, ARRAY[ROW(i % 7, i)::pair, NULL] AS ps FROM generate_series(1, 2000) AS i;
        ANALYZE filled
    """)
    dtypes: dict[str, pl.DataType] = {"i": INTEGER, "p": PAIR, "a": ADDRESS, "ps": pl.List(PAIR)}
    query = "SELECT * FROM filled ORDER BY i"
    return pl.DataFrame({name: column(server, query, name, dtype) for name, dtype in dtypes.items()}, schema=dtypes)


WAYS: dict[str, dict[str, object]] = {
    "one session": {},
    "no snapshot": {"snapshot": False},
    "parameters": {"params": [1]},
    "by blocks": {"partitions": 4},
    "by a number": {"partition_on": "i", "partitions": 4},
    "by a composite": {"partition_on": "p", "partitions": 7},
    "by a composite, no snapshot": {"partition_on": "p", "partitions": 4, "snapshot": False, "max_connections": 2},
    "by a domain": {"partition_on": "a", "partitions": 4},
    "by an array": {"partition_on": "ps", "partitions": 4},
}


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_of_reading(uri: str, filled: pl.DataFrame, way: str) -> None:
    """Every row arrives once, by itself or in the partition of its key."""
    options = WAYS[way]
    query = "SELECT * FROM filled" + " WHERE i >= $1" * ("params" in options)
    frame = industrydb.read_sql(uri, query, **options)  # type: ignore[call-overload]
    assert frame.n_chunks() == options.get("partitions", 1)
    assert frame.sort("i").equals(filled, null_equal=True)
    assert frame.schema == filled.schema


def test_lists_of_queries(uri: str) -> None:
    """Their fields come to one type, like those of partitions; other fields are other columns."""
    values = ("(1.5, '1 day', NULL, NULL)", "(1.25, '1 mon', NULL, NULL)", "NULL")
    frame = industrydb.read_sql(uri, [f"SELECT {value}::loose AS v" for value in values])
    found = [row["v"] and (str(row["v"]["n"]), row["v"]["i"]) for row in frame.to_dicts()]
    assert found == [("1.50", "1 day"), ("1.25", "1 mon"), None]
    with pytest.raises(industrydb.ConfigurationError, match=r"query 2 .*address"):
        industrydb.read_sql(uri, ["SELECT (1, 'a')::pair AS v", "SELECT (1, '::1')::address AS v"])


# Composites that the caller, or the server, makes text of.
TEXTS: list[tuple[str, pl.DataType | None]] = [
    (f"{SOME_SCALARS}::scalars", TEXT),
    (f"{SOME_NESTED}::nested", TEXT),
    ("ROW(NULL, NULL)::address", TEXT),
    ("ROW(1, 'a')::pair::named_pair", TEXT),
    ("ARRAY[(1, 'a'), NULL]::pair[]", TEXT),
    ("ARRAY[(1, 'a'), NULL]::pair[]", pl.List(TEXT)),
    ("ARRAY[(1, '::1')]::address[]", pl.List(TEXT)),
    ("ROW(1, 'a \"b\"', NULL, ARRAY[1])", None),
    ("ARRAY[ROW(1, 'a'), NULL]", None),
    ("('infinity', '24:00', 'NaN', NULL, NULL, NULL)::moments", TEXT),
]


@pytest.mark.parametrize(("expression", "asked"), TEXTS)
def test_rows_as_text(uri: str, server: psycopg.Connection, expression: str, asked: pl.DataType | None) -> None:
    """Text is read where it is asked for, and for rows that have no names for their fields."""
    frame = industrydb.read_sql(uri, f"SELECT {expression} AS v", schema_overrides={"v": asked} if asked else None)
    cast = "text[]" if frame.schema["v"] == pl.List(TEXT) else "text"
    assert frame.rows() == server.execute(f"SELECT ({expression})::{cast}").fetchall()
    assert asked in (None, frame.schema["v"])


def test_functions_return_structs(uri: str, server: psycopg.Connection) -> None:
    """They may also return NULL, or many rows; a volatile one is called once for each."""
    server.execute("""
        CREATE SEQUENCE calls; CREATE FUNCTION f(i int) RETURNS address LANGUAGE plpgsql AS $$ BEGIN
        RETURN CASE i WHEN 1 THEN NULL WHEN 2 THEN ROW(NULL, NULL)::address ELSE ROW(i, '::1')::address END; END $$;
        CREATE FUNCTION g() RETURNS SETOF address LANGUAGE sql AS $$ SELECT f(i) FROM generate_series(1, 3) AS i $$;
        CREATE FUNCTION h() RETURNS address VOLATILE LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION USING MESSAGE = 'once', ERRCODE = 'P0099'; END $$
    """)
    for query in ("SELECT f(i) AS v FROM generate_series(1, 3) AS i", "SELECT g() AS v", "SELECT v FROM g() AS v"):
        frame = industrydb.read_sql(uri, query)
        assert frame.schema["v"] == ADDRESS
        assert frame["v"].to_list() == column(server, query, "v", ADDRESS)
    with pytest.raises(industrydb.QueryExecutionError, match="once") as raised:
        industrydb.read_sql(uri, "SELECT h() AS v")
    assert raised.value.code == "P0099"


def test_vectors_in_composites(uri: str, server: psycopg.Connection) -> None:
    """Those of pgvector are lists of floats within rows, and text within arrays of rows."""
    try:
        server.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    except psycopg.Error as error:
        pytest.skip(f"the server has no such extension: {error}")
    server.execute("DROP TYPE IF EXISTS with_vector CASCADE; CREATE TYPE with_vector AS (v vector(2), k int)")
    query = "SELECT v, ARRAY[v] AS vs FROM (VALUES (('[0.1,-3e10]', 1)::with_vector), (NULL), ('(,2)')) AS t(v)"
    frame = industrydb.read_sql(uri, query)
    assert frame.schema == {"v": pl.Struct({"v": pl.List(pl.Float32), "k": pl.Int32}), "vs": pl.List(pl.String)}
    fields = server.execute(f"SELECT (v).v::real[], (v).k, vs::text[] FROM ({query}) AS q", binary=True).fetchall()
    nulls = [False, True, False]
    expected = [(None if null else {"v": v, "k": k}, vs) for null, (v, k, vs) in zip(nulls, fields, strict=True)]
    assert frame.rows() == expected


# A row's literal, its type, the field at fault and what the message shows.
MISFITS = [
    ("(infinity,,,,,)", "moments", "d", "infinity"),
    ("(,24:00,,,,)", "moments", "t", "24:00:00"),
    ("(,,NaN,,,)", "moments", "n", "NaN"),
    ("(,,1e38,,,)", "moments", "n", f"1{38 * '0'}"),
    ("(,,,-infinity,,)", "moments", "ts", "-infinity"),
    ("(,,,,NaN,)", "moments", "p", "NaN"),
    ('(,,,,,"{2024-02-29,infinity}")', "moments", "ds", "infinity"),
    ('("(infinity,,,,,)",)', "outer_moments", "d", "infinity"),
    ('{"(infinity,,,,,)"}', "moments[]", "d", "infinity"),
    ('(,"{""(,24:00,,,,)""}")', "outer_moments", "t", "24:00:00"),
]


@pytest.mark.parametrize(("literal", "database_type", "field", "shown"), MISFITS)
def test_values_that_do_not_fit_are_named(uri: str, literal: str, database_type: str, field: str, shown: str) -> None:
    """The message says which column, row and field, and shows the value."""
    query = f"SELECT CASE i WHEN 3 THEN '{literal}'::{database_type} END AS \"Größe\" FROM generate_series(1, 3) AS i"
    with pytest.raises(industrydb.TypeConversionError, match=r"Größe.* row 3") as raised:
        industrydb.read_sql(uri, query)
    assert f'field "{field}"' in str(raised.value)
    assert f" {shown} " in str(raised.value)


def test_dimensions_that_differ(uri: str) -> None:
    """Arrays in a field have no common type either, in one partition or in several."""
    query = "SELECT i, ROW(CASE i WHEN 1 THEN '{1}' ELSE '{{1}}' END)::arrays AS v"
    for partitions, message in ((1, '"v".* row 2.*field "n"'), (2, '"v".*text')):
        with pytest.raises(industrydb.TypeConversionError, match=message):
            industrydb.read_sql(
                uri, f"{query} FROM generate_series(1, 2) AS i", partition_on="i", partitions=partitions
            )
