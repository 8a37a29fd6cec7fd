"""SQL Server: the query's rows and values arrive, in any number of partitions."""

import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, time
from decimal import Decimal
from urllib.parse import quote

import polars as pl
import pytest

import industrydb
from tests.kit.collecting import WAYS, collecting
from tests.kit.interrupts import reading
from tests.kit.relay import relay
from tests.kit.sql_server import PASSWORD, given_uri, port_of
from tests.kit.support import eventually, with_options


@pytest.fixture(scope="module")
def uri(mssql_uri: str) -> Iterator[str]:
    """Return the server's URI, with a table of eight numbers."""
    run(mssql_uri, "CREATE TABLE numbers (i int, x int)")
    run(mssql_uri, "INSERT INTO numbers VALUES " + ", ".join(f"({i}, {i})" for i in range(1, 9)))
    yield mssql_uri
    run(mssql_uri, "DROP TABLE numbers")


def run(uri: str, statement: str) -> None:
    """Run a statement of any kind, as `pre_execution_query`."""
    industrydb.read_sql(uri, "SELECT 1 AS a", pre_execution_query=statement)


def test_all_partitions_have_one_time(uri: str) -> None:
    """GETDATE() is the same literal in all partitions, of the same type as in the query."""
    query = "SELECT i, GETDATE() AS now FROM numbers WHERE '2000-01-01' < GETDATE() -- GETDATE()"
    plan = industrydb.plan_sql(uri, query, partition_on="i", partitions=3, partition_range=(1, 8))
    assert len(plan) == 3
    literals = re.findall(r"CAST\('(\d{4}-\d\d-\d\dT[\d:.]+)' AS datetime\)", plan.explain())
    assert len(literals) == 6
    assert len(set(literals)) == 1
    quoted = industrydb.plan_sql(uri, "SELECT i, 'GETDATE()' AS t FROM numbers", partition_on="i", partitions=2)
    assert len(quoted) == 2
    assert "'GETDATE()'" in quoted.explain()
    if given_uri() is None:
        return  # the emulator reads no datetime with a fraction
    frame = plan.read()
    assert frame.schema == industrydb.read_sql(uri, query).schema
    assert frame["now"].n_unique() == 1
    listed = industrydb.read_sql(uri, [f"SELECT i, GETDATE() AS now FROM numbers WHERE i % 3 = {n}" for n in range(3)])
    assert listed["now"].n_unique() == 1


VALUES: list[tuple[str, pl.DataType, object]] = [
    ("CAST(1 AS bit)", pl.Boolean(), True),
    ("CAST(255 AS tinyint)", pl.UInt8(), 255),
    ("CAST(-32768 AS smallint)", pl.Int16(), -32768),
    ("CAST(-2147483648 AS int)", pl.Int32(), -(2**31)),
    ("CAST(9223372036854775807 AS bigint)", pl.Int64(), 2**63 - 1),
    ("CAST(0.5 AS real)", pl.Float32(), 0.5),
    ("CAST(0.1 AS float)", pl.Float64(), 0.1),
    ("CAST(-12345.67 AS decimal(10,2))", pl.Decimal(10, 2), Decimal("-12345.67")),
    ("CAST(0.05 AS numeric(38,10))", pl.Decimal(38, 10), Decimal("0.05")),
    ("CAST('abc' AS varchar(10))", pl.String(), "abc"),
    ("CAST(N'größer €𝄞' AS nvarchar(20))", pl.String(), "größer €𝄞"),
    ("CAST(N'' AS nvarchar(20))", pl.String(), ""),
    ("CAST(0x00ff AS varbinary(8))", pl.Binary(), b"\x00\xff"),
    (
        "CAST('6f9619ff-8b86-d011-b42d-00c04fc964ff' AS uniqueidentifier)",
        pl.String(),
        "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    ),
    (
        "CAST('2024-02-29 12:34:56' AS datetime)",
        pl.Datetime("us"),
        datetime.fromisoformat("2024-02-29T12:34:56"),
    ),
    (
        "CAST('2024-02-29T12:34:56.123456' AS datetime2(6))",
        pl.Datetime("us"),
        datetime.fromisoformat("2024-02-29T12:34:56.123456"),
    ),
    ("CAST('2024-02-29 12:34:56' AS datetime2)", pl.Datetime("ns"), datetime.fromisoformat("2024-02-29T12:34:56")),
    ("CAST('12:34:56' AS time)", pl.Time(), time(12, 34, 56)),
    ("CAST(12.5 AS money)", pl.Decimal(19, 4), Decimal("12.5")),
    ("CAST('2024-02-29T12:34:56' AS datetime2(7))", pl.Datetime("ns"), datetime.fromisoformat("2024-02-29T12:34:56")),
    ("CAST('12:34:56.5' AS time(7))", pl.Time(), time(12, 34, 56, 500_000)),
]


# Types that the emulator does not parse, takes for others, or sends in a way that is not SQL Server's.
NOT_EMULATED = {"real", "money", "datetime", "datetime2", "datetime2(6)", "datetime2(7)", "time", "time(7)"}


@pytest.mark.parametrize(("expression", "dtype", "expected"), VALUES)
def test_values_are_those_of_the_query(uri: str, expression: str, dtype: pl.DataType, expected: object) -> None:
    """Each type of the page's table is read with its value and dtype; NULLs stay NULLs."""
    database_type = expression.rpartition(" AS ")[2][:-1]
    if database_type in NOT_EMULATED and not given_uri():
        pytest.skip("not in the emulator's SQL")
    run(uri, f"CREATE TABLE one_type (i int, v {database_type})")
    run(uri, f"INSERT INTO one_type VALUES (1, {expression}), (2, NULL)")
    column = industrydb.read_sql(uri, "SELECT i, v FROM one_type ORDER BY i")["v"]
    run(uri, "DROP TABLE one_type")
    assert column.to_list() == [expected, None]
    assert column.dtype == dtype


def test_long_values_are_whole(uri: str) -> None:
    """A long value is read whole; the protocol's own limit would cut it off."""
    run(uri, "CREATE TABLE long (v varchar(8000))")
    run(uri, "INSERT INTO long VALUES ('" + "x" * 8000 + "')")
    assert industrydb.read_sql(uri, "SELECT v FROM long").item() == "x" * 8000
    run(uri, "DROP TABLE long")


@pytest.mark.parametrize("partitions", [1, 2, 3, 8, 40])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT i, x * 10 AS x FROM numbers",
        "SELECT NULLIF(i, 3) AS i, x FROM numbers",
        "WITH c AS (SELECT i, x FROM numbers) SELECT i, x FROM c",
        "SELECT N'k' + CAST(i AS nvarchar(9)) AS i, x FROM numbers -- the last",
        "SELECT i % 2 AS i, x FROM numbers;",
    ],
)
def test_every_row_comes_once(uri: str, query: str, partitions: int) -> None:
    """Every row comes once, whatever the key: NULLs, texts, a common table expression, or few different values."""
    frame = industrydb.read_sql(uri, query, partition_on="i", partitions=partitions)
    expected = industrydb.read_sql(uri, query)
    assert expected.height == 8
    assert frame.sort("x").equals(expected.sort("x"))


def test_ranges_are_open_at_both_ends(uri: str) -> None:
    """Partitions of a given range are open at both ends: rows outside the range are read too."""
    plan = industrydb.plan_sql(uri, "SELECT i FROM numbers", partition_on="i", partitions=3, partition_range=(3, 5))
    assert [plan.read(index)["i"].to_list() for index in range(3)] == [[1, 2, 3], [4], [5, 6, 7, 8]]


def test_types_may_be_asked_for(uri: str) -> None:
    """Overrides are exact, or an error, as with the other databases."""
    query = "SELECT CAST(i AS decimal(10,2)) AS d, i * 40 AS i FROM numbers WHERE i = 1 OR i = 8 ORDER BY i"
    frame = industrydb.read_sql(uri, query, schema_overrides={"d": pl.Float64, "i": pl.Int16})
    assert frame.rows() == [(1.0, 40), (8.0, 320)]
    assert frame.dtypes == [pl.Float64, pl.Int16]
    with pytest.raises(industrydb.TypeConversionError, match=r'"i" \(int\), row 2: 320 is no pl.UInt8'):
        industrydb.read_sql(uri, query, schema_overrides={"i": pl.UInt8})
    with pytest.raises(industrydb.ConfigurationError, match="cannot be read"):
        industrydb.read_sql(uri, query, schema_overrides={"i": pl.Date})


@pytest.mark.parametrize(
    ("query", "error", "code"),
    [
        ("SELECT * FROM nothing", industrydb.QueryExecutionError, "208"),
        ("SELECT 1 / (i - 8) AS v FROM numbers", industrydb.QueryExecutionError, "8134"),
        ("SELECT 1 AS a; SELECT 2 AS a", industrydb.ConfigurationError, None),
        ("SELECT 1 AS a, 2 AS a", industrydb.ConfigurationError, None),
        ("DELETE FROM nothing", industrydb.ConfigurationError, None),
        ("SELECT 1 AS a DELETE FROM numbers", industrydb.ConfigurationError, None),
        ("WITH c AS (SELECT i FROM numbers) UPDATE c SET i = 0 SELECT 1 AS a", industrydb.ConfigurationError, None),
        ("SELECT 1 AS a INTO made", industrydb.ConfigurationError, None),
    ],
)
def test_errors_are_typed(uri: str, query: str, error: type[Exception], code: str | None) -> None:
    """Errors have the server's number, and a statement that is no SELECT is not run."""
    with pytest.raises(error) as raised:
        industrydb.read_sql(uri, query)
    assert getattr(raised.value, "code", None) == code
    assert industrydb.read_sql(uri, "SELECT i FROM numbers ORDER BY i")["i"].to_list() == [*range(1, 9)]


def test_partitions_alone_need_a_primary_key(uri: str) -> None:
    """Without a primary key, `partitions` alone is refused, with advice to pass `partition_on`."""
    with pytest.raises(industrydb.ConfigurationError, match="pass partition_on"):
        industrydb.read_sql(uri, "SELECT i FROM numbers", partitions=2)


def relayed(uri: str, port: int) -> str:
    """Return the URI of a relay in front of the server."""
    return uri.replace(f":{port_of(uri)}/", f":{port}/")


@pytest.fixture(scope="module")
def server_port(own_mssql_uri: str) -> int:
    """Return the server's port on this machine."""
    return port_of(own_mssql_uri)


@pytest.fixture(scope="module")
def length(uri: str, server_port: int) -> int:
    """Return the number of bytes that the server answers in a complete read."""
    with relay(server_port) as whole:
        assert industrydb.read_sql(relayed(uri, whole.port), ALL_PAIRS).height == 8**3
    return whole.answered


ALL_PAIRS = "SELECT a.i, b.x, c.x AS y FROM numbers AS a CROSS JOIN numbers AS b CROSS JOIN numbers AS c"


@pytest.mark.parametrize("position", [*range(0, 1500, 97), 5_000, -100, -20, -14, -13, -12, -1])
def test_a_connection_that_breaks(uri: str, server_port: int, length: int, position: int) -> None:
    """A connection that breaks raises: in the login, the description, a row, or before the server's final message."""
    with (
        relay(server_port, cut_after=position % length) as broken,
        pytest.raises(industrydb.DatabaseConnectionError),
    ):
        industrydb.read_sql(relayed(uri, broken.port), ALL_PAIRS)
    assert broken.answered == position % length


def test_ctrl_c_sends_an_attention(uri: str, server_port: int, length: int) -> None:
    """Ctrl-C sends an attention to the server, and does not wait for the answer."""
    attention = b"\6\1\0\x08"
    with relay(server_port, cut_after=length - 100, stalls=True) as stalling:
        with reading(relayed(uri, stalling.port), ALL_PAIRS):
            eventually(lambda: stalling.answered == length - 100)
            assert attention not in stalling.asked
        eventually(lambda: attention in stalling.asked)


@pytest.mark.skipif(sys.platform == "win32", reason="Python has no SIGINT from outside there")
@pytest.mark.parametrize("way", ["collect", "streaming"])
def test_ctrl_c_ends_a_scan_whose_server_stalls(uri: str, server_port: int, length: int, way: str) -> None:
    """Ctrl-C ends a scan while the main thread waits in Polars for a server that stalls."""
    with (
        relay(server_port, cut_after=length - 100, stalls=True) as stalling,
        collecting(relayed(uri, stalling.port), ALL_PAIRS, WAYS[way]) as child,
    ):
        eventually(lambda: stalling.answered >= length - 100)
        child.is_interrupted()


def test_types_of_pandas_and_arrow(uri: str) -> None:
    """The types of pandas and Arrow are those of the columns, also if a query's values are NULL."""
    query = "SELECT CAST({} AS bigint) AS big, CAST({} AS bit) AS truth, CAST({} AS nvarchar(20)) AS words"
    values, nulls = query.format("'9007199254740993'", 1, "N'aé'"), query.format("NULL", "NULL", "NULL")
    for queries in (values, nulls, [values, nulls], [nulls, values]):
        frame = industrydb.read_sql(uri, queries, return_type="pandas")
        assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "boolean", "string"]
        assert set(frame["big"].dropna()) <= {9007199254740993}
        table = industrydb.read_sql(uri, queries, return_type="arrow")
        assert [str(dtype) for dtype in table.schema.types] == ["int64", "bool", "large_string"]


@pytest.mark.skipif(not given_uri(), reason="the emulator has no times")
def test_a_time_that_python_would_cut_off_raises_for_pandas(uri: str) -> None:
    """A time with SQL Server's 100 ns, which Python would cut off, raises for pandas."""
    query = "SELECT CAST('12:34:56.1234567' AS time(7)) AS moment"
    with pytest.raises(industrydb.TypeConversionError, match=r"column 'moment', row 1: .* 12:34:56\.1234567"):
        industrydb.read_sql(uri, query, return_type="pandas")


def test_the_browser_service_tells_the_port_of_an_instance(uri: str, server_port: int) -> None:
    """The browser service, on port 1434 of each machine, tells an instance's port. The protocol is [MC-SQLR]."""
    told = f"ServerName;HERE;InstanceName;SALES;IsClustered;No;Version;16.0.1000.6;tcp;{server_port};;".encode()
    asked = []

    def answer(browser: socket.socket) -> None:
        question, client = browser.recvfrom(100)
        asked.append(question)
        browser.sendto(b"\5" + len(told).to_bytes(2, "little") + told, client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as browser:
        browser.bind(("127.0.0.1", 1434))
        thread = threading.Thread(target=answer, args=(browser,), daemon=True)
        thread.start()
        instance = with_options(uri.replace(f":{server_port}/", "/"), instance="sales")
        assert industrydb.read_sql(instance, "SELECT 1 AS a").item() == 1
        thread.join()
    assert asked == [b"\4sales\0"]


def test_queries_that_differ_from_run_to_run_are_evaluated_once(uri: str) -> None:
    """A query with TOP, which may take other rows each time, is evaluated once."""
    plan = industrydb.plan_sql(uri, "SELECT TOP 3 i FROM numbers", partition_on="i", partitions=4)
    assert len(plan) == 1
    assert "TOP" in (plan.note or "")


def test_logins_that_fail_say_why(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """A failed login's error names the server and has a code; no message or log has a password, at any level."""
    if given_uri():
        pytest.skip("needs a server whose password is known")
    caplog.set_level(logging.NOTSET)
    industrydb.read_sql(uri, "SELECT 1 AS a")
    wrong = "wrong-secret"
    with pytest.raises(industrydb.DatabaseConnectionError, match=r"127\.0\.0\.1:") as raised:
        industrydb.read_sql(uri.replace(quote(PASSWORD, safe=""), wrong), "SELECT 1 AS a")
    assert raised.value.code is not None
    for secret in (PASSWORD, wrong):
        assert secret not in str(raised.value)
        assert secret not in caplog.text
    assert not [record for record in caplog.records if "mssql_tds" in record.name]


def test_nobody_listens() -> None:
    """If nothing listens, the error names the server."""
    with pytest.raises(industrydb.DatabaseConnectionError, match=r"127\.0\.0\.1:1"):
        industrydb.read_sql("mssql://sa:x@127.0.0.1:1/master", "SELECT 1 AS a")


@pytest.mark.parametrize("query", ["SELECT DISTINCT x FROM numbers", "SELECT x FROM numbers GROUP BY x"])
def test_a_filter_stays_behind_groups(uri: str, query: str, caplog: pytest.LogCaptureFixture) -> None:
    """A filter is applied behind groups; before, it could change which of equal texts represents a group."""
    caplog.set_level(logging.DEBUG, "industrydb.core")
    assert industrydb.scan_sql(uri, query).filter(pl.col("x") > 6).collect().sort("x")["x"].to_list() == [7, 8]
    assert not any("WHERE" in message for message in caplog.messages)
