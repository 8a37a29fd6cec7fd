"""A database may be given as SQLAlchemy has it, or as a path; SQLAlchemy says which database its URLs mean."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import industrydb
from industrydb import ConfigurationError, Connection, DatabaseConfig
from industrydb._text.address import Address, config_of

SERVERS = [
    "postgresql://ana:s%40c%3Aret@db:5433/shop?application_name=a%26b",
    "postgresql+psycopg2://ana@/shop?host=/var/run",
    "postgresql+asyncpg://[::1]/shop",
    "mssql+pymssql://sa:x@db:1433/shop",
]


@pytest.mark.parametrize("text", SERVERS)
def test_urls_of_sqlalchemy(text: str) -> None:
    """A URL of SQLAlchemy's, its text and its engine mean the same server, login and options."""
    url = sqlalchemy.make_url(text)
    options = dict(url.query)
    host = options.pop("host", url.host)
    for address in (url, text):
        config = config_of(address)
        assert (config.host, config.port, config.database) == (host, url.port, url.database)
        assert (config.db_type, config.username) == (url.get_backend_name(), url.username)
        assert config.options == options
        assert config.to_dict(include_secrets=True).get("password") == url.password
    assert DatabaseConfig.from_uri(text) == config_of(text)


@pytest.mark.parametrize("text", ["sqlite+pysqlite:///{}", "sqlite+aiosqlite:///{}?timeout=5"])
@pytest.mark.parametrize("is_relative", [False, True])
def test_files_of_sqlalchemy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    is_relative: bool,  # noqa: FBT001
) -> None:
    """SQLAlchemy's URLs of files, which have one slash more, mean the same file, also if it is a relative one."""
    monkeypatch.chdir(tmp_path)
    path = Path("a b.db") if is_relative else tmp_path / "a b.db"
    url = sqlalchemy.make_url(text.format(path))
    assert url.database == str(path)
    for address in (url.set(query={}), text.format(path).partition("?")[0], path):
        assert Path(config_of(address).path or "") == path
    plain = text.format(path).partition("?")[0]
    assert DatabaseConfig.from_uri(plain) == config_of(plain)


def test_every_way_in_takes_them(tmp_path: Path) -> None:
    """An engine and a path are taken by reads, plans, batches, scans, extracts, writes and connections."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE t AS SELECT 1 AS i UNION ALL SELECT 2")
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    addresses: list[Address] = [engine, engine.url, path]
    for number, address in enumerate(addresses):
        query = "SELECT i FROM t ORDER BY i"
        assert industrydb.read_sql(address, query)["i"].to_list() == [1, 2]
        assert industrydb.plan_sql(address, query).read()["i"].to_list() == [1, 2]
        assert [batch.height for batch in industrydb.read_sql_batches(address, query)] == [2]
        assert industrydb.scan_sql(address, "t").collect().height == 2
        assert industrydb.extract(address, query, tmp_path / f"extract {number}").rows == 2
        assert industrydb.write_sql({"a": [1]}, f"t{number}", address) == 1
        with Connection(address) as connection:
            assert connection.select("t").height == 2


@pytest.mark.parametrize(
    "text", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite+pysqlite:///:memory:"]
)
def test_memory_of_sqlalchemy_is_refused(text: str) -> None:
    """A database in memory is SQLAlchemy's own: an empty one in its place would have no tables."""
    with pytest.raises(ConfigurationError, match="belongs to its own connections"):
        industrydb.read_sql(sqlalchemy.create_engine(text), "SELECT 1")
    if "+" in text:
        with pytest.raises(ConfigurationError, match="belongs to its own connections"):
            industrydb.read_sql(text, "SELECT 1")


CONNECTION_STRINGS = [
    r"host = db  port= 5433 dbname='my db' user=ana password='it\'s \\ x'",
    r"host=a\ b user=x",
    "password= user=ana",
    "user=ana password=",
    "host='' dbname=x",
    " host=db\n port=1\t",
    "host=a'b'c user==z",
    "hostaddr=127.0.0.1 host=db sslmode=disable application_name='a=b&c#d%20'",
    "host=größe password=pässwörd",
]


@pytest.mark.parametrize("text", CONNECTION_STRINGS)
def test_connection_strings_of_libpq(text: str) -> None:
    """A connection string means what libpq says that it means; empty values are none."""
    expected = {name: value for name, value in conninfo_to_dict(text).items() if value}
    config = config_of(text)
    assert DatabaseConfig.from_uri(text) == config
    names = {"host": "host", "port": "port", "dbname": "database", "user": "username", "password": "password"}
    parts = config.to_dict(include_secrets=True)
    assert parts.pop("db_type") == "postgresql"
    options = parts.pop("options", {})
    found = {name: str(parts[part]) for name, part in names.items() if part in parts}
    assert {**found, **options} == expected  # type: ignore[dict-item]
    assert "password" not in repr(config).replace("password='***'", "")


@pytest.mark.parametrize(
    "text", ["host='a", "host=db x", "=x", "password='hunter2'b user=x", "host=db hunter2", "a= " * 5000]
)
def test_what_is_no_connection_string(text: str) -> None:
    """A text that libpq refuses is refused at once, and is not repeated."""
    with pytest.raises(psycopg.Error):
        conninfo_to_dict(text)
    with pytest.raises(ConfigurationError) as raised:
        config_of(text)
    assert "hunter2" not in str(raised.value)


def test_a_connection_string_reads(postgres_uri: str) -> None:
    """A connection string of psycopg reads from the same server."""
    text = make_conninfo(**{name: str(value) for name, value in conninfo_to_dict(postgres_uri).items()})
    assert industrydb.read_sql(text, "SELECT 1 AS a").item() == 1


@pytest.mark.parametrize("wrong", [None, 5, b"sqlite://x", {"host": "db"}, sqlite3])
def test_other_things_are_refused(wrong: object) -> None:
    """Anything else is a `TypeError` that says what a database can be."""
    for call in (lambda: industrydb.read_sql(wrong, "SELECT 1"), lambda: Connection(wrong)):  # type: ignore[call-overload, arg-type]
        with pytest.raises(TypeError, match=f"an Engine or URL of SQLAlchemy, not {type(wrong).__name__}"):
            call()


def test_unknown_databases_and_options() -> None:
    """A database that industrydb does not read, and an option with two values, are named without the password."""
    with pytest.raises(ConfigurationError, match='unknown database "oracle"') as raised:
        industrydb.read_sql("oracle+oracledb://ana:secret@db/shop", "SELECT 1")
    assert "secret" not in str(raised.value)
    url = sqlalchemy.make_url("postgresql://ana:secret@db/shop?host=a&host=b")
    with pytest.raises(ConfigurationError, match="'host' of the SQLAlchemy URL has several values") as raised:
        industrydb.read_sql(url, "SELECT 1")
    assert "secret" not in str(raised.value)
