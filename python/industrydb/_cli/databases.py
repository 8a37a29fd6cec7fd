"""Which database a command uses: a URI or a section of the config file, and the password; and their list."""

from __future__ import annotations

import configparser
import getpass
import os
import stat
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from industrydb._cli.messages import count, output, output_json, say, warn
from industrydb._text.address import config_of
from industrydb.industrydb import ConfigurationError, DatabaseConfig

if TYPE_CHECKING:
    import argparse


def databases(options: argparse.Namespace) -> None:
    """Print the databases of the config file, each with its URI without the password, or with what is wrong with it."""
    path = _config_file(options.config)
    sections, _ = _sections(path)
    found = {name: _uri(dict(sections[name])) for name in sections.sections()}
    if options.json:
        output_json(
            config=str(path),
            databases=[{"name": name, "uri": uri, "error": error} for name, (uri, error) in found.items()],
        )
        return
    width = max(map(len, found), default=0)
    for name, (uri, error) in found.items():
        output(f"{name:{width}}  {uri or f'wrong: {error}'}")
    if not options.quiet:
        say(f"{count(len(found), 'database')} in {path}")


def _uri(parts: dict[str, object]) -> tuple[str | None, str | None]:
    """Return the URI of a section without the password, or what is wrong with the section."""
    try:
        return _from_section(parts).to_uri(), None
    except ConfigurationError as error:
        return None, str(error)


def database(options: argparse.Namespace) -> DatabaseConfig:
    """Return the configuration of the selected database, with the password."""
    if options.config and not options.database:
        msg = f"--config {options.config} has databases: say which one by --database NAME"
        raise ConfigurationError(msg)
    if options.database:
        config = _from_file(_config_file(options.config), options.database)
    elif uri := options.uri or os.environ.get("INDUSTRYDB_URI"):
        config = config_of(uri)
    else:
        msg = "no database is given: pass --uri URI or --database NAME, or set INDUSTRYDB_URI"
        raise ConfigurationError(msg)
    if options.uri and _has_secret(config):
        warn(
            "every user of this machine can see a password in --uri: leave it out, and use "
            "--password, $INDUSTRYDB_PASSWORD, $PGPASSWORD, ~/.pgpass or the config file"
        )
    password = _asked(config) if options.password else os.environ.get("INDUSTRYDB_PASSWORD")
    if password is None or (not options.password and (_has_secret(config) or config.path is not None)):
        return config
    return DatabaseConfig.from_dict(config.to_dict(include_secrets=True) | {"password": password})


def _has_secret(config: DatabaseConfig) -> bool:
    return config.to_dict(include_secrets=True) != config.to_dict()


def _asked(config: DatabaseConfig) -> str:
    """Ask for the password at the terminal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"Password for {config.to_uri()}: ")
    except (getpass.GetPassWarning, EOFError):
        msg = "--password asks at a terminal, and there is none: set INDUSTRYDB_PASSWORD, or use the config file"
        raise ConfigurationError(msg) from None


def _config_file(given: str | None) -> Path:
    if given := given or os.environ.get("INDUSTRYDB_CONFIG"):
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111, it never raises
    return Path(home, "industrydb", "databases.ini")


def _sections(path: Path) -> tuple[configparser.ConfigParser, int]:
    """Return the sections of a config file, and the file's mode."""
    sections = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = os.fstat(file.fileno()).st_mode
            sections.read_file(file)
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
    return sections, mode


def _from_file(path: Path, name: str) -> DatabaseConfig:
    """Return the configuration in a section of a config file."""
    sections, mode = _sections(path)
    if name not in sections:
        there = ", ".join(f"[{section}]" for section in sections.sections()) or "none"
        near = get_close_matches(name, sections.sections(), n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        msg = f"the config file {path} has no section [{name}], but {there}{hint}"
        raise ConfigurationError(msg)
    parts: dict[str, object] = dict(sections[name])
    try:
        config = _from_section(parts)
    except ConfigurationError as error:
        msg = f"section [{name}] of {path}: {error}"
        raise ConfigurationError(msg) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and _has_secret(config):
        warn(f"others may read {path}, which has a password: chmod 600 it")
    return config


def _from_section(parts: dict[str, object]) -> DatabaseConfig:
    if "uri" in parts:
        if len(parts) > 1:
            msg = f"there is a uri, which says it all, and {', '.join(parts.keys() - {'uri'})}"
            raise ConfigurationError(msg)
        return config_of(str(parts["uri"]))
    port = str(parts.get("port", ""))
    return DatabaseConfig.from_dict(parts | ({"port": int(port)} if port.isdecimal() else {}))
