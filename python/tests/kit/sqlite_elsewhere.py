"""SQLite files in other processes: in this one, Python's sqlite3 would drop our locks when it closes a file."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Runs statements, and prints the error of SQLite that ends them, if there is one.
SCRIPT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=float(sys.argv[3]))
print("begun", flush=True)
try:
    connection.executescript(sys.argv[2])
except sqlite3.Error as error:
    print(error)
"""

# Runs statements, and keeps the file open.
KEEPER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript(sys.argv[2])
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def writing(path: Path, script: str, timeout_s: float) -> Iterator["subprocess.Popen[str]"]:
    """Run statements in another process, which waits for locks no longer than that and prints its error."""
    command = [sys.executable, "-c", SCRIPT, str(path), script, str(timeout_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        yield writer


def elsewhere(path: Path, script: str, timeout_s: float = 0.0) -> str:
    """Run statements in another process; return its error, or an empty text."""
    with writing(path, script, timeout_s) as writer:
        return writer.communicate()[0]


@contextmanager
def kept_open(path: Path, script: str) -> Iterator[None]:
    """Run statements in another process, which keeps the file open during the block, and with it the file's log."""
    command = [sys.executable, "-c", KEEPER, str(path), script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            keeper.communicate()
