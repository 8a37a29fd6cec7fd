"""Fixtures of the databases that the tests read."""

import gc
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import psycopg
import pytest

from tests.kit import mariadb, servers, sql_server
from tests.kit.databases import FEATURES, Database, opened
from tests.kit.mariadb import MariaDb, Pymysql, mariadb_server
from tests.kit.mysql import mysql_server
from tests.kit.servers import Server, postgres_server
from tests.kit.support import SqliteFile, sqlite_database

# An example takes a few round trips to a server, and the machine may be busy: few examples, no deadline.
hypothesis.settings.register_profile("databases", max_examples=30, deadline=None)
hypothesis.settings.load_profile("databases")


# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Start no workers for ``-n auto`` on a given server: the workers would share its tables."""
    return 0 if servers.given_uri() or sql_server.given_uri() or mariadb.given_uri() else None


def pytest_collection_finish() -> None:
    """Leave the collected tests, which live to the end, out of all garbage collections."""
    gc.freeze()


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    """Serve PostgreSQL with password logins; skip the test if another server is given."""
    if servers.given_uri():
        pytest.skip("needs a server that the tests have set up themselves")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_uri(request: pytest.FixtureRequest) -> str:
    """Return the URI of a PostgreSQL superuser's database."""
    if uri := servers.given_uri():
        return uri
    server: Server = request.getfixturevalue("own_server")
    return server.uri


@pytest.fixture(scope="session")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection]:
    """Connect to the same database with psycopg in autocommit mode."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def own_mssql_uri() -> Iterator[str]:
    """Serve the SQL Server emulator on this machine without encryption; skip the test if another server is given."""
    if sql_server.given_uri():
        pytest.skip("needs a server of SQL Server's protocol that the tests have set up themselves")
    with sql_server.sql_server() as uri:
        yield uri


@pytest.fixture(scope="session")
def mssql_uri(request: pytest.FixtureRequest) -> str:
    """Return the URI of the given SQL Server, or of the emulator if none is given."""
    uri: str = sql_server.given_uri() or request.getfixturevalue("own_mssql_uri")
    return uri


@pytest.fixture(scope="session")
def own_mysql() -> Iterator[MariaDb]:
    """Serve MariaDB as it comes, without a binlog; skip the test if another server is given."""
    if mariadb.given_uri():
        pytest.skip("needs a server of MySQL's protocol that the tests have set up themselves")
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_with_binlog() -> Iterator[MariaDb]:
    """Serve MariaDB with a binlog, whose position tells moments apart, and without `LOAD DATA LOCAL`."""
    if mariadb.given_uri():
        pytest.skip("needs a server of MySQL's protocol that the tests have set up themselves")
    with mariadb_server(binlog=True, settings=["--local-infile=0"]) as server:
        yield server


@pytest.fixture(scope="session")
def mysql_itself() -> Iterator[MariaDb]:
    """Serve MySQL, with the binlog that it comes with."""
    with mysql_server() as server:
        yield server


@pytest.fixture(params=["own_mysql", "mysql_with_binlog", "mysql_itself"])
def server(request: pytest.FixtureRequest) -> MariaDb:
    """Return MariaDB, MariaDB with a binlog and without `LOAD DATA LOCAL`, and MySQL: a test runs on each of them."""
    server: MariaDb = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def mysql_uri(request: pytest.FixtureRequest) -> str:
    """Return the URI of a database of MySQL or MariaDB, in which the user may do anything."""
    if uri := mariadb.given_uri():
        return uri
    server: MariaDb = request.getfixturevalue("own_mysql")
    return server.uri


@pytest.fixture(scope="session")
def mysql(mysql_uri: str) -> Iterator[Pymysql]:
    """Connect to the same database with pymysql in autocommit mode."""
    with closing(Pymysql(mysql_uri)) as connection:
        yield connection


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database:
    """Return one database; the test runs once per database with the features that its mark `needs` names."""
    return opened(request, request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `database` with every database that has the needed features, unless the test names its own."""
    marks = list(metafunc.definition.iter_markers())
    if "database" in metafunc.fixturenames and not any(_names_database(mark) for mark in marks):
        needs = {feature for mark in marks if mark.name == "needs" for feature in mark.args}
        names = [name for name, features in FEATURES.items() if needs <= features]
        metafunc.parametrize("database", names, indirect=True)


def _names_database(mark: pytest.Mark) -> bool:
    return mark.name == "parametrize" and (mark.args[0] == "database" or "database" in tuple(mark.args[0]))


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[SqliteFile]:
    """Create an empty SQLite file."""
    with sqlite_database(tmp_path) as file:
        yield file


@pytest.fixture(scope="module")
def shared_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteFile]:
    """Create an empty SQLite file, shared by all tests of a module."""
    with sqlite_database(tmp_path_factory.mktemp("shared")) as file:
        yield file
