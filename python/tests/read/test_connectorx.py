"""`industrydb.connectorx` returns what connectorx returns, and the rows that connectorx leaves out."""

import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import connectorx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

import industrydb
import industrydb.connectorx as cx
from industrydb._connectorx.errors import ERRORS
from tests.kit.mariadb import Pymysql
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import SqliteFile

# Values of many types, with and without NULL; `i` is the key.
QUERY = """SELECT i, i::int2 AS i2, i::int8 AS i8, i::float4 AS f4, i / 8.0::float8 AS f8,
    (i / 4.0)::numeric(10, 2) AS n, 'x' || i AS t, 'c'::char(3) AS c, i % 2 = 0 AS b, date '2024-01-01' + i AS d,
    timestamp '2024-01-01 10:00' + i * interval '1 day' AS ts, timestamptz '2024-01-01 10:00+02' AS tz,
    time '10:11:12.5' AS tm, '00000000-0000-0000-0000-00000000000' || i::text AS u, '{"a":1}'::json AS j,
    '\\x00ff'::bytea AS y, nullif(i, 2) AS ni, CASE WHEN i > 1 THEN 'a' END AS nt, CASE WHEN i > 1 THEN true END AS nb,
    CASE WHEN i > 1 THEN 1.5::float8 END AS nf, CASE WHEN i > 1 THEN date '2024-01-01' END AS nd
    FROM generate_series(1, 5) AS i"""


@pytest.fixture
def server_uri(own_server: Server) -> str:
    """Return a URI of PostgreSQL over TCP, which connectorx takes, too."""
    return tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"])


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    """Return a file with a table of three rows, one of whose keys is NULL; connectorx cannot divide other names."""
    sqlite_file = SqliteFile(tmp_path / "file.db")
    sqlite_file.execute("CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, d DATE, dt DATETIME, bo BOOLEAN)")
    rows = [(1, 1.5, "x", b"\0", "2024-01-01", "2024-01-01 10:00:00", 1), (9, None, None, None, None, None, None)]
    for row in [*rows, (None, 2.5, "é", b"", "2024-02-03", "2024-02-03 04:05:06.5", 0)]:
        sqlite_file.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return sqlite_file


def theirs(*arguments: Any, function: str = "read_sql", **options: Any) -> Any:  # noqa: ANN401, what connectorx returns
    """Return what a function of connectorx itself returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(connectorx, function)(*arguments, **options)


@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partition_num": 3}], ids=["whole", "parts"])
def test_pandas_frames_are_those_of_connectorx(server_uri: str, split: dict[str, Any]) -> None:
    """Columns, their types and values are the same in pandas; connectorx's partitions come in any order."""
    expected = theirs(server_uri, QUERY, **split).sort_values("i", ignore_index=True)
    pd.testing.assert_frame_equal(cx.read_sql(server_uri, QUERY, **split), expected)


def test_pandas_frames_of_sqlite_are_those_of_connectorx(file: SqliteFile) -> None:
    """The same holds for a file."""
    query = "SELECT * FROM t"
    pd.testing.assert_frame_equal(cx.read_sql(file.uri, query), theirs(file.uri, query))
    ours, expected = cx.read_sql(file.uri, query, index_col="i"), theirs(file.uri, query, index_col="i")
    pd.testing.assert_frame_equal(ours, expected)


# Columns of MySQL and a value of each.
MYSQL: dict[str, tuple[str, object]] = {
    "tiny": ("tinyint", -1),
    "positive": ("tinyint unsigned", 200),
    "flag": ("tinyint(1)", 1),
    "small": ("smallint", -300),
    "medium": ("mediumint", 70_000),
    "big": ("bigint", -(2**62)),
    "real32": ("float", 1.5),
    "real64": ("double", 0.1),
    "price": ("decimal(10,2)", "1.25"),
    "day": ("date", "2024-01-02"),
    "at": ("datetime(6)", "2024-01-02 03:04:05.123456"),
    "of_year": ("year", 2024),
    "code": ("char(3)", "ab"),
    "name": ("varchar(10)", "é"),
    "bytes_": ("blob", b"\0\xff"),
    "choice": ("enum('a','b')", "a"),
    "many": ("set('a','b')", "a,b"),
    "doc": ("json", '{"a": 1}'),
}


@pytest.mark.parametrize("return_type", ["pandas", "polars"])
def test_frames_of_mysql_are_those_of_connectorx(mysql: Pymysql, mysql_uri: str, return_type: Any) -> None:  # noqa: ANN401
    """MySQL is read by industrydb, and its columns have connectorx's types and values; decimals keep their scale."""
    declared = ", ".join(f"{name} {kind}" for name, (kind, _) in MYSQL.items())
    mysql.execute("DROP TABLE IF EXISTS kinds, beyond")
    mysql.execute(f"CREATE TABLE kinds (k int, {declared})")
    values = [value for _, value in MYSQL.values()]
    if not mysql.is_mariadb:
        values[-1] = "[]"  # connectorx writes the JSON of MySQL anew, without blanks
    mysql.execute(f"INSERT INTO kinds VALUES (1{', %s' * len(values)})", values)
    mysql.execute("INSERT INTO kinds (k) VALUES (2)")
    query = f"SELECT k, {', '.join(MYSQL)} FROM kinds ORDER BY k"
    expected = theirs(mysql_uri, query, return_type=return_type)
    ours = cx.read_sql(mysql_uri, query, return_type=return_type)
    if return_type == "pandas":
        pd.testing.assert_frame_equal(ours, expected)
    else:
        assert_frame_equal(ours, expected.with_columns(pl.col("price").cast(pl.Decimal(10, 2))))
    with pytest.raises(RuntimeError) as raised:
        cx.read_sql(mysql_uri, "SELECT nothing FROM kinds")
    assert isinstance(raised.value, industrydb.IndustryDbError)
    assert cx.read_sql(mysql_uri, query, partition_on="`K`", partition_num=2, return_type="polars").height == 2
    mysql.execute("CREATE TABLE beyond (v bigint unsigned)")
    mysql.execute("INSERT INTO beyond VALUES (18446744073709551615), (NULL)")
    assert cx.read_sql(mysql_uri, "SELECT v FROM beyond ORDER BY v IS NULL")["v"].to_list() == [2**64 - 1, pd.NA]


@pytest.mark.parametrize("protocol", [None, "binary", "csv", "cursor", "simple"])
def test_every_protocol_reads_the_same_rows(server_uri: str, protocol: Any) -> None:  # noqa: ANN401, one of them
    """Polars frames have connectorx's values, whichever protocol is named, also in the URI."""
    query = "SELECT i, 'x' || i AS t, i / 8.0::float8 AS f FROM generate_series(1, 5) AS i"
    expected = theirs(server_uri, query, return_type="polars")
    assert_frame_equal(cx.read_sql(server_uri, query, return_type="polars", protocol=protocol), expected)
    named = f"{server_uri}?application_name=x&cxprotocol={protocol}"
    assert_frame_equal(cx.read_sql(named, query, return_type="polars"), expected)


def test_arrow_tables_and_streams(file: SqliteFile) -> None:
    """Arrow tables and streams have connectorx's rows; texts are `large_string`."""
    query = "SELECT * FROM t WHERE i IS NOT NULL"
    expected = theirs(file.uri, query, return_type="arrow")
    table = cx.read_sql(file.uri, query, return_type="arrow")
    assert table.cast(expected.schema).equals(expected)
    assert table.schema.field("t").type == pa.large_string()
    with cx.read_sql(file.uri, query, return_type="arrow_stream", batch_size=1) as stream:
        assert isinstance(stream, pa.RecordBatchReader)
        assert [batch.num_rows for batch in stream] == [1, 1]


def test_rows_that_connectorx_leaves_out(file: SqliteFile) -> None:
    """Rows with a NULL key and rows outside of `partition_range` are read."""
    split: dict[str, Any] = {"partition_on": "i", "partition_num": 2, "partition_range": (1, 5)}
    query = "SELECT i, t FROM t"
    rows = set(file.execute(query))
    assert set(theirs(file.uri, query, return_type="polars", **split).rows()) < rows
    assert set(cx.read_sql(file.uri, query, return_type="polars", **split).rows()) == rows
    queries = cx.partition_sql(file.uri, query, "i", 2, (1, 5))
    assert sorted((row for part in queries for row in file.execute(part)), key=str) == sorted(rows, key=str)


@pytest.mark.parametrize("ends", [(np.int64(1), np.int64(5)), (1.0, 5.0), (None, None), (), None], ids=str)
def test_ranges_and_names_as_connectorx_takes_them(file: SqliteFile, ends: Any) -> None:  # noqa: ANN401, any range
    """Ends of a range may be NumPy's or missing, a column may be quoted, and unknown arguments are ignored."""
    split: dict[str, Any] = {"partition_on": '"i"', "partition_num": 2, "partition_range": ends, "protocol": ""}
    frame = cx.read_sql(file.uri, "SELECT i, t FROM t", return_type="polars", other=1, **split)
    assert set(frame.rows()) == set(file.execute("SELECT i, t FROM t"))
    assert cx.partition_sql(file.uri, "SELECT i FROM t", '"i"', 2, ends)


def test_partition_on_in_upper_or_lower_case(file: SqliteFile, server_uri: str) -> None:
    """`partition_on` finds a column whose name differs in case only, as in connectorx, if there is just one."""
    rows = set(file.execute("SELECT i, t FROM t"))
    for uri, query in ((file.uri, "SELECT i, t FROM t"), (server_uri, "SELECT 1 AS i, 2 AS t")):
        expected = rows if uri == file.uri else {(1, 2)}
        for kind in ("polars", "arrow"):
            frame: Any = cx.read_sql(uri, query, partition_on="I", partition_num=2, return_type=kind)
            found = frame.rows() if kind == "polars" else pl.DataFrame(frame).rows()
            assert set(found) == expected
        assert cx.partition_sql(uri, query, "I", 2)
        stream: Any = cx.read_sql(uri, query, partition_on="I", partition_num=2, return_type="arrow_stream")
        assert set(pl.DataFrame(stream.read_all()).rows()) == expected
    for query, column in (('SELECT 1 AS "I", 2 AS "i"', "İ"), ('SELECT 1 AS "Ab", 2 AS "aB"', "ab")):
        with pytest.raises(RuntimeError, match="not a column"):
            cx.read_sql(server_uri, query, partition_on=column, partition_num=2)


@pytest.mark.parametrize(
    "uri", ["postgresql://u:secret\u2100x@h/d", "mysql://u:sec[ret\uff1a@h/d", "x://u:[secret@h/d"]
)
def test_strange_passwords_are_not_told(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """A URI that the standard library refuses is an error of both kinds, without the password."""
    monkeypatch.setitem(sys.modules, "connectorx", None)  # it cannot be imported
    with pytest.raises(RuntimeError) as raised:
        cx.read_sql(uri, "SELECT 1")
    assert "ret" not in str(raised.value).replace("returned", "")


def test_the_other_functions(file: SqliteFile) -> None:
    """`get_meta` and `read_sql_pandas` return connectorx's frames; a list of one query is that query."""
    query = "SELECT i, r, d, bo FROM t"
    pd.testing.assert_frame_equal(cx.get_meta(file.uri, query), theirs(file.uri, query, function="get_meta"))
    expected = theirs(query, file.uri, function="read_sql_pandas")
    pd.testing.assert_frame_equal(cx.read_sql_pandas(query, file.uri), expected)
    split: dict[str, Any] = {"partition_on": "i", "partition_num": 2}
    assert len(cx.read_sql(file.uri, [query], **split)) == 3
    assert len(cx.read_sql(file.uri, [query, query])) == 6


def test_errors_are_of_both_kinds(file: SqliteFile) -> None:
    """An error is connectorx's `RuntimeError` and an `IndustryDbError` with its code, and can be pickled."""

    def divide(uri: str, query: str) -> list[str]:
        return cx.partition_sql(uri, query, "i", 2)

    for read in (cx.get_meta, divide, cx.read_sql):
        with pytest.raises(RuntimeError, match="no such table: missing") as raised:
            read(file.uri, "SELECT * FROM missing")
        assert isinstance(raised.value, industrydb.QueryExecutionError)
        again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301, pickled above
        assert (type(again), str(again), again.code) == (type(raised.value), str(raised.value), "SQLITE_ERROR")
    kinds = {kind for kind in vars(industrydb).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds - {industrydb.IndustryDbError} == set(ERRORS)


@pytest.mark.parametrize(
    "wrong", [{"return_type": "numpy"}, {"protocol": "smoke"}, {"partition_on": "i", "query": ["SELECT 1", "SELECT 2"]}]
)
def test_wrong_arguments(file: SqliteFile, wrong: dict[str, Any]) -> None:
    """Wrong arguments raise a `ValueError`, as in connectorx, before anything is read."""
    arguments: dict[str, Any] = {"query": "SELECT * FROM missing", **wrong}
    with pytest.raises(ValueError, match=r"numpy|smoke|multiple queries"):
        cx.read_sql(file.uri, **arguments)


def test_connection_strings() -> None:
    """`ConnectionUrl` makes connectorx's strings, and shows no password."""
    server: dict[str, Any] = {
        "backend": "postgresql",
        "username": "ana",
        "password": "s%40cret",
        "server": "db",
        "port": 5432,
        "database": "shop",
        "database_options": {"sslmode": "require"},
    }
    for arguments in (server, {"backend": "sqlite", "db_path": "/a b.db"}, {"raw_connection": "sqlite://x.db"}):
        assert str(cx.ConnectionUrl(**arguments)) == str(connectorx.ConnectionUrl(**arguments))
    for text in (cx.ConnectionUrl(**server), "host=h password=s%40cret", "u:cret@h"):
        assert "cret" not in repr(cx.ConnectionUrl(text))
    assert cx.ConnectionUrl.__class_getitem__("sqlite") is cx.ConnectionUrl
    with pytest.raises(ValueError, match="backend"):
        cx.ConnectionUrl()


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any, Any]]]:
    """Put a module in connectorx's place; yield its calls."""
    calls: list[tuple[str, Any, Any]] = []

    def called(name: str) -> Any:  # noqa: ANN401, a function of the module
        def call(*arguments: Any, **options: Any) -> str:  # noqa: ANN401, any arguments
            calls.append((name, arguments, options))
            return name

        return call

    functions = {name: called(name) for name in ("read_sql", "get_meta", "partition_sql")}
    monkeypatch.setitem(sys.modules, "connectorx", SimpleNamespace(**functions))
    yield calls
    cx.uninstall()


@pytest.mark.parametrize("installed", [False, True])
def test_other_databases_are_passed_on(other: list[tuple[str, Any, Any]], installed: bool) -> None:  # noqa: FBT001
    """Databases that only connectorx reads are passed on to connectorx, also if this module stands in its place."""
    if installed:
        cx.install()
    uri = "trino://ana:secret@db/shop"
    assert cx.read_sql(uri, "SELECT 1", partition_num=2, return_type="arrow") == "read_sql"
    assert cx.read_sql({"a": uri}, "SELECT 1", strategy="x") == "read_sql"
    cx.get_meta("oracle://db", "SELECT 1")
    cx.partition_sql("trino://db", "SELECT 1", "i", 2)
    assert [name for name, *_ in other[2:]] == ["get_meta", "partition_sql"]
    assert other[0][1:] == ((uri, "SELECT 1"), {**other[0][2], "return_type": "arrow", "partition_num": 2})
    assert other[1][2]["strategy"] == "x"


def test_other_databases_without_connectorx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without connectorx, the error names the database and what to install, and no password."""
    monkeypatch.setitem(sys.modules, "connectorx", None)  # it cannot be imported
    with pytest.raises(RuntimeError, match=r"'trino'.*pip install connectorx") as raised:
        cx.read_sql("trino://ana:secret@db/shop", "SELECT 1")
    assert "secret" not in str(raised.value)


def test_polars_reads_by_it_once_it_is_installed(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pl.read_database_uri` reads by this module between `install` and `uninstall`, and by connectorx otherwise."""
    found: list[str] = []
    ours = cx.read_sql

    def seen(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401, passed on
        found.append("ours")
        return ours(*arguments, **options)

    monkeypatch.setattr(cx, "read_sql", seen)
    split: dict[str, Any] = {"partition_on": "i", "partition_num": 2, "engine": "connectorx"}
    before: ModuleType = sys.modules["connectorx"]
    cx.install()
    cx.install()
    try:
        frame = pl.read_database_uri("SELECT i, t FROM t", file.uri, **split)
    finally:
        cx.uninstall()
        cx.uninstall()
    assert found == ["ours"]
    assert set(frame.rows()) == set(file.execute("SELECT i, t FROM t"))
    assert sys.modules["connectorx"] is before
    pl.read_database_uri("SELECT i, t FROM t WHERE i > 0", file.uri, **split)
    assert found == ["ours"]
