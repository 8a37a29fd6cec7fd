"""Tests of the environment and of services, which complete a URI as in libpq; psycopg says what libpq does."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, IndustryDbError
from tests.kit.servers import PASSWORDS, Server

WHO = """SELECT current_user::text AS who, current_database()::text AS database,
                coalesce(inet_server_port(), 0)::int AS port, current_setting('application_name') AS application,
                current_setting('work_mem') AS work_mem, current_setting('timezone') AS zone,
                ('02/03/2024'::text)::date AS day, current_setting('geqo') AS geqo"""

Environment = Callable[..., None]


@pytest.fixture
def environment(own_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Set variables that lead to the server, and an empty home; return a function that sets further variables."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def set_variables(**variables: str) -> None:
        defaults = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(own_server.port),
            "PGUSER": "scram_user",
            "PGPASSWORD": PASSWORDS["scram_user"],
            "PGDATABASE": "postgres",
        }
        for name, value in {**defaults, **variables}.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)

    set_variables()
    return set_variables


def by_libpq(uri: str) -> list[tuple[object, ...]]:
    """Return what a session of libpq reports; for an empty application name, which is libpq's, put ours."""
    with psycopg.connect(uri) as connection:
        rows = connection.execute(WHO).fetchall()
    return [tuple("industrydb" if value == "" else value for value in row) for row in rows]


def by_us(uri: str) -> list[tuple[object, ...]]:
    """Return what a session of `read_sql` reports."""
    return industrydb.read_sql(uri, WHO).rows()


def ways(uri: str) -> Iterator[list[tuple[object, ...]]]:
    """Yield what a session reports, for each way to open one."""
    yield by_us(uri)
    yield industrydb.scan_sql(uri, WHO).collect().rows()
    yield [row for batch in industrydb.read_sql_batches(uri, WHO) for row in batch.rows()]
    yield industrydb.plan_sql(uri, WHO).read(0).rows()
    with industrydb.Connection.from_uri(uri) as connection:
        yield connection.execute(WHO).rows()


def same(uri: str) -> None:
    """Check that each way to open a session agrees with libpq."""
    expected = by_libpq(uri)
    for rows in ways(uri):
        assert rows == expected


@pytest.mark.parametrize("uri", ["postgresql://", "postgresql:///", "postgres:///postgres", "postgresql://127.0.0.1/"])
@pytest.mark.usefixtures("environment")
def test_the_environment_says_what_the_uri_does_not(uri: str) -> None:
    """The environment gives the host, port, database, user and password that the URI lacks."""
    same(uri)


@pytest.mark.parametrize(
    "variables",
    [
        {"PGAPPNAME": "nightly job"},
        {"PGOPTIONS": "-c work_mem=7MB -c statement_timeout=1h"},
        {"PGTZ": "America/New_York"},
        {"PGDATESTYLE": "SQL, DMY"},
        {"PGCONNECT_TIMEOUT": "7"},
        {"PGCONNECT_TIMEOUT": "0"},
        {"PGCONNECT_TIMEOUT": "-1"},
        {"PGUSER": "md5_user", "PGPASSWORD": PASSWORDS["md5_user"]},
        {"PGHOST": "nowhere.invalid", "PGHOSTADDR": "127.0.0.1"},
        {"PGHOST": "", "PGHOSTADDR": "127.0.0.1"},
        {"PGDATABASE": "", "PGUSER": "postgres", "PGHOST": "socket"},
        {"PGHOST": "socket", "PGHOSTADDR": "127.0.0.1"},
        {"PGGEQO": "off"},
        {"PGSSLMODE": "disable"},
        {"PGCLIENTENCODING": "LATIN1", "PGGSSENCMODE": "disable", "PGTARGETSESSIONATTRS": "any", "PGSSLSNI": "1"},
    ],
    ids=" ".join,
)
def test_each_variable_is_libpqs(own_server: Server, environment: Environment, variables: dict[str, str]) -> None:
    """Each variable has the same effect as in libpq, even `PGHOST` with the folder of a socket."""
    if variables.get("PGHOST") == "socket":
        variables = {**variables, "PGHOST": str(own_server.socket.parent)}
    environment(**variables)
    same("postgresql://")


def test_the_uri_comes_first(own_server: Server, environment: Environment) -> None:
    """Values of the URI take precedence over those of the environment."""
    environment(
        PGHOST="nowhere.invalid",
        PGPORT="1",
        PGUSER="nobody",
        PGPASSWORD="wrong",
        PGDATABASE="none",
        PGSSLMODE="verify-full",
        PGOPTIONS="-c work_mem=1MB",
        PGAPPNAME="other",
    )
    password = quote(PASSWORDS["md5_user"], safe="")
    where = f"postgresql://md5_user:{password}@127.0.0.1:{own_server.port}/postgres"
    same(f"{where}?sslmode=disable&application_name=mine&options=-c%20work_mem%3D9MB")


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_pgsslmode_is_insisted_on(environment: Environment, mode: str) -> None:
    """If `PGSSLMODE` requires TLS, a server without TLS is refused, as by libpq."""
    environment(PGSSLMODE=mode)
    with pytest.raises(psycopg.OperationalError):
        by_libpq("postgresql://")
    with pytest.raises(DatabaseConnectionError, match="TLS"):
        industrydb.read_sql("postgresql://", WHO)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PGSSLMODE": "verify-ca"}, r"needs an sslrootcert .*PGSSLMODE"),
        ({"PGSSLMODE": "maybe"}, r'sslmode must be one of .* not "maybe" \(in the environment\'s PGSSLMODE\)'),
        ({"PGPORT": "many"}, r"port must be a whole number from 1 to 65535.*PGPORT"),
        ({"PGREQUIREAUTH": "scram-sha-256"}, "PGREQUIREAUTH"),
        ({"PGSSLCRL": "/nowhere"}, "PGSSLCRL"),
        ({"PGSSLMINPROTOCOLVERSION": "TLSv1.3"}, "PGSSLMINPROTOCOLVERSION"),
        ({"PGTARGETSESSIONATTRS": "master"}, "target_session_attrs must be one of.*PGTARGETSESSIONATTRS"),
        ({"PGGSSENCMODE": "require"}, "PGGSSENCMODE"),
        ({"PGCHANNELBINDING": "perhaps"}, "PGCHANNELBINDING"),
        ({"PGSERVICE": "nowhere"}, 'no service "nowhere"'),
        ({"PGHOST": "a,b", "PGPORT": "1,2,3"}, "3 ports are named for 2 hosts.*PGPORT"),
        ({"PGHOST": "/a,/b", "PGHOSTADDR": "1.2.3.4"}, "2 hosts and 1 addresses.*PGHOSTADDR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_said(environment: Environment, variables: dict[str, str], told: str) -> None:
    """A variable that is wrong or not supported is an error that names it."""
    environment(**variables)
    with pytest.raises(ConfigurationError, match=told):
        industrydb.read_sql("postgresql://", WHO)


SERVICES = """# services of this machine
[other]
host=nowhere.invalid

[mine]
  host=127.0.0.1
port={port}
# a comment
dbname=postgres
user=md5_user
password={password}
application_name=by a service
options=-c work_mem=5MB
keepalives_idle=17

[mine]
port=1
"""


@pytest.fixture
def services(own_server: Server, tmp_path: Path) -> Path:
    """Return the path of a file of services."""
    path = tmp_path / "services.conf"
    path.write_text(SERVICES.format(port=own_server.port, password=PASSWORDS["md5_user"]))
    return path


@pytest.mark.parametrize(
    "uri", ["postgresql://?service=mine", "postgresql://", "postgresql://scram_user@/?service=mine"]
)
def test_a_service_comes_before_the_environment(environment: Environment, services: Path, uri: str) -> None:
    """A service, named by the URI or the environment, takes precedence over variables, and the URI over it."""
    environment(PGSERVICEFILE=str(services), PGSERVICE="mine", PGAPPNAME="not this", PGPORT="1", PGTZ="Asia/Tokyo")
    if "scram_user" in uri:
        for connect in (by_libpq, by_us):
            with pytest.raises((psycopg.OperationalError, IndustryDbError), match="password authentication failed"):
                connect(uri)
    else:
        same(uri)


@pytest.mark.parametrize("place", ["home", "system"])
def test_services_are_looked_for_where_libpq_does(
    environment: Environment, services: Path, tmp_path: Path, place: str
) -> None:
    """A service is looked for in the user's file, and in the system's if the user's has none of that name."""
    users = tmp_path / ".pg_service.conf"
    if place == "home":
        services.rename(users)
    else:
        users.write_text("[unlike]\nport=2\n")
        services.rename(tmp_path / "pg_service.conf")
    environment(PGSYSCONFDIR=str(tmp_path))
    same("postgresql://?service=mine")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hunter2", "line 2 is not of the form name=value"),
        ("hots=a", 'unknown option "hots"'),
        ("host = a", 'unknown option "host "'),
        ("service=other", "names another one"),
        ("connect_retries=3", 'unknown option "connect_retries"'),
        ("require_auth=hunter2", "sets require_auth"),
        ("sslpassword=hunter2", "sets sslpassword"),
        ("port=x", 'port must be .* "x" .in the service "mine"'),
    ],
)
def test_a_service_that_cannot_be_understood(environment: Environment, tmp_path: Path, line: str, told: str) -> None:
    """The error says what is wrong with a service, without secrets; libpq refuses the faulty lines as well."""
    path = tmp_path / "broken.conf"
    path.write_text(f"[mine]\n{line}\n")
    environment(PGSERVICEFILE=str(path))
    with pytest.raises(ConfigurationError, match=told) as raised:
        industrydb.read_sql("postgresql://?service=mine", WHO)
    assert "hunter2" not in str(raised.value)
    if "=hunter2" not in line:
        with pytest.raises(psycopg.Error):
            by_libpq("postgresql://?service=mine")


def test_a_service_file_that_is_named_must_be_there(environment: Environment, tmp_path: Path) -> None:
    """A service file that is named and missing is an error, as in libpq."""
    environment(PGSERVICEFILE=str(tmp_path / "missing"))
    with pytest.raises(psycopg.Error):
        by_libpq("postgresql://?service=mine")
    with pytest.raises(ConfigurationError, match="missing"):
        industrydb.read_sql("postgresql://?service=mine", WHO)


@pytest.mark.parametrize("name", ["PGSSLMODE", "PGCHANNELBINDING", "PGSERVICE"])
def test_variables_that_must_say_something(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An empty variable, which a mistake in a script may leave, is an error, as in libpq."""
    environment()
    monkeypatch.setenv(name, "")
    with pytest.raises(psycopg.Error):
        by_libpq("postgresql://")
    with pytest.raises(ConfigurationError, match=rf"{name}|no service"):
        industrydb.read_sql("postgresql://", WHO)


def test_the_user_is_that_of_the_process(
    own_server: Server, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a user, the process's own is used, as by libpq, and not `USER` or `LOGNAME`, which `su` may leave."""
    environment(PGUSER="", PGPASSWORD="")
    monkeypatch.setenv("USER", "scram_user")
    monkeypatch.setenv("LOGNAME", "scram_user")
    where = f"postgresql:///postgres?host={quote(str(own_server.socket.parent))}&port={own_server.port}"

    def name(read: Callable[[str], list[tuple[object, ...]]]) -> object:
        try:
            return read(where)[0][0]
        except (psycopg.OperationalError, DatabaseConnectionError) as error:
            return re.findall(r'(?:role|user) "(.+?)"', str(error))[0]

    assert name(by_us) == name(by_libpq)
    assert name(by_us) != "scram_user"


def test_an_empty_password_is_none(own_server: Server, environment: Environment, tmp_path: Path) -> None:
    """An empty password counts as none, so that the password file is searched, as by libpq."""
    path = tmp_path / ".pgpass"
    secret = PASSWORDS["scram_user"].replace(":", "\\:")
    # An asterisk behind a backslash stands for itself, and matches no other host.
    path.write_text(f"\\*:*:*:*:wrong\n*:*:*:*:{secret}\n")
    path.chmod(0o600)
    environment(PGPASSWORD="")
    same(f"postgresql://scram_user:@127.0.0.1:{own_server.port}/postgres")


@pytest.mark.parametrize("by", ["environment", "home", "uri"])
def test_the_password_file_stays(own_server: Server, environment: Environment, tmp_path: Path, by: str) -> None:
    """The password file is searched for the host, port, database and user that result from all sources."""
    path = tmp_path / (".pgpass" if by == "home" else "passwords")
    secret = PASSWORDS["scram_user"].replace(":", "\\:")
    path.write_text(f"127.0.0.1:{own_server.port}:postgres:scram_user:{secret}\n")
    path.chmod(0o600)
    environment(PGPASSWORD="", PGPASSFILE=str(path) if by == "environment" else "")
    same(f"postgresql://?passfile={quote(str(path))}" if by == "uri" else "postgresql://")


@pytest.mark.usefixtures("environment")
def test_each_session_of_a_read_looks_there() -> None:
    """Each session of a partitioned read is opened by the environment."""
    query = "SELECT i FROM generate_series(1, 1000) AS i"
    frame = industrydb.read_sql("postgresql://", query, partition_on="i", partitions=4)
    assert frame["i"].to_list() == list(range(1, 1001))
