"""What the handler of a signal raises ends the call that it interrupts, whatever the call does at that moment."""

import subprocess
import sys
from pathlib import Path

import pytest

import industrydb
from tests.kit.support import PATIENCE_S

CHILD = """
import logging, signal, sys
import industrydb
class Raised(Exception): pass
count = 0
def handle(number, frame):
    global count
    count += 1
    raise Raised
signal.signal(signal.SIGALRM, handle)
uri, way = sys.argv[1:]
if way == "logged":
    logging.basicConfig(level=logging.DEBUG, filename=sys.argv[1].removeprefix("sqlite://") + ".log")
seen = 0
for number in range(300):
    connection = industrydb.Connection(uri)
    calls = {
        "kept": lambda: connection.execute("SELECT a FROM t"),
        "write": lambda: connection.execute("INSERT INTO u VALUES (1)"),
        "fresh": lambda: industrydb.read_sql(uri, "SELECT a FROM t"),
        "logged": lambda: industrydb.read_sql(uri, "SELECT a FROM t"),
    }
    before = count
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + number % 25 / 10_000)
        while count == before:
            calls[way]()
    except Raised:
        seen += 1
print(count, seen)
"""


@pytest.mark.parametrize("way", ["kept", "write", "fresh", "logged"])
def test_no_exception_of_a_handler_is_lost(tmp_path: Path, way: str) -> None:
    """300 signals at any moment of a call, whose handler raises, are 300 exceptions of the calls."""
    uri = f"sqlite://{tmp_path}/signals.db"
    with industrydb.Connection(uri) as connection:
        for statement in ("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", "CREATE TABLE u (a INT)"):
            connection.execute(statement)
    command = [sys.executable, "-c", CHILD, uri, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == "300 300\n", done.stderr
