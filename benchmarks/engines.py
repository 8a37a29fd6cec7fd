"""Read lineitem from PostgreSQL into Spark, Ray, Dask and Daft, by industrydb and by the engine's own SQL reader.

Each read runs in a process of its own, in the environment of `make test-engines`, which runs this module as well:
``python -m benchmarks.engines <engine> <reader> <uri> [check]``. An engine is started before the time is taken; the CPU
time is that of all its processes.
"""
# ruff: noqa: PLC0415, because a process imports no engine but its own

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import polars as pl

from benchmarks import data
from benchmarks.contenders import PARTITIONS
from benchmarks.measure import assert_agrees, timed

PYTHON = data.ROOT / "target" / "tools" / "engines" / "bin" / "python"
# Two tasks run at the same time, on more partitions than that, as engines are used.
TASKS = 2 * PARTITIONS
# As many partitions as a plan may have.
PLANNED = 4096

Measured = dict[str, str | float]
# Has the engine read all rows, and keep them where it can.
Read = Callable[[], Any]


class Reader(NamedTuple):
    """A way to read into an engine."""

    start: Callable[[str], Read]
    """Starts the engine, and returns the read of a URI."""
    rows: Callable[[Any], pl.DataFrame]
    """Makes a frame of what the read returns; this is not measured."""
    what: str


def ours(engine: str) -> Callable[[str, str], Any]:
    """Return industrydb's reader for an engine, with the arguments that all of them have."""
    from importlib import import_module

    module = import_module(f"industrydb.{engine}")
    return lambda uri, query: module.read_sql(uri, query, partition_on=data.KEY, partitions=TASKS)


def start_ray() -> None:
    """Start Ray with as many workers as there are partitions at once."""
    import ray

    ray.init(num_cpus=PARTITIONS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False


def ray_by_us(uri: str) -> Read:
    """Read by `industrydb.ray`."""
    start_ray()
    read = ours("ray")
    return lambda: read(uri, data.QUERY).materialize()


def ray_by_itself(uri: str) -> Read:
    """Read by `ray.data.read_sql`; PostgreSQL does not have the hash that it shards by unless told otherwise."""
    start_ray()
    import psycopg
    import ray

    def read() -> Any:  # noqa: ANN401, a dataset
        shards = {"shard_keys": [data.KEY], "shard_hash_fn": "hashint8", "override_num_blocks": TASKS}
        return ray.data.read_sql(data.QUERY, lambda: psycopg.connect(uri), **shards).materialize()

    return read


def ray_rows(dataset: Any) -> pl.DataFrame:  # noqa: ANN401, of an engine
    """Return the rows of a Ray dataset."""
    import pyarrow as pa
    import ray

    blocks = ray.get(dataset.to_arrow_refs())
    return pl.concat([pl.DataFrame(pa.table(block)) for block in blocks], how="vertical_relaxed")


def sqlalchemy_uri(uri: str) -> str:
    """Return the server's URI as SQLAlchemy takes it, which refuses the directory of a socket as a host."""
    parts = urlsplit(uri)
    return f"postgresql+psycopg://{parts.username}@{parts.path}?host={unquote(parts.netloc.rpartition('@')[2])}"


def dask_by_us(uri: str) -> Read:
    """Read by `industrydb.dask`."""
    read = ours("dask")
    return lambda: read(uri, data.QUERY).persist(scheduler="threads", num_workers=PARTITIONS)


def dask_by_itself(uri: str) -> Read:
    """Read by `dask.dataframe.read_sql_table`, whose tasks are ranges of the key between its ends."""
    import dask.dataframe as dd

    address = sqlalchemy_uri(uri)

    def read() -> Any:  # noqa: ANN401, a frame of Dask
        frame = dd.read_sql_table(data.TABLE, address, index_col=data.KEY, npartitions=TASKS)
        return frame.reset_index().persist(scheduler="threads", num_workers=PARTITIONS)

    return read


def dask_rows(frame: Any) -> pl.DataFrame:  # noqa: ANN401, of an engine
    """Return the rows of a Dask frame."""
    return pl.from_pandas(frame.compute(scheduler="threads"))


def daft_by_us(uri: str) -> Read:
    """Read by `industrydb.daft`."""
    read = ours("daft")
    return lambda: read(uri, data.QUERY).collect()


def daft_by_itself(uri: str) -> Read:
    """Read by `daft.read_sql`, whose tasks are ranges of the key between its ends."""
    import daft
    from sqlalchemy import create_engine

    engine = create_engine(sqlalchemy_uri(uri))
    return lambda: daft.read_sql(data.QUERY, engine.connect, partition_col=data.KEY, num_partitions=TASKS).collect()


def daft_rows(frame: Any) -> pl.DataFrame:  # noqa: ANN401, of an engine
    """Return the rows of a Daft frame."""
    return pl.DataFrame(frame.to_arrow())


def spark_by_us(uri: str) -> Read:
    """Read by `industrydb.spark` into Spark's own memory."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    from industrydb.spark import IndustryDb

    builder = SparkSession.builder.master(f"local[{PARTITIONS}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.memory", "6g")
    builder = builder.config("spark.driver.maxResultSize", "0").config("spark.sql.session.timeZone", "UTC")
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.dataSource.register(IndustryDb)

    def read() -> Any:  # noqa: ANN401, a frame of Spark
        reader = session.read.format("industrydb").option("uri", uri).option("query", data.QUERY)
        frame = reader.option("partitionOn", data.KEY).option("numPartitions", TASKS).load()
        frame.write.format("noop").mode("overwrite").save()
        return frame

    return read


def spark_rows(frame: Any) -> pl.DataFrame:  # noqa: ANN401, of an engine
    """Return the rows of a Spark frame."""
    return pl.DataFrame(frame.toArrow())


OURS, OWN = "industrydb", "the engine"
READERS = {
    ("ray", OURS): Reader(ray_by_us, ray_rows, "`industrydb.ray.read_sql`, materialized"),
    ("ray", OWN): Reader(ray_by_itself, ray_rows, "`ray.data.read_sql`, sharded by `hashint8`, materialized"),
    ("dask", OURS): Reader(dask_by_us, dask_rows, "`industrydb.dask.read_sql`, persisted by threads"),
    ("dask", OWN): Reader(
        dask_by_itself, dask_rows, "`dask.dataframe.read_sql_table` by SQLAlchemy and psycopg, persisted by threads"
    ),
    ("daft", OURS): Reader(daft_by_us, daft_rows, "`industrydb.daft.read_sql`, collected"),
    ("daft", OWN): Reader(daft_by_itself, daft_rows, "`daft.read_sql` by SQLAlchemy and psycopg, collected"),
    ("spark", OURS): Reader(
        spark_by_us,
        spark_rows,
        "`industrydb.spark`, all rows brought into Spark and written nowhere; Spark's own reader needs the jar of a "
        "JDBC driver, which PyPI does not have",
    ),
}


def main(engine: str, reader: str, uri: str, *, check: bool) -> None:
    """Read, and print the seconds; with `check`, raise unless ours are the generated rows, and tell if others are not.

    Daft's own reader makes decimals of the digits that it has seen first: larger ones are NULL.
    """
    found = READERS[engine, reader]
    read = found.start(uri)
    cpu, started = cpu_seconds(), time.perf_counter()
    result = read()
    sample = {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - cpu}
    if check:
        try:
            assert_agrees(found.rows(result), "postgres")
        except AssertionError as error:
            if reader == OURS:
                raise
            print(f"{engine} by {reader}: {error}", file=sys.stderr)
            sample["differs"] = 1.0
    print(json.dumps(sample))


def cpu_seconds() -> float:
    """Return the user and system time of this process and its descendants so far, with those that have ended."""
    parents, ticks = {}, {}
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if folder.name.isdecimal():
            parents[int(folder.name)] = int(fields[1])
            ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # with the children that were waited for
    tree = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(ticks[process] for process in tree) / os.sysconf("SC_CLK_TCK")


def is_there(engine: str) -> bool:
    """Return whether an engine can be started; if not, print a line that says why."""
    why = None
    if not PYTHON.exists():
        why = "`make target/tools/engines/.done` installs the engines"
    elif engine == "spark" and shutil.which("java") is None:
        why = "Spark needs Java: apt-get install default-jre-headless"
    if why is not None:
        print(f"{engine} is skipped: {why}", file=sys.stderr)
    return why is None


def planning(uri: str) -> float:
    """Return the median of the seconds that planning many partitions takes."""
    import industrydb

    plan = partial(industrydb.plan_sql, uri, data.QUERY, partition_on=data.KEY, partitions=PLANNED)
    return round(median(timed(plan)[1] for _ in range(3)), 3)


def versions() -> dict[str, str]:
    """Return the versions of the engines, and of what their own readers read with."""
    names = ["ray", "dask", "daft", "pyspark", "sqlalchemy", "psycopg"]
    program = (
        "import json, sys; from importlib.metadata import version; print(json.dumps([*map(version, sys.argv[1:])]))"
    )
    done = subprocess.run([PYTHON, "-c", program, *names], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(names, json.loads(done.stdout), strict=True))


def measure(uri: str, runs: int) -> Iterator[Measured]:
    """Read by each reader in turn, round by round; the rows of the first round, which is the warm-up, are compared."""
    chosen = [key for key in READERS if is_there(key[0])]
    taken: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in chosen}
    environment = {**os.environ, "PYTHONPATH": str(data.ROOT / "python")}
    for number in range(runs + 1):
        for (engine, reader), samples in taken.items():
            command = [PYTHON, "-m", "benchmarks.engines", engine, reader, uri, *["check"][: number == 0]]
            done = subprocess.run(
                command, cwd=data.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            samples.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number}, {engine} by {reader}: {samples[-1]}", file=sys.stderr)
    for (engine, reader), samples in taken.items():
        medians = {field: round(median(sample[field] for sample in samples[1:]), 3) for field in samples[1]}
        yield {"engine": engine, "reader": f"{reader}, other values" if "differs" in samples[0] else reader, **medians}


if __name__ == "__main__":
    main(*sys.argv[1:4], check=sys.argv[4:] == ["check"])
