"""Frames of pandas 2 and 3: their types depend on the database's types alone, and not on the values."""

import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, TypeConversionError
from tests.kit.support import PATIENCE_S, SqliteFile

ROOT = Path(__file__).parents[3]
OTHER = ROOT / "target" / "tools" / "pandas-2" / "bin" / "python"


@pytest.fixture(params=["this", "2"])
def python(request: pytest.FixtureRequest) -> str:
    """Return a Python executable, of this environment or with pandas 2."""
    if request.param == "this":
        return sys.executable
    if not OTHER.exists():
        pytest.skip("no second pandas: `make target/tools/pandas-2/.done` installs it")
    return str(OTHER)


def in_python(python: str, script: str, *arguments: str) -> Any:  # noqa: ANN401, what the script prints
    """Run a script in another process with this package; return the JSON that it prints."""
    environment = os.environ | {"PYTHONPATH": str(Path(industrydb.__file__).parents[1])}
    command = [python, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pandas_types() -> list[tuple[str, str, str]]:
    """Return the rows of the page's table: a Polars type, and its two pandas types."""
    text = (ROOT / "docs" / "arrow-and-pandas.md").read_text()
    table = re.search(r"^\| Polars .*?\n\|---.*?\n(.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert table, "the page has a type table"
    rows = [re.findall(r"`([^`]+)`", line.rsplit("|", 2)[0]) for line in table[1].splitlines()]
    return [(polars, nullable, arrow) for polars, nullable, arrow in rows]


# A value of each type in the table except Null. Types that PostgreSQL has not are requested by overrides.
VALUES = {
    "Boolean": "true",
    "Int8": "1::int2",
    "Int16": "1::int2",
    "Int32": "1::int4",
    "Int64": "9007199254740993::int8",
    "UInt8": "1::int2",
    "UInt16": "1::int4",
    "UInt32": "1::oid",
    "UInt64": "1::int8",
    "Float32": "1.5::float4",
    "Float64": "1.5::float8",
    "Decimal(12, 3)": "1.5::numeric(12, 3)",
    "String": "'text'::text",
    "Binary": "'bytes'::bytea",
    "Date": "date '2024-02-29'",
    "Time": "time '12:34:56.123456'",
    'Datetime("ms")': "timestamp '2024-02-29 12:34'",
    'Datetime("us")': "timestamp '2024-02-29 12:34'",
    'Datetime("ns")': "timestamp '2024-02-29 12:34'",
    'Datetime("us", "UTC")': "timestamptz '2024-02-29 12:34+02'",
    'Datetime("us", "Europe/Berlin")': "timestamptz '2024-02-29 12:34+02'",
    'Duration("us")': "interval '1 hour'",
    "Categorical": "'a'::text",
    'Enum(["a", "b"])': "'a'::text",
    "List(Int64)": "ARRAY[1, NULL]::int8[]",
    'Struct({"a": Int64})': "ROW(1)::holder_of_a_bigint",
}
AS_THEY_ARE = {"Duration", "List", "Struct"}

# Columns with values only, with some NULLs, with NULLs only, and without rows.
VARIANTS = {
    "values": ("{}", "true"),
    "mixed": ("CASE WHEN k % 3 = 1 THEN {} END", "true"),
    "nulls": ("CASE WHEN k < 0 THEN {} END", "true"),
    "none": ("{}", "k < 0"),
}

TYPES = """
import json, sys
import pandas as pd, polars as pl
import industrydb

uri, query, types = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
overrides = {name: eval(name, vars(pl)) for name in types}

def shown(frame):
    assert isinstance(frame, pd.DataFrame), frame
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}

found = []
for backend in ("numpy_nullable", "pyarrow"):
    asked = {"return_type": "pandas", "dtype_backend": backend, "schema_overrides": overrides}
    found.append((backend, shown(industrydb.read_sql(uri, query, **asked))))
    found.append((backend, shown(industrydb.read_sql(uri, query, partition_on="k", partitions=3, **asked))))
    found.append((backend, shown(industrydb.read_sql(uri, [query, query], **asked))))
    for batch in industrydb.read_sql_batches(uri, query, batch_size=2, **asked):
        found.append((backend, shown(batch)))
print(json.dumps([pd.__version__, found]))
"""


@pytest.fixture(scope="module")
def structs(postgres: psycopg.Connection) -> None:
    """Create a composite type."""
    postgres.execute("DROP TYPE IF EXISTS holder_of_a_bigint")
    postgres.execute("CREATE TYPE holder_of_a_bigint AS (a int8)")


@pytest.mark.usefixtures("structs")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pandas_types_are_those_of_the_page_whatever_the_values_are(
    postgres_uri: str, python: str, variant: str
) -> None:
    """Frames of all kinds of reads, and batches, have the pandas types of the page, whatever the values are."""
    table = pandas_types()
    assert table.pop() == ("Null", "object", "null[pyarrow]")
    assert [polars for polars, *_ in table] == list(VALUES)
    shape, where = VARIANTS[variant]
    columns = ", ".join(f"{shape.format(sql)} AS {json_name(polars)}" for polars, sql in VALUES.items())
    query = f"SELECT k, {columns} FROM generate_series(1, 7) AS k WHERE {where}"
    asked = [polars for polars in VALUES if polars.partition("(")[0] not in AS_THEY_ARE]
    version, found = in_python(python, TYPES, postgres_uri, query, json.dumps(asked))
    assert version.startswith("2." if python == str(OTHER) else pd.__version__)
    expected = {
        "numpy_nullable": {"k": "Int32"} | {polars: nullable for polars, nullable, _ in table},
        "pyarrow": {"k": "int32[pyarrow]"} | {polars: arrow for polars, _, arrow in table},
    }
    assert len(found) == (6 if variant == "none" else 14)
    for backend, types in found:
        assert types == expected[backend]


def json_name(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"{}"'.format(name.replace('"', '""'))


EXACT = """SELECT k, (CASE k WHEN 1 THEN 9007199254740993 WHEN 3 THEN -9223372036854775808 END)::int8 AS big,
    CASE WHEN k < 3 THEN k = 1 END AS truth, CASE k WHEN 1 THEN 'NaN' WHEN 3 THEN 1.5 END::float8 AS f,
    CASE WHEN k > 1 THEN 'text' END AS s, CASE WHEN k > 1 THEN 'b'::bytea END AS b,
    CASE WHEN k > 1 THEN 1.10 + k END::numeric(30, 2) AS n, CASE WHEN k > 1 THEN date '9999-12-31' END AS d,
    CASE WHEN k > 1 THEN time '12:34:56.789012' END AS t,
    CASE WHEN k > 1 THEN timestamp '0001-01-01 00:00:00.000001' END AS ts,
    CASE WHEN k > 1 THEN timestamptz '9999-12-31 12:00:00.999999+00' END AS tz,
    CASE WHEN k > 1 THEN ARRAY[9007199254740993, NULL] END AS list,
    CASE WHEN k > 1 THEN ARRAY[1.25, NULL]::numeric(5, 2)[] END AS decimals
    FROM generate_series(1, 3) AS k"""

ROWS = """
import json, sys
import pandas as pd
import industrydb

uri, query, backend = sys.argv[1:]

def plain(value):
    if value is pd.NA or value is pd.NaT:
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value

found = []
asked = {"return_type": "pandas", "dtype_backend": backend}
frames = [
    industrydb.read_sql(uri, query, **asked),
    industrydb.read_sql(uri, query, partition_on="k", partitions=2, **asked),
    pd.concat(list(industrydb.read_sql_batches(uri, query, batch_size=1, **asked))),
]
for frame in frames:
    found.append({name: repr([plain(v) for v in frame[name].tolist()]) for name in frame})
print(json.dumps(found))
"""


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_pandas_has_the_very_values(postgres: psycopg.Connection, postgres_uri: str, python: str, backend: str) -> None:
    """Frames of pandas have the values that psycopg reads: no integer becomes a float, and no NULL a NaN."""
    cursor = postgres.execute(EXACT, binary=True)
    assert cursor.description
    rows, names = cursor.fetchall(), [column.name for column in cursor.description]
    expected = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    expected["tz"] = [value and value.astimezone(timezone.utc) for value in expected["tz"]]
    if backend == "numpy_nullable":  # NumPy has no dates
        expected["d"] = [value and datetime(value.year, value.month, value.day) for value in expected["d"]]  # noqa: DTZ001
    for frame in in_python(python, ROWS, postgres_uri, EXACT, backend):
        for name, values in expected.items():
            assert same(frame[name]) == same(repr(values)), name


def same(shown: str) -> str:
    """Return the text of values with one spelling of UTC for all classes of time zones."""
    return re.sub(r"tzinfo=(zoneinfo\.ZoneInfo\(key='UTC'\)|datetime\.timezone\.utc|<UTC>)", "tzinfo=UTC", shown)


def test_an_expression_of_sqlite_that_is_always_null(sqlite_file: SqliteFile, python: str) -> None:
    """An SQLite expression that is always NULL has no type, and its column has none, in batches too."""
    _, found = in_python(python, TYPES, sqlite_file.uri, "SELECT 1 AS k, NULL AS x", "[]")
    assert {types["x"] for backend, types in found if backend == "numpy_nullable"} == {"object"}
    assert {types["x"] for backend, types in found if backend == "pyarrow"} == {"null[pyarrow]"}


def test_a_bigint_of_sqlite_stays_whole(sqlite_file: SqliteFile) -> None:
    """A bigint beside a NULL stays an exact integer, and booleans stay booleans."""
    sqlite_file.connection.execute("CREATE TABLE t (big BIGINT, truth BOOLEAN)")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?, ?)", [(9007199254740993, 1), (None, None)])
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", return_type="pandas")
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "boolean"]
    assert frame["big"].iloc[0] == 9007199254740993
    assert frame["truth"].tolist() == [True, pd.NA]


def test_the_frame_can_be_changed(sqlite_file: SqliteFile) -> None:
    """The frame owns its memory: its values can be changed, column by column."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER, f REAL, d DATE, s DATETIME, b BOOLEAN, v TEXT)")
    sqlite_file.connection.execute("INSERT INTO t VALUES (1, 1.5, '2024-02-29', '2024-02-29 12:34:56', 1, 'a')")
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", return_type="pandas")
    later = pd.Timestamp("2025-01-01")
    for name, value in {"i": 2, "f": 2.5, "d": later, "s": later, "b": False, "v": "b"}.items():
        frame.loc[0, name] = value
    assert frame.to_numpy().tolist() == [[2, 2.5, later, later, False, "b"]]


@pytest.mark.parametrize(
    ("sql", "dtype", "shown"),
    [
        ("'12:34:56.123456789'::text", pl.Time(), "12:34:56.123456789"),
        ("ARRAY[NULL, '12:34:56.123456789']", pl.List(pl.Time()), "12:34:56.123456789"),
        ("ARRAY[timestamp '200000-12-31 00:00']", None, "+200000-12-31"),
    ],
)
def test_what_no_object_of_python_has_raises(
    postgres_uri: str, sql: str, dtype: pl.DataType | None, shown: str
) -> None:
    """A value that no Python object can hold raises an error with its column and row; pyarrow's types can hold it."""
    query = f"SELECT k, CASE k WHEN 3 THEN {sql} END AS x FROM generate_series(1, 4) AS k"
    overrides = {} if dtype is None else {"x": dtype}
    with pytest.raises(TypeConversionError, match=rf"column 'x', row 3: .*{re.escape(shown)}.*dtype_backend='pyarrow'"):
        industrydb.read_sql(postgres_uri, query, return_type="pandas", schema_overrides=overrides)
    frame = industrydb.read_sql(
        postgres_uri, query, return_type="pandas", dtype_backend="pyarrow", schema_overrides=overrides
    )
    assert frame["x"].isna().tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"return_type": "panda"}, "return_type must be 'polars', 'arrow' or 'pandas', not 'panda'"),
        ({"return_type": "pandas", "dtype_backend": "numpy"}, "must be 'numpy_nullable' or 'pyarrow', not 'numpy'"),
        ({"return_type": "arrow", "dtype_backend": "pyarrow"}, "is for return_type='pandas', not for 'arrow'"),
        ({"dtype_backend": "pyarrow"}, "is for return_type='pandas', not for 'polars'"),
    ],
)
@pytest.mark.parametrize("read", ["read_sql", "read_sql_batches"])
def test_bad_arguments_are_refused_before_anything_is_read(
    sqlite_file: SqliteFile, read: str, arguments: dict[str, str], message: str
) -> None:
    """Bad arguments are refused before the query is run, which would fail."""
    with pytest.raises(ConfigurationError, match=message):
        getattr(industrydb, read)(sqlite_file.uri, "SELECT * FROM nothing", **arguments)


def test_a_missing_library_is_told_before_anything_is_read(
    sqlite_file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing library is reported, with how to install it, before the query is run, which would fail."""
    monkeypatch.setattr("industrydb._read.return_type.find_spec", lambda name: None if name == "pyarrow" else name)
    with pytest.raises(ConfigurationError, match=r"needs pyarrow: pip install 'industrydb\[pandas\]'"):
        industrydb.read_sql(sqlite_file.uri, "SELECT * FROM nothing", return_type="pandas")


def test_dates_and_decimals_of_sqlite(sqlite_file: SqliteFile) -> None:
    """SQLite's dates and decimals, declared or requested, are what the page says."""
    sqlite_file.connection.execute("CREATE TABLE t (d DATE, n TEXT, z TEXT)")
    sqlite_file.connection.execute("INSERT INTO t VALUES ('2024-02-29', '1.10', '2024-02-29T12:34:56Z')")
    overrides = {"n": pl.Decimal(5, 2), "z": pl.Datetime("us", "UTC")}
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", return_type="pandas", schema_overrides=overrides)
    assert frame["d"].dt.date.tolist() == [date(2024, 2, 29)]
    assert frame["n"].tolist() == [Decimal("1.10")]
    assert frame["z"].tolist() == [datetime(2024, 2, 29, 12, 34, 56, tzinfo=timezone.utc)]
