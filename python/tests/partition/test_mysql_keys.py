"""Each row of MySQL and MariaDB is in one partition, whatever the key, the collation, the comments and the modes."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import industrydb
from industrydb import ConfigurationError
from tests.kit.mariadb import MariaDb, Pymysql, series
from tests.partition.test_mysql_moments import writing

ROWS = 500


@pytest.fixture
def other(server: MariaDb) -> Iterator[Pymysql]:
    """Connect with pymysql, make a table, and drop what the tests make."""
    with closing(Pymysql(server.uri)) as connection:
        connection.execute("CREATE TABLE item (id int PRIMARY KEY, n int, s varchar(20))")
        connection.execute(f"INSERT INTO item SELECT seq, seq % 60, CONCAT('s', seq % 7) FROM {series(ROWS)}")
        yield connection
        connection.execute("DROP VIEW IF EXISTS shown; DROP TABLE IF EXISTS item, k, acc")


def assert_each_once(uri: str, other: Pymysql, query: str, key: str = "k", setup: str | None = None) -> None:
    """Assert that partitions have the rows of the query as pymysql has them."""
    if setup is not None:
        other.execute(setup)
    expected = sorted(map(repr, other.execute(query).fetchall()))
    for count in (2, 4, 9):
        found = industrydb.read_sql(
            uri, query, partition_on=key, partitions=count, pre_execution_query=setup and [setup]
        )
        assert sorted(found["id"]) == sorted(number for number, *_ in other.execute(query))
        assert len(expected) == found.height


@pytest.mark.parametrize(
    "kind",
    ["varchar(1500) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "varbinary(1500)", "longtext", "longblob"],
)
def test_keys_that_are_sorted_by_their_beginning(server: MariaDb, other: Pymysql, kind: str) -> None:
    """A server sorts the first kilobyte of a text, and compares all of it."""
    other.execute(f"CREATE TABLE k (id int AUTO_INCREMENT PRIMARY KEY, k {kind})")
    numbers = random.Random(3).sample(range(ROWS), ROWS)  # noqa: S311
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO k (k) VALUES (%s)", [(f"{'p' * 1024}{number:04}",) for number in numbers])
    assert_each_once(server.uri, other, "SELECT id, k FROM k")


@pytest.mark.parametrize(
    "key",
    [
        "SEC_TO_TIME(n * 3600)",
        "TIMEDIFF(TIMESTAMP'2024-01-10 00:00:00', TIMESTAMP'2024-01-10 00:00:00' - INTERVAL n * 7 HOUR)",
        "CAST(n * 10000 AS time)",
        "ADDTIME('2024-01-01 00:00:00', SEC_TO_TIME(n * 86400))",
        "DATE'2024-02-01' + INTERVAL n DAY",
        "CAST(CONCAT('2024-03-01 00:00:', n) AS datetime(3))",
        "ELT(1 + n % 4, _latin1'a', _latin1 x'D6', _latin1'p', _latin1'z')",
        "CHAR(192 + n USING latin1)",
        "CONVERT(CONCAT(s, 'ä', n) USING latin1) COLLATE latin1_german2_ci",
        "HEX(n)",
        "n / 7",
        "n + 0e0",
    ],
)
def test_keys_that_are_expressions(server: MariaDb, other: Pymysql, key: str) -> None:
    """An expression is compared with a cut as it is sorted."""
    query = f"SELECT id, {key} AS k FROM item"
    assert_each_once(server.uri, other, query)
    other.execute(f"CREATE VIEW shown AS {query}")
    assert_each_once(server.uri, other, "SELECT * FROM shown")


@pytest.mark.parametrize("charset", ["cp932", "sjis", "eucjpms", "ujis", "gbk", "big5", "latin1", "cp1250", "koi8r"])
def test_characters_with_several_codes(server: MariaDb, other: Pymysql, charset: str) -> None:
    """A text that would come back with another code is no cut, or one in the order of the others."""
    other.execute(f"CREATE TABLE k (id int AUTO_INCREMENT PRIMARY KEY, k varchar(4) CHARACTER SET {charset})")
    codes = [bytes([first, second]) for first in range(0x81, 0xFD) for second in range(0x40, 0xFD, 5)]
    codes += [bytes([code]) for code in range(33, 256)]
    statements = [f"INSERT IGNORE INTO k (k) VALUES (_binary x'{code.hex()}')" for code in codes[::3]]
    other.execute("SET sql_mode = ''; BEGIN; " + "; ".join(statements) + "; COMMIT")
    assert_each_once(server.uri, other, "SELECT id, k FROM k")


def test_characters_before_the_blank(server: MariaDb, other: Pymysql) -> None:
    """Characters that are sorted before the blank, where the server contradicts itself about them."""
    collation = "utf8mb4_nopad_bin" if other.is_mariadb else "utf8mb4_0900_ai_ci"
    setup = None if other.is_mariadb else "SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'"
    other.execute(f"CREATE TABLE k (id int PRIMARY KEY, k char(20) COLLATE {collation}, KEY (k))")
    texts = ["a", "a\t", "ab", "ab\t", "b", "a\x01"]
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO k VALUES (%s, %s)", [(number, texts[number % 6]) for number in range(ROWS)])
    assert_each_once(server.uri, other, "SELECT id, k FROM k", setup=setup)


@pytest.mark.parametrize("kind", ["decimal(20,0)", "bigint", "decimal(30,6)", "double"])
def test_ranges_of_floats(server: MariaDb, other: Pymysql, kind: str) -> None:
    """Bounds that are floats are compared with exact numbers as exact numbers."""
    least = 2**53
    other.execute(f"CREATE TABLE k (id int PRIMARY KEY, k {kind}, KEY (k))")
    other.execute(f"INSERT INTO k SELECT seq, {least} + seq % 9 FROM {series(ROWS)}")
    for count in (2, 5, 8):
        found = industrydb.read_sql(
            server.uri,
            "SELECT id, k FROM k",
            partition_on="k",
            partitions=count,
            partition_range=(float(least), float(least + 8)),
        )
        assert sorted(found["id"]) == list(range(1, ROWS + 1))


COMMENTED = [
    "SELECT */* the customer's columns */ FROM item ORDER BY RAND() LIMIT 100",
    "SELECT id, n*/* don't */2 AS x, RAND() AS k FROM item",
    "SELECT id FROM item /*!999999 don't */ ORDER BY RAND() LIMIT 100",
    "SELECT id FROM item /*!120000 don't */ ORDER BY RAND() LIMIT 100",
    "SELECT id FROM item /*!80000 ORDER BY RAND() LIMIT 100 */",
    "SELECT id FROM item /*M!100000 ORDER BY RAND() LIMIT 100 */",
    "SELECT id FROM item /*M!100000 it's */ ORDER BY RAND() LIMIT 100",
    "SELECT id FROM item /*!80000 it's */ ORDER BY RAND() LIMIT 100",
    "SELECT id FROM item WHERE RAND() < 0.5LIMIT 100",
    "SELECT id, `rand`() AS k FROM item",
    "SELECT id, `Rand` () AS k FROM item",
]


@pytest.mark.parametrize("query", COMMENTED)
def test_what_makes_a_query_indivisible_is_seen(server: MariaDb, other: Pymysql, query: str) -> None:
    """Behind comments, in those that this server runs, behind numbers, and in quotes."""
    is_run = query
    for start, runs in (("/*!80000", not other.is_mariadb), ("/*M!100000", other.is_mariadb)):
        if start in query and "'" in query and runs:
            pytest.skip("a text that is never closed")
        if start in query and not runs:
            is_run = query[: query.index("/*")] + query[query.index("*/") + 2 :]
    count = 100 if "LIMIT" in is_run else ROWS
    for _ in range(3):
        found = industrydb.read_sql(server.uri, query, partition_on="k" if " k " in query else "id", partitions=4)
        assert found.height == count
        assert found["id"].n_unique() == count


def test_a_table_in_front_of_which_a_comment_stands_is_held(server: MariaDb, other: Pymysql) -> None:
    """A comment that hides nothing from the server hides no table from its locks."""
    other.execute("CREATE TABLE acc (id int PRIMARY KEY, coins int)")
    other.execute(f"INSERT INTO acc SELECT seq, 100 FROM {series(ROWS)}")
    moved = [f"UPDATE acc SET coins = coins {sign} 1 WHERE id = {number}" for sign, number in (("-", 1), ("+", ROWS))]
    back = [f"UPDATE acc SET coins = coins {sign} 1 WHERE id = {number}" for sign, number in (("-", ROWS), ("+", 1))]
    with writing(server.uri, moved, back):
        for _ in range(15):
            query = "SELECT */* the customer's columns */ FROM acc"
            found = industrydb.read_sql(server.uri, query, partition_on="id", partitions=4)
            assert (found.height, found["coins"].sum()) == (ROWS, 100 * ROWS)


def test_a_view_that_is_replaced_meanwhile(server: MariaDb, other: Pymysql) -> None:
    """A view that can no longer be divided, once the sessions have begun, is read in one."""
    plain = "CREATE OR REPLACE VIEW shown AS SELECT id, n FROM item"
    other.execute(plain)
    counts = set()
    pause = ["DO SLEEP(0.05)"]
    with writing(server.uri, [f"{plain} ORDER BY RAND() LIMIT 250"], pause, [plain], pause):
        for _ in range(30):
            found = industrydb.read_sql(server.uri, "SELECT id, n FROM shown", partition_on="id", partitions=4)
            counts.add((found.height, found["id"].n_unique()))
    assert counts <= {(250, 250), (ROWS, ROWS)}


def test_the_servers_own_tables_have_no_snapshots(server: MariaDb, other: Pymysql) -> None:
    """The state of the server is read by one statement, or with the caller's consent."""
    query = "SELECT TABLE_NAME AS k FROM Information_Schema.`TABLES` WHERE TABLE_SCHEMA = 'test'"
    other.execute(f"CREATE VIEW shown AS {query}")
    for asked in (query, "SELECT k FROM shown"):
        with pytest.raises(ConfigurationError, match="shows the state of the server, which has no snapshots"):
            industrydb.read_sql(server.uri, asked, partition_on="k", partitions=2)
        expected = sorted(other.execute(asked).fetchall())
        assert sorted(industrydb.read_sql(server.uri, asked).rows()) == expected
        found = industrydb.read_sql(server.uri, asked, partition_on="k", partitions=2, snapshot=False)
        assert sorted(found.rows()) == expected
    other.execute("ALTER TABLE item ADD COLUMN `tables` int")
    assert industrydb.read_sql(server.uri, "SELECT id, tables FROM item", partitions=2).height == ROWS


def test_functions_of_packages(server: MariaDb, other: Pymysql) -> None:
    """A function of a package of MariaDB's is a stored function."""
    other.needs_mariadb("has packages")
    other.execute("SET sql_mode = ORACLE")
    with other.driver.cursor() as cursor:
        cursor.execute("CREATE PACKAGE pack AS FUNCTION f(x INT) RETURN DOUBLE; END")
        cursor.execute("CREATE PACKAGE BODY pack AS FUNCTION f(x INT) RETURN DOUBLE AS BEGIN RETURN RAND(); END; END")
    try:
        for name in ("pack.f", "test.pack.`f`"):
            found = industrydb.read_sql(
                server.uri,
                f"SELECT id, {name}(id) AS k FROM item",
                partition_on="k",
                partitions=4,
                pre_execution_query=["SET sql_mode = ORACLE"],
            )
            assert sorted(found["id"]) == list(range(1, ROWS + 1))
    finally:
        other.execute("DROP PACKAGE pack")


@pytest.mark.parametrize("setup", [None, ["SET sql_mode = 'HIGH_NOT_PRECEDENCE'"]])
def test_filters_that_do_not_hold(server: MariaDb, other: Pymysql, setup: list[str] | None) -> None:
    """A negation is of the whole condition behind it, in every mode."""
    other.execute("INSERT INTO item VALUES (0, NULL, NULL)")
    frame = pl.DataFrame(list(other.execute("SELECT * FROM item")), ["id", "n", "s"], orient="row")
    scan = industrydb.scan_sql(server.uri, "SELECT * FROM item", pre_execution_query=setup)
    for predicate in (
        pl.col("n").is_not_null(),
        ~pl.col("n").is_in([3, 4]),
        ~(pl.col("n") > 2),
        ~((pl.col("n") > 2) & pl.col("s").is_null()),
        ~pl.col("n").is_null() & ~(pl.col("s") == "s1"),
    ):
        found = scan.filter(predicate).collect().sort("id")
        expected = frame.filter(predicate).sort("id")
        assert_frame_equal(found, expected, check_dtypes=False)


@pytest.mark.parametrize(
    ("charset", "code", "text"),
    [
        ("ujis", "A1C0", "\\"),
        ("armscii8", "A5", "("),
        ("armscii8", "AC", "-"),
        ("cp1250", "81", "?"),
        ("latin1", "5C", "\\"),
        ("utf8mb4", "C3A4", "ä"),
        ("latin1", "E4", "ä"),
        ("ascii", "3F", "?"),
    ],
)
def test_filters_on_texts_with_several_codes(
    server: MariaDb, other: Pymysql, charset: str, code: str, text: str
) -> None:
    """A text that is read from a code is found by it."""
    other.execute(f"CREATE TABLE k (id int PRIMARY KEY, k varchar(4) CHARACTER SET {charset})")
    other.execute(f"INSERT INTO k VALUES (1, _{charset} x'{code}'), (2, 'b')")
    assert list(other.execute("SELECT k FROM k WHERE id = 1")) == [(text,)]
    scan = industrydb.scan_sql(server.uri, "SELECT id, k FROM k")
    for predicate in (pl.col("k") == text, pl.col("k").is_in([text, "x"])):
        assert scan.filter(predicate).collect().rows() == [(1, text)]


def test_equal_names_in_two_spellings(server: MariaDb, other: Pymysql) -> None:  # noqa: ARG001
    """Columns that only differ in case have no place in a derived table, and the error says what to do."""
    with pytest.raises(ConfigurationError, match=r"give them aliases"):
        industrydb.read_sql(server.uri, "SELECT id, n AS ID FROM item", partition_on="id", partitions=2)
    assert industrydb.read_sql(server.uri, "SELECT id, n AS ID FROM item").columns == ["id", "ID"]


@pytest.mark.parametrize("kind", ["varchar(40)", "char(40)", "text"])
@pytest.mark.parametrize("index", ["KEY (k(5))", "UNIQUE (k(5), id)", "KEY (id, k(5))"])
def test_indexes_of_the_beginning_of_a_text(server: MariaDb, other: Pymysql, kind: str, index: str) -> None:
    """A letter that counts as two is cut off with an index's beginning, which is then in another order."""
    collation = "utf8mb4_unicode_ci" if other.is_mariadb else "utf8mb4_0900_ai_ci"
    other.execute(f"CREATE TABLE k (id int PRIMARY KEY, k {kind} COLLATE {collation}, {index})")
    texts = ["Strasser", "Strasbourg", "Otto", "Adler", "Zorn", "Meier"]
    rows = [(number, texts[number % 6]) for number in range(ROWS)] + [(ROWS, "Straße"), (ROWS + 1, "Straßer")]
    with other.driver.cursor() as cursor:
        cursor.executemany("INSERT INTO k VALUES (%s, %s)", rows)
    other.execute("CREATE VIEW shown AS SELECT * FROM k")
    for query in ("SELECT id, k FROM k", "SELECT id, k FROM shown", "SELECT id, k FROM (SELECT * FROM k) AS x"):
        for count in (3, 6):
            found = industrydb.read_sql(server.uri, query, partition_on="k", partitions=count)
            assert sorted(found["id"]) == list(range(ROWS + 2))


@pytest.mark.parametrize("name", ["1e5v", "3e8a", "2024_v", "5v", "e1"])
def test_names_that_look_like_numbers(server: MariaDb, other: Pymysql, name: str) -> None:
    """Behind a database's name, such a name is one word."""
    other.execute(f"CREATE VIEW `{name}` AS SELECT * FROM item ORDER BY RAND() LIMIT 100")
    try:
        for _ in range(3):
            found = industrydb.read_sql(server.uri, f"SELECT id FROM test.{name}", partition_on="id", partitions=4)
            assert (found.height, found["id"].n_unique()) == (100, 100)
    finally:
        other.execute(f"DROP VIEW `{name}`")


@pytest.mark.parametrize("number", ["1e-3", "1e+0", "1.5e-1", "1.e0", "1 AND .9", "0x1 OR .5", ".5e-2"])
def test_numbers_in_front_of_keywords(server: MariaDb, other: Pymysql, number: str) -> None:
    """A keyword right behind a number is one: a table without snapshots, and groups, are seen."""
    other.execute(
        "CREATE TABLE acc (id int PRIMARY KEY, coins int) ENGINE=MyISAM; INSERT INTO acc VALUES (1, 1), (2, 2)"
    )
    with pytest.raises(ConfigurationError, match="has no snapshots"):
        industrydb.read_sql(server.uri, f"SELECT id, {number}FROM acc", partition_on="id", partitions=2)
    other.execute("CREATE TABLE k (s varchar(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci)")
    other.execute("INSERT INTO k VALUES ('a'), ('A'), ('A'), ('b'), ('ä'), ('Ä'), ('æ')")
    query = f"SELECT s, COUNT(*) AS c FROM k WHERE 1 AND {number}GROUP BY s"
    frame = pl.DataFrame(list(other.execute(query)), ["s", "c"], orient="row")
    for text in ("ä", "æ"):
        scanned = industrydb.scan_sql(server.uri, query).filter(pl.col("s") == text).collect()
        assert scanned.rows() == frame.filter(pl.col("s") == text).rows()


def test_a_temporary_table_hides_a_stored_one(server: MariaDb, other: Pymysql) -> None:
    """The character set of a text is that of the session's own table."""
    other.execute("CREATE TABLE k (id int, k varchar(4))")
    setup = [
        "CREATE TEMPORARY TABLE k (id int, k varchar(4) CHARACTER SET armscii8)",
        "INSERT INTO k VALUES (1, _armscii8 x'A5'), (2, 'b')",
    ]
    scan = industrydb.scan_sql(server.uri, "SELECT id, k FROM k", pre_execution_query=setup)
    assert scan.filter(pl.col("k") == "(").collect().rows() == [(1, "(")]


def test_bounds_and_keys_of_dates(server: MariaDb, other: Pymysql) -> None:
    """Bounds with a time zone, and a key that is in no calendar, which is no cut."""
    other.execute("CREATE TABLE k (id int PRIMARY KEY, k timestamp NULL, d date); SET sql_mode = 'ALLOW_INVALID_DATES'")
    other.execute(
        "INSERT INTO k SELECT seq, FROM_UNIXTIME(1700000000 + seq * 86400), IF(seq % 3, '2023-02-30', '2023-03-01') "
        f"FROM {series(300)}"
    )
    bounds = (datetime(2023, 12, 1, tzinfo=timezone.utc), datetime(2024, 5, 1, tzinfo=timezone.utc))
    found = industrydb.read_sql(
        server.uri, "SELECT id, k FROM k", partition_on="k", partitions=4, partition_range=bounds
    )
    assert sorted(found["id"]) == list(range(1, 301))
    uri = f"{server.uri}?zero_dates=null"
    found = industrydb.read_sql(uri, "SELECT id, d FROM k", partition_on="d", partitions=4)
    assert sorted(found["id"]) == list(range(1, 301))
