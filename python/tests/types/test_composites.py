"""Composite types of PostgreSQL are structs, with the values that psycopg reads, attribute by attribute."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl
import psycopg
import pytest

import industrydb
from tests.kit.postgres_types import NATIVE, TEXTUAL, create_extension
from tests.kit.support import with_options

TEXT, INTEGER, DURATION = pl.String(), pl.Int32(), pl.Duration("us")
# The last name has 63 bytes, the most that PostgreSQL keeps.
ODD_NAMES = ['a "b"', "select", " ", "größe €", "'", "$1", "a.b", "ctid", "text", "q", "\\", "%s{}", "ä" * 31 + "x"]

# Fields of all types, with their dtypes. NaN does not equal itself, and the cast to text[] cuts the blanks of
# char(3)[].
NATIVE_FIELDS = [field for field in NATIVE if "NaN" not in field[0] and "char(3)" not in field[0]]
TEXT_FIELDS = [(expression, pl.String()) for expression in TEXTUAL if not expression.startswith("ROW")]


def table(name: str, fields: Sequence[tuple[str, pl.DataType]]) -> str:
    """Return a statement that creates a table of one row, whose row type has such fields."""
    return f"CREATE TABLE {name} AS SELECT {', '.join(f'{value} AS f{n}' for n, (value, _) in enumerate(fields))};"


def quoted(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"{}"'.format(name.replace('"', '""'))


# Everything is in a schema of its own, which is found before another one with types of the same names.
SETUP = f"""
DROP SCHEMA IF EXISTS composites, others CASCADE;
CREATE SCHEMA composites; CREATE SCHEMA others; SET search_path = composites, public;
CREATE TYPE mood AS ENUM ('sad', 'très content');
CREATE DOMAIN price AS numeric(10, 2);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE others.pair AS (b date, a pair);
CREATE TYPE short AS (c char(3), u uuid, i inet);
{table("native", NATIVE_FIELDS)}
{table("textual", TEXT_FIELDS)}
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
SHORT = pl.Struct({"c": TEXT, "u": TEXT, "i": TEXT})
NATIVES = pl.Struct({f"f{n}": dtype for n, (_, dtype) in enumerate(NATIVE_FIELDS)})
TEXTUALS = pl.Struct({f"f{n}": dtype for n, (_, dtype) in enumerate(TEXT_FIELDS)})
SOME_NESTED = """((1, 'a'), (2, '::1'), ARRAY[(3, NULL), NULL]::pair[], ARRAY[(4, '::2'), NULL]::address[],
    ('2024-02-29', (5, 'c')))"""


SOME_OF_DOMAINS = """(1.5, ROW(1, 'a')::pair, ROW(2, '::1')::address, '{1,2}', ARRAY['{1}', NULL]::numbers[],
    ARRAY[ROW(3, 'b')::pair]::named_pair[])"""


class Case(NamedTuple):
    """A type, its dtype, and values of it, separated by bars."""

    database_type: str
    dtype: pl.DataType
    values: str


# Types whose dtypes do not depend on values.
CASES = [
    Case("pair", PAIR, "ROW(1, 'a') | ROW(NULL, NULL) | ROW(NULL, '') | ROW(-1, NULL) | ROW(2, 'longer than 12')"),
    Case("others.pair", OTHER_PAIR, "('2024-02-29', (1, 'a')) | (NULL, (NULL, NULL)) | (NULL, NULL)"),
    Case("short", SHORT, "('ab', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '::1') | ('abc', NULL, '10.0.0.0/8')"),
    Case("nested", NESTED, f"{SOME_NESTED} | ((NULL, NULL), NULL, '{{}}', '{{}}', (NULL, NULL)) | '(,,,,)'"),
    Case("of_domains", OF_DOMAINS, f"{SOME_OF_DOMAINS} | (NULL, NULL, NULL, NULL, NULL, NULL)"),
    Case("odd", ODD, "(" + ", ".join(f"'::{n}'" for n, _ in enumerate(ODD_NAMES)) + ")"),
    Case("named_pair", PAIR, "ROW(1, 'a')::pair | ROW(NULL, NULL)::pair"),
    Case("named_address", ADDRESS, "ROW(1, '::1')::address | ROW(NULL, NULL)::address"),
    Case("pair[]", pl.List(PAIR), """ARRAY[(1, 'a'), NULL, (NULL, NULL)]::pair[] | '{}' | '[3:3]={"(1,a)"}'"""),
    Case("named_pair[]", pl.List(PAIR), "ARRAY[ROW(1, 'a')::pair, NULL]::named_pair[]"),
    Case("nested[]", pl.List(TEXT), f"ARRAY[{SOME_NESTED}]::nested[]"),
    Case("textual[]", pl.List(TEXT), "ARRAY(SELECT t FROM textual AS t UNION ALL SELECT NULL) | '{}'"),
    Case("nothing", TEXT, "ROW()"),
    Case("nothing[]", pl.List(TEXT), "ARRAY[ROW()::nothing]"),
]

# Types whose dtypes depend on values.
LOOSE = {"n": pl.Decimal(38, 3), "i": DURATION, "ns": pl.List(pl.Decimal(38, 1)), "is": pl.List(DURATION)}
LOOSE_TEXT = pl.Struct(LOOSE | {"i": TEXT})
LOOSE_LISTS = pl.Struct(LOOSE | {"i": TEXT, "is": pl.List(pl.List(TEXT))})
WITHIN = pl.Struct({"x": pl.Struct(LOOSE | {"n": pl.Decimal(38, 1)}), "xs": pl.List(LOOSE_TEXT)})
DAY, MONTH = "(1.5, '1 day', '{1.5}', '{1 day}')", "(0.125, '1 mon', '{}', NULL)"
LOOSE_CASES = [
    Case("textual", TEXTUALS, "(SELECT t FROM textual AS t) | (SELECT t FROM textual AS t WHERE false)"),
    Case("native", NATIVES, "(SELECT t FROM native AS t)"),
    Case("native[]", pl.List(NATIVES), "ARRAY(SELECT t FROM native AS t UNION ALL SELECT NULL) | '{}'"),
    Case("loose", pl.Struct(LOOSE), f"{DAY} | (0.125, '-1 us', '{{}}', '{{}}')"),
    Case("loose", LOOSE_LISTS, f"(0.125, '1 day', '{{1.5}}', '{{{{1 mon}},{{NULL}}}}') | {MONTH}"),
    Case("loose[]", pl.List(LOOSE_TEXT), f"'{{}}' | ARRAY[{DAY}, NULL]::loose[] | ARRAY[{MONTH}]::loose[]"),
    Case("within", WITHIN, f"({DAY}, ARRAY[{DAY}]::loose[]) | (NULL, ARRAY[{MONTH}]::loose[])"),
]

# Casts of arrays that psycopg cannot read, by the dtype of their elements.
CASTS: dict[object, str] = {TEXT: "text[]", pl.Decimal(10, 2): "numeric[]", pl.Float32(): "real[]"}


@pytest.fixture(scope="module")
def uri(postgres_uri: str, postgres: psycopg.Connection) -> str:
    """Create the types; return the URI of sessions that find them."""
    postgres.execute(f"{SETUP} RESET search_path".encode())
    return with_options(postgres_uri, options="-c search_path=composites,public")


@pytest.fixture(scope="module")
def server(uri: str) -> Iterator[psycopg.Connection]:
    """Connect to the same types with psycopg."""
    with psycopg.connect(uri, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def column(server: psycopg.Connection, query: str, value: str, dtype: object) -> list[object]:
    """Return an expression's values by psycopg, those of composites assembled from their attributes."""

    def select(expression: str) -> list[object]:
        return [found for (found,) in server.execute(f"SELECT {expression} FROM ({query}) AS q", binary=True)]

    if isinstance(dtype, pl.Struct):
        schema = dtype.to_schema()
        fields = [column(server, query, f"(({value}).{quoted(name)})", field) for name, field in schema.items()]
        rows = zip(select(f"{value} IS NOT DISTINCT FROM NULL"), *fields, strict=True)
        return [None if is_null else dict(zip(schema, row, strict=True)) for is_null, *row in rows]
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        lengths = [length if isinstance(length, int) else None for length in select(f"cardinality({value})")]
        indices = [f"array_lower({value}, 1) + {index}" for index in range(max(length or 0 for length in lengths))]
        elements = [column(server, query, f"({value})[{index}]", dtype.inner) for index in indices]
        lists = zip(lengths, *elements, strict=True)
        return [None if length is None else row[:length] for length, *row in lists]
    if isinstance(dtype, pl.List) and (cast := CASTS.get(innermost(dtype))):
        return select(f"{value}::{cast}")
    if dtype == TEXT:  # a cast to text cuts the blanks of char(n), and adds a mask to inet
        return select(f"CASE WHEN {value} IS DISTINCT FROM NULL THEN concat({value}) END")
    return select(value)


def innermost(dtype: object) -> object:
    """Return the dtype inside all lists."""
    return innermost(dtype.inner) if isinstance(dtype, pl.List) else dtype


def rows(case: Case) -> str:
    """Return a query for the values of a case and a NULL."""
    values = [*case.values.split(" | "), "NULL"]
    return "SELECT * FROM (VALUES {}) AS t(i, v) ORDER BY i".format(
        ", ".join(f"({number}, ({value})::{case.database_type})" for number, value in enumerate(values))
    )


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("case", CASES + LOOSE_CASES, ids=lambda case: case.database_type)
def test_composites_are_structs(uri: str, server: psycopg.Connection, case: Case, partitions: int) -> None:
    """Fields have the types and values of columns, NULL is not a row of NULLs, and partitions have one type."""
    frame = industrydb.read_sql(uri, rows(case), partition_on="i", partitions=partitions)
    assert frame.schema["v"] == case.dtype
    assert frame["v"].to_list() == column(server, rows(case), "v", case.dtype)


@pytest.mark.parametrize("nothing", ["WHERE false", ""], ids=["no rows", "only NULLs"])
def test_types_do_not_depend_on_values(uri: str, nothing: str) -> None:
    """A result without rows, or with NULLs only, has the types of a full one."""
    columns = ", ".join(f'NULL::{case.database_type} AS "{case.database_type}"' for case in CASES)
    frame = industrydb.read_sql(uri, f"SELECT {columns} {nothing}")
    assert list(frame.schema.items()) == [(case.database_type, case.dtype) for case in CASES]
    assert frame.null_count().row(0) == (frame.height,) * frame.width


# Relations of all kinds, whose stored rows may differ from their current row type.
RELATIONS = {
    "dropped": """CREATE TABLE r (x inet, a pair, y int, k int); INSERT INTO r VALUES ('::1', (1, 'a'), 2, 3);
        ALTER TABLE r DROP COLUMN x, DROP COLUMN y; ALTER TABLE r ADD COLUMN z int[] DEFAULT '{7}'""",
    "generated": """CREATE TABLE r (k int, i inet GENERATED ALWAYS AS ('::1'::inet + k) STORED,
        d int GENERATED ALWAYS AS (k * 2) STORED); INSERT INTO r VALUES (1), (2)""",
    "inherited": """CREATE TABLE r (k int, i inet); CREATE TABLE heir (i inet, more int, k int); INSERT INTO r VALUES
        (1); ALTER TABLE heir INHERIT r; INSERT INTO heir VALUES ('::1', 2, 3)""",
    "partitioned": """CREATE TABLE r (k int, m mood) PARTITION BY RANGE (k); CREATE TABLE part (m mood, x int, k int);
        ALTER TABLE part DROP COLUMN x; ALTER TABLE r ATTACH PARTITION part DEFAULT;
        INSERT INTO r VALUES (1, 'sad')""",
    "view": "CREATE VIEW r AS SELECT (1, 'a')::pair AS p, '::1'::inet AS i, (2, '::2')::address AS a",
    "older rows": """CREATE TYPE grown AS (a int, gone int); CREATE TABLE r (g grown); INSERT INTO r VALUES ((1, 2));
        ALTER TYPE grown ADD ATTRIBUTE i inet; INSERT INTO r VALUES ((3, 4, '::1'));
        ALTER TYPE grown DROP ATTRIBUTE gone""",
    "1600 columns": f"CREATE TABLE r ({', '.join(f'c{n} bool' for n in range(1600))}); INSERT INTO r VALUES (true)",
}


@pytest.mark.parametrize("script", RELATIONS.values(), ids=RELATIONS.keys())
def test_rows_of_relations_are_structs(uri: str, server: psycopg.Connection, script: str) -> None:
    """A relation's row is a struct of its columns' types, and NULL if there is no row."""
    with psycopg.connect(uri, autocommit=True) as own:
        own.execute("DROP SCHEMA IF EXISTS relations CASCADE; CREATE SCHEMA relations")
        own.execute("SET search_path = relations, composites")
        own.execute(script.encode())
    schema = industrydb.read_sql(uri, "SELECT * FROM relations.r").schema
    query = "SELECT r AS v FROM relations.r RIGHT JOIN (VALUES (true), (false)) AS t(is_row) ON is_row ORDER BY r"
    frame = industrydb.read_sql(uri, query)
    assert frame.schema["v"] == pl.Struct(schema)
    assert frame["v"].to_list() == column(server, query, "v", pl.Struct(schema))


@pytest.fixture(scope="module")
def filled(server: psycopg.Connection) -> pl.DataFrame:
    """Fill a table that partitions divide, with NULLs and rows of NULLs; return its rows."""
    server.execute("""
        CREATE TABLE filled AS SELECT i,
        CASE i % 100 WHEN 3 THEN NULL WHEN 5 THEN ROW(NULL, NULL)::pair ELSE ROW(i % 900, i)::pair END AS p,
        CASE i % 100 WHEN 3 THEN NULL WHEN 5 THEN '(,)' ELSE '(' || i || ',::1)' END::named_address AS a,
        ARRAY[ROW(i % 7, i)::pair, NULL] AS ps FROM generate_series(1, 2000) AS i; ANALYZE filled
    """)
    dtypes: dict[str, pl.DataType] = {"i": INTEGER, "p": PAIR, "a": ADDRESS, "ps": pl.List(PAIR)}
    query = "SELECT * FROM filled ORDER BY i"
    return pl.DataFrame({name: column(server, query, name, dtype) for name, dtype in dtypes.items()}, schema=dtypes)


WAYS: dict[str, dict[str, object]] = {
    "one session": {},
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
    """Every row arrives once, in one partition or in the partition of its key."""
    options = WAYS[way]
    query = "SELECT * FROM filled" + " WHERE i >= $1" * ("params" in options)
    frame = industrydb.read_sql(uri, query, **options)  # type: ignore[call-overload]
    assert frame.n_chunks() == options.get("partitions", 1)
    assert frame.sort("i").equals(filled, null_equal=True)
    assert frame.schema == filled.schema


def test_lists_of_queries(uri: str) -> None:
    """Fields of a list's queries get one type, as in partitions; queries with other fields are refused."""
    values = ("(1.5, '1 day', NULL, NULL)", "(1.25, '1 mon', NULL, NULL)", "NULL")
    frame = industrydb.read_sql(uri, [f"SELECT {value}::loose AS v" for value in values])
    found = [row["v"] and (str(row["v"]["n"]), row["v"]["i"]) for row in frame.to_dicts()]
    assert found == [("1.50", "1 day"), ("1.25", "1 mon"), None]
    with pytest.raises(industrydb.ConfigurationError, match=r"query 2 .*address"):
        industrydb.read_sql(uri, ["SELECT (1, 'a')::pair AS v", "SELECT (1, '::1')::address AS v"])


# Composites that become text, by request or because the server has no names for their fields.
TEXTS: list[tuple[str, pl.DataType | None]] = [
    ("(SELECT t FROM native AS t)", TEXT),
    (f"{SOME_NESTED}::nested", TEXT),
    ("ROW(NULL, NULL)::address", TEXT),
    ("ARRAY[(1, 'a'), NULL]::pair[]", TEXT),
    ("ARRAY[(1, 'a'), NULL]::pair[]", pl.List(TEXT)),
    ("ARRAY[(1, '::1')]::address[]", pl.List(TEXT)),
    ("ROW(1, 'a \"b\"', NULL, ARRAY[1])", None),
    ("ARRAY[ROW(1, 'a'), NULL]", None),
    ("('infinity', '24:00', 'NaN', NULL, NULL, NULL)::moments", TEXT),
]


@pytest.mark.parametrize(("expression", "asked"), TEXTS)
def test_rows_as_text(uri: str, server: psycopg.Connection, expression: str, asked: pl.DataType | None) -> None:
    """A row is read as text on request, and if its fields have no names."""
    frame = industrydb.read_sql(uri, f"SELECT {expression} AS v", schema_overrides={"v": asked} if asked else None)
    cast = "text[]" if frame.schema["v"] == pl.List(TEXT) else "text"
    assert frame.rows() == server.execute(f"SELECT ({expression})::{cast}").fetchall()
    assert asked in (None, frame.schema["v"])


def test_functions_return_structs(uri: str, server: psycopg.Connection) -> None:
    """Composites from functions are structs, also if a function returns NULL or many rows."""
    server.execute("""
        CREATE FUNCTION f(i int) RETURNS address LANGUAGE plpgsql AS $$ BEGIN
        RETURN CASE i WHEN 1 THEN NULL WHEN 2 THEN ROW(NULL, NULL)::address ELSE ROW(i, '::1')::address END; END $$;
        CREATE FUNCTION g() RETURNS SETOF address LANGUAGE sql AS $$ SELECT f(i) FROM generate_series(1, 3) AS i $$
    """)
    for query in ("SELECT f(i) AS v FROM generate_series(1, 3) AS i", "SELECT g() AS v", "SELECT v FROM g() AS v"):
        frame = industrydb.read_sql(uri, query)
        assert frame.schema["v"] == ADDRESS
        assert frame["v"].to_list() == column(server, query, "v", ADDRESS)


def test_vectors_in_composites(uri: str, server: psycopg.Connection) -> None:
    """Vectors of pgvector are lists of floats within rows, and text within arrays of rows."""
    create_extension(server, "vector SCHEMA public")
    server.execute("DROP TYPE IF EXISTS with_vector CASCADE; CREATE TYPE with_vector AS (v vector(2), k int)")
    query = "SELECT v, ARRAY[v] AS vs FROM (VALUES (('[0.1,-3e10]', 1)::with_vector), (NULL), ('(,2)')) AS t(v)"
    frame = industrydb.read_sql(uri, query)
    assert frame.dtypes == [pl.Struct({"v": pl.List(pl.Float32), "k": pl.Int32}), pl.List(pl.String)]
    for name, dtype in frame.schema.items():
        assert frame[name].to_list() == column(server, query, name, dtype)


# A row's literal, its type, the field that does not fit, and its value in the message.
MISFITS = [
    ("(infinity,,,,,)", "moments", "d", "infinity"),
    ("(,24:00,,,,)", "moments", "t", "24:00:00"),
    ("(,,NaN,,,)", "moments", "n", "NaN"),
    ("(,,1e38,,,)", "moments", "n", f"1{38 * '0'}"),
    ("(,,,-infinity,,)", "moments", "ts", "-infinity"),
    ('(,,,,,"{2024-02-29,infinity}")', "moments", "ds", "infinity"),
    ('("(infinity,,,,,)",)', "outer_moments", "d", "infinity"),
    ('{"(infinity,,,,,)"}', "moments[]", "d", "infinity"),
    ('(,"{""(,24:00,,,,)""}")', "outer_moments", "t", "24:00:00"),
]


@pytest.mark.parametrize(("literal", "database_type", "field", "shown"), MISFITS)
def test_values_that_do_not_fit_are_named(uri: str, literal: str, database_type: str, field: str, shown: str) -> None:
    """A value that does not fit raises an error with its column, row, field and text."""
    query = f"SELECT CASE i WHEN 3 THEN '{literal}'::{database_type} END AS \"Größe\" FROM generate_series(1, 3) AS i"
    with pytest.raises(industrydb.TypeConversionError, match=r"Größe.* row 3") as raised:
        industrydb.read_sql(uri, query)
    assert re.search(rf'in the field ("\w+"\.)?"{field}" ', str(raised.value))
    assert f" {shown} " in str(raised.value)


def test_dimensions_that_differ(uri: str) -> None:
    """Arrays of different dimensions in a field have no common type, in one partition or in several."""
    query = "SELECT i, ROW(v::int[])::arrays AS v FROM (VALUES (1, '{1}'), (2, '{{1}}')) AS t(i, v)"
    for partitions, message in ((1, '"v".* row 2.*field "n"'), (2, '"v".*text')):
        with pytest.raises(industrydb.TypeConversionError, match=message):
            industrydb.read_sql(uri, query, partition_on="i", partitions=partitions)


def test_a_value_is_evaluated_once(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The fields of a value come from one call of a function, also if a field is cast within the struct."""
    postgres.execute("""
        DROP TYPE IF EXISTS moments CASCADE;
        CREATE TYPE moments AS (a timestamptz, b timestamptz, c inet);
        CREATE FUNCTION taken() RETURNS moments LANGUAGE plpgsql STABLE AS $$
        DECLARE now timestamptz := clock_timestamp(); BEGIN RETURN (now, now, '::1')::moments; END $$
    """)
    frame = industrydb.read_sql(postgres_uri, "SELECT taken() AS v FROM generate_series(1, 3)").unnest("v")
    assert frame["a"].to_list() == frame["b"].to_list()
    assert frame["a"].n_unique() == 3


def test_arrays_of_more_dimensions_keep_the_types_of_empty_fields(
    postgres: psycopg.Connection, postgres_uri: str
) -> None:
    """A field whose arrays are all empty has its declared type, in an array of more dimensions."""
    postgres.execute("DROP TYPE IF EXISTS arrayed CASCADE; CREATE TYPE arrayed AS (n int[], k int)")
    dtype = industrydb.read_sql(postgres_uri, "SELECT ARRAY[ARRAY[ROW('{}', 1)::arrayed]] AS v")["v"].dtype
    assert dtype == pl.List(pl.List(pl.Struct({"n": pl.List(pl.Int32), "k": pl.Int32})))


def test_structs_may_be_asked_for(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A struct can be requested field by field, with other types but the same names."""
    postgres.execute("DROP TYPE IF EXISTS asked CASCADE; CREATE TYPE asked AS (a int, b numeric, c inet)")
    query = "SELECT ROW(1, 2.5, '::1')::asked AS v"
    own = industrydb.read_sql(postgres_uri, query).schema
    assert industrydb.read_sql(postgres_uri, query, schema_overrides=own).schema == own
    other = pl.Struct({"a": pl.Int8, "b": pl.Float64, "c": pl.Categorical})
    frame = industrydb.read_sql(postgres_uri, query, schema_overrides={"v": other})
    assert frame.dtypes == [other]
    assert frame.rows() == [({"a": 1, "b": 2.5, "c": "::1"},)]
    with pytest.raises(industrydb.ConfigurationError, match="Struct"):
        industrydb.read_sql(postgres_uri, query, schema_overrides={"v": pl.Struct({"x": pl.Int8})})


def test_records_are_no_keys(postgres_uri: str) -> None:
    """A key that is a record, whose fields are not known, is read in one partition, and the plan says why."""
    query = "SELECT ROW(i, 'x') AS c FROM generate_series(1, 9) AS i"
    plan = industrydb.plan_sql(postgres_uri, query, partition_on="c", partitions=3)
    assert len(plan) == 1
    assert "record" in (plan.note or "")
    assert plan.read().height == 9
