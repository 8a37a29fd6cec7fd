"""A statement that a `Connection` to PostgreSQL repeats is one round trip, and does what it would do the first time."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone

import psycopg
import pytest

from industrydb import ConfigurationError, Connection, ConstraintViolationError, QueryExecutionError
from tests.kit.pgbouncer import pgbouncer
from tests.kit.relay import relay
from tests.kit.servers import Server, tcp_uri

# What ends a round trip.
SYNC = b"S\0\0\0\4"

# The statements that the session's server process keeps.
KEPT = "SELECT count(*) AS n FROM pg_prepared_statements"


@pytest.fixture
def table(postgres: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Make the table `repeated` of ten rows, and drop what a test makes of it."""
    drop = "DROP TABLE IF EXISTS repeated, other; DROP SCHEMA IF EXISTS first CASCADE"
    postgres.execute(drop)
    postgres.execute("CREATE TABLE repeated (id int PRIMARY KEY, v int)")
    postgres.execute("INSERT INTO repeated SELECT i, 10 * i FROM generate_series(1, 10) AS i")
    yield postgres
    postgres.execute(drop)


@pytest.fixture
def connection(postgres_uri: str) -> Iterator[Connection]:
    """Connect to the same database."""
    with Connection(postgres_uri) as opened:
        yield opened


def test_round_trips(own_server: Server, table: psycopg.Connection) -> None:
    """From the second time on, a statement is one round trip; each end of a transaction is one from the first."""
    assert table
    with relay(own_server.socket) as counted, Connection(tcp_uri(counted.port, "postgres", "")) as connection:

        def trips(statement: str) -> int:
            before = counted.asked.count(SYNC)
            connection.execute(statement, [3] * statement.count("$1"))
            return counted.asked.count(SYNC) - before

        query = "SELECT v FROM repeated WHERE id = $1"
        assert [trips(query) for _ in range(3)] == [2, 1, 1]
        assert [trips("UPDATE repeated SET v = v + 1 WHERE id = $1") for _ in range(3)] == [2, 1, 1]
        assert [trips(statement) for statement in ("BEGIN", "SAVEPOINT a", "RELEASE a", "COMMIT")] == [1] * 4
        assert trips(query) == 1
        assert connection.execute(query, [3]).item() == 33


def test_tables_change_between_repetitions(table: psycopg.Connection, connection: Connection) -> None:
    """A repeated query returns the rows and types of the table that its name means now."""
    query = "SELECT * FROM repeated WHERE id = $1"

    def rows() -> list[tuple[object, ...]]:
        return connection.execute(query, [3]).rows()

    for _ in range(3):
        assert rows() == [(3, 30)]
    for change in [
        "ALTER TABLE repeated ALTER v TYPE text USING 'x' || v",
        "ALTER TABLE repeated ADD w float8 DEFAULT 0.5",
        "ALTER TABLE repeated DROP v",
        """CREATE TABLE other (id int, swapped text); INSERT INTO other VALUES (3, 'new');
        DROP TABLE repeated; ALTER TABLE other RENAME TO repeated""",
        "TRUNCATE repeated; INSERT INTO repeated VALUES (3, 'loaded')",
    ]:
        with table.transaction():
            table.execute(change)
        expected = table.execute("SELECT * FROM repeated WHERE id = 3").fetchall()
        for _ in range(4):
            assert rows() == expected, change
    table.execute("DROP TABLE repeated")
    for _ in range(3):
        with pytest.raises(QueryExecutionError, match="repeated"):
            rows()


def test_tables_change_beside_a_transaction(table: psycopg.Connection, connection: Connection) -> None:
    """A transaction that repeats a query of an earlier one is not ended because the table has changed."""
    query = "SELECT * FROM repeated WHERE id = $1"
    for _ in range(3):
        assert connection.execute(query, [3]).rows() == [(3, 30)]
    table.execute("ALTER TABLE repeated ADD w int DEFAULT 7")
    for _ in range(2):
        with connection.transaction():
            connection.execute("INSERT INTO repeated VALUES ($1)", [11])
            for _ in range(3):
                assert connection.execute(query, [3]).rows() == [(3, 30, 7)]
            connection.execute("ALTER TABLE repeated RENAME v TO renamed")
            assert [connection.execute(query, [3]).columns for _ in range(3)] == [["id", "renamed", "w"]] * 3
            connection.execute("ALTER TABLE repeated RENAME renamed TO v")
            assert [connection.execute(query, [3]).columns for _ in range(3)] == [["id", "v", "w"]] * 3
            connection.execute("DELETE FROM repeated WHERE id = $1", [11])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("TimeZone", "Asia/Tokyo"), ("DateStyle", "SQL, DMY"), ("search_path", "first"), ("array_nulls", "off")],
)
@pytest.mark.parametrize("how", ["SET", "set_config", "SET LOCAL", "rolled back"])
def test_settings_change_between_repetitions(
    table: psycopg.Connection, connection: Connection, setting: str, value: str, how: str
) -> None:
    """A repeated statement is read with the settings that a first one would be read with."""
    table.execute("CREATE SCHEMA first; CREATE TABLE first.repeated AS SELECT 3 AS id, 99 AS v")
    query = (
        "SELECT v, '2024-03-02 10:00'::timestamptz::text AS t, '03/02/2024'::date::text AS d, "
        "array_to_string('{1,NULL}'::text[], ',', 'none') AS a FROM repeated WHERE id = 3"
    )
    changes = {
        "SET": f"SET {setting} = '{value}'" if setting != "search_path" else "SET search_path = first",
        "set_config": f"SELECT set_config('{setting}', '{value}', false)",
    }
    changes["SET LOCAL"] = changes["rolled back"] = changes["SET"].replace("SET ", "SET LOCAL ", 1)

    def expected(now: str | None) -> list[tuple[object, ...]]:
        with psycopg.connect(table.info.dsn, password=table.info.password) as fresh:
            if now:
                fresh.execute(now)
            return fresh.execute(query).fetchall()

    before, after = expected(None), expected(changes["SET"])
    assert before != after
    assert [connection.execute(query).rows() for _ in range(3)] == [before] * 3
    if how in {"SET", "set_config"}:
        connection.execute(changes[how])
        assert [connection.execute(query).rows() for _ in range(3)] == [after] * 3
        return
    try:
        with connection.transaction():
            connection.execute(changes[how])
            assert [connection.execute(query).rows() for _ in range(3)] == [after] * 3
            if how == "rolled back":
                connection.execute("SELECT 1 / 0")
    except QueryExecutionError:
        assert how == "rolled back"
    assert [connection.execute(query).rows() for _ in range(3)] == [before] * 3


@pytest.mark.parametrize(
    "word", ["'now'", "E'n\\157w'", "$$now$$", "'no' \n 'w'", "'\"now\"'", "(U&'!006eow' UESCAPE '!')"]
)
def test_the_time_is_not_kept(connection: Connection, word: str) -> None:
    """A text that the server reads as the time when it parses a statement is read anew each time."""
    query = f"SELECT {word}::timestamptz AS t"
    last = datetime(2000, 1, 1, tzinfo=timezone.utc)
    for _ in range(5):
        now = connection.execute(query).item()
        assert now > last
        last = now


def test_types_of_the_database_change(table: psycopg.Connection, connection: Connection) -> None:
    """A repeated query with a type that the database has made follows the type's changes."""
    table.execute("DROP TYPE IF EXISTS pair; CREATE TYPE pair AS (a int)")
    try:
        query = "SELECT ROW(1)::pair AS p"
        assert [connection.execute(query).item() for _ in range(3)] == [{"a": 1}] * 3
        table.execute("ALTER TYPE pair ADD ATTRIBUTE b text")
        assert [connection.execute("SELECT ROW(1, 'x')::pair AS p").item() for _ in range(3)] == [
            {"a": 1, "b": "x"}
        ] * 3
        with pytest.raises(QueryExecutionError, match="pair"):
            connection.execute(query)
    finally:
        table.execute("DROP TYPE pair")


@pytest.mark.parametrize("forget", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_the_server_forgets(table: psycopg.Connection, connection: Connection, forget: str) -> None:
    """Statements that the session has deallocated are parsed again, also if a function has done it."""
    query = "SELECT v FROM repeated WHERE id = $1"
    table.execute(
        "CREATE OR REPLACE FUNCTION forget_all() RETURNS int LANGUAGE plpgsql AS 'BEGIN DEALLOCATE ALL; RETURN 1; END'"
    )
    for statement in (forget, "SELECT forget_all() AS n"):
        assert [connection.execute(query, [id_]).item() for id_ in (1, 2, 3)] == [10, 20, 30]
        connection.execute(statement)
    assert [connection.execute(query, [id_]).item() for id_ in (1, 2, 3)] == [10, 20, 30]
    table.execute("DROP FUNCTION forget_all")


def test_errors_of_repeated_statements(table: psycopg.Connection, connection: Connection) -> None:
    """An error of a repeated statement is that of a first one, and ends nothing."""
    insert = "INSERT INTO repeated VALUES ($1, $2)"
    for id_ in range(11, 15):
        assert connection.execute(insert, [id_, 0]).item() == 1
        with pytest.raises(ConstraintViolationError, match="duplicate key"):
            connection.execute(insert, [id_, 0])
        with pytest.raises(QueryExecutionError, match="invalid input syntax"):
            connection.execute(insert, ["x", 0])
        with pytest.raises(ConfigurationError, match=r"2 parameter\(s\).*1 value"):
            connection.execute(insert, [id_])
    assert table.execute("SELECT count(*) FROM repeated").fetchone() == (14,)
    returning = "DELETE FROM repeated WHERE id = $1 RETURNING v, 1 / (id - 12) AS w"
    for id_ in (11, 13, 14):
        assert connection.execute(returning, [id_]).height == 1
        with pytest.raises(QueryExecutionError, match="division by zero"):
            connection.execute(returning, [12])
    assert table.execute("SELECT count(*) FROM repeated").fetchone() == (11,)


# Types of a column, a value for it, and what the same statement is given once the column has another type.
ALTERED = [
    ("date", "2024-01-01", "timestamp", "2024-05-06 07:08:09"),
    ("float4", "0.5", "float8", "0.1"),
    ("int", "1", "text", "007"),
    ("int", "1", "bigint", str(2**40)),
    ("timestamp", "2024-01-01", "timestamptz", "2024-01-01 00:00+00"),
    ("boolean", "yes", "text", "yes"),
    ("jsonb", '{"a": 1}', "json", '{"a": 1,  "a": 2}'),
    ("char(3)", "x", "text", "x "),
]


@pytest.mark.parametrize("altered", ALTERED, ids=lambda altered: f"{altered[0]} {altered[2]}")
def test_types_of_parameters_change(
    table: psycopg.Connection, connection: Connection, altered: tuple[str, str, str, str]
) -> None:
    """A repeated INSERT and DELETE take their parameters as the table's types are now."""
    old, before, new, after = altered
    table.execute(f"CREATE TABLE other (v {old})")
    insert, delete = "INSERT INTO other VALUES ($1)", "DELETE FROM other WHERE v::text = $1 OR v IS NULL"
    for _ in range(3):
        assert connection.execute(insert, [before]).item() == 1
    connection.execute(delete, ["x"])
    table.execute(f"TRUNCATE other; ALTER TABLE other ALTER v TYPE {new} USING NULL")
    for _ in range(3):
        assert connection.execute(insert, [after]).item() == 1
    expected = table.execute(f"SELECT '{after}'::{new}::text").fetchone()
    assert table.execute("SELECT v::text FROM other").fetchall() == [expected] * 3
    assert expected
    assert connection.execute(delete, [expected[0]]).item() == 3


def test_rights_change_between_repetitions(table: psycopg.Connection, postgres_uri: str) -> None:
    """A repeated statement sees and changes the rows that its role may see and change now."""
    table.execute(
        """DROP ROLE IF EXISTS clerk, manager; CREATE ROLE clerk LOGIN; CREATE ROLE manager; GRANT manager TO clerk;
        CREATE TABLE other (a int, secret bool); INSERT INTO other VALUES (1, false), (2, true);
        ALTER TABLE other ENABLE ROW LEVEL SECURITY; CREATE POLICY open ON other USING (NOT secret);
        CREATE POLICY own ON other TO manager USING (true); GRANT SELECT, UPDATE ON other TO clerk, manager"""
    )
    select, update = "SELECT a FROM other ORDER BY a", "UPDATE other SET a = a WHERE secret"
    with Connection(postgres_uri) as connection:
        connection.execute("SET SESSION AUTHORIZATION clerk")
        for _ in range(3):
            assert connection.execute(select)["a"].to_list() == [1, 2]
            assert connection.execute(update).item() == 1
        table.execute("REVOKE manager FROM clerk")
        assert connection.execute(select)["a"].to_list() == [1]
        assert connection.execute(update).item() == 0
    table.execute("DROP TABLE other; DROP ROLE clerk, manager")


def test_types_are_made_anew(table: psycopg.Connection, connection: Connection) -> None:
    """A repeated INSERT goes on after the enum of its column was replaced, and a SELECT that returns it, too."""
    table.execute(
        "DROP TYPE IF EXISTS temper, old_temper; CREATE TYPE temper AS ENUM ('a', 'b'); CREATE TABLE other (v temper)"
    )
    insert, select = "INSERT INTO other VALUES ($1)", "SELECT DISTINCT v FROM other ORDER BY v"
    for value in ("a", "b", "c", "b"):
        if value == "c":
            table.execute(
                """ALTER TYPE temper RENAME TO old_temper; CREATE TYPE temper AS ENUM ('c', 'b', 'a');
                ALTER TABLE other ALTER v TYPE temper USING v::text::temper; DROP TYPE old_temper"""
            )
        assert connection.execute(insert, [value]).item() == 1
        found = [text for (text,) in table.execute(select).fetchall()]
        assert connection.execute(select)["v"].to_list() == found
    table.execute("DROP TABLE other; DROP TYPE temper")


def test_columns_become_others(table: psycopg.Connection, connection: Connection) -> None:
    """A column that becomes one of a type to look up costs one error, which says so, and ends no transaction."""
    query = "SELECT v FROM repeated WHERE id = $1"
    for _ in range(3):
        assert connection.execute(query, [3]).item() == 30
    table.execute("ALTER TABLE repeated ALTER v TYPE numeric(50, 2)")
    with connection.transaction():
        with pytest.raises(QueryExecutionError, match="have changed since it ran last") as raised:
            connection.execute(query, [3])
        assert raised.value.is_transient
        for _ in range(3):
            assert connection.execute(query, [3]).item() == "30.00"
    table.execute("ALTER TABLE repeated ALTER v TYPE int")
    for _ in range(3):
        assert connection.execute(query, [3]).item() == 30


def test_nothing_is_kept_on_the_server(connection: Connection) -> None:
    """The server keeps no statement of the session's, also after errors."""
    for number in range(100):
        for _ in range(3):
            assert connection.execute(f"SELECT {number} AS n").item() == number
            with pytest.raises(QueryExecutionError, match="LINE 1"):
                connection.execute(f"SELECT nothing{number}")
    assert connection.execute(KEPT).item() == 0


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_poolers_keep_nothing(own_server: Server, table: psycopg.Connection, mode: str) -> None:
    """Behind a pooler, which may give each statement another server connection, no statement is named."""
    query = "SELECT v FROM repeated WHERE id = $1"
    with pgbouncer(own_server, mode, pool=2) as pooler:
        first, second = Connection(pooler.uri), Connection(pooler.uri)
        with closing(first), closing(second):
            for id_ in (1, 2, 3, 4):
                assert [session.execute(query, [id_]).item() for session in (first, second)] == [10 * id_] * 2
            assert [session.execute(KEPT).item() for session in (first, second)] == [0, 0]
    assert table
