"""Run PgBouncer in front of a server: an installed one, or Debian's package as unpacked by make."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.kit.servers import Server, free_port
from tests.kit.support import eventually

_UNPACKED = Path(__file__).parents[3] / "target" / "tools" / "pgbouncer"

# Every client logs in as the superuser. A client that waits too long for a server connection gets an error.
_CONFIGURATION = """
[databases]
postgres = host={folder} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 200
query_wait_timeout = {patience_s}
"""


class Pooler(NamedTuple):
    """A running PgBouncer."""

    uri: str
    server: Server
    others: set[int]
    """PIDs of the server's sessions that existed before."""

    def connections(self) -> set[int]:
        """Return the PIDs of the server's sessions opened since then, which are PgBouncer's."""
        return _sessions(self.server) - self.others


def _sessions(server: Server) -> set[int]:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        pids = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return {pid for (pid,) in connection.execute(pids).fetchall()}


@contextmanager
def pgbouncer(server: Server, mode: str, pool: int, patience_s: int = 60) -> Iterator[Pooler]:
    """Serve in `mode` with at most `pool` server connections; clients that wait over `patience_s` get an error."""
    installed = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    unpacked = _UNPACKED / "usr" / "sbin" / "pgbouncer"
    if not (installed or unpacked.exists()):
        pytest.skip("needs PgBouncer: apt-get install pgbouncer, or make target/tools/pgbouncer")
    port = free_port()
    # PgBouncer refuses to run as root, and only the owner of the server's folder may read it: run as that owner.
    owner = server.socket.parent.stat()
    with TemporaryDirectory(prefix="pgb") as name:
        folder = Path(name)
        if not installed:
            for file in (unpacked, *_UNPACKED.glob("usr/lib/*/lib*.so*")):
                shutil.copy(file, folder)
        settings: dict[str, Any] = {"mode": mode, "pool": pool, "port": port, "patience_s": patience_s}
        (folder / "pgbouncer.ini").write_text(
            _CONFIGURATION.format(folder=server.socket.parent, server_port=server.port, **settings)
        )
        is_root = os.geteuid() == 0
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
        process = subprocess.Popen(
            [installed or folder / "pgbouncer", "--quiet", folder / "pgbouncer.ini"],
            env={"LD_LIBRARY_PATH": name},
            stderr=subprocess.DEVNULL,
            user=owner.st_uid if is_root else None,
            group=owner.st_gid if is_root else None,
            extra_groups=[] if is_root else None,
        )
        pooler = Pooler(f"postgresql://postgres@127.0.0.1:{port}/postgres", server, _sessions(server))
        try:
            eventually(lambda: _serves(pooler, process))
            yield pooler
        finally:
            process.kill()
            process.wait()


def _serves(pooler: Pooler, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "PgBouncer has ended"
    try:
        psycopg.connect(pooler.uri, autocommit=True).close()
    except psycopg.OperationalError:
        return False
    return True
