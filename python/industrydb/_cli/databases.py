"""Which database a command uses: a URI or a section of the config file, and the password; and their list."""

from __future__ import annotations

import getpass
import os
import re
import warnings
from typing import TYPE_CHECKING

from industrydb._cli.messages import count, output, output_json, say, warn
from industrydb._text.address import config_of
from industrydb._text.databases import file_of, from_section, has_secret, named, sections
from industrydb.industrydb import ConfigurationError, DatabaseConfig

if TYPE_CHECKING:
    import argparse

# A path of a database's file; with other signs, it could be a URI with a password.
PATH = re.compile(r"[\w./ -]+\.(?:db3?|sqlite3?|s3db|sl3)")

# The config file of somebody who has none yet.
EXAMPLE = "[orders]\nuri = sqlite://orders.db"


def databases(options: argparse.Namespace) -> None:
    """Print the databases of the config file, each with its URI without the password, or with what is wrong with it."""
    path = file_of(options.config)
    if not path.exists():
        lines = EXAMPLE.replace("\n", "\n  ")
        msg = f"there is no config file {path}: write one, with a section for each database, such as\n  {lines}"
        raise ConfigurationError(msg)
    parsed, _ = sections(path)
    found = {name: _uri(dict(parsed[name])) for name in parsed.sections()}
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
        return from_section(parts).to_uri(), None
    except ConfigurationError as error:
        return None, str(error)


def database(options: argparse.Namespace) -> DatabaseConfig:
    """Return the configuration of the selected database, with the password."""
    if options.config and not options.database:
        msg = f"--config {options.config} has databases: say which one by --database NAME"
        raise ConfigurationError(msg)
    if options.database:
        config = named(options.database, file_of(options.config), warn)
    elif uri := options.uri or os.environ.get("INDUSTRYDB_URI"):
        _reject_path(uri, "-u " if options.uri else "INDUSTRYDB_URI=")
        config = config_of(uri)
    else:
        msg = "no database is given: pass --uri URI or --database NAME, or set INDUSTRYDB_URI"
        raise ConfigurationError(msg)
    if options.uri and has_secret(config):
        warn(
            "every user of this machine can see a password in --uri: leave it out, and use "
            "--password, $INDUSTRYDB_PASSWORD, $PGPASSWORD, ~/.pgpass or the config file"
        )
    password = _asked(config) if options.password else os.environ.get("INDUSTRYDB_PASSWORD")
    has_password = "password" in config.to_dict(include_secrets=True)  # or a function that is asked for one
    if password is None or (not options.password and (has_password or config.path is not None)):
        return config
    return DatabaseConfig.from_dict(config.to_dict(include_secrets=True) | {"password": password})


def _reject_path(uri: str, place: str) -> None:
    """Raise if a URI is the path of a database's file."""
    if PATH.fullmatch(uri):
        msg = f"{place}{uri} is a path, and no URI: write {place}sqlite://{uri}"
        raise ConfigurationError(msg)


def _asked(config: DatabaseConfig) -> str:
    """Ask for the password at the terminal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"Password for {config.to_uri()}: ")
    except (getpass.GetPassWarning, EOFError):
        msg = "--password asks at a terminal, and there is none: set INDUSTRYDB_PASSWORD, or use the config file"
        raise ConfigurationError(msg) from None
