"""A `Connection` to MySQL writes no row twice, loses none, and keeps the settings by which values are read."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from decimal import Decimal
from threading import Event, Thread
from typing import Literal

import polars as pl
import pytest
from pymysql.err import OperationalError

from industrydb import (
    ConfigurationError,
    Connection,
    DatabaseConnectionError,
    QueryExecutionError,
    TypeConversionError,
    write_sql,
)
from tests.kit.mariadb import MariaDb, Pymysql
from tests.kit.support import PATIENCE_S, eventually

MADE = ("plain", "audit", "audited", "settings", "loaded")


@pytest.fixture
def connection(mysql: Pymysql, mysql_uri: str) -> Iterator[Connection]:
    """Connect, and drop what the tests make."""
    with Connection(mysql_uri) as opened:
        yield opened
    for table in MADE:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")


@pytest.mark.parametrize("engine", ["Aria", "MyISAM", "MEMORY"])
def test_an_engine_without_transactions_gets_no_row_twice(mysql: Pymysql, connection: Connection, engine: str) -> None:
    """Rows that the server would change are refused, and the error says that the rows before them stay."""
    if engine == "Aria":
        mysql.needs_mariadb("an engine of MariaDB")
    mysql.execute(f"CREATE TABLE plain (id int, v varchar(3)) ENGINE={engine}")
    assert connection.insert("plain", {"id": [1, 2], "v": ["abc  ", "x"]}) == 2
    assert mysql.execute("SELECT * FROM plain ORDER BY id").fetchall() == [(1, "abc"), (2, "x")]
    with pytest.raises(QueryExecutionError, match=r"Data too long(.|\n)*rows stay in the table"):
        connection.insert("plain", {"id": [3, 4], "v": ["a", "bbbb"]})
    ids = [row[0] for row in mysql.execute("SELECT id FROM plain ORDER BY id").fetchall()]
    assert ids in ([1, 2], [1, 2, 3])


def test_a_trigger_that_cannot_be_taken_back(mysql: Pymysql, connection: Connection) -> None:
    """If a trigger writes into a table without transactions, no row is written again, and the error says why."""
    mysql.needs_mariadb("MySQL refuses to run such a trigger")
    mysql.execute("CREATE TABLE audit (id int) ENGINE=Aria")
    mysql.execute("CREATE TABLE audited (id int, v varchar(3))")
    mysql.execute("CREATE TRIGGER noted AFTER INSERT ON audited FOR EACH ROW INSERT INTO audit VALUES (NEW.id)")
    with pytest.raises(QueryExecutionError, match="no transactions"):
        connection.insert("audited", {"id": [1, 2], "v": ["abc  ", "x"]})
    assert mysql.execute("SELECT count(*) FROM audited").fetchall() == [(0,)]
    assert mysql.execute("SELECT count(*) FROM audit").fetchall() == [(2,)]
    assert connection.insert("audited", {"id": [3], "v": ["abc"]}) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SET `time_zone` = '+05:00'",
        "SET @@session.`time_zone` = '+05:00'",
        "EXECUTE IMMEDIATE 'SET time_zone = ''+05:00'''",
        "BEGIN NOT ATOMIC SET time_zone = '+05:00'; END",
        "SET `collation_connection` = latin1_swedish_ci",
        "SET `completion_type` = 1",
        "SET collation_connection = latin1_swedish_ci",
        "SET completion_type = 1",
    ],
)
def test_the_settings_of_values_stay(mysql: Pymysql, mysql_uri: str, connection: Connection, statement: str) -> None:
    """A statement that changes such a setting, by whatever name, is refused or has no effect on later ones."""
    if statement.startswith(("EXECUTE", "BEGIN")):
        mysql.needs_mariadb("a statement of MariaDB")
    mysql.execute("CREATE TABLE settings (ts timestamp)")
    mysql.execute("SET time_zone = '+00:00'")
    mysql.execute("INSERT INTO settings VALUES ('2024-01-01 12:00:00')")
    try:
        connection.execute(statement)
    except ConfigurationError as error:
        assert "was not run" in str(error)  # noqa: PT017, either is right
    noon = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
    assert connection.execute("SELECT ts FROM settings").item() == noon
    assert connection.execute("SELECT 'é☃' AS z").item() == "é☃"
    with Connection(mysql_uri) as other:
        other.execute("TRUNCATE settings")
        for _ in range(2):
            connection.insert("settings", {"ts": [noon]})
        connection.close()
        assert other.execute("SELECT count(*) AS n FROM settings").item() == 2


@pytest.mark.parametrize("statement", ["EXECUTE IMMEDIATE 'SELECT 5 AS q'", "EXECUTE prepared"])
def test_rows_that_cannot_be_read_are_no_success(mysql: Pymysql, connection: Connection, statement: str) -> None:
    """A statement that the server does not prepare, and that returns rows, raises; the session is in step."""
    if "IMMEDIATE" in statement:
        mysql.needs_mariadb("a statement of MariaDB")
    connection.execute("PREPARE prepared FROM 'SELECT 6 AS q'")
    with pytest.raises(ConfigurationError, match="run the query itself"):
        connection.execute(statement)
    assert connection.execute("SELECT 7 AS q").item() == 7


@pytest.mark.parametrize("statement", ["HELP 'select'", "HELP 'contents'", "HELP '%'", "HELP 'nothing of it'"])
def test_a_statement_that_is_neither_prepared_nor_refused(
    mysql: Pymysql, connection: Connection, statement: str
) -> None:
    """HELP, for which MariaDB has no answer to its preparation, is run, and the session is in step."""
    if mysql.is_mariadb:
        assert connection.execute(statement).height in {0, 1}
    else:
        with pytest.raises(ConfigurationError, match="run the query itself"):
            connection.execute(statement)
    with pytest.raises(QueryExecutionError):
        connection.execute("HELP")
    assert connection.execute("SELECT 7 AS q").item() == 7


@pytest.mark.parametrize("text", ["abc\t", "abc\n", "abc \r\n", "äöü\u2003", "abcd"])
def test_no_white_space_is_cut_off(mysql: Pymysql, connection: Connection, text: str) -> None:
    """A text that is too long raises, also if the server would only cut off tabs and line ends; blanks may go."""
    mysql.execute("CREATE TABLE plain (v varchar(3))")
    with pytest.raises((TypeConversionError, QueryExecutionError), match=r"row 2"):
        connection.insert("plain", {"v": ["abc  ", text]})
    assert connection.insert("plain", {"v": ["abc  ", "ä\t\n"]}) == 2
    assert sorted(mysql.execute("SELECT v FROM plain").fetchall()) == [("abc",), ("ä\t\n",)]


def test_a_session_that_is_ended_while_it_loads(own_mysql: MariaDb) -> None:
    """An insert whose session is killed ends at once, although the server leaves its socket open for minutes."""
    with closing(Pymysql(own_mysql.uri)) as other:
        other.execute("CREATE TABLE loaded (id int, s varchar(100))")
        frame = pl.DataFrame({"id": range(1_000_000), "s": ["y" * 90] * 1_000_000})
        failed, ended = [], Event()

        def insert() -> None:
            try:
                with Connection(own_mysql.uri) as connection:
                    connection.insert("loaded", frame)
            except DatabaseConnectionError as error:
                failed.append(error)
            ended.set()

        Thread(target=insert).start()
        loading = "SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'LOAD DATA LOCAL%'"
        eventually(lambda: bool(other.execute(loading).fetchall()))
        for (session,) in other.execute(loading).fetchall():
            other.execute(f"KILL {session}")
        assert ended.wait(PATIENCE_S / 2)
        assert failed
        assert other.execute("SELECT count(*) FROM loaded").fetchall() == [(0,)]


def deadlock(server_uri: str, run: Callable[[], object]) -> None:
    """Make the connection, which has locked row 1 of `victim_rows`, the victim of a deadlock; catch its error."""
    with closing(Pymysql(server_uri)) as rival, rival.driver.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE victim_rows SET v = v + 1 WHERE id > 1")  # has changed more rows, and wins
        waiting = Thread(target=lambda: cursor.execute("UPDATE victim_rows SET v = 9 WHERE id = 1"))
        waiting.start()
        wait = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        with closing(Pymysql(server_uri)) as watcher:
            eventually(lambda: watcher.execute(wait).fetchone() != (0,))
        try:
            with pytest.raises(QueryExecutionError, match="1213"):
                run()
        finally:
            waiting.join(PATIENCE_S)
            rival.driver.rollback()


@pytest.fixture
def pair(own_mysql: MariaDb) -> Iterator[Pymysql]:
    """Make a table of some rows on a server of the test's own."""
    with closing(Pymysql(own_mysql.uri)) as other:
        rows = ", ".join(f"({number}, 0)" for number in range(1, 40))
        other.execute(f"CREATE TABLE victim_rows (id int PRIMARY KEY, v int); INSERT INTO victim_rows VALUES {rows}")
        other.execute("CREATE TABLE block_rows (id int)")
        yield other
        other.execute("DROP TABLE victim_rows, block_rows")


@pytest.mark.parametrize(
    "statement", ["UPDATE victim_rows SET v = 1 WHERE id = 2", "SELECT * FROM victim_rows WHERE id = 2 FOR UPDATE"]
)
def test_a_deadlock_ends_the_block(own_mysql: MariaDb, pair: Pymysql, statement: str) -> None:
    """Rows that a deadlock has taken back are not missing without an error, and none are written behind it."""
    with Connection(own_mysql.uri) as connection:

        def block(*, is_nested: bool) -> None:
            with connection.transaction():
                connection.execute("INSERT INTO block_rows VALUES (50)")
                connection.execute("UPDATE victim_rows SET v = 1 WHERE id = 1")
                if not is_nested:
                    deadlock(own_mysql.uri, lambda: connection.execute(statement))
                    return
                with suppress(QueryExecutionError), connection.transaction():
                    deadlock(own_mysql.uri, lambda: connection.execute(statement))
                connection.insert("block_rows", {"id": [60]})

        for is_nested in (False, True):
            with pytest.raises(QueryExecutionError, match="has ended by itself"):
                block(is_nested=is_nested)
    assert not list(pair.execute("SELECT * FROM block_rows"))


@pytest.mark.parametrize("on_conflict", ["error", "ignore", "replace"])
def test_a_deadlock_without_autocommit_ends_the_block(
    own_mysql: MariaDb, pair: Pymysql, on_conflict: Literal["error", "ignore", "replace"]
) -> None:
    """What an insert does behind a deadlock begins no transaction that would stand for the block's."""
    with Connection(own_mysql.uri) as connection:
        connection.execute("SET autocommit = 0")

        def insert() -> None:
            connection.insert("victim_rows", {"id": [2], "v": [1]}, on_conflict=on_conflict)

        def block() -> None:
            with connection.transaction():
                connection.execute("INSERT INTO block_rows VALUES (50)")
                connection.execute("UPDATE victim_rows SET v = 1 WHERE id = 1")
                deadlock(own_mysql.uri, insert)
                connection.execute("INSERT INTO block_rows VALUES (51)")

        with pytest.raises(QueryExecutionError, match="has ended by itself"):
            block()
    assert not list(pair.execute("SELECT * FROM block_rows"))


@pytest.mark.parametrize(
    "statement",
    ["ROLLBACK AND CHAIN", "COMMIT AND CHAIN", "BEGIN", "START TRANSACTION", "begin work", "COMMIT WORK AND CHAIN"],
)
def test_statements_that_begin_another_transaction(mysql: Pymysql, connection: Connection, statement: str) -> None:
    """A block is one transaction: what would put another one in its place is refused, and the block goes on."""
    mysql.execute("CREATE TABLE audit (id int)")
    with connection.transaction():
        connection.execute("INSERT INTO audit VALUES (1)")
        with pytest.raises(ConfigurationError, match="would end the transaction of this block"):
            connection.execute(statement)
        connection.execute("INSERT INTO audit VALUES (2)")
    assert list(mysql.execute("SELECT * FROM audit")) == [(1,), (2,)]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE plain (a int)", "DROP TABLE nothing", "ALTER TABLE plain ADD id int"]
)
def test_a_failed_definition_ends_the_block(mysql: Pymysql, connection: Connection, statement: str) -> None:
    """A statement that has committed before it failed leaves no block that could be taken back."""
    mysql.execute("CREATE TABLE plain (id int); CREATE TABLE audit (id int)")

    def block() -> None:
        with connection.transaction():
            connection.execute("INSERT INTO audit VALUES (1)")
            with suppress(QueryExecutionError):
                connection.execute(statement)
            connection.execute("INSERT INTO audit VALUES (2)")

    with pytest.raises(QueryExecutionError, match="has ended by itself"):
        block()
    assert list(mysql.execute("SELECT * FROM audit")) == [(1,)]


def test_no_table_is_created_in_a_transaction(mysql: Pymysql, connection: Connection) -> None:
    """A table that is created or replaced would commit the rows before it."""
    mysql.execute("CREATE TABLE plain (id int); CREATE TABLE audit (id int)")

    def block(table: str, if_exists: Literal["fail", "replace"]) -> None:
        with connection.transaction():
            connection.execute("INSERT INTO audit VALUES (1)")
            write_sql({"id": [5]}, table, connection, if_exists=if_exists)

    ways: list[tuple[str, Literal["fail", "replace"]]] = [("plain", "replace"), ("plain", "fail"), ("made", "fail")]
    for way in ways:
        with pytest.raises(ConfigurationError, match="would commit the open transaction"):
            block(*way)
    with connection.transaction():
        assert write_sql({"id": [6]}, "plain", connection, if_exists="append") == 1
    assert list(mysql.execute("SELECT * FROM plain")) == [(6,)]
    assert not list(mysql.execute("SELECT * FROM audit"))


def test_locks_of_tables_are_not_released(mysql: Pymysql, connection: Connection) -> None:
    """A transaction would release the locks of LOCK TABLES without a word."""
    mysql.execute("CREATE TABLE plain (id int)")
    with pytest.raises(QueryExecutionError):
        connection.execute("LOCK TABLES nothing WRITE")
    connection.insert("plain", {"id": [0]})  # nothing is locked
    mysql.execute("DELETE FROM plain")
    connection.execute("LOCK TABLES plain WRITE")
    connection.execute("INSERT INTO plain VALUES (1)")
    with pytest.raises(ConfigurationError, match="LOCK TABLES, which the transaction of an insert would release"):
        connection.insert("plain", {"id": [2]})
    with pytest.raises(ConfigurationError, match="UNLOCK TABLES first"), connection.transaction():
        pass
    mysql.execute("SET lock_wait_timeout = 1")
    with pytest.raises(OperationalError, match="1205"):
        mysql.execute("SELECT * FROM plain")
    connection.execute("UNLOCK TABLES")
    assert connection.insert("plain", {"id": [2]}) == 1
    assert list(mysql.execute("SELECT * FROM plain")) == [(1,), (2,)]


def test_an_insert_without_autocommit_is_the_callers(mysql: Pymysql, connection: Connection) -> None:
    """Rows that are inserted where statements do not commit are taken back by ROLLBACK."""
    mysql.execute("CREATE TABLE plain (id int)")
    connection.execute("SET autocommit = 0")
    connection.insert("plain", {"id": [1]})
    connection.execute("ROLLBACK")
    assert not list(mysql.execute("SELECT * FROM plain"))


@pytest.mark.parametrize("completion_type", [1, 2])
def test_transactions_end_as_they_should(own_mysql: MariaDb, completion_type: int) -> None:
    """A server whose commits begin other transactions, or end sessions, loses no row of ours."""
    with closing(Pymysql(own_mysql.uri)) as other:
        other.execute(f"CREATE TABLE plain (a int PRIMARY KEY); SET GLOBAL completion_type = {completion_type}")
        try:
            with Connection(own_mysql.uri) as connection:
                connection.insert("plain", {"a": [1]})
                connection.insert("plain", {"a": [2, 3]}, on_conflict="ignore")
                connection.execute("INSERT INTO plain VALUES (9)")
                with connection.transaction():
                    connection.execute("INSERT INTO plain VALUES (10)")
            assert write_sql({"a": [3, 4]}, "plain", own_mysql.uri, if_exists="append", on_conflict="ignore") == 1
            assert list(other.execute("SELECT a FROM plain ORDER BY a")) == [(1,), (2,), (3,), (4,), (9,), (10,)]
        finally:
            other.execute("SET GLOBAL completion_type = DEFAULT; DROP TABLE plain")


@pytest.mark.parametrize(
    "value",
    [
        *(Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity", "1E+400", "1E-90", "1E-31")),
        *(10**81, -(10**90), Decimal("0." + "1" * 80), Decimal(10**65)),
    ],
    ids=str,
)
def test_numbers_that_the_server_would_change(mysql: Pymysql, connection: Connection, value: "Decimal | int") -> None:
    """A parameter that is no number of the server's is refused; none is taken for zero, or cut off."""
    mysql.execute("CREATE TABLE plain (d decimal(10,2)); INSERT INTO plain VALUES (0), (0)")
    with pytest.raises(ConfigurationError, match=r"(no|the) number .* among the params"):
        connection.delete("plain", where={"d": value})
    with pytest.raises(ConfigurationError, match="among the params"):
        connection.execute("SELECT ? AS v", [value])
    assert list(mysql.execute("SELECT count(*) FROM plain")) == [(2,)]


@pytest.mark.parametrize("text", ["9" * 65, "-1E+64", "1E-30", "0.5e1", "00012.50", "123456789012345678901234567890.5"])
def test_numbers_that_the_server_keeps(connection: Connection, text: str) -> None:
    """All other numbers arrive as they are."""
    found = connection.execute("SELECT CONCAT(?) AS v", [Decimal(text)]).item()
    assert Decimal(found) == Decimal(text)
