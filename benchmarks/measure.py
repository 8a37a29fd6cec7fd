"""Measure one read in a process of its own, so that no read inherits another's memory, threads or caches.

The child process runs this module as well: ``python -m benchmarks.measure <database> <contender> <uri> [check]``.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from benchmarks import data
from benchmarks.contenders import CONTENDERS, Read


@dataclass
class Sample:
    """What the reads of one process cost the client.

    A program that stores nothing runs once, makes no frame, and its memory is not measured.
    """

    rows: int
    first_seconds: float
    """Wall time of the first read."""
    seconds: float
    """Wall time of the third read, or of the only one."""
    cpu_seconds: float
    """User and system time of the same read as `seconds`."""
    before_bytes: int = 0
    peak_bytes: int = 0
    frame_bytes: int = 0


def measure(database: str, name: str, uri: str, *, check: bool) -> Sample:
    """Measure one read of a contender; with `check`, raise unless its frame is the generated one."""
    command = [sys.executable, "-m", "benchmarks.measure", database, name, uri, *["check"][:check]]
    answer = subprocess.run(command, cwd=data.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Sample(**json.loads(answer.splitlines()[-1]))


def measure_program(command: list[str]) -> Sample:
    """Measure a program that stores nothing.

    The program is scheduled as a batch process, like industrydb's own readers: it does not wake up for every few
    kilobytes that the server on the same machine sends. Otherwise its time would not be a lower bound.
    """
    before = cpu_seconds(resource.RUSAGE_CHILDREN)
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, preexec_fn=run_as_batch).stdout)
    cpu = cpu_seconds(resource.RUSAGE_CHILDREN) - before
    return Sample(answer["rows"], answer["seconds"], answer["seconds"], cpu)


def run_as_batch() -> None:
    """Schedule this process as a batch process."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main(database: str, name: str, uri: str, *, check: bool) -> None:
    """Read, and print the sample.

    A script reads once, so the first read is what it waits for. A long process reads again: the third read has warm
    libraries, threads and memory. A virtual machine may get memory from its host only when it is first touched, so the
    first read varies more. The memory is that of the first read. A slow contender reads only once.
    """
    contender = CONTENDERS[name]
    read = getattr(contender, database)(uri)
    before_bytes = memory_bytes("VmRSS")
    result, first_seconds, cpu = timed(read)
    seconds = first_seconds
    peak_bytes = memory_bytes("VmHWM")
    for _ in range(0 if contender.slow else 2):
        del result
        result, seconds, cpu = timed(getattr(contender, database)(uri))
    frame = result if isinstance(result, pl.DataFrame) else pl.from_pandas(result)
    if check:
        assert_agrees(frame, database)
    sample = Sample(frame.height, first_seconds, seconds, cpu, before_bytes, peak_bytes, frame_bytes(frame))
    print(json.dumps(asdict(sample)))


def timed(read: Read) -> tuple[Any, float, float]:
    """Return what the read returns, and the wall and CPU seconds that it took."""
    cpu = cpu_seconds(resource.RUSAGE_SELF)
    start = time.perf_counter()
    result = read()
    return result, time.perf_counter() - start, cpu_seconds(resource.RUSAGE_SELF) - cpu


def assert_agrees(frame: pl.DataFrame, database: str) -> None:
    """Raise unless the frame is the generated one, apart from the order of its rows and the width of its types."""
    common = frame.select(convert(frame[name], column.polars) for name, column in data.COLUMNS.items())
    assert_frame_equal(common.sort(data.PRIMARY_KEY), data.frame(database), check_exact=True)


def convert(series: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    """Convert a column to the common type. Contenders return different types for decimals, and for dates in SQLite."""
    if isinstance(series.dtype, pl.BaseExtension):  # ADBC returns decimals as text of an extension type
        series = series.ext.storage()
    if dtype == pl.Date and series.dtype == pl.String:
        return series.str.to_date("%Y-%m-%d")
    return series.cast(dtype)


def frame_bytes(frame: pl.DataFrame) -> int:
    """Return the memory of all the frame's buffers; `estimated_size` omits the views of text."""
    return frame.to_arrow(compat_level=pl.CompatLevel.newest()).get_total_buffer_size()


def cpu_seconds(who: int) -> float:
    """Return the user and system time used so far."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def memory_bytes(field: str) -> int:
    """Return resident memory, now (`VmRSS`) or at its peak (`VmHWM`); `ru_maxrss` would start at the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    msg = f"/proc/self/status has no {field}"
    raise LookupError(msg)


if __name__ == "__main__":
    main(*sys.argv[1:4], check=sys.argv[4:] == ["check"])
