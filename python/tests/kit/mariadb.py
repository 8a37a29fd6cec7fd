"""Run a real MariaDB server: an installed one, or Debian's package as unpacked by make.

``INDUSTRYDB_TEST_MYSQL_URI`` names another server of MySQL's protocol to test instead; its database should be empty.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import pymysql
import pytest
import trustme
from pymysql.constants import CLIENT

from tests.kit.servers import free_port
from tests.kit.support import eventually

URI_VARIABLE = "INDUSTRYDB_TEST_MYSQL_URI"
_UNPACKED = Path(__file__).parents[3] / "target" / "tools" / "mariadb"

# Users that log in by password, named after their method; the passwords have characters that URIs treat specially.
PASSWORDS = {"root": "s@c:r/e?t#1%", "native_user": "pässwörd ½ ☃", "ed25519_user": "&=+ m d 5"}

# The server's own tables, in the order in which MariaDB's installation script makes them.
_SYSTEM_TABLES = ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data")

_USERS = f"""
FLUSH PRIVILEGES;
DROP USER 'root'@'localhost', 'root'@'127.0.0.1', 'root'@'::1';
CREATE USER 'root'@'%' IDENTIFIED BY '{PASSWORDS["root"]}';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE USER 'native_user'@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORDS["native_user"]}');
CREATE USER 'none_user'@'%';
CREATE DATABASE test;
GRANT ALL ON test.* TO 'native_user'@'%', 'none_user'@'%';
"""

# The time zone is neither UTC nor whole hours away from it. Nothing waits for the disk.
_SETTINGS = (
    *("--default-time-zone=+05:45", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M"),
    *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--debug-no-sync"),
    *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"),
    *("--skip-name-resolve", "--lock-wait-timeout=60", "--local-infile=1", "--server-id=1"),
)


# A server that root starts gives up its rights, unless it is told to keep them.
OF_ROOT = ("--user=root",) if os.geteuid() == 0 else ()


class MariaDb(NamedTuple):
    """A running server."""

    uri: str
    """URI of the superuser's database, through the TCP port."""
    socket: Path
    port: int
    """Port on 127.0.0.1; the server's certificate names localhost."""
    authority: Path
    """Certificate of the authority that signed the server's."""
    process: "subprocess.Popen[bytes]"


class Result:
    """The rows of a statement, with the methods of a cursor that the tests use."""

    def __init__(self, description: Sequence[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> None:
        self.description = description
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows."""
        return iter(self._rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row, if there is one."""
        return next(iter(self._rows), None)


class Pymysql:
    """A connection of the other driver in autocommit mode, with the methods of psycopg's that the tests use."""

    def __init__(self, uri: str, **options: Any) -> None:  # noqa: ANN401, what pymysql takes
        address = urlsplit(uri)
        self.driver = pymysql.connect(
            host=address.hostname or "",
            port=address.port or 3306,
            user=unquote(address.username or ""),
            password=unquote(address.password or ""),
            database=unquote(address.path.lstrip("/")),
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            **options,
        )

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB."""
        ((version,),) = self.execute("SELECT version()").fetchall()
        return "MariaDB" in version

    def needs_mariadb(self, why: str) -> None:
        """Skip the test if the server is MySQL."""
        if not self.is_mariadb:
            pytest.skip(why)

    def close(self) -> None:
        """Close the connection."""
        self.driver.close()

    def execute(self, statement: str, parameters: Sequence[object] | None = None) -> "Result":
        """Run statements one after the other; return the last rows."""
        result = Result((), [])
        with self.driver.cursor() as cursor:
            cursor.execute(statement, parameters)
            while True:
                if cursor.description:
                    result = Result(cursor.description, list(cursor.fetchall()))
                if not cursor.nextset():
                    return result


def series(count: int) -> str:
    """Return the numbers from 1 on as a table with the column `seq`, which MariaDB and MySQL make out of JSON."""
    return f"JSON_TABLE(CONCAT('[0', REPEAT(',0', {count - 1}), ']'), '$[*]' COLUMNS (seq FOR ORDINALITY)) AS series"


def program() -> Path:
    """Return where the server's program is: the installed one, or else where make puts Debian's."""
    installed = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    return Path(installed) if installed else _UNPACKED / "usr" / "sbin" / "mariadbd"


def version() -> str:
    """Return the version of the server's program, such as ``10.11.6``."""
    binary = program()
    command = [str(binary), "--no-defaults", "--version"]
    environment = _environment(binary.parents[1])
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return told.partition("Ver ")[2].partition("-")[0]


def _environment(usr: Path) -> dict[str, str]:
    """Return the environment in which a program finds the libraries that are unpacked beside it."""
    libraries = os.pathsep.join(str(path) for path in usr.glob("lib/*-linux-gnu*"))
    return {**os.environ, "LD_LIBRARY_PATH": libraries}


@contextmanager
def mariadb_server(*, binlog: bool = False, settings: Sequence[str] = ()) -> Iterator[MariaDb]:
    """Create a data folder and serve it, with TLS; remove it at the end of the block."""
    binary = program()
    if not binary.exists():
        pytest.skip("needs MariaDB: apt-get install mariadb-server, or make target/tools/mariadb")
    usr = binary.parents[1]
    environment = _environment(usr)
    with own_folder() as folder:
        command = [
            # A server that starts removes the temporary tables in its folder for them, whosever they are.
            *(str(binary), "--no-defaults", *OF_ROOT, f"--datadir={folder}/data", f"--tmpdir={folder}"),
            f"--lc-messages-dir={usr}/share/mysql",
            *(f"--character-sets-dir={usr}/share/mysql/charsets", f"--plugin-dir={usr}/lib/mysql/plugin", *_SETTINGS),
        ]
        _create(folder, command, environment, usr / "share" / "mysql")
        log = ("--log-bin=binlog", "--binlog-format=ROW") if binlog else ("--skip-log-bin",)
        with serving([*command, *log, *settings], folder, environment) as server:
            with closing(Pymysql(server.uri)) as other, suppress(pymysql.OperationalError):  # without the plugin
                other.execute("INSTALL SONAME 'auth_ed25519'")
                password = PASSWORDS["ed25519_user"]
                other.execute(f"CREATE USER 'ed25519_user'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{password}')")
                other.execute("GRANT ALL ON test.* TO 'ed25519_user'@'%'")
            yield server


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for a server, with a certificate for localhost; remove it at the end of the block."""
    # A Unix socket's path is limited to about a hundred characters; pytest's own folders are longer.
    with tempfile.TemporaryDirectory(prefix="idb") as name:
        folder = Path(name).resolve()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(folder / "server.key"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        yield folder


@contextmanager
def serving(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[MariaDb]:
    """Run a server of MySQL's protocol in its folder until the end of the block."""
    port = free_port()
    listening = [
        *(f"--socket={folder}/sock", f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={folder}/pid"),
        *(f"--ssl-ca={folder}/authority.pem", f"--ssl-cert={folder}/server.pem", f"--ssl-key={folder}/server.key"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *listening], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        uri = f"mysql://root:{quote(PASSWORDS['root'], safe='')}@127.0.0.1:{port}/test"
        server = MariaDb(uri, folder / "sock", port, folder / "authority.pem", process)
        eventually(lambda: _serves(server))
        yield server
    finally:
        process.kill()
        process.wait()


def _create(folder: Path, command: Sequence[str], environment: dict[str, str], scripts: Path) -> None:
    """Make the server's own tables, and its users."""
    (folder / "data").mkdir()
    tables = "".join((scripts / f"{name}.sql").read_text() for name in _SYSTEM_TABLES)
    statements = f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n{tables}\n{_USERS}"
    made = subprocess.run(
        [*command, "--bootstrap", "--skip-log-bin"],
        env=environment,
        input=statements.encode(),
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr.decode()


def _serves(server: MariaDb) -> bool:
    assert server.process.poll() is None, "the server has ended"
    try:
        connection = Pymysql(server.uri)
    except pymysql.OperationalError:
        return False
    with closing(connection):
        return True


def given_uri() -> str | None:
    """Return the URI of an existing server to test against, if given."""
    return os.environ.get(URI_VARIABLE)
