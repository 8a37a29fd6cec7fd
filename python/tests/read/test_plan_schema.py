"""All reads of one plan have the plan's schema, so its partitions can be concatenated without a cast."""

import datetime as dt
import math
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import industrydb
from industrydb import ConfigurationError, IndustryDbError, TypeConversionError
from industrydb._cli import main
from tests.kit.support import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

# Rows 1 to 3 are the first of three partitions, 4 to 6 the second, 7 to 9 the third.
THIRDS: dict[str, Any] = {"partition_on": "n", "partitions": 3, "partition_range": (1, 9)}

PAIR = pl.Struct({"a": pl.Decimal(38, 3), "t": pl.String})


def thirds(first: str, second: str, third: str) -> str:
    """Return an expression with a value for each of the three partitions."""
    return f"CASE WHEN n < 4 THEN {first} WHEN n < 7 THEN {second} ELSE {third} END"


def together(plan: industrydb.ReadPlan) -> pl.DataFrame:
    """Read a plan in every way, assert that all frames have its schema and agree, and return the rows."""
    again = pickle.loads(pickle.dumps(plan))  # noqa: S301
    assert again.schema == plan.schema
    parts = [plan.read(index) for index in range(len(plan))]
    elsewhere = [again.read(index) for index in range(len(plan))]
    whole = [plan.read(), plan.profile()[0], again.read()]
    assert [frame.schema for frame in (*parts, *elsewhere, *whole)] == [plan.schema] * (2 * len(plan) + 3)
    frame = pl.concat(parts)
    for other in (pl.concat(elsewhere), *whole):
        assert_frame_equal(frame, other)
    return frame


# An expression, the expression that an independent driver reads instead, and the dtype.
POSTGRES = {
    "numeric": (thirds("n + 0.1", "n + 0.125", "NULL"), "{}", pl.Decimal(38, 3)),
    "numeric-later": (thirds("NULL", "n::numeric", "1.5"), "{}", pl.Decimal(38, 1)),
    "nulls": (thirds("NULL::numeric", "NULL", "NULL"), "{}", pl.Decimal(38, 0)),
    "numerics": (thirds("ARRAY[n + 0.5, NULL]", "'{}'", "ARRAY[0.125]"), "{}", pl.List(pl.Decimal(38, 3))),
    "matrices": (thirds("'{}'", "ARRAY[[n + 0.25]]", "NULL"), "{}", pl.List(pl.List(pl.Decimal(38, 2)))),
    "no-elements": (thirds("'{}'::numeric[]", "NULL", "'{}'"), "{}", pl.List(pl.Decimal(38, 0))),
    "hours": ("n * interval '1 hour'", "{}", pl.Duration("us")),
    "months": (thirds("interval '1 h'", "interval '2 mon 1 h'", "NULL"), "({})::text", pl.String),
    "intervals": (
        thirds("ARRAY[interval '1 h']", "ARRAY[interval '2 mon', NULL]", "NULL"),
        "({})::text[]",
        pl.List(pl.String),
    ),
    "composite": (
        thirds("ROW(1.5, '1 h')::measured", "ROW(0.125, '3 mon')::measured", "NULL"),
        "CASE WHEN ({0}) IS DISTINCT FROM NULL THEN json_build_object('a', (({0}).a)::text, 't', (({0}).t)::text) END",
        PAIR,
    ),
    "integers": ("n", "{}", pl.Int32),
}


@pytest.fixture
def measured(postgres: psycopg.Connection) -> None:
    """Create a composite type whose fields' dtypes depend on their values."""
    postgres.execute("DROP TYPE IF EXISTS measured CASCADE")
    postgres.execute("CREATE TYPE measured AS (a numeric, t interval)")


@pytest.mark.parametrize(("expression", "oracle", "dtype"), POSTGRES.values(), ids=POSTGRES)
@pytest.mark.usefixtures("measured")
def test_postgres_partitions_have_the_types_of_all_values(
    postgres: psycopg.Connection, postgres_uri: str, expression: str, oracle: str, dtype: pl.DataType
) -> None:
    """Every partition has the type that all values need, although its own values need another one."""
    rows = "FROM generate_series(1, 9) AS n"
    plan = industrydb.plan_sql(postgres_uri, f"SELECT n, {expression} AS v {rows}", **THIRDS)
    assert (len(plan), plan.schema) == (3, {"n": pl.Int32, "v": dtype})
    expected = [value for (value,) in postgres.execute(f"SELECT {oracle.format(expression)} {rows} ORDER BY n")]
    found = together(plan).sort("n")["v"].to_list()
    if dtype == PAIR:
        found = [row if row is None else {"a": str(row["a"].normalize()), "t": row["t"]} for row in found]
    assert found == expected


SQLITE = {
    "integers": (thirds("n", "NULL", "n"), pl.Int64),
    "floats": (thirds("n", "n + 0.5", "NULL"), pl.Float64),
    "texts": (thirds("n", "'a' || n", "0.5"), pl.String),
    "large": (thirds("9007199254740993", "0.5", "NULL"), pl.String),
    "bytes": (thirds("NULL", "'a'", "x'ff'"), pl.Binary),
    "nulls": (thirds("NULL", "NULL", "NULL"), pl.Null),
    "undeclared": ("u", pl.String),
    "declared": ("d", pl.Date),
}


@pytest.fixture
def mixed(sqlite_file: SqliteFile) -> SqliteFile:
    """Create a table of nine rows."""
    sqlite_file.connection.execute("CREATE TABLE mixed (n INTEGER PRIMARY KEY, u, d DATE, t DATETIME, i INTEGER)")
    rows = [(n, [n, n / 2, f"x{n}"][(n - 1) // 3], "2024-02-29", "2024-02-29 12:00", n) for n in range(1, 10)]
    sqlite_file.connection.executemany("INSERT INTO mixed VALUES (?, ?, ?, ?, ?)", rows)
    return sqlite_file


def as_read(value: object, dtype: pl.DataType) -> object:
    """Return a value of SQLite as a column of a dtype holds it."""
    if value is None or (dtype == pl.Binary and isinstance(value, bytes)):
        return value
    if dtype == pl.Date:
        return dt.date.fromisoformat(str(value))
    if dtype == pl.Float64:
        assert isinstance(value, (int, float))
        return float(value)
    if dtype == pl.Int64:
        return value
    text = str(value)
    return text.encode() if dtype == pl.Binary else text


@pytest.mark.parametrize(("expression", "dtype"), SQLITE.values(), ids=SQLITE)
def test_sqlite_partitions_have_the_types_of_all_values(mixed: SqliteFile, expression: str, dtype: pl.DataType) -> None:
    """Every partition has the type that all values need, although its own values need another one."""
    query = f"SELECT n, {expression} AS v FROM mixed"
    plan = industrydb.plan_sql(mixed.uri, query, **THIRDS)
    assert (len(plan), plan.schema) == (3, {"n": pl.Int64, "v": dtype})
    expected = [as_read(value, dtype) for _, value in mixed.connection.execute(f"{query} ORDER BY n")]
    assert together(plan).sort("n")["v"].to_list() == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT n, NULL AS v FROM mixed WHERE n < 4 UNION ALL SELECT n, u FROM mixed WHERE n >= 4",
        "SELECT n, i AS v FROM mixed WHERE n < 4 UNION ALL SELECT n, u FROM mixed WHERE n >= 4",
        "SELECT n, d AS v FROM mixed WHERE n < 4 UNION ALL SELECT n, 'soon' FROM mixed WHERE n >= 4",
        "SELECT n, v FROM (SELECT n, t AS v FROM mixed WHERE n < 4 UNION ALL SELECT n, 'soon' FROM mixed WHERE n >= 4)",
        "SELECT n, i AS v FROM mixed WHERE n < 4 UNION ALL SELECT n, NULL FROM mixed WHERE n >= 4",
        "SELECT count(*) AS n, max(u) AS v FROM mixed GROUP BY typeof(u)",
    ],
)
def test_sqlite_queries_of_several_selects_have_one_schema(mixed: SqliteFile, query: str) -> None:
    """A query of several SELECTs has one schema; what one SELECT declares does not hold for the others."""
    whole = industrydb.read_sql(mixed.uri, query)
    plan = industrydb.plan_sql(mixed.uri, query, **THIRDS)
    assert plan.schema == whole.schema
    assert_frame_equal(together(plan), whole, check_row_order=False)


LISTS = {
    "postgres": (
        ["SELECT 1.5 AS v", "SELECT 0.125 AS v", "SELECT NULL::numeric AS v", "SELECT 7::numeric AS v WHERE false"],
        [Decimal("1.5"), Decimal("0.125"), None],
        pl.Decimal(38, 3),
    ),
    "sqlite": (
        ["SELECT 1 AS v", "SELECT 'x' AS v", "SELECT NULL AS v", "SELECT i AS v FROM mixed WHERE n = 1"],
        ["1", "x", None, "1"],
        pl.String,
    ),
}


@pytest.mark.parametrize("database", LISTS)
def test_the_queries_of_a_list_have_one_schema(request: pytest.FixtureRequest, database: str) -> None:
    """Each query of a list is a partition, and their types are decided by the values of all."""
    queries, expected, dtype = LISTS[database]
    fixture = "postgres_uri" if database == "postgres" else "mixed"
    uri = getattr(request.getfixturevalue(fixture), "uri", None) or request.getfixturevalue(fixture)
    plan = industrydb.plan_sql(uri, queries)
    assert plan.schema == {"v": dtype}
    assert together(plan)["v"].to_list() == expected


@pytest.mark.usefixtures("measured")
def test_the_rows_of_an_array_have_the_types_of_all_values(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Rows in arrays have the type that all values need; an interval field's bytes are never read as text."""
    array = thirds(*(f"ARRAY[ROW({row})::measured]" for row in ("1.5, '1 h'", "0.125, '1 mon'", "NULL, NULL")))
    rows = "FROM generate_series(1, 9) AS n"
    plan = industrydb.plan_sql(postgres_uri, f"SELECT n, {array} AS v {rows}", **THIRDS)
    assert plan.schema["v"] == pl.List(PAIR)
    oracle = f"SELECT (v[1]).a, (v[1]).t::text FROM (SELECT n, {array} AS v {rows}) AS q ORDER BY n"
    expected = postgres.execute(oracle).fetchall()
    frames = [together(plan), pl.concat(industrydb.read_sql_batches(postgres_uri, plan.sql, batch_size=2))]
    for frame in frames:
        assert [(row["a"], row["t"]) for (row,) in frame.sort("n")["v"].to_list()] == expected
    asked = {"v": pl.List(pl.Struct({"a": pl.String, "t": pl.String}))}
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        industrydb.read_sql(postgres_uri, f"SELECT {array} AS v {rows}", schema_overrides=asked)


def test_one_partition_has_the_schema(postgres_uri: str, mixed: SqliteFile) -> None:
    """A plan with a single partition has its schema in all reads, too."""
    plan = industrydb.plan_sql(postgres_uri, "SELECT 1.25 AS v, interval '1 mon' AS i")
    assert plan.schema == {"v": pl.Decimal(38, 2), "i": pl.String}
    assert together(plan).rows() == [(Decimal("1.25"), "1 mon")]
    plan = industrydb.plan_sql(mixed.uri, "SELECT count(*) AS c FROM mixed")
    assert plan.schema == {"c": pl.Int64}
    assert together(plan).rows() == [(9,)]


def test_overrides_stand_beside_settled_types(postgres_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """A column with an override is not read for its type, and the plan's schema shows the override."""
    query = """SELECT n, n + 0.125 AS v, n * interval '1 h' AS i, timestamptz '2024-02-29 12:00+00' AS z, 'a' AS e
        FROM generate_series(1, 9) AS n"""
    asked = {
        "v": pl.Decimal(20, 3),
        "z": pl.Datetime("us", "Europe/Berlin"),
        "e": pl.Enum(["a"]),
    }
    caplog.set_level("INFO", "industrydb.core")
    plan = industrydb.plan_sql(postgres_uri, query, schema_overrides=asked, **THIRDS)
    assert plan.schema == {"n": pl.Int32, "v": asked["v"], "i": pl.Duration("us"), "z": asked["z"], "e": asked["e"]}
    parts = [plan.read(index) for index in range(len(plan))]
    assert [part.schema for part in parts] == [plan.schema] * 3
    assert pl.concat(parts).sort("n")["v"].to_list() == [n + Decimal("0.125") for n in range(1, 10)]
    assert [message for message in caplog.messages if "decide their types" in message] == [
        'the values of ["i"] decide their types: these columns are read twice; schema_overrides saves that'
    ]
    caplog.clear()
    asked = {"v": pl.Float64(), "i": pl.String()}
    assert industrydb.plan_sql(postgres_uri, query, schema_overrides=asked, **THIRDS).read(1).height == 3
    assert not any("decide their types" in message for message in caplog.messages)


def test_a_plan_that_is_only_shown_reads_nothing(postgres_uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands `plan` and `schema` read no rows: the query would fail."""
    for command in ("plan", "schema"):
        assert main([command, "SELECT 1.5 / 0 AS v", "--uri", postgres_uri]) == 0
    assert "v  Decimal" in capsys.readouterr().out


# What changes between planning and reading


def raises_everywhere(plan: industrydb.ReadPlan, error: type[IndustryDbError], match: str) -> None:
    """Assert that a read of all partitions, a read of the last one, and a profile raise the same error."""
    reads: list[Callable[[], object]] = [plan.read, lambda: plan.read(-1), plan.profile]
    for read in reads:
        with pytest.raises(error, match=match):
            read()


def test_a_later_value_that_does_not_fit_postgres_types_raises(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A value that came after planning and does not fit raises; it is not rounded, and does not change the type."""
    for declared, before, later, message in (
        (
            "numeric",
            "1.5",
            "1.125",
            r'column "v" \(numeric\), row 1.*: 1\.125 is no pl\.Decimal\(38, 1\).*plan the read again',
        ),
        ("numeric[]", "ARRAY[1.5]", "ARRAY[1.125]", r'column "v" \(numeric\[\]\), row 1.*: 1\.125 is no pl.Decimal'),
        ("numeric[]", "ARRAY[1.5]", "ARRAY[[1.5]]", 'column "v".*an array of 2 dimension'),
        ("int[]", "ARRAY[1]", "ARRAY[[1]]", 'column "v".*an array of 2 dimension'),
        ("interval", "'1 h'", "'1 mon'", 'column "v"'),
        ("numeric", "NULL", "0.5", 'column "v".*is no pl.Decimal'),
    ):
        postgres.execute("DROP TABLE IF EXISTS changing")
        postgres.execute(f"CREATE TABLE changing (n int, v {declared})")
        postgres.execute(f"INSERT INTO changing SELECT n, {before} FROM generate_series(1, 8) AS n")
        plan = industrydb.plan_sql(postgres_uri, "SELECT n, v FROM changing", **THIRDS)
        postgres.execute(f"INSERT INTO changing VALUES (9, {later})")
        postgres.execute("DELETE FROM changing WHERE n IN (7, 8)")
        assert plan.read(0).schema == plan.schema
        raises_everywhere(plan, TypeConversionError, message)


def test_later_values_that_fit_are_read(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Values that came after planning are read if they fit the plan's types."""
    postgres.execute("DROP TABLE IF EXISTS changing")
    postgres.execute("CREATE TABLE changing (n int, v numeric, i interval)")
    postgres.execute("INSERT INTO changing VALUES (1, 0.125, '1 mon')")
    plan = industrydb.plan_sql(postgres_uri, "SELECT * FROM changing", **THIRDS)
    postgres.execute("INSERT INTO changing VALUES (4, 12.5, '1 h'), (9, NULL, NULL)")
    assert together(plan)["v", "i"].rows() == [(Decimal("0.125"), "1 mon"), (Decimal("12.5"), "01:00:00"), (None, None)]


def test_what_was_empty_when_it_was_planned_has_the_schema(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A table that was empty at planning keeps the plan's schema: later values that fit are read, others raise."""
    postgres.execute("DROP TABLE IF EXISTS changing")
    postgres.execute("CREATE TABLE changing (n int, v numeric, i interval, l interval[])")
    plan = industrydb.plan_sql(postgres_uri, "SELECT * FROM changing", **THIRDS)
    duration = pl.Duration("us")
    assert plan.schema == {"n": pl.Int32, "v": pl.Decimal(38, 0), "i": duration, "l": pl.List(duration)}
    assert together(plan).height == 0
    hour = dt.timedelta(hours=1)
    postgres.execute("INSERT INTO changing VALUES (1, 7, '1 h', ARRAY[interval '1 h']), (9, 8, NULL, '{}')")
    assert together(plan).rows() == [(1, Decimal(7), hour, [hour]), (9, Decimal(8), None, [])]
    for column, value in (("v", "0.5"), ("i", "'1 mon'"), ("l", "ARRAY[interval '1 mon']")):
        postgres.execute("UPDATE changing SET v = NULL, i = NULL, l = NULL")
        postgres.execute(f"UPDATE changing SET {column} = {value} WHERE n = 9")
        raises_everywhere(plan, TypeConversionError, f'column "{column}"')


def test_a_later_value_that_does_not_fit_sqlites_types_raises(mixed: SqliteFile) -> None:
    """A value that came after planning and does not fit raises; it does not widen the plan's column."""
    for column, later, message in (
        ("u", b"\xff", 'column "u", row 1.*: .* is no pl.String'),
        ("i", "n/a", r'column "i" \(INTEGER\), row 1.*: "n/a" is no pl.Int64.*plan the read again'),
        ("i", 0.5, r'column "i" \(INTEGER\), row 1.*: 0\.5 is no pl.Int64'),
        ("d", "soon", r'column "d" \(DATE\), row 1.*: "soon" is no pl.Date'),
        ("t", "2024-02-30", r'column "t" \(DATETIME\), row 1'),
    ):
        plan = industrydb.plan_sql(mixed.uri, "SELECT * FROM mixed", **THIRDS)
        (kept,) = mixed.connection.execute(f"SELECT {column} FROM mixed WHERE n = 7").fetchone()
        mixed.connection.execute(f"UPDATE mixed SET {column} = ? WHERE n = 7", [later])
        assert plan.read(0).schema == plan.schema
        raises_everywhere(plan, TypeConversionError, message)
        if column != "u":  # its value is not a text
            asked = {column: pl.String}
            plan = industrydb.plan_sql(mixed.uri, "SELECT * FROM mixed", schema_overrides=asked, **THIRDS)
            assert together(plan).sort("n")[column].to_list()[6] == str(later)
        mixed.connection.execute(f"UPDATE mixed SET {column} = ? WHERE n = 7", [kept])


def test_nulls_stay_nulls(mixed: SqliteFile) -> None:
    """A column without values at planning stays without: a later value raises."""
    mixed.connection.execute("UPDATE mixed SET u = NULL")
    plan = industrydb.plan_sql(mixed.uri, "SELECT n, u FROM mixed", **THIRDS)
    assert plan.schema["u"] == pl.Null
    assert together(plan)["u"].null_count() == 9
    mixed.connection.execute("UPDATE mixed SET u = 7 WHERE n = 9")
    raises_everywhere(plan, TypeConversionError, 'column "u", row 3.*: 7 is no')


@pytest.mark.parametrize("later", ["double precision", "numeric", "numeric(12, 4)", "text", "bigint"])
def test_a_column_of_another_type_raises(postgres: psycopg.Connection, postgres_uri: str, later: str) -> None:
    """A plan of a table that was altered since raises: it is not read as if unchanged, and nothing is rounded."""
    postgres.execute("DROP TABLE IF EXISTS changing")
    postgres.execute("CREATE TABLE changing (n int, v real, w numeric(12, 2))")
    postgres.execute("INSERT INTO changing SELECT n, n, n FROM generate_series(1, 9) AS n")
    plan = industrydb.plan_sql(postgres_uri, "SELECT * FROM changing", **THIRDS)
    postgres.execute(f"ALTER TABLE changing ALTER v TYPE {later}")
    raises_everywhere(plan, IndustryDbError, '"v".*plan the read again')
    postgres.execute("ALTER TABLE changing ALTER v TYPE real USING v::real")
    assert together(plan).height == 9
    postgres.execute(f"ALTER TABLE changing ALTER w TYPE {later}")
    raises_everywhere(plan, IndustryDbError, '"w".*plan the read again')


def test_other_columns_raise(postgres: psycopg.Connection, postgres_uri: str, mixed: SqliteFile) -> None:
    """A plan raises if a column was added, dropped or renamed since."""
    postgres.execute("DROP TABLE IF EXISTS changing")
    postgres.execute("CREATE TABLE changing (n int, v numeric)")
    plan = industrydb.plan_sql(postgres_uri, "SELECT * FROM changing", **THIRDS)
    for statement in ("ADD w int", "DROP v", "RENAME w TO x"):
        postgres.execute(f"ALTER TABLE changing {statement}")
        raises_everywhere(plan, IndustryDbError, '"n".*"v".*plan the read again')
    plan = industrydb.plan_sql(mixed.uri, "SELECT * FROM mixed", **THIRDS)
    mixed.connection.execute("ALTER TABLE mixed ADD w")
    raises_everywhere(plan, IndustryDbError, '"i".*"w".*plan the read again')


# Any values

NUMBERS = st.none() | st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=None).map(
    lambda number: number if number.as_tuple().exponent >= -9 else round(number, 9)  # type: ignore[operator]
)
PARTS = st.lists(st.lists(st.tuples(NUMBERS, st.none() | st.integers(0, 10**6)), max_size=4), min_size=1, max_size=4)


@given(parts=PARTS, months=st.integers(-1, 4))
@example(parts=[[(Decimal("1.1"), 1)], [(Decimal("1.125"), 2)], [(None, None)], []], months=1)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_of_postgres_are_the_same_in_parts(
    postgres: psycopg.Connection, postgres_uri: str, parts: list[list[tuple[Decimal | None, int | None]]], months: int
) -> None:
    """Any PostgreSQL values are read with one schema, in whichever partition they are; one may have months."""
    postgres.execute("DROP TABLE IF EXISTS anything")
    postgres.execute("CREATE TABLE anything (p int, r int, v numeric, i interval, vs numeric[])")
    for part, rows in enumerate(parts):
        for row, (number, seconds) in enumerate(rows):
            unit = "months" if part == months and row == 0 else "secs"
            postgres.execute(
                f"INSERT INTO anything VALUES (%s, %s, %s, make_interval({unit} => %s),"
                " CASE WHEN %s THEN ARRAY[%s, NULL]::numeric[] ELSE '{}' END)",
                [part, row, number, None if seconds is None else seconds % 1000, row % 2 == 0, number],
            )
    plan = industrydb.plan_sql(
        postgres_uri, "SELECT * FROM anything", partition_on="p", partitions=4, partition_range=(0, 3)
    )
    shown = "i::text" if plan.schema["i"] == pl.String else "i"
    expected = postgres.execute(f"SELECT p, r, v, {shown}, vs FROM anything ORDER BY p, r").fetchall()
    frames = [plan.read(index) for index in range(len(plan))]
    assert [frame.schema for frame in frames] == [plan.schema] * len(plan)
    assert pl.concat(frames).sort("p", "r").rows() == expected


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.binary(max_size=20),
)


def is_same(read: object, value: object) -> bool:
    """Tell whether a value of SQLite was read unchanged, or as its text or bytes."""
    if isinstance(read, bytes) and not isinstance(value, bytes):
        read = read.decode()
    if isinstance(read, str) and isinstance(value, (int, float)):
        return type(value)(read) == value
    return read == value and (not isinstance(value, float) or math.copysign(1, value) == math.copysign(1, float(read)))  # type: ignore[arg-type]


@given(parts=st.lists(st.lists(VALUES, max_size=4), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_of_sqlite_are_the_same_in_parts(shared_sqlite_file: SqliteFile, parts: list[list[object]]) -> None:
    """Any SQLite values, of a column and an expression, are read with one schema, in whichever partition they are."""
    connection: sqlite3.Connection = shared_sqlite_file.connection
    connection.execute("DROP TABLE IF EXISTS anything")
    connection.execute("CREATE TABLE anything (p INTEGER, r INTEGER PRIMARY KEY, v)")
    rows = [(part, value) for part, values in enumerate(parts) for value in values]
    connection.executemany("INSERT INTO anything (p, v) VALUES (?, ?)", rows)
    query = "SELECT p, r, v, CASE WHEN typeof(v) <> 'text' THEN v END AS w FROM anything"
    splits: list[dict[str, Any]] = [{"partition_on": "p", "partition_range": (0, 3)}, {}]
    for split in splits:
        plan = industrydb.plan_sql(shared_sqlite_file.uri, query, partitions=4, **split)
        frames = [plan.read(index) for index in range(len(plan))]
        assert [frame.schema for frame in frames] == [plan.schema] * len(plan)
        found = pl.concat(frames).sort("r").rows()
        expected = connection.execute(f"{query} ORDER BY r").fetchall()
        assert len(found) == len(expected)
        assert all(is_same(*pair) for row in zip(found, expected, strict=True) for pair in zip(*row, strict=True))
