"""Rows are cut and filtered by the operators that sort them, whatever the search path."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import psycopg
import pytest

import industrydb
from tests.kit.support import union

# `ci` is a case-insensitive text type, like `citext`, in a schema outside of the search path. Without its own
# operators, it is compared as `text`. `plain` has no operator class: the server sorts it as `text`, and not by its own
# `<`. `odd` is sorted by a comparison function that contradicts its operators.
TYPES = """
    DROP SCHEMA IF EXISTS ext CASCADE;
    CREATE SCHEMA ext;
    CREATE TYPE ext.ci; CREATE TYPE ext.plain; CREATE TYPE ext.odd;
    {inputs}
    CREATE TYPE ext.ci (INPUT = ext.ci_in, OUTPUT = ext.ci_out, LIKE = text, COLLATABLE = true);
    CREATE TYPE ext.plain (INPUT = ext.plain_in, OUTPUT = ext.plain_out, LIKE = text, COLLATABLE = true);
    CREATE TYPE ext.odd (INPUT = ext.odd_in, OUTPUT = ext.odd_out, LIKE = text, COLLATABLE = true);
    CREATE CAST (ext.ci AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE CAST (ext.plain AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE CAST (ext.odd AS text) WITHOUT FUNCTION AS IMPLICIT;
    {operators}
    CREATE FUNCTION ext.ci_cmp(ext.ci, ext.ci) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS
        $$ SELECT bttextcmp(lower($1::text COLLATE "C"), lower($2::text COLLATE "C")) $$;
    CREATE FUNCTION ext.odd_cmp(ext.odd, ext.odd) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS
        $$ SELECT -bttextcmp($1::text COLLATE "C", $2::text COLLATE "C") $$;
    CREATE OPERATOR CLASS ext.ci_ops DEFAULT FOR TYPE ext.ci USING btree AS
        OPERATOR 1 ext.<, OPERATOR 2 ext.<=, OPERATOR 3 ext.=, OPERATOR 4 ext.>=, OPERATOR 5 ext.>,
        FUNCTION 1 ext.ci_cmp(ext.ci, ext.ci);
    CREATE OPERATOR CLASS ext.odd_ops DEFAULT FOR TYPE ext.odd USING btree AS
        OPERATOR 1 ext.<, OPERATOR 2 ext.<=, OPERATOR 3 ext.=, OPERATOR 4 ext.>=, OPERATOR 5 ext.>,
        FUNCTION 1 ext.odd_cmp(ext.odd, ext.odd);
    CREATE DOMAIN ext.ci_domain AS ext.ci CHECK (VALUE::text <> '');
    CREATE DOMAIN ext.ci_domain_of_domain AS ext.ci_domain;
    CREATE DOMAIN ext.text_domain AS text COLLATE "C";
    CREATE DOMAIN ext.ci_list AS ext.ci[];
    CREATE TYPE ext.pair AS (a ext.ci, b int);
    CREATE TYPE ext.ci_range AS RANGE (SUBTYPE = ext.ci);
    CREATE TYPE ext.mood AS ENUM ('x', 'a', 'X', 'B', 'b', 'A');
"""
NAMES = {"<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">": "gt"}


def types() -> str:
    """Return the statements that create the types."""
    inputs, operators = [], []
    for name, value in (("ci", "lower(%s::text)"), ("plain", "reverse(%s::text)"), ("odd", "%s::text")):
        inputs.append(f"""
            CREATE FUNCTION ext.{name}_in(cstring) RETURNS ext.{name} LANGUAGE internal IMMUTABLE STRICT AS 'textin';
            CREATE FUNCTION ext.{name}_out(ext.{name}) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
        """)
        left, right = (f'{value % operand} COLLATE "C"' for operand in ("$1", "$2"))
        for sign, function in NAMES.items():
            operators.append(f"""
                CREATE FUNCTION ext.{function}(ext.{name}, ext.{name}) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS
                    $$ SELECT {left} {sign} {right} $$;
                CREATE OPERATOR ext.{sign} (LEFTARG = ext.{name}, RIGHTARG = ext.{name}, FUNCTION = ext.{function});
            """)
    return TYPES.format(inputs="".join(inputs), operators="".join(operators))


KEYS = {
    "ext.ci": "%s",
    "ext.ci_domain": "%s",
    "ext.ci_domain_of_domain": "%s",
    "ext.plain": "%s",
    "ext.text_domain": "%s",
    "ext.ci[]": "{%s,b}",
    "ext.ci_list": "{%s}",
    "ext.pair": "(%s,1)",
    "ext.ci_range": "[%s,zz]",
    "ext.mood": None,
    "varchar(9)": "%s",
    "varchar(9)[]": "{%s}",
    "ext.odd": "%s",
}


@pytest.fixture(scope="module")
def ext(postgres: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Create types in a schema that is not in the search path."""
    postgres.execute(types())
    yield postgres
    postgres.execute("DROP SCHEMA ext CASCADE")


def keys(form: str | None) -> list[str | None]:
    """Return 300 keys of alternating case and a NULL; for `None`, 300 labels of the enum."""
    if form is None:
        return [["x", "a", "X", "B", "b", "A"][n % 6] for n in range(300)]
    words = [f"{'kBmXcq'[n % 6]}{n * 7 % 50:02}" for n in range(300)]
    return [None, *(form % (word.upper() if n % 2 else word.lower()) for n, word in enumerate(words))]


@pytest.mark.parametrize("key_type", KEYS)
@pytest.mark.parametrize("partitions", [2, 7, 32])
def test_each_row_comes_once_whatever_the_operators_of_its_key_are(
    ext: psycopg.Connection, postgres_uri: str, key_type: str, partitions: int
) -> None:
    """Each row is in one partition, together with equal keys; a type sorted unlike its operators is not split."""
    ext.execute(f"DROP TABLE IF EXISTS ext.rows; CREATE TABLE ext.rows (k {key_type}, n int)")
    rows = [(key, n) for n, key in enumerate(keys(KEYS[key_type]))]
    with ext.cursor() as cursor, cursor.copy("COPY ext.rows FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    plan = industrydb.plan_sql(postgres_uri, "SELECT k, n FROM ext.rows", partition_on="k", partitions=partitions)
    assert sorted(plan.read()["n"]) == list(range(len(rows)))
    parts: dict[int, int] = dict(ext.execute(union(plan.sql)).fetchall())
    same_keys = ext.execute("SELECT array_agg(n) FROM ext.rows GROUP BY k").fetchall()
    assert all(len({parts[n] for n in same}) == 1 for (same,) in same_keys)
    if key_type == "ext.odd" and partitions > 2:
        assert len(plan) == 1
        assert "order" in (plan.note or "")
    else:
        assert len(plan) == min(partitions, len(same_keys))


def test_keys_of_citext_come_once(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Each row is read once by a key of the extension `citext`, if the server has it."""
    if postgres.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'").fetchone() is None:
        pytest.skip("the server has no citext")
    postgres.execute("DROP SCHEMA IF EXISTS of_citext CASCADE; CREATE SCHEMA of_citext")
    postgres.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA of_citext")
    name = postgres.execute("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'")
    (schema,) = name.fetchone() or ("",)
    postgres.execute(f"CREATE TABLE of_citext.rows (k {schema}.citext, n int)")
    with postgres.cursor() as cursor, cursor.copy("COPY of_citext.rows FROM STDIN") as copy:
        for n in range(4000):
            copy.write_row((f"{'kK'[n % 2]}{n % 500}", n))
    frame = industrydb.read_sql(postgres_uri, "SELECT * FROM of_citext.rows", partition_on="k", partitions=8)
    assert sorted(frame["n"]) == list(range(4000))
    postgres.execute("DROP SCHEMA of_citext CASCADE")


def test_a_filter_on_another_types_text_is_polars(ext: psycopg.Connection, postgres_uri: str) -> None:
    """A filter on a text type that is not built in is left to Polars, also if the type shadows the built-in `text`."""
    ext.execute("DROP TABLE IF EXISTS ext.rows; DROP DOMAIN IF EXISTS ext.text; CREATE DOMAIN ext.text AS ext.ci")
    ext.execute("CREATE TABLE ext.rows (k ext.text, c ext.ci)")
    ext.execute("INSERT INTO ext.rows VALUES ('a', 'a'), ('A', 'A'), ('b', 'B'), (NULL, NULL)")
    path = "SET search_path = ext, pg_catalog"
    query = "SELECT * FROM ext.rows"
    whole = industrydb.read_sql(postgres_uri, query, pre_execution_query=path)
    scan = industrydb.scan_sql(postgres_uri, query, pre_execution_query=path)
    for name in ("k", "c"):
        for predicate in (pl.col(name) == "a", pl.col(name) != "a", pl.col(name) < "a", pl.col(name).is_in(["A", "b"])):
            assert scan.filter(predicate).collect().equals(whole.filter(predicate))


# Operators found before pg_catalog's, for built-in types: every row is in every range, and equal to no value.
PAIRS = ["int4 int4", "int4 int8", "int8 int8", "text text", "timestamp timestamp", "date date", "bytea bytea"]
ANSWERS = {"<": "true", ">=": "true", "=": "false", "<>": "false", ">": "false", "<=": "false"}
PATH = "SET search_path = evil, pg_catalog, public"


@pytest.fixture(scope="module")
def evil(postgres: psycopg.Connection) -> Iterator[str]:
    """Create operators and an aggregate that are found before pg_catalog's, and a table; yield a query on it."""
    postgres.execute("DROP SCHEMA IF EXISTS evil CASCADE; CREATE SCHEMA evil")
    for number, pair in enumerate(PAIRS):
        left, right = pair.split()
        for answer in ("true", "false"):
            postgres.execute(
                f"CREATE FUNCTION evil.{answer}{number}({left}, {right}) RETURNS bool LANGUAGE sql IMMUTABLE "
                f"AS 'SELECT {answer}'"
            )
        for sign, answer in ANSWERS.items():
            postgres.execute(
                f"CREATE OPERATOR evil.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil.{answer}{number})"
            )
    postgres.execute("CREATE AGGREGATE evil.max(int4) (SFUNC = int4smaller, STYPE = int4)")
    postgres.execute(
        """CREATE TABLE evil.rows AS SELECT n, n % 100 AS k, 'k' || n % 100 AS t,
        timestamp '2024-01-01' + n * interval '1 h' AS at, date '2024-01-01' + n AS day,
        n::text::bytea AS b FROM generate_series(0, 999) AS n"""
    )
    postgres.execute("ANALYZE evil.rows")
    yield "SELECT * FROM evil.rows"
    postgres.execute("DROP SCHEMA evil CASCADE")


@pytest.mark.parametrize("key", ["n", "k", "t", "at", "day", "b", None])
def test_each_row_comes_once_whatever_the_search_path_is(evil: str, postgres_uri: str, key: str | None) -> None:
    """Each row is read once, although the search path finds operators before those that sort the keys."""
    frame = industrydb.read_sql(postgres_uri, evil, partition_on=key, partitions=5, pre_execution_query=PATH)
    assert sorted(frame["n"]) == list(range(1000))
    plan = industrydb.plan_sql(postgres_uri, evil, partition_on=key, partitions=5, pre_execution_query=PATH)
    assert len(plan) == 5


@pytest.mark.parametrize("ends", [(0, 1000), (datetime(2024, 1, 1), datetime(2024, 2, 1))])  # noqa: DTZ001, as the column
def test_each_row_of_given_ranges_comes_once(evil: str, postgres_uri: str, ends: tuple[object, object]) -> None:
    """Each row is read once with cuts from the caller's `partition_range`, whatever the search path."""
    key = "n" if isinstance(ends[0], int) else "at"
    frame = industrydb.read_sql(
        postgres_uri, evil, partition_on=key, partitions=4, partition_range=ends, pre_execution_query=PATH
    )
    assert sorted(frame["n"]) == list(range(1000))


@pytest.mark.parametrize(
    "predicate",
    [
        pl.col("n") == 7,
        pl.col("k") >= 90,
        pl.col("n").is_in([1, 2, 5000]),
        pl.col("t") == "k7",
        pl.col("t") != "k7",
        pl.col("t") > "k7",
        pl.col("t").is_in(["k1", "k2"]),
        pl.col("t").str.ends_with("7"),
        pl.col("t").str.contains("7", literal=True),
        pl.col("at") < datetime(2024, 1, 2),  # noqa: DTZ001, as the column
        pl.col("at").dt.hour() == 7,
        pl.col("day") == datetime(2024, 1, 2).date(),  # noqa: DTZ001
        pl.col("b") == b"7",
    ],
    ids=str,
)
def test_a_scan_has_the_rows_of_a_read_whatever_the_search_path_is(
    evil: str, postgres_uri: str, predicate: pl.Expr
) -> None:
    """A scan's filter returns the rows that Polars finds; operators of the search path would lose some."""
    whole = industrydb.read_sql(postgres_uri, evil, pre_execution_query=PATH)
    expected = whole.filter(predicate)
    assert expected.height
    assert (
        industrydb.scan_sql(postgres_uri, evil, pre_execution_query=PATH).filter(predicate).collect().equals(expected)
    )


def test_an_extract_goes_up_to_the_largest_value(evil: str, postgres_uri: str, tmp_path: Path) -> None:
    """An extract continues from the column's maximum, although the search path has another `max` first."""
    for _ in range(2):
        industrydb.extract(postgres_uri, evil, tmp_path / "rows", since="n", pre_execution_query=PATH)
    assert sorted(pl.read_parquet(tmp_path / "rows" / "*.parquet")["n"]) == list(range(1000))


@pytest.mark.parametrize(
    ("key_type", "ends"),
    [
        ("float4", (0, 1)),
        ("float4", (16777216.0, 16777220.0)),
        ("date", (datetime(2024, 1, 1), datetime(2024, 1, 2))),  # noqa: DTZ001, as the column
        ("numeric", (0, 1)),
    ],
)
def test_cuts_that_the_keys_type_cannot_tell_apart_are_one(
    postgres: psycopg.Connection, postgres_uri: str, key_type: str, ends: tuple[object, object]
) -> None:
    """Cuts that are equal in the key's type are merged: partitions between them would be empty."""
    values = {"date": "date '2024-01-01' + n"}.get(key_type, f"(n / 7.0)::{key_type}")
    postgres.execute(
        f"DROP TABLE IF EXISTS finely; CREATE TABLE finely AS SELECT n, {values} AS k FROM generate_series(0, 99) AS n"
    )
    plan = industrydb.plan_sql(
        postgres_uri, "SELECT * FROM finely", partition_on="k", partitions=32, partition_range=ends
    )
    assert sorted(plan.read()["n"]) == list(range(100))
    assert len(set(plan.sql)) == len(plan)
