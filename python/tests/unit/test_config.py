"""Tests of `DatabaseConfig`: every form has all parts, and the password only if asked for."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import industrydb
from industrydb import ConfigurationError, DatabaseConfig
from tests.kit.support import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "hunter2"  # noqa: S105, of no real account

# No lone surrogates, which are no text in UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
# The standard library takes a host with a colon for an IPv6 address.
HOSTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), min_size=1, max_size=12)
NAMES = st.sampled_from(["application_name", "sslmode", "sslrootcert", "options", "channel_binding"])
CONFIGS = st.builds(
    lambda parts, options: DatabaseConfig("postgresql", **parts, options=options),
    st.fixed_dictionaries(
        {},
        optional={
            "host": HOSTS | st.ip_addresses().map(str),
            "port": st.integers(1, 65535),
            "database": TEXTS,
            "username": TEXTS,
            "password": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        },
    ),
    st.dictionaries(NAMES, TEXTS),
)


@given(CONFIGS)
def test_every_form_is_the_same_configuration(config: DatabaseConfig) -> None:
    """URIs, dicts and pickles give back an equal configuration, whatever characters its parts have."""
    whole = config.to_uri(include_secrets=True)
    for other in (
        DatabaseConfig.from_uri(whole),
        DatabaseConfig.from_dict(config.to_dict(include_secrets=True)),
        pickle.loads(pickle.dumps(config)),  # noqa: S301, our own
    ):
        assert other == config
        assert hash(other) == hash(config)
        assert repr(other) == repr(config)


@given(CONFIGS)
def test_uris_are_what_the_standard_library_reads(config: DatabaseConfig) -> None:
    """The standard library finds each part of a URI in its place, percent-encoded."""
    parts = urlsplit(config.to_uri(include_secrets=True))
    given_parts = config.to_dict(include_secrets=True)
    assert parts.scheme == "postgresql"
    assert parts.port == given_parts.get("port")
    login, _, _ = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    assert unquote(user) == given_parts.get("username", "")
    assert unquote(password) == given_parts.get("password", "")
    assert unquote(parts.path.removeprefix("/")) == given_parts.get("database", "")
    options = {name: value for name, [value] in parse_qs(parts.query, keep_blank_values=True).items()}
    options.pop("host", None)  # the folder of a socket
    assert options == config.options


def test_passwords_are_in_no_form_unless_asked_for() -> None:
    """No form of a configuration shows the password unless asked for."""
    config = DatabaseConfig("mssql", host="db", username="sa", password=SECRET, encrypt=False)
    assert config.options == {"encrypt": "false"}
    for shown in (repr(config), str(config), config.to_uri(), str(config.to_dict()), str(vars(type(config)))):
        assert SECRET not in shown
    assert "password='***'" in repr(config)
    assert DatabaseConfig.from_uri(config.to_uri()).to_dict(include_secrets=True).get("password") is None


@pytest.mark.parametrize(
    ("db_type", "arguments", "message"),
    [
        ("oracle", {}, 'unknown database "oracle"'),
        ("postgress", {}, 'did you mean "postgres"'),
        ("postgresql", {"user": "ana"}, 'unknown argument "user", did you mean "username"'),
        ("postgresql", {"pasword": SECRET}, 'did you mean "password"'),
        ("postgresql", {"sslmod": "require"}, 'unknown option "sslmod" for PostgreSQL, did you mean "sslmode"'),
        ("postgresql", {"options": {"sslmod": "require"}}, 'did you mean "sslmode"'),
        ("mssql", {"encrpyt": True}, 'did you mean "encrypt"'),
        ("mssql", {"path": "x"}, "a server has a host"),
        ("sqlite", {"host": "x"}, "a file has a path"),
        ("sqlite", {"path": "x", "cache": "shared"}, 'unknown option "cache"'),
        ("postgresql", {"port": 70000}, "the port must be"),
        ("postgresql", {"port": SECRET}, "the port must be"),
        ("postgresql", {"host": [SECRET]}, "host must be a str"),
    ],
)
def test_what_is_not_known_is_refused(db_type: str, arguments: dict[str, object], message: str) -> None:
    """The error names what is unknown, and what may be meant; no value is repeated."""
    makers: list[Callable[[], DatabaseConfig]] = [
        lambda: DatabaseConfig(db_type, **arguments),  # type: ignore[arg-type]
        lambda: DatabaseConfig.from_dict({"db_type": db_type, **arguments}),
    ]
    for make in makers:
        with pytest.raises(ConfigurationError) as raised:
            make()
        assert message in str(raised.value)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize("uri", ["oracle://db", "postgresql://db?sslmod=x", "nothing"])
def test_uris_are_checked_as_well(uri: str) -> None:
    """A wrong URI is refused when the configuration is made."""
    with pytest.raises(ConfigurationError):
        DatabaseConfig.from_uri(uri)


def test_a_dict_names_its_database() -> None:
    """A dict without `db_type` is refused."""
    with pytest.raises(ConfigurationError, match="db_type"):
        DatabaseConfig.from_dict({"host": "db"})


def test_parts_are_properties() -> None:
    """Each part of a configuration is a property; an empty part counts as not given."""
    config = DatabaseConfig("postgres", host="/run/pg", port=6000, database="", username="ana")
    parts = (config.db_type, config.host, config.port, config.database, config.username, config.path)
    assert parts == ("postgresql", "/run/pg", 6000, None, "ana", None)
    assert config != DatabaseConfig("postgresql", host="/run/pg", port=6000, username="ana", password="")
    file = DatabaseConfig("sqlite", path=Path("a b.db"))
    assert (file.path, file.database, file.to_uri()) == ("a b.db", None, "sqlite://a%20b.db")


def test_reads_take_configurations(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """`read_sql` and `plan_sql` accept a configuration in place of a URI."""
    config = DatabaseConfig.from_uri(postgres_uri)
    assert industrydb.read_sql(config, "SELECT 1 AS a").item() == 1
    file = DatabaseConfig("sqlite", path=sqlite_file.path)
    assert industrydb.plan_sql(file, "SELECT 2 AS a").read(0).item() == 2
