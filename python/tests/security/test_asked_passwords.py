"""Passwords that are asked for at each login: from a function or a command; they are never shown, logged or pickled."""

import logging
import pickle
import sys
import threading
import time
from collections.abc import Callable

import pytest

import industrydb
from industrydb import ConfigurationError, Connection, DatabaseConfig, DatabaseConnectionError, QueryTimeoutError
from tests.kit.servers import PASSWORDS, Server

USER = "scram_user"
WHO = "SELECT current_user::text AS who"
ROWS = "SELECT i FROM generate_series(1, 1000) AS i"


def config(server: Server, password: object, user: str = USER, **options: object) -> DatabaseConfig:
    """Return the configuration of the server with a password of any kind."""
    return DatabaseConfig.from_dict(
        {
            "db_type": "postgresql",
            "host": "127.0.0.1",
            "port": server.port,
            "database": "postgres",
            "username": user,
            "password": password,
            **options,
        }
    )


@pytest.mark.parametrize("user", PASSWORDS)
def test_a_function_is_asked_at_each_login(own_server: Server, user: str) -> None:
    """Each session of a read asks anew, for every method of login; a token may be another one each time."""
    asked: list[int] = []

    def password() -> str:
        asked.append(1)
        return PASSWORDS[user]

    database = config(own_server, password, user)
    assert industrydb.read_sql(database, WHO).item() == user
    before = len(asked)
    assert before > 0
    assert industrydb.read_sql(database, ROWS, partition_on="i", partitions=3).height == 1000
    assert len(asked) >= before + 3
    before = len(asked)
    with Connection(database) as connection:
        assert connection.execute(WHO).item() == user
    assert len(asked) == before + 1
    assert industrydb.scan_sql(database, WHO).collect().item() == user
    assert [batch.item() for batch in industrydb.read_sql_batches(database, WHO)] == [user]
    assert industrydb.plan_sql(database, WHO).read().item() == user


def test_a_password_that_is_wrong_is_refused(own_server: Server) -> None:
    """The server's refusal is the error, without the password."""
    with pytest.raises(DatabaseConnectionError, match="password authentication failed") as raised:
        industrydb.read_sql(config(own_server, lambda: "hunter2"), WHO)
    assert "hunter2" not in str(raised.value)


def raises() -> str:
    """Fail as a library that has no credentials does."""
    msg = "no credentials here"
    raise LookupError(msg)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (raises, "password is asked from raised LookupError: no credentials here"),
        (lambda: 5, "returned no str, but int"),
        (lambda: None, "returned no str, but NoneType"),
        (lambda _more: "x", "raised TypeError"),
    ],
)
def test_what_the_function_does_wrong_is_told(own_server: Server, password: Callable[[], str], message: str) -> None:
    """Its exception, and a result that is no text, are an error of the connection that says so."""
    with pytest.raises(DatabaseConnectionError, match=message):
        industrydb.read_sql(config(own_server, password), WHO)


def test_a_function_that_waits_does_not_hold_up_the_timeout(own_server: Server) -> None:
    """The timeout ends a call whose function never returns."""
    release = threading.Event()

    def password() -> str:
        release.wait(60)
        return "x"

    began = time.monotonic()
    try:
        with pytest.raises(QueryTimeoutError):
            industrydb.read_sql(config(own_server, password), WHO, timeout=0.2)
        assert not release.is_set()
        assert time.monotonic() - began < 30  # far from the 60 seconds of the function
    finally:
        release.set()


COMMAND = f"{sys.executable} -c \"print('{PASSWORDS[USER]}')\""


@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "-c", f"print({PASSWORDS[USER]!r}); print('more')"]])
def test_a_command_is_asked(own_server: Server, command: object) -> None:
    """The first line of a command's output is the password; the command runs without a shell."""
    database = config(own_server, None, password_command=command)
    assert industrydb.read_sql(database, WHO).item() == USER


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            [sys.executable, "-c", "import sys; print('hunter2'); sys.exit('expired')"],
            "ended with 1, and said 'expired'",
        ),
        ("/nowhere/at/all --token hunter2", "No such file"),
        ("", "password_command is empty"),
    ],
)
def test_a_command_that_fails_is_told(own_server: Server, command: object, message: str) -> None:
    """The error says how the command ended, and shows neither its output nor its arguments."""
    with pytest.raises(DatabaseConnectionError, match=message) as raised:
        industrydb.read_sql(config(own_server, None, password_command=command), WHO)
    assert "hunter2" not in str(raised.value)


class Token:
    """A function whose repr has a secret."""

    def __call__(self) -> str:
        """Return the password."""
        return PASSWORDS[USER]

    def __repr__(self) -> str:
        """Show what nobody may see."""
        return f"Token({PASSWORDS[USER]!r})"


def test_nothing_shows_the_password(own_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the configuration nor a log shows the password, nor the function's own repr."""
    caplog.set_level(logging.DEBUG)
    database = config(own_server, Token())
    shown = [repr(database), str(database), database.to_uri(), str(database.to_dict())]
    with Connection(database) as connection:
        shown += [repr(connection), repr(industrydb.plan_sql(database, WHO)), str(connection.execute(WHO))]
    assert not [text for text in [*shown, caplog.text] if PASSWORDS[USER] in text or "Token" in text]
    assert "password='***'" in shown[0]


def test_equal_configurations_ask_the_same_function(own_server: Server) -> None:
    """Configurations are equal if they ask the same function; a dict with secrets has the function itself."""
    ask = Token()
    one = config(own_server, ask)
    other = DatabaseConfig.from_dict(one.to_dict(include_secrets=True))
    assert one == other
    assert hash(one) == hash(other)
    assert one != config(own_server, Token())
    assert one.to_dict(include_secrets=True)["password"] is ask


def test_nothing_pickles_the_password(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan says that its function is not in the pickle; whoever reads it finds a password as libpq does."""
    database = config(own_server, Token())
    plan = industrydb.plan_sql(database, ROWS, partition_on="i", partitions=2)
    with pytest.warns(UserWarning, match="asked from a function, which no pickle has"):
        pickled = pickle.dumps(plan)
    assert PASSWORDS[USER].encode() not in pickled
    monkeypatch.delenv("PGPASSWORD", raising=False)
    copy = pickle.loads(pickled)  # noqa: S301, our own
    with pytest.raises(DatabaseConnectionError, match="asks for the password"):
        copy.read()
    monkeypatch.setenv("PGPASSWORD", PASSWORDS[USER])
    assert copy.read().height == 1000
    secret = industrydb.plan_sql(database, ROWS, include_secrets=True)
    for what in (secret, database):
        with pytest.raises(ConfigurationError, match="asked from a function"):
            pickle.dumps(what)
    with pytest.raises(ConfigurationError, match="asked from a function at each login, so a URI cannot have it"):
        database.to_uri(include_secrets=True)


def test_only_one_of_password_and_command(own_server: Server) -> None:
    """A password beside a command, and a command for a file, are refused."""
    with pytest.raises(ConfigurationError, match="both a password and a password_command"):
        config(own_server, "x", password_command="x")  # noqa: S106, of nobody
    with pytest.raises(ConfigurationError, match="password_command"):
        DatabaseConfig("sqlite", path="x.db", password_command="x")  # noqa: S106, of nobody


def test_sql_server_asks_too(own_mssql_uri: str) -> None:
    """Each login to SQL Server asks the function, also one in the place of an access token."""
    given = DatabaseConfig.from_uri(own_mssql_uri).to_dict(include_secrets=True)
    asked: list[object] = []

    def password() -> str:
        asked.append(given["password"])
        return str(given["password"])

    database = DatabaseConfig.from_dict(given | {"password": password})
    assert industrydb.read_sql(database, "SELECT 1 AS a").item() == 1
    assert asked
