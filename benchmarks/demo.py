"""Make an SQLite file, and read its table in parallel partitions into one DataFrame, and into Parquet files.

``make demo`` runs it. ``SCALE`` is the TPC-H scale factor; the default, 0.1, makes 600,000 rows.
"""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

os.environ.setdefault("SCALE", "0.1")  # before `data` reads it

import industrydb
from benchmarks import data

PARTITIONS = os.cpu_count() or 1


def main() -> None:
    """Make the file, read it, extract it, and print how long that took."""
    print(f"Making an SQLite file of TPC-H {data.TABLE} rows, scale factor {data.SCALE} …")
    path = data.sqlite_file()
    uri = f"sqlite://{path}"
    start = time.perf_counter()
    frame = industrydb.read_sql(uri, data.QUERY, partition_on=data.KEY, partitions=PARTITIONS)
    seconds = time.perf_counter() - start
    with pl.Config(tbl_cols=6, tbl_rows=6, fmt_str_lengths=12, tbl_width_chars=110):
        print(frame)
    megabytes = path.stat().st_size / 1e6
    print(
        f"{frame.height:,} rows, a file of {megabytes:,.0f} MB, in {seconds:.2f} s over {PARTITIONS} partitions: "
        f"{frame.height / seconds:,.0f} rows/s, {megabytes / seconds:,.0f} MB/s"
    )
    with TemporaryDirectory() as folder:
        done = industrydb.extract(uri, data.QUERY, folder, partition_on=data.KEY, partitions=PARTITIONS)
        assert pl.scan_parquet(Path(folder, "*.parquet")).select(pl.len()).collect().item() == frame.height  # noqa: S101
    print(f"The same into {len(done.files)} Parquet files of {done.bytes / 1e6:,.0f} MB, in {done.seconds:.2f} s")


if __name__ == "__main__":
    main()
