"""Each difference from connectorx that `docs/migrating.md` lists is one, on both sides."""

import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import connectorx
import polars as pl
import pyarrow as pa
import pytest

import industrydb
import industrydb.connectorx as cx
from tests.kit.mariadb import MariaDb
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import SqliteFile

PAGE = Path(__file__).parents[3] / "docs" / "migrating.md"

PARTS: dict[str, Any] = {"partition_on": "i", "partition_num": 2}


class Databases(NamedTuple):
    """Where the queries run."""

    postgres: str
    sqlite: str
    mysql: str


@pytest.fixture
def databases(own_server: Server, own_mysql: MariaDb, tmp_path: Path) -> Databases:
    """Return two servers, and a file with a table that has a NULL key and a number beyond its column's type."""
    file = SqliteFile(tmp_path / "file.db")
    file.execute("CREATE TABLE t (i INTEGER, n NUMERIC, small TINYINT)")
    for row in ((1, 1, 1), (9, 2, 2), (None, 3, 300)):
        file.execute("INSERT INTO t VALUES (?, ?, ?)", row)
    return Databases(tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"]), file.uri, own_mysql.uri)


def both(uri: str, query: Any, return_type: Any = "polars", **options: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Return what connectorx and industrydb make of a query: a result, or the error that it raises."""

    def made(module: Any) -> Any:  # noqa: ANN401, one of the two modules
        try:
            return module.read_sql(uri, query, return_type=return_type, **options)
        except Exception as error:  # noqa: BLE001, to be looked at
            return error
        except BaseException as error:  # a panic of connectorx is no Exception
            if type(error).__name__ != "PanicException":
                raise
            return error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made(connectorx), made(cx)


def _null_keys(at: Databases) -> None:
    theirs, ours = both(at.sqlite, "SELECT i FROM t", **PARTS)
    assert (theirs["i"].null_count(), ours["i"].null_count()) == (0, 1)


def _outside(at: Databases) -> None:
    theirs, ours = both(at.sqlite, "SELECT i FROM t WHERE i > 0", partition_range=(1, 5), **PARTS)
    assert (theirs["i"].to_list(), ours["i"].to_list()) == ([1], [1, 9])


def _errors(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 1 / 0 AS a")
    assert isinstance(theirs, RuntimeError)
    assert isinstance(ours, RuntimeError)
    assert isinstance(ours, industrydb.IndustryDbError)
    assert ours.code == "22012"


def _protocols(at: Databases) -> None:
    for protocol in ("csv", "binary", "cursor", "simple"):
        _, ours = both(at.postgres, "SELECT 1 AS a", protocol=protocol)
        assert ours.rows() == [(1,)]


def _texts(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 'a'::text AS a", "arrow")
    assert (theirs.schema.field("a").type, ours.schema.field("a").type) == (pa.string(), pa.large_string())


def _integers(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 1::int2 AS a, 1::int4 AS b, 1::int8 AS c")
    assert theirs.schema == ours.schema == pl.Schema({"a": pl.Int16, "b": pl.Int32, "c": pl.Int64})
    _, ours = both(at.sqlite, "SELECT small FROM t")
    assert ours["small"].to_list() == [1, 2, 300]


def _numerics_in_pandas(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 1.00000000000000000001 AS a", "pandas")
    assert theirs["a"].to_list() == ours["a"].to_list() == [1.0]


def _open_numerics(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 1.25 AS a, 1.5::numeric(10, 2) AS b")
    assert theirs.schema == {"a": pl.Decimal(38, 10), "b": pl.Decimal(38, 10)}
    assert ours.schema == {"a": pl.Decimal(38, 2), "b": pl.Decimal(10, 2)}
    assert ours.row(0) == (Decimal("1.25"), Decimal("1.50"))


def _times(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT time '10:00' AS a, timestamptz '2024-01-01 10:00+02' AS b", "arrow")
    assert [str(field.type) for field in theirs.schema] == ["time64[us]", "timestamp[us, tz=+00:00]"]
    assert [str(field.type) for field in ours.schema] == ["time64[ns]", "timestamp[us, tz=UTC]"]


def _duplicate_names(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT 1 AS a, 2 AS a", "pandas")
    assert list(theirs.columns) == ["a", "a"]
    assert "a" in str(ours)
    assert isinstance(ours, industrydb.ConfigurationError)


def _expressions(at: Databases) -> None:
    query = "SELECT i FROM generate_series(1, 5) AS i"
    theirs, ours = both(at.postgres, query, partition_on="i + 0", partition_num=2)
    assert sorted(theirs["i"]) == [1, 2, 3, 4, 5]
    assert isinstance(ours, industrydb.ConfigurationError)


def _documents(at: Databases) -> None:
    theirs, ours = both(at.postgres, """SELECT '{"b": 1,  "a": 2}'::json AS a""")
    assert (theirs["a"][0], ours["a"][0]) == ('{"a":2,"b":1}', '{"b": 1,  "a": 2}')


def _sqlite_numerics(at: Databases) -> None:
    theirs, ours = both(at.sqlite, "SELECT n FROM t", "pandas")
    assert str(theirs["n"].dtype) != str(ours["n"].dtype) == "float64"


def _lists(at: Databases) -> None:
    _, ours = both(at.postgres, ["SELECT 1 AS a", "SELECT 'x' AS a"])
    assert isinstance(ours, industrydb.IndustryDbError)


def _changes(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT lo_create(0)::int8 AS a")
    assert theirs.height == 1
    assert isinstance(ours, industrydb.QueryExecutionError)
    assert "read-only" in str(ours)


def _infinities(at: Databases) -> None:
    theirs, ours = both(at.postgres, "SELECT date 'infinity' AS a")
    assert not isinstance(theirs, industrydb.IndustryDbError)
    assert isinstance(ours, industrydb.TypeConversionError)


def _mysql_types(at: Databases) -> None:
    query = "SELECT timestamp '2024-01-01 10:00:00' AS d, time '10:00:00' AS a, b'11' AS b"
    theirs, ours = both(at.mysql, query)
    assert [theirs["a"].dtype, ours["a"].dtype] == [pl.Time, pl.Duration("us")]
    with industrydb.Connection(at.mysql) as connection:
        connection.execute("CREATE OR REPLACE TABLE bits (t timestamp, b bit(8), d decimal(10, 2))")
        connection.execute("INSERT INTO bits VALUES ('2024-01-01 10:00:00', 3, 1.5)")
    theirs, ours = both(at.mysql, "SELECT t, b, d FROM bits")
    assert theirs.schema == {"t": pl.Datetime("us"), "b": pl.Binary, "d": pl.Decimal(38, 10)}
    assert ours.schema == {"t": pl.Datetime("us", "UTC"), "b": pl.UInt64, "d": pl.Decimal(10, 2)}


def _mysql_integers(at: Databases) -> None:
    with industrydb.Connection(at.mysql) as connection:
        connection.execute("CREATE OR REPLACE TABLE numbers (a int NOT NULL, b bigint unsigned)")
        connection.execute("INSERT INTO numbers VALUES (1, 2)")
    theirs, ours = both(at.mysql, "SELECT a, b FROM numbers", "pandas")
    assert [str(dtype) for dtype in theirs.dtypes] == ["int64", "float64"]
    assert [str(dtype) for dtype in ours.dtypes] == ["Int64", "UInt64"]


# The difference that each row of the page's table names. Other tests look at the moment that partitions see, at Ctrl-C,
# and at databases that only connectorx reads.
DIFFERENCES: dict[str, Callable[[Databases], None] | None] = {
    "rows with a NULL in the `partition_on` column": _null_keys,
    "rows outside of `partition_range`": _outside,
    "state of the database": None,
    "errors": _errors,
    "`protocol`": _protocols,
    "text in Arrow": _texts,
    "integers in Arrow and Polars": _integers,
    "`numeric` in pandas": _numerics_in_pandas,
    "`numeric` without precision in Polars and Arrow": _open_numerics,
    "times and time zones in Arrow": _times,
    "two columns of the same name": _duplicate_names,
    "`partition_on`": _expressions,
    "`json` and `jsonb`": _documents,
    "integers in SQLite columns declared `NUMERIC` or `DECIMAL`": _sqlite_numerics,
    "queries of a list whose columns have other types": _lists,
    "statements that change rows, such as `nextval` or `INSERT … RETURNING`": _changes,
    "values that the type cannot hold, such as `infinity` dates": _infinities,
    "Ctrl-C": None,
    "MySQL: `timestamp`, `time`, `bit`, `decimal(10,2)`": _mysql_types,
    "MySQL: integers in pandas": _mysql_integers,
    "Oracle, BigQuery, ClickHouse, Trino, Redshift, federated queries": None,
}


def test_the_page_lists_these_differences() -> None:
    """The table of the page has a row for each difference here, and no other."""
    lines = PAGE.read_text().splitlines()
    start = lines.index("| | connectorx 0.4 | `industrydb.connectorx` |") + 2
    rows = lines[start : lines.index("", start)]
    assert [row.split("|")[1].strip() for row in rows] == list(DIFFERENCES)


@pytest.mark.parametrize(
    "difference", [check for check in DIFFERENCES.values() if check], ids=lambda check: check.__name__.lstrip("_")
)
def test_a_difference_is_one(databases: Databases, difference: Callable[[Databases], None]) -> None:
    """Both sides behave as the page's table says."""
    difference(databases)
