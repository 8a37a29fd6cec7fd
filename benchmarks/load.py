"""Run many readers at once while sessions are killed: ``python -m benchmarks.load [seconds]``.

32 threads and 8 processes read partitioned queries whose rows they can check, while the server ends one of their
sessions about five times a second. Each read must return all of its rows or raise; otherwise, or if sessions are left
open, the script fails.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg

import industrydb
from benchmarks import report, servers

SECONDS = 120.0
THREADS, PROCESSES = 32, 8
PARTITIONS = 2
# The sum of `i` shows that each row has arrived exactly once.
ROWS = 20_000
QUERY = f"SELECT i, md5(i::text) AS v FROM generate_series(1, {ROWS}) AS i"
NAME = "load"


def read_until(uri: str, deadline: float) -> Counter[str]:
    """Read again and again until the deadline; count the outcomes."""
    counts: Counter[str] = Counter()
    while time.monotonic() < deadline:
        counts[read(uri)] += 1
    return counts


def read(uri: str) -> str:
    """Read once; return the outcome."""
    try:
        frame = industrydb.read_sql(uri, QUERY, partition_on="i", partitions=PARTITIONS, timeout=SECONDS)
    except industrydb.IndustryDbError as error:
        return f"{type(error).__name__} {error.code}"
    found = (frame.height, frame["i"].sum(), frame["v"].n_unique())
    return "whole" if found == (ROWS, ROWS * (ROWS + 1) // 2, ROWS) else "wrong"


@contextmanager
def killing(uri: str) -> Iterator[list[int]]:
    """End random active sessions until the end of the block; yield the process ids of those that were ended."""
    chance = random.Random(8)  # noqa: S311, a schedule and no secret
    done = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        with psycopg.connect(uri, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND state = 'active'"
            while not done.wait(chance.expovariate(5)):
                found = [pid for (pid,) in connection.execute(query, [NAME])]
                if found:
                    killed.append(chance.choice(found))
                    connection.execute("SELECT pg_terminate_backend(%s)", [killed[-1]])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        done.set()
        killer.join()


def used() -> dict[str, int]:
    """Return what this process holds: open files, threads, and memory in MB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"files": files, "threads": int(status["Threads"]), "MB": int(status["VmRSS"].split()[0]) // 1024}


def main(seconds: float = SECONDS) -> None:
    """Run for `seconds` seconds, and print the outcomes."""
    with servers.postgres() as plain:
        uri = f"{plain}{'&' if '?' in plain else '?'}application_name={NAME}"
        read_until(uri, time.monotonic() + 1)
        before = used()
        deadline = time.monotonic() + seconds
        results: list[Counter[str]] = []
        threads = [threading.Thread(target=lambda: results.append(read_until(uri, deadline))) for _ in range(THREADS)]
        with ProcessPoolExecutor(PROCESSES) as executor, killing(plain) as killed:
            others = [executor.submit(read_until, uri, deadline) for _ in range(PROCESSES)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            results += [other.result() for other in others]
        with psycopg.connect(plain) as connection:
            left = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [NAME])
            counts = sum(results, Counter())
            found = {
                "seconds": seconds,
                "killed": len(killed),
                **counts,
                "sessions left": left.fetchone()[0],
                "before": before,
                "after": used(),
            }
    print(json.dumps({**report.facts_of_run(), **found}, indent=2))
    if counts["wrong"] or found["sessions left"]:
        sys.exit("rows were lost, or sessions were left")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main(*map(float, sys.argv[1:2]))
