"""A worker that reads one partition of a plan by batches needs the memory of a few batches, not of the partition."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import industrydb
from tests.kit.databases import Database, opened
from tests.kit.support import PATIENCE_S

BATCH_ROWS = 4000

# Runs in its own process, which gets a plan, and prints by how much the read has raised the peak memory.
WORKER = """
import pickle, sys
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

plan = pickle.loads(Path(sys.argv[1]).read_bytes())
number, batch_rows = int(sys.argv[2]), int(sys.argv[3])
for batch in plan[number].batches(batch_size=10):
    break
before = peak()
rows = size = 0
with plan.batches(number, batch_size=batch_rows) as batches:
    for batch in batches:
        rows += batch.height
        size += batch.estimated_size()
print(rows, size, peak() - before)
"""

QUERIES = {
    "postgresql": "SELECT id, repeat(md5(id::text), 16) AS text FROM generate_series(1, 800000) AS id",
    "sqlite": "SELECT id, text FROM large",
}


@pytest.fixture(params=QUERIES)
def large(request: pytest.FixtureRequest) -> Database:
    """Return a database with 800,000 rows of about 512 bytes: made by the query, or stored."""
    database = opened(request, request.param)
    if database.name == "sqlite":
        database.script("""
            PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; CREATE TABLE large (id INTEGER PRIMARY KEY, text TEXT);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800000)
            INSERT INTO large SELECT i, printf('%.*c%d', 500, 'x', i) FROM n
        """)
    return database


@pytest.mark.parametrize("split", [{"partition_on": "id", "partitions": 2}, {}], ids=["one of two", "whole"])
def test_memory_stays_with_the_batches_of_a_partition(large: Database, tmp_path: Path, split: dict[str, Any]) -> None:
    """A process that reads a partition of hundreds of megabytes needs the memory of a few batches of 2 MB."""
    plan = industrydb.plan_sql(large.uri, QUERIES[large.name], include_secrets=True, **split)
    assert plan.schema == {"id": plan.schema["id"], "text": pl.String}
    pickled = tmp_path / "plan"
    pickled.write_bytes(pickle.dumps(plan))
    command = [sys.executable, "-c", WORKER, str(pickled), str(len(plan) - 1), str(BATCH_ROWS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    rows, size, peak = map(int, done.stdout.split())
    assert rows == 800_000 if not split else 300_000 < rows < 500_000
    batch = size / rows * BATCH_ROWS
    bound = (1 + 6) * 2 * batch  # one worker and a few batches; builders reserve up to twice their size
    assert size > 5 * bound
    assert peak < bound
