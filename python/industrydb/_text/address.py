"""The database of a call: a URI, a path, a `DatabaseConfig`, or what SQLAlchemy has for one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import quote, unquote, urlencode

from industrydb.industrydb import ConfigurationError, DatabaseConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from industrydb._text.password import Ask


class Url(Protocol):
    """A ``sqlalchemy.URL``."""

    @property
    def drivername(self) -> str: ...
    @property
    def query(self) -> Mapping[str, str | tuple[str, ...]]: ...
    def render_as_string(self, hide_password: bool = ...) -> str: ...  # noqa: FBT001, as in SQLAlchemy


class Engine(Protocol):
    """A ``sqlalchemy.Engine``."""

    @property
    def url(self) -> Url: ...


# A setting of a connection string of libpq, such as ``host = db``. A value in quotes may have spaces and escapes, and
# only the last value may be empty.
_SETTING = r"""\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*|(?=\s*$))(?=\s|$)"""
_SETTINGS = re.compile(rf"(?:{_SETTING})+\s*", re.DOTALL | re.ASCII)

# The beginning of a connection string of ODBC or ADO.NET, which libpq's do not have.
_ODBC = re.compile(r"\s*(?:driver|server|dsn|data source)\s*=", re.IGNORECASE)

Address: TypeAlias = str | os.PathLike[str] | DatabaseConfig | Url | Engine


def config_of(database: Address) -> DatabaseConfig:
    """Return the configuration of a database that is given in any of the ways of `Address`."""
    return database if isinstance(database, DatabaseConfig) else DatabaseConfig.from_uri(uri_of(database))


def address_of(database: Address) -> tuple[str, Ask | None]:
    """Return the URI of a database, and the function that is asked for its password, if there is one."""
    if isinstance(database, DatabaseConfig):
        password = database.to_dict(include_secrets=True).get("password")
        if callable(password):
            return database.to_uri(), password
    return uri_of(database), None


def uri_of(database: Address) -> str:
    """Return the URI of a database, with its password."""
    if isinstance(database, str):
        if _SETTINGS.fullmatch(database) and not _ODBC.match(database):
            return _of_settings(database)
        scheme, mark, rest = database.partition("://")
        kind, has_driver, _ = scheme.partition("+")
        return _of_sqlalchemy(kind, rest) if mark and has_driver else database
    if isinstance(database, os.PathLike):
        database = DatabaseConfig("sqlite", path=os.fsdecode(database))
    if isinstance(database, DatabaseConfig):
        return database.to_uri(include_secrets=True)
    url: Any = database if hasattr(database, "drivername") else getattr(database, "url", None)
    if not hasattr(url, "drivername"):
        kinds = "a URI, a path, a DatabaseConfig, or an Engine or URL of SQLAlchemy"
        msg = f"the database must be {kinds}, not {_named(database)}"
        raise TypeError(msg)
    for name, value in url.query.items():
        if not isinstance(value, str):
            msg = f"the option {name!r} of the SQLAlchemy URL has several values"
            raise ConfigurationError(msg)
    rest = url.render_as_string(hide_password=False).partition("://")[2]
    return _of_sqlalchemy(url.drivername.partition("+")[0], rest)


def _named(value: object) -> str:
    """Return the name of a value's class, with its library, as several libraries have a `Connection`."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library == "builtins":
        return kind.__name__
    is_open = any(part in kind.__name__.lower() for part in ("connection", "cursor", "session", "pool"))
    instead = "engine" if library == "sqlalchemy" else "URI"
    return f"{library}'s {kind.__name__}" + f": pass its {instead}" * is_open


def _of_settings(text: str) -> str:
    """Return the URI of a connection string of libpq: ``host=db port=5433 dbname=shop``."""
    settings = {}
    for name, value in re.findall(_SETTING, text, re.DOTALL | re.ASCII):
        plain = value[1:-1] if value[:1] == "'" else value
        settings[name] = re.sub(r"\\(.)", r"\1", plain, flags=re.DOTALL)
    given = {name: value for name, value in settings.items() if value}  # as in libpq, an empty value is none
    return f"postgresql://?{urlencode(given, quote_via=quote)}"


def _of_sqlalchemy(kind: str, rest: str) -> str:
    """Return the URI of a kind of database from what follows ``://`` in SQLAlchemy's."""
    if kind != "sqlite":
        return f"{kind}://{rest}"
    # The third slash ends the address of a server, which a file does not have.
    path, question, options = rest.removeprefix("/").partition("?")
    if unquote(path) in {"", ":memory:"}:
        msg = "SQLAlchemy's database in memory belongs to its own connections; industrydb cannot read it"
        raise ConfigurationError(msg)
    return f"sqlite://{path}{question}{options}"
