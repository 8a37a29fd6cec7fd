"""Extract lineitem from PostgreSQL into Parquet files, by each contender in a process of its own.

Each contender writes with two threads or workers, in its default codec. The time and the peak memory are measured. The
child process runs this module as well: ``python -m benchmarks.extract <contender> <uri> <folder>``.
"""
# ruff: noqa: PLC0415, because a process imports no contender but its own

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import polars as pl
from polars.testing import assert_frame_equal

from benchmarks import data
from benchmarks.contenders import PARTITIONS
from benchmarks.measure import convert, memory_bytes, timed

Measured = dict[str, str | float]
Extract = Callable[[str, Path], Callable[[], object]]


def industrydb(uri: str, folder: Path) -> Callable[[], object]:
    """Write one file for each half of the table's pages; DuckDB divides the table by pages as well."""
    import industrydb

    return lambda: industrydb.extract(uri, data.QUERY, folder, partitions=PARTITIONS)


def duckdb(uri: str, folder: Path) -> Callable[[], object]:
    """Copy from the attached database into one file."""
    import duckdb
    import duckdb_extension_postgres_scanner as extension

    connection = duckdb.connect(config={"threads": PARTITIONS})
    version = f"v{duckdb.__version__}"
    package = Path(extension.__path__[0], "extensions", version, "postgres_scanner.duckdb_extension")
    connection.load_extension(str(package))

    def copy() -> None:
        connection.execute(f"ATTACH '{uri}' AS source (TYPE postgres, READ_ONLY)")
        connection.execute("USE source")
        connection.execute(f"COPY ({data.QUERY}) TO '{folder}/all.parquet' (FORMAT parquet)")

    return copy


def connectorx(uri: str, folder: Path) -> Callable[[], object]:
    """Read all rows by partitions, then write one file."""
    import connectorx

    def extract() -> None:
        query, key = data.QUERY, data.KEY
        frame = connectorx.read_sql(uri, query, partition_on=key, partition_num=PARTITIONS, return_type="polars")
        frame.write_parquet(folder / "all.parquet")

    return extract


def adbc(uri: str, folder: Path) -> Callable[[], object]:
    """Write one batch after the other into one file by pyarrow."""
    import pyarrow.parquet as pq
    from adbc_driver_postgresql import dbapi

    def extract() -> None:
        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            cursor.execute(data.QUERY)
            batches = cursor.fetch_record_batch()
            with pq.ParquetWriter(folder / "all.parquet", batches.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)

    return extract


CONTENDERS: dict[str, Extract] = {"industrydb": industrydb, "duckdb": duckdb, "connectorx": connectorx, "adbc": adbc}
WHAT = {
    "industrydb": "`extract` with `partitions=2`, which are ranges of the table's pages, as DuckDB's are",
    "duckdb": "`COPY (SELECT …) TO … (FORMAT parquet)` from an attached PostgreSQL, two threads",
    "connectorx": "`read_sql` with two partitions, then polars' `write_parquet`",
    "adbc": "`fetch_record_batch`, and pyarrow's `ParquetWriter` batch by batch",
}


def main(name: str, uri: str, target: str) -> None:
    """Extract, and print the wall time, the CPU time and the peak memory."""
    extract = CONTENDERS[name](uri, Path(target))
    before = memory_bytes("VmRSS")
    _, seconds, cpu = timed(extract)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": memory_bytes("VmHWM") - before}))


def measure(uri: str, runs: int) -> Iterator[Measured]:
    """Extract by each contender, round by round; the files of the first round, which is the warm-up, are checked."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    sizes: dict[str, int] = {}
    for number in range(runs + 1):
        for name, samples in taken.items():
            with TemporaryDirectory(dir=data.DATA) as folder:
                command = [sys.executable, "-m", "benchmarks.extract", name, uri, folder]
                answer = subprocess.run(command, cwd=data.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
                samples.append(json.loads(answer.splitlines()[-1]))
                if number == 0:
                    assert_agrees(Path(folder))
                    sizes[name] = sum(file.stat().st_size for file in Path(folder).glob("*.parquet"))
            print(f"round {number}, {name}: {samples[-1]}", file=sys.stderr)
    for name, samples in taken.items():
        medians = {field: round(median(sample[field] for sample in samples[1:]), 3) for field in samples[0]}
        yield {"contender": name, **medians, "file_bytes": sizes[name]}


def assert_agrees(folder: Path) -> None:
    """Raise unless the files have the generated rows."""
    frame = pl.read_parquet(folder / "*.parquet")
    common = frame.select(convert(frame[name], column.polars) for name, column in data.COLUMNS.items())
    assert_frame_equal(common.sort(data.PRIMARY_KEY), data.frame("postgres"), check_exact=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
