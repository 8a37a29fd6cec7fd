"""Collect scans in a child process and interrupt them with Ctrl-C."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from tests.kit.support import PATIENCE_S

# Ways to collect a scan in the child's main thread. Every query has a column `i`.
WAYS = {
    "collect": "scan.collect()",
    "streaming": "scan.collect(engine='streaming')",
    "sink": "scan.sink_parquet(target)",
    "filter": "scan.filter(pl.col('i') > 0).select('i').collect()",
    "head": "scan.head(1_000_000).collect()",
    "all": "pl.collect_all([scan, scan])",
    "join": "scan.join(scan, on='i').collect()",
}

CHILD = """
import os, signal, sys, threading, time
import polars as pl
import industrydb

uri, query, target, setup, way = sys.argv[1:6]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def say(text):
    print(text, flush=True)

exec(setup)
before = signal.getsignal(signal.SIGINT)
scan = industrydb.scan_sql(uri, query, schema_overrides={"i": pl.Int64}, **globals().get("split", {}))
collect = compile(way, "way", "exec")  # of a text, exec would note each KeyboardInterrupt for the exit code
say("begins")
try:
    exec(collect)
    say("done")
except BaseException as error:
    say(f"raised {type(error).__name__} {error}")
    for _ in range(20):  # a second one would come now
        time.sleep(0.005)
say(f"restored {signal.getsignal(signal.SIGINT) is before}")
if before is signal.default_int_handler:
    try:
        signal.raise_signal(signal.SIGINT)
        say("not interrupted")
    except KeyboardInterrupt:
        say("interrupted again")
"""


class Child:
    """A child process that collects a scan."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._take, daemon=True).start()
        self.said("begins", PATIENCE_S)

    def _take(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.removesuffix("\n"))

    def said(self, line: str, patience_s: float = PATIENCE_S / 4) -> None:
        """Wait for the child's next line and compare it; the wait is far shorter than the query would run."""
        try:
            said = self._lines.get(timeout=patience_s)
        except Empty:
            pytest.fail(f"waited in vain for {line!r}")
        assert said == line

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def is_interrupted(self) -> None:
        """Assert that Ctrl-C raises one KeyboardInterrupt and that the signal handler is restored."""
        self.interrupt()
        self.said("raised KeyboardInterrupt ")
        self.said("restored True")
        self.said("interrupted again")


@contextmanager
def collecting(uri: str, query: str, way: str, *, setup: str = "", target: Path = Path("unused")) -> Iterator[Child]:
    """Collect a scan in a child process, which must exit by itself."""
    command = [sys.executable, "-c", CHILD, uri, query, str(target), setup, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Child(process)
            assert process.wait(PATIENCE_S / 4) == 0
        finally:
            process.kill()
