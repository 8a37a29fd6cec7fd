"""A `Connection` to MySQL writes no row twice, loses none, and keeps the settings by which values are read."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from threading import Event, Thread

import polars as pl
import pytest

from industrydb import (
    ConfigurationError,
    Connection,
    DatabaseConnectionError,
    QueryExecutionError,
    TypeConversionError,
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
