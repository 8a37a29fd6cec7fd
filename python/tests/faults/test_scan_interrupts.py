"""Tests of Ctrl-C while a scan is collected: Python's handlers run, although the main thread is in Polars."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit.collecting import WAYS, Child, collecting
from tests.kit.interrupts import ENDLESS, STALLING, is_being_read, waiting
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no SIGINT from outside there")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", ["", "split = {'partition_on': 'i', 'partitions': 2}"], ids=["whole", "partitioned"])
def test_ctrl_c_ends_a_scan_of_postgres(
    postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path, way: str, split: str
) -> None:
    """Ctrl-C cancels a scan's statement on the server, even one that only plans the partitions."""
    name = f"scan {way}{len(split)}"
    uri = with_options(postgres_uri, application_name=name)
    with collecting(uri, STALLING, WAYS[way], setup=split, target=tmp_path / "x.parquet") as child:
        eventually(lambda: bool(waiting(postgres, name)))
        child.is_interrupted()
        eventually(lambda: not sessions(postgres, name))


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_a_scan_of_sqlite(sqlite_file: SqliteFile, tmp_path: Path, way: str) -> None:
    """Ctrl-C ends a scan of SQLite that would never end by itself."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    with collecting(sqlite_file.uri, ENDLESS, WAYS[way], target=tmp_path / "x.parquet") as child:
        eventually(lambda: is_being_read(sqlite_file.path))
        child.is_interrupted()


LOCKED = "SELECT 1::int8 AS i, pg_advisory_xact_lock_shared(20240301)::text AS b"


@contextmanager
def locked(postgres: psycopg.Connection, uri: str, way: str, setup: str) -> Iterator[Child]:
    """Collect a scan that waits for a lock, which is held until the block ends or `unlock` is called."""
    name = "scan of a lock"
    blocked = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND wait_event = 'advisory'"
    postgres.execute("SELECT pg_advisory_lock(20240301)")
    try:
        with collecting(with_options(uri, application_name=name), LOCKED, way, setup=setup) as child:
            eventually(lambda: postgres.execute(blocked).fetchone() != (0,))
            yield child
    finally:
        postgres.execute("SELECT pg_advisory_unlock_all()")


def unlock(postgres: psycopg.Connection) -> None:
    """Release the lock, so that the scan goes on."""
    postgres.execute("SELECT pg_advisory_unlock_all()")


OWN_HANDLER = """
def handler(number, frame):
    say(f"handled {number} in front of {frame.f_globals['__name__'].partition('.')[0]}")
    ACTION
signal.signal(signal.SIGINT, handler)
"""


@pytest.mark.parametrize(
    ("action", "raised"),
    [
        ("raise RuntimeError('mine')", "raised RuntimeError mine"),
        ("raise KeyboardInterrupt('mine')", "raised KeyboardInterrupt mine"),
        ("sys.exit(7)", "raised SystemExit 7"),
        ("signal.default_int_handler(number, frame)", "raised KeyboardInterrupt "),
    ],
)
@pytest.mark.parametrize("way", ["collect", "streaming", "join"])
def test_the_users_own_handler_runs_and_what_it_raises_ends_the_scan(
    postgres: psycopg.Connection, postgres_uri: str, way: str, action: str, raised: str
) -> None:
    """The user's handler runs once for all scans of a query, and whatever it raises ends them."""
    with locked(postgres, postgres_uri, WAYS[way], OWN_HANDLER.replace("ACTION", action)) as child:
        child.interrupt()
        child.said(f"handled {int(signal.SIGINT)} in front of polars")
        child.said(raised)
        child.said("restored True")


def test_a_handler_that_returns_lets_the_scan_go_on(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A scan goes on each time that the user's handler returns."""
    setup = OWN_HANDLER.replace("ACTION", "pass")
    with locked(postgres, postgres_uri, "say(scan.collect()['i'].to_list())", setup) as child:
        for _ in range(3):
            child.interrupt()
            child.said(f"handled {int(signal.SIGINT)} in front of polars")
        unlock(postgres)
        for line in ("[1]", "done", "restored True"):
            child.said(line)


def test_an_ignored_ctrl_c_is_ignored(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A process that ignores SIGINT, as a shell's background jobs do, collects a scan to its end."""
    setup = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    with locked(postgres, postgres_uri, "say(scan.collect()['i'].to_list())", setup) as child:
        child.interrupt()
        unlock(postgres)
        for line in ("[1]", "done", "restored True"):
            child.said(line)


IN_A_THREAD = """
ended = threading.Event()

def read():
    say(scan.collect()['i'].to_list())
    ended.set()

thread = threading.Thread(target=read)
thread.start()
try:
    while not ended.wait(0.05):
        pass
except KeyboardInterrupt:
    say("interrupted")
ended.wait()
"""


def test_a_scan_in_another_thread_leaves_ctrl_c_to_the_main_thread(
    postgres: psycopg.Connection, postgres_uri: str
) -> None:
    """Ctrl-C during a scan in another thread raises in the main thread, and the scan goes on."""
    with locked(postgres, postgres_uri, IN_A_THREAD, "") as child:
        child.interrupt()
        child.said("interrupted")
        unlock(postgres)
        for line in ("[1]", "done", "restored True", "interrupted again"):
            child.said(line)


FORKING = """
def read():
    say(scan.collect()['i'].to_list())

thread = threading.Thread(target=read)
thread.start()
import warnings
warnings.simplefilter("ignore")  # of forks of processes with threads
process = os.fork()
if process == 0:
    try:
        signal.raise_signal(signal.SIGINT)
        say("not interrupted")
    except KeyboardInterrupt:
        say("interrupted")
    os._exit(0)
os.waitpid(process, 0)
thread.join()
"""


def test_a_fork_gets_its_own_ctrl_c(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C in a process forked during a scan interrupts that process by itself; the scan goes on."""
    with locked(postgres, postgres_uri, FORKING, "") as child:
        child.said("interrupted")
        unlock(postgres)
        for line in ("[1]", "done", "restored True", "interrupted again"):
            child.said(line)


MANY_BATCHES = "SELECT i FROM generate_series(1, 100000000000) AS i"


def test_ctrl_c_between_batches(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends a scan whose rows never end, and which never waits for the server."""
    name = "scan between batches"
    uri = with_options(postgres_uri, application_name=name)
    with collecting(uri, MANY_BATCHES, "scan.select(pl.col('i').sum()).collect(engine='streaming')") as child:
        eventually(lambda: bool(sessions(postgres, name)))
        child.is_interrupted()
        eventually(lambda: not sessions(postgres, name))


CELLS = {
    "collect": "print('begins', flush=True); scan.collect()",
    "streaming": "print('begins', flush=True); scan.collect(engine='streaming')",
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_notebook_is_interrupted(sqlite_file: SqliteFile, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    """Interrupting a notebook ends the scan; the kernel runs the next cell, with the handlers that it had."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client.manager")
    import industrydb  # noqa: PLC0415

    monkeypatch.setenv("PYTHONPATH", str(Path(industrydb.__file__).parents[1]))
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    printed: list[str] = []

    def run(code: str) -> dict[str, Any]:
        def output(message: dict[str, Any]) -> None:
            printed.append(text := message["content"].get("text", ""))
            if text == "begins\n":
                eventually(lambda: is_being_read(sqlite_file.path))
                kernel.interrupt_kernel()

        reply: dict[str, Any] = client.execute_interactive(code, timeout=PATIENCE_S / 2, output_hook=output)["content"]
        return reply

    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    setup = f"""
import signal
import polars as pl
import industrydb
before = signal.getsignal(signal.SIGINT)
scan = industrydb.scan_sql({sqlite_file.uri!r}, {ENDLESS!r}, schema_overrides={{"i": pl.Int64}})
"""
    try:
        assert run(setup)["status"] == "ok"
        reply = run(CELLS[cell])
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
        assert run("print(signal.getsignal(signal.SIGINT) is before)")["status"] == "ok"
        assert "True\n" in printed
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def test_nothing_is_left_behind(sqlite_file: SqliteFile) -> None:
    """Hundreds of scans, some ended early, leave no thread and no entry of the watch for interrupts."""
    script = """
import gc, signal, sys, threading
import polars as pl
import industrydb
numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT i FROM n"
scan = industrydb.scan_sql(sys.argv[1], numbers)
for _ in range(100):
    assert scan.head(3).collect().height == 3
    assert scan.collect().height == 9999
    assert scan.collect(engine="streaming").height == 9999
gc.collect()
deadline = 1000
while any(thread.name == "industrydb-interrupts" for thread in threading.enumerate()) and deadline:
    threading.Event().wait(0.01)
    deadline -= 1
print(deadline > 0, industrydb._watch.interrupts._watch._readings)
"""
    command = [sys.executable, "-c", script, sqlite_file.uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=os.environ)
    assert (done.stdout, done.stderr) == ("True []\n", "")
