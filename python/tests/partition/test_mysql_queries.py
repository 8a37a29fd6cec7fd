"""Queries that the server refuses to explain or to nest are read in partitions, and filtered, all the same."""

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb import ConfigurationError
from tests.kit.mariadb import MariaDb, Pymysql, series


@pytest.fixture
def other(server: MariaDb) -> Iterator[Pymysql]:
    """Connect with pymysql, make a table of a hundred rows, and drop what the tests make."""
    with closing(Pymysql(server.uri)) as connection:
        connection.execute("CREATE TABLE item (id int PRIMARY KEY, v int, KEY by_v (v)); CREATE TABLE more (id int)")
        connection.execute(f"INSERT INTO item SELECT seq, seq % 10 FROM {series(100)}")
        yield connection
        connection.execute("DROP VIEW IF EXISTS shown")
        connection.execute("DROP TABLE IF EXISTS item, more, v, ignored")
        connection.execute("DROP FUNCTION IF EXISTS v; DROP USER IF EXISTS looker")


# What only MariaDB has, or allows.
_OF_MARIADB = ("CYCLE", "{d v}", "SQL_CACHE", "ROWNUM", "SELECT id, count(*) AS v FROM item")


def known(other: Pymysql, query: str) -> str:
    """Return a query; skip the test if the server does not know it."""
    if any(part in query for part in _OF_MARIADB):
        other.needs_mariadb("not in MySQL's SQL")
    return query


def parts(uri: str, query: "str | list[str]", key: str = "id", **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Return the sorted rows of a read in three partitions."""
    if isinstance(query, str):
        options |= {"partition_on": key, "partitions": 3}
    return sorted(industrydb.read_sql(uri, query, **options).rows())


NAMED = [
    "SELECT id, v FROM item WHERE v >= 0",
    "SELECT v.id, v.v FROM item AS v",
    "SELECT id, item.v FROM item JOIN (SELECT 1 AS v) AS q ON q.v <= 1 ORDER BY item.v",
    "WITH v AS (SELECT id, v FROM item) SELECT id, v FROM v",
    "SELECT id, v FROM item FORCE INDEX (by_v) LEFT JOIN (SELECT -1 AS v) AS q USING (v)",
    "SELECT id, v FROM shown",
]


@pytest.mark.parametrize("query", NAMED)
def test_a_table_without_snapshots_that_is_not_read(server: MariaDb, other: Pymysql, query: str) -> None:
    """A column or an alias may have the name of a table whose engine has no snapshots."""
    other.execute("CREATE TABLE v (id int) ENGINE=MyISAM; CREATE VIEW shown AS SELECT id, v FROM item")
    assert parts(server.uri, query) == sorted(other.execute(query).fetchall())
    if not query.startswith("WITH"):  # the names of a subquery's own WITH are not followed
        halves = [f"SELECT * FROM ({query}) AS h WHERE id {half}" for half in ("< 50", ">= 50")]
        assert parts(server.uri, halves) == sorted(other.execute(query).fetchall())


READING = [
    "SELECT item.id, v FROM item, v AS w",
    "SELECT id, v FROM item JOIN (SELECT max(id) AS m FROM v) AS q",
    "SELECT id, v FROM item WHERE id NOT IN (SELECT id FROM test.v)",
    "WITH v AS (SELECT id FROM v) SELECT item.id, item.v FROM item LEFT JOIN v ON v.id = item.id",
    "WITH RECURSIVE q (id, v) AS (SELECT 1, 2) CYCLE id, v RESTRICT SELECT item.id, item.v FROM item, v AS w",
    "SELECT item.id, item.v FROM item, {d v}",
    "SELECT item.id, item.v FROM item, /*!50000v*/",
    "SELECT id, v FROM shown",
]


@pytest.mark.parametrize("query", READING)
def test_a_table_without_snapshots_that_is_read(server: MariaDb, other: Pymysql, query: str) -> None:
    """A table whose engine has no snapshots is refused wherever the query reads it, also in a view."""
    known(other, query)
    other.execute("CREATE TABLE v (id int) ENGINE=MyISAM; INSERT INTO v VALUES (1), (2)")
    other.execute("CREATE VIEW shown AS SELECT item.id, item.v FROM item LEFT JOIN v ON v.id = item.id")
    with pytest.raises(ConfigurationError, match=r"test\.v is stored by MyISAM"):
        parts(server.uri, query)
    assert parts(server.uri, query, snapshot=False) == sorted(other.execute(query).fetchall())


def test_a_column_may_have_the_name_of_a_function(own_mysql: MariaDb) -> None:
    """A column that a stored function shares its name with is no call of it, as one with brackets is."""
    with closing(Pymysql(own_mysql.uri)) as other:
        other.execute("CREATE TABLE item (id int PRIMARY KEY, v int); INSERT INTO item VALUES (1, 2), (3, 4)")
        other.execute("CREATE FUNCTION v() RETURNS int RETURN 1")
        try:
            plan = industrydb.plan_sql(own_mysql.uri, "SELECT id, v FROM item", partition_on="id", partitions=2)
            assert len(plan) == 2
            for call in ("v()", "test . `v` ()"):
                query = f"SELECT id, {call} AS c FROM item"
                plan = industrydb.plan_sql(own_mysql.uri, query, partition_on="id", partitions=2)
                assert len(plan) == 1
        finally:
            other.execute("DROP TABLE item; DROP FUNCTION v")


def test_indexes_that_the_server_ignores(server: MariaDb, other: Pymysql) -> None:
    """A key whose index the server is told to ignore is cut by another index, or by a sample of the rows."""
    hidden = "IGNORED" if other.is_mariadb else "INVISIBLE"
    other.execute(f"CREATE TABLE ignored (id int NOT NULL, KEY hidden (id) {hidden})")
    other.execute(f"INSERT INTO ignored SELECT seq FROM {series(100)}")
    expected = [(number,) for number in range(1, 101)]
    assert parts(server.uri, "SELECT id FROM ignored") == expected
    other.execute("ALTER TABLE ignored ADD KEY seen (id)")
    assert parts(server.uri, "SELECT id FROM ignored") == expected


@pytest.mark.parametrize("split", [{"partition_on": "id", "partitions": 3}, {"partitions": 3}], ids=["key", "rows"])
def test_tables_that_a_temporary_one_shadows(server: MariaDb, other: Pymysql, split: dict[str, Any]) -> None:
    """A temporary table without the indexes of the table that it hides is read in partitions."""
    assert other.execute("SELECT count(*) FROM item").fetchall() == [(100,)]
    setup = f"CREATE TEMPORARY TABLE item AS SELECT seq AS id, 5 AS v FROM {series(40)}"
    frame = industrydb.read_sql(server.uri, "SELECT id, v FROM item", pre_execution_query=setup, **split)
    assert sorted(frame.rows()) == [(number, 5) for number in range(1, 41)]


ENDS = {
    "SELECT * FROM item": True,
    "SELECT ID, v + 1 AS w FROM test . item AS x -- WHERE id < 5": True,
    "select `id`, 'a FROM b' AS v from `item` `WHERE` # 5": True,
    "SELECT id, v, 5 AS `from` FROM item;": True,
    "SELECT v AS id, id AS v FROM item": False,
    "SELECT id AS key_, v FROM item": False,
    "SELECT id, v FROM item WHERE v >= 0 OR v = 9": False,
    "SELECT id, v /*!99999 FROM item */ FROM item ORDER BY v": False,
    "SELECT id, v FROM item /*!50000WHERE v < 20*/": False,
    "SELECT id, v FROM item /*!50000 x*/": False,
    "SELECT DISTINCTROW id, v FROM item": False,
    "SELECT id, v FROM item, (SELECT 1) AS w": False,
    "SELECT id, count(*) AS v FROM item": False,
    "SELECT id, v FROM shown": False,
}


@pytest.mark.parametrize("query", ENDS)
def test_a_query_that_ends_with_its_table_is_not_nested(server: MariaDb, other: Pymysql, query: str) -> None:
    """The range follows a query that ends with its table, and has the rows that the server compares with."""
    other.execute("CREATE VIEW shown AS SELECT id, v FROM item; INSERT INTO item VALUES (-5, NULL)")
    known(other, query)
    key = "key_" if "key_" in query else "ID" if "ID" in query else "id"
    expected = sorted(other.execute(query).fetchall(), key=repr)
    found = industrydb.read_sql(server.uri, query, partition_on=key, partitions=3)
    assert sorted(found.rows(), key=repr) == expected
    sql = industrydb.plan_sql(server.uri, query, partition_on=key, partitions=3).sql
    nested = ["AS q WHERE" in part for part in sql]
    if ENDS[query]:
        assert nested == [False] * 3
    else:
        assert all(nested) or len(sql) == 1


WORDS = ["HIGH_PRIORITY", "SQL_NO_CACHE", "SQL_CACHE", "SQL_BUFFER_RESULT", "SQL_CALC_FOUND_ROWS"]
ALSO_NESTED = ["STRAIGHT_JOIN", "SQL_BIG_RESULT", "SQL_SMALL_RESULT", "DISTINCT", "ALL", "DISTINCTROW"]
WORDY = [
    *(f"SELECT {word} id, v FROM item" for word in (*WORDS, *ALSO_NESTED)),
    "SELECT DISTINCT high_priority straight_join sql_no_cache `id`, v FROM item",
    "SELECT /*!40001 SQL_NO_CACHE */ * FROM item",
    "SELECT /*!40001SQL_NO_CACHE*/ * FROM item",
    "(SELECT SQL_CALC_FOUND_ROWS id, v FROM item)",
    "WITH q AS (SELECT * FROM item) SELECT SQL_NO_CACHE id, v FROM q",
    "SELECT SQL_NO_CACHE id, v FROM item UNION ALL SELECT id, 0 FROM more",
]


@pytest.mark.parametrize("query", WORDY)
def test_words_that_only_a_whole_statement_may_have(server: MariaDb, other: Pymysql, query: str) -> None:
    """Words such as HIGH_PRIORITY, which the server refuses in a subquery, change neither partitions nor filters."""
    expected = sorted(other.execute(known(other, query)).fetchall())
    assert len(expected) == 100
    assert parts(server.uri, query) == expected
    found = industrydb.scan_sql(server.uri, query).filter(pl.col("id") > 90).select("v", "id").collect()
    assert sorted(found.rows()) == sorted((v, number) for number, v in expected if number > 90)
    with_value = f"{query} WHERE v < ?" if query.endswith("FROM item") else query
    given = [5] if with_value != query else None
    some = sorted(row for row in expected if given is None or row[1] < 5)
    assert parts(server.uri, with_value, params=given) == some


def test_columns_of_such_names_stay(server: MariaDb, other: Pymysql) -> None:
    """A column with the name of such a word is read."""
    other.execute("CREATE TABLE v (id int PRIMARY KEY, sql_cache int, SQL_NO_CACHE int)")
    other.execute(f"INSERT INTO v SELECT seq, seq + 1, seq + 2 FROM {series(10)}")
    query = "SELECT id, sql_cache, sql_no_cache + 0 AS n FROM v"
    assert parts(server.uri, query) == [(number, number + 1, number + 2) for number in range(1, 11)]
    for query in ("SELECT id, 5 sql_cache FROM v", "SELECT 5 sql_cache, id FROM v"):
        assert parts(server.uri, query) == sorted(other.execute(query).fetchall())
        assert industrydb.scan_sql(server.uri, query).select("sql_cache").collect()["sql_cache"].to_list() == [5] * 10
    query = "SELECT q.select sql_cache, id FROM (SELECT id, sql_cache AS `select` FROM v) AS q"
    assert parts(server.uri, query, key="sql_cache") == sorted(other.execute(query).fetchall())


def test_a_procedure_is_read_whole(server: MariaDb, other: Pymysql, caplog: pytest.LogCaptureFixture) -> None:
    """A query with a PROCEDURE, which cannot be nested, is read in one partition."""
    other.needs_mariadb("a clause of MariaDB")
    query = "SELECT id, v FROM item PROCEDURE ANALYSE(1)"
    found = industrydb.read_sql(server.uri, query, partition_on="Field_name", partitions=2)
    assert "PROCEDURE" in caplog.text
    assert found["Field_name"].to_list() == [row[0] for row in other.execute(query)]


def test_views_whose_definition_is_secret(mysql_with_binlog: MariaDb) -> None:
    """Several queries on a view are read by a user who may not see how the view is made."""
    server = mysql_with_binlog
    with closing(Pymysql(server.uri)) as other:
        other.execute("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT seq FROM seq_1_to_100")
        other.execute("CREATE VIEW shown AS SELECT id FROM item; CREATE USER looker")
        other.execute("GRANT SELECT ON test.shown TO looker")
        try:
            uri = f"mysql://looker@127.0.0.1:{server.port}/test"
            queries = ["SELECT id FROM shown WHERE id < 50", "SELECT id FROM shown WHERE id >= 50"]
            assert parts(uri, queries) == [(number,) for number in range(1, 101)]
        finally:
            other.execute("DROP VIEW shown; DROP TABLE item; DROP USER looker")


@pytest.mark.parametrize("kind", ["double(20,10)", "double(10,2)", "float(7,3)", "float(20,10)", "double", "float"])
def test_keys_that_the_server_stores_rounded(server: MariaDb, other: Pymysql, kind: str) -> None:
    """Each row is on one side of a cut between floats of an index, which may be neighbours of the numbers printed."""
    generator = random.Random(4)  # noqa: S311, for data
    values = [generator.uniform(-1, 1) * 10 ** generator.randint(-3, 3) for _ in range(2000)]
    other.execute(f"CREATE TABLE v (id int PRIMARY KEY, v {kind}, KEY by_v (v))")
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO v VALUES (%s, %s)", enumerate(values))
    other.execute("INSERT INTO v VALUES (-1, NULL), (-2, -0.07), (-3, -0.07)")
    expected = sorted(number for (number,) in other.execute("SELECT id FROM v"))
    for query in ("SELECT id, v FROM v", "SELECT DISTINCT id, v FROM v", "SELECT id, v FROM v IGNORE INDEX (by_v)"):
        for count in range(2, 9):
            found = industrydb.read_sql(server.uri, query, partition_on="v", partitions=count)
            assert found["id"].sort().to_list() == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, d FROM r",
        "SELECT DISTINCT id, d FROM r",
        "SELECT id, d FROM r LIMIT 3",
        "SELECT id, d FROM r GROUP BY id",
        "SELECT id, max(d) AS d FROM r GROUP BY id",
        "SELECT id, d, row_number() OVER (ORDER BY id) AS n FROM r",
        "SELECT id, d FROM r UNION SELECT id, d FROM r",
        "SELECT id, d FROM r WHERE ROWNUM() < 4",
        "SELECT id, d FROM (SELECT DISTINCT id, d FROM r) AS q",
        "WITH c AS (SELECT id, d FROM r) SELECT id, d FROM c",
    ],
)
def test_scans_have_the_rounded_numbers_of_reads(server: MariaDb, other: Pymysql, query: str) -> None:
    """A filter that Polars applies to the rows of a read finds as many rows in a scan, whatever columns it needs."""
    known(other, query)
    other.execute("DROP TABLE IF EXISTS r; CREATE TABLE r (id int PRIMARY KEY, d double(10,2), f float(7,3), t text)")
    other.execute("INSERT INTO r VALUES (1, -0.33, -0.07, 'a'), (2, -0.07, 0.1, 'b'), (3, 1.1, 2.2, 'c')")
    whole = industrydb.read_sql(server.uri, query).sort("id")
    for value in whole["d"]:
        for columns in (["id"], ["d"], ["d", "id"]):
            found = industrydb.scan_sql(server.uri, query).filter(pl.col("d") == value).select(columns).collect()
            assert found.equals(whole.filter(pl.col("d") == value).select(columns)), (value, columns)
    assert industrydb.scan_sql(server.uri, query).select("d").collect()["d"].sort().equals(whole["d"].sort())


@pytest.mark.parametrize("how", [{}, {"partition_range": (0, 100)}, {"partition_range": (1800, 2200)}], ids=str)
@pytest.mark.parametrize("index", ["", ", KEY (y)"], ids=["plain", "indexed"])
def test_cuts_that_are_no_years(server: MariaDb, other: Pymysql, index: str, how: dict[str, Any]) -> None:
    """A cut may be a number that is no year; the year 0000 is below all others."""
    other.execute(f"CREATE TABLE v (id int PRIMARY KEY, y year{index})")
    years = [0, 1901, 1980, 2000, 2010, 2155, None]
    rows = [(number, years[number % 7]) for number in range(700)]
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO v VALUES (%s, %s)", rows)
    other.execute("ANALYZE TABLE v")
    for query in ("SELECT id, y FROM v", "SELECT id, y FROM v WHERE id >= 0"):
        for count in (2, 5):
            found = industrydb.read_sql(server.uri, query, partition_on="y", partitions=count, **how)
            assert sorted(found.rows()) == rows


@pytest.mark.parametrize("kind", ["date", "datetime"])
def test_cuts_that_are_in_no_calendar(server: MariaDb, other: Pymysql, kind: str) -> None:
    """A date that no calendar has is no cut, and is read as the caller asks."""
    other.execute(f"CREATE TABLE v (id int PRIMARY KEY, d {kind}); SET sql_mode = ''")
    days = ["0000-00-00", "2024-00-10", "2024-02-00", "2024-03-01", "2024-03-02"]
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO v VALUES (%s, %s)", [(number, days[number % 5]) for number in range(300)])
    for count in (2, 5, 9):
        query, uri = "SELECT id, d FROM v", f"{server.uri}?zero_dates=null"
        found = industrydb.read_sql(uri, query, partition_on="d", partitions=count)
        assert sorted(found["id"]) == list(range(300))
        assert found["d"].null_count() == 180


@pytest.mark.parametrize(
    "query",
    [
        "SELECT v.id, v.v FROM item AS v WHERE v.from OR v.id",
        "SELECT id, v.from = v.from OR id AS v FROM item v",
        "SELECT id, @@pseudo_thread_id AS v FROM item",
        "SELECT DISTINCT id, NULL AS v FROM item",
        "SELECT id, NULL AS v FROM item GROUP BY id",
        "SELECT id, NULL AS v FROM item UNION SELECT 1, NULL",
        "SELECT id, v < 3 AS v FROM item GROUP BY id, v",
        "SELECT /*+ SET_VAR(optimizer_prune_level=1) */ id, v FROM item",
    ],
)
def test_odd_queries_are_read_as_one(server: MariaDb, other: Pymysql, query: str) -> None:
    """Keywords as names, variables of a session, NULLs of no type and short integers: as the server reads them."""
    other.execute("ALTER TABLE item ADD COLUMN `from` int DEFAULT 1")
    expected = sorted(other.execute(query).fetchall())
    found = parts(server.uri, query)
    if "thread" in query:
        assert len({thread for _, thread in found}) == 1
        return
    assert found == expected
    scanned = industrydb.scan_sql(server.uri, query).filter(pl.col("id") > 90).collect()
    assert sorted(scanned.rows()) == [row for row in expected if row[0] > 90]


@pytest.mark.parametrize("setting", ["time_zone='+05:00'", "sql_select_limit=5", "SQL_MODE = ''"])
def test_hints_that_change_rows_are_refused(server: MariaDb, other: Pymysql, setting: str) -> None:  # noqa: ARG001
    """A hint holds for a whole statement, and not for a part of one: what it sets is named."""
    query = f"SELECT /*+ Set_Var({setting}) */ id FROM item"
    with pytest.raises(ConfigurationError, match=r"by a hint.*was not run"):
        industrydb.read_sql(server.uri, query)
    assert industrydb.read_sql(server.uri, "SELECT '/*+ SET_VAR(time_zone=5)' AS a").height == 1


def test_tables_that_only_share_a_name_with_a_column(server: MariaDb, other: Pymysql) -> None:
    """Such a table, or a broken view, is no reason to refuse a read of a user who may not read it."""
    other.execute("CREATE TABLE v (id int); CREATE TABLE gone (a int); CREATE VIEW shown AS SELECT a FROM gone")
    other.execute("DROP TABLE gone; CREATE USER looker; GRANT LOCK TABLES ON test.* TO looker")
    other.execute("GRANT SELECT ON test.item TO looker; GRANT INSERT ON test.v TO looker")
    for uri in (f"mysql://looker@127.0.0.1:{server.port}/test", server.uri):
        found = parts(uri, "SELECT id, v, 1 AS shown FROM item")
        assert found == [(number, number % 10, 1) for number in range(1, 101)]


def test_a_view_that_may_not_be_explained(server: MariaDb, other: Pymysql) -> None:
    """A view whose table the user may not read is divided by its rows, without a plan."""
    other.execute("CREATE VIEW shown AS SELECT id, v FROM item; CREATE USER looker")
    other.execute("GRANT SELECT, SHOW VIEW ON test.shown TO looker; GRANT LOCK TABLES ON test.* TO looker")
    uri = f"mysql://looker@127.0.0.1:{server.port}/test"
    for query in ("SELECT id, v FROM shown", "SELECT id, v FROM shown WHERE v >= 0"):
        assert parts(uri, query, snapshot=False) == [(number, number % 10) for number in range(1, 101)]
        assert parts(uri, query) == [(number, number % 10) for number in range(1, 101)]
