"""Several hosts: the first that is there and of the wanted kind; libpq, by psycopg, does the same."""

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, Connection, DatabaseConfig, DatabaseConnectionError
from tests.kit.servers import PASSWORDS, Server, free_port, tcp_uri
from tests.kit.support import with_options

USER = "md5_user"
ROWS = "SELECT i FROM generate_series(1, 1000) AS i"
READ_ONLY = "-c default_transaction_read_only=on"


def uri_of(hosts: str, password: str = PASSWORDS[USER], **options: str) -> str:
    """Return the URI of hosts, each with its port."""
    uri = tcp_uri(1, USER, password).replace("127.0.0.1:1", hosts)
    return with_options(uri, **options) if options else uri


def test_the_first_host_that_is_there_is_read(own_server: Server) -> None:
    """A host that does not answer is passed over, by every session of a read and in every form of the address."""
    dead, live = free_port(), own_server.port
    uri = uri_of(f"127.0.0.1:{dead},127.0.0.1:{live}")
    assert industrydb.read_sql(uri, ROWS, partition_on="i", partitions=3).height == 1000
    with Connection(uri) as connection:
        assert connection.execute("SELECT 1 AS a").item() == 1
    config = DatabaseConfig.from_uri(uri)
    assert DatabaseConfig.from_uri(config.to_uri(include_secrets=True)) == config
    assert industrydb.read_sql(config, ROWS).height == 1000
    login = f"user={USER} password='{PASSWORDS[USER]}' dbname=postgres"
    for text in (
        f"host=127.0.0.1,127.0.0.1 port={dead},{live} {login}",
        f"host=nowhere.invalid,somewhere.invalid hostaddr=127.0.0.2,127.0.0.1 port={live} {login}",
        f"host=/nowhere,127.0.0.1 port={live} {login}",
    ):
        assert industrydb.read_sql(text, ROWS).height == 1000
        psycopg.connect(text).close()


def test_no_host_is_there() -> None:
    """The error names each host, and may be transient."""
    one, two = free_port(), free_port()
    with pytest.raises(DatabaseConnectionError, match=f"none of the hosts.*127.0.0.1:{one}.*127.0.0.1:{two}") as raised:
        industrydb.read_sql(uri_of(f"127.0.0.1:{one},127.0.0.1:{two}", connect_retries="0"), ROWS)
    assert raised.value.is_transient


@pytest.mark.parametrize("kind", ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"])
@pytest.mark.parametrize("options", ["", READ_ONLY])
def test_only_a_server_of_the_wanted_kind_is_read(own_server: Server, kind: str, options: str) -> None:
    """A server is taken or passed over as by libpq, also the only one."""
    more = {"options": options} if options else {}
    uri = uri_of(f"127.0.0.1:{free_port()},127.0.0.1:{own_server.port}", target_session_attrs=kind, **more)
    try:
        psycopg.connect(uri).close()
        is_taken = True
    except psycopg.OperationalError:
        is_taken = False
    assert is_taken is (kind not in {"standby", "read-write" if options else "read-only"})
    if is_taken:
        assert industrydb.read_sql(uri, ROWS, partition_on="i", partitions=2).height == 1000
    else:
        with pytest.raises(DatabaseConnectionError, match=f"target_session_attrs asks for {kind}"):
            industrydb.read_sql(uri, ROWS)


def test_a_refused_login_ends_the_search(own_server: Server) -> None:
    """A wrong password is not tried on the next host."""
    uri = uri_of(f"127.0.0.1:{own_server.port},127.0.0.1:{free_port()}", "wrong")
    with pytest.raises(DatabaseConnectionError, match="password authentication failed") as raised:
        industrydb.read_sql(uri, ROWS)
    assert raised.value.code == "28P01"
    assert "none of the hosts" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgresql://ana@a,b/db?port=1,2,3", "3 ports are named for 2 hosts"),
        ("postgresql://ana@a,b/db?hostaddr=1.2.3.4", "2 hosts and 1 addresses"),
        ("postgresql://ana@a,[::1/db", r"\["),
        ("postgresql://ana@a/db?target_session_attrs=master", "target_session_attrs must be one of"),
    ],
)
def test_lists_that_do_not_fit_are_refused(uri: str, message: str) -> None:
    """Lists of different lengths and unknown kinds raise before any connection."""
    with pytest.raises(ConfigurationError, match=message):
        industrydb.read_sql(uri, "SELECT 1")
