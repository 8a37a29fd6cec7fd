"""The programs in Rust that are measured beside the contenders: they receive all rows and store nothing."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from benchmarks import data

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", data.ROOT / "target")) / "release"

BOUND = "lower bound"
# The step loop reads all rows through SQLite's own API; a reader that decodes pages can be faster. The page drain reads
# the pages without decoding them.
STEP_LOOP = "step loop"
PAGES = "page drain"


def build() -> None:
    """Build the programs."""
    subprocess.run(["cargo", "build", "--release", "--package", "industrydb-bounds"], cwd=data.ROOT, check=True)  # noqa: S607


def base(database: str) -> str:
    """Return the name of the program that a database's readers are compared with."""
    return STEP_LOOP if data.kind(database) == "sqlite" else BOUND


def commands(database: str, uri: str) -> dict[str, list[str]]:
    """Return the commands of the programs for a database, by name; all read the same partitions as the contenders."""
    database = data.kind(database)
    queries = data.halves(database)
    if database == "postgres":
        return {BOUND: drain(database, uri, queries)}
    if database == "sqlite":
        pages = [f"{TARGET}/sqlite-pages", uri.removeprefix("sqlite://"), data.TABLE, str(len(queries))]
        return {PAGES: pages, STEP_LOOP: drain(database, uri, queries)}
    address = urlsplit(uri)
    port = str(address.port)
    if database == "mysql":
        place = [str(address.hostname), port, str(address.username), address.path.lstrip("/")]
        return {BOUND: [f"{TARGET}/mysql-drain", *place, *queries]}
    return {
        BOUND: [f"{TARGET}/tds-drain", port, *queries],
        **{
            f"{driver} alone": [f"{TARGET}/tds-drivers", driver, port, *queries] for driver in ("mssql-tds", "tiberius")
        },
    }


def drain(database: str, uri: str, queries: list[str]) -> list[str]:
    """Return the command that receives the rows of queries on PostgreSQL or SQLite, each in a session of its own."""
    if database == "sqlite":
        return [f"{TARGET}/sqlite-step", uri.removeprefix("sqlite://"), *queries]
    server = {"port": "5432", **conninfo_to_dict(uri)}
    place = [str(server[part]) for part in ("host", "port", "user", "dbname")]
    return [f"{TARGET}/postgres-drain", *place, *queries]
