"""Databases that have a name: the sections of a config file, and ``INDUSTRYDB_URI``."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from industrydb._text.address import config_of
from industrydb._text.arguments import explained
from industrydb.industrydb import ConfigurationError, DatabaseConfig, near_names

if TYPE_CHECKING:
    import configparser
    from collections.abc import Callable


def file_of(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the config file: the given one, that of ``INDUSTRYDB_CONFIG``, or the one in the home."""
    if given := given or os.environ.get("INDUSTRYDB_CONFIG"):
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111, it never raises
    return Path(home, "industrydb", "databases.ini")


def sections(path: Path) -> tuple[configparser.ConfigParser, int]:
    """Return the sections of a config file, and the file's mode."""
    import configparser  # noqa: PLC0415, few calls need it, and the import takes time

    parsed = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = os.fstat(file.fileno()).st_mode
            parsed.read_file(file)
    except OSError as error:
        msg = f"cannot read the config file {path}: {error.strerror or error}"
        raise ConfigurationError(msg) from None
    except UnicodeDecodeError:
        msg = f"the config file {path} is not UTF-8"
        raise ConfigurationError(msg) from None
    except configparser.Error as error:  # the error's text repeats the line, which may have a password
        line = getattr(error, "lineno", None) or error.errors[0][0]  # type: ignore[attr-defined]
        msg = f"line {line} of {path} is no [section] and no key = value, or the second one of its name"
        raise ConfigurationError(msg) from None
    return parsed, mode


def named(name: str, path: Path, warn: Callable[[str], None]) -> DatabaseConfig:
    """Return the configuration in a section of a config file; warn if others may read its password."""
    parsed, mode = sections(path)
    if name not in parsed:
        there = ", ".join(f"[{section}]" for section in parsed.sections()) or "none"
        near = near_names(name, parsed.sections())
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        msg = f"the config file {path} has no section [{name}], but {there}{hint}"
        raise ConfigurationError(msg)
    try:
        config = from_section(dict(parsed[name]))
    except ConfigurationError as error:
        msg = f"section [{name}] of {path}: {error}"
        raise ConfigurationError(msg) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and has_secret(config):
        warn(f"others may read {path}, which has a password: chmod 600 it")
    return config


def has_secret(config: DatabaseConfig) -> bool:
    """Tell whether a configuration has a password, and not only a function that is asked for one."""
    password = config.to_dict(include_secrets=True).get("password")
    return password is not None and not callable(password)


def from_section(parts: dict[str, object]) -> DatabaseConfig:
    """Return the configuration of a section: of its ``uri``, or of its keys, which are those of `DatabaseConfig`."""
    if "uri" in parts:
        if len(parts) > 1:
            msg = f"there is a uri, which says it all, and {', '.join(parts.keys() - {'uri'})}"
            raise ConfigurationError(msg)
        return config_of(str(parts["uri"]))
    port = str(parts.get("port", ""))
    return DatabaseConfig.from_dict(parts | ({"port": int(port)} if port.isdecimal() else {}))


@explained
def database(name: str | None = None, *, config_file: str | os.PathLike[str] | None = None) -> DatabaseConfig:
    """
    Return a database of the config file, or of ``INDUSTRYDB_URI``.

    They are those of the command ``industrydb``. A database on a server
    that has no password gets the one in ``INDUSTRYDB_PASSWORD``, if that is
    set.

    Parameters
    ----------
    name
        The section of the config file; the database in ``INDUSTRYDB_URI``
        if not given.
    config_file
        The path of the config file; if not given, that in
        ``INDUSTRYDB_CONFIG``, or ``~/.config/industrydb/databases.ini``.

    Returns
    -------
    DatabaseConfig
        The configuration, which every function takes for a database.

    Raises
    ------
    ConfigurationError
        The file cannot be read, has no such section, or the section is
        wrong; or ``INDUSTRYDB_URI`` is not set.

    Examples
    --------
    >>> import industrydb
    >>> from pathlib import Path
    >>> target.mkdir()
    >>> config_file = Path(target, "databases.ini")
    >>> with config_file.open("w") as file:
    ...     for line in ("[shop]", "db_type = postgresql", "host = db"):
    ...         print(line, file=file)
    >>> industrydb.database("shop", config_file=config_file)
    DatabaseConfig('postgresql', host='db')
    """
    if name is not None:
        config = named(name, file_of(config_file), logging.getLogger("industrydb").warning)
    elif config_file is not None:
        msg = "config_file has databases with names: pass the name of the one to use"
        raise ConfigurationError(msg)
    elif uri := os.environ.get("INDUSTRYDB_URI"):
        config = config_of(uri)
    else:
        msg = "no database is given: pass the name of a section of the config file, or set INDUSTRYDB_URI"
        raise ConfigurationError(msg)
    parts = config.to_dict(include_secrets=True)
    password = os.environ.get("INDUSTRYDB_PASSWORD")
    if password is None or "password" in parts or config.path is not None:
        return config
    return DatabaseConfig.from_dict(parts | {"password": password})
