"""Run a real MySQL server: Debian's newest package, as unpacked by make with all its libraries."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.mariadb import OF_ROOT, PASSWORDS, URI_VARIABLE, MariaDb, own_folder, serving

_ROOT = Path(__file__).parents[3] / "target" / "tools" / "mysql"
_PROGRAM = _ROOT / "usr" / "sbin" / "mysqld"

USERS = {"root": PASSWORDS["root"], "sha_user": "pässwörd ½ ☃", "none_user": ""}
"""Passwords of users, who all log in by `caching_sha2_password`."""

_STATEMENTS = [
    *(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'" for user, password in USERS.items()),
    "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION",
    "CREATE DATABASE test",
    "GRANT ALL ON test.* TO 'sha_user'@'%', 'none_user'@'%'",
]

# The time zone is neither UTC nor whole hours away from it. Nothing waits for the disk.
_SETTINGS = (
    *("--default-time-zone=+05:45", "--innodb-buffer-pool-size=32M", "--innodb-redo-log-capacity=32M"),
    *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"),
    *("--skip-name-resolve", "--lock-wait-timeout=60", "--local-infile=1", "--server-id=1", "--mysqlx=OFF"),
    *("--performance-schema=OFF", "--secure-file-priv=", "--log-bin-trust-function-creators=ON"),
)


@contextmanager
def mysql_server(settings: Sequence[str] = ()) -> Iterator[MariaDb]:
    """Create a data folder and serve it, with TLS; remove it at the end of the block."""
    if not _PROGRAM.exists():
        pytest.skip("needs MySQL: make target/tools/mysql, on Debian")
    libraries = _ROOT / "usr" / "lib"
    (machine,) = libraries.glob("*-linux-gnu*")
    (loader,) = (_ROOT / "usr").glob("lib*/ld-linux-*")  # the system's C library may be too old
    with own_folder() as folder:
        command = [
            *(str(loader), "--library-path", f"{machine}:{libraries}/mysql/private", str(_PROGRAM), "--no-defaults"),
            *(*OF_ROOT, f"--basedir={_ROOT}/usr", f"--lc-messages-dir={_ROOT}/usr/share/mysql"),
            *(f"--character-sets-dir={_ROOT}/usr/share/mysql/charsets", f"--plugin-dir={libraries}/mysql/plugin"),
            *(f"--datadir={folder}/data", f"--tmpdir={folder}", f"--log-error={folder}/errors.log", *_SETTINGS),
        ]
        made = subprocess.run([*command, "--initialize-insecure"], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr + (folder / "errors.log").read_text()
        (folder / "users.sql").write_text(";\n".join([*_STATEMENTS, ""]))
        with serving([*command, f"--init-file={folder}/users.sql", *settings], folder) as server:
            yield server


def main(*arguments: str) -> int:
    """Run pytest with a server of its own as the one that is given; return its exit code."""
    with mysql_server() as server:
        environment = {**os.environ, URI_VARIABLE: server.uri}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
