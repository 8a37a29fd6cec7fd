"""The profile of a read: what each partition did and when, as a frame."""

from __future__ import annotations

import logging
import webbrowser
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import polars as pl

from industrydb._text.overrides import finished
from industrydb._watch import notebook
from industrydb._watch.notebook import is_notebook
from industrydb._watch.progress import progress_of
from industrydb.industrydb import read_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from industrydb._request import Request
    from industrydb._watch.progress import Tell
    from industrydb.industrydb import Measured

LOGGER = logging.getLogger("industrydb")

# The columns of a profile. The numbers are signed, so that differences of them cannot overflow.
SCHEMA: dict[str, type[pl.DataType]] = {
    "partition": pl.UInt32,
    "worker": pl.UInt32,
    "start_s": pl.Float64,
    "connected_s": pl.Float64,
    "first_rows_s": pl.Float64,
    "end_s": pl.Float64,
    "wait_s": pl.Float64,
    "decode_s": pl.Float64,
    "rows": pl.Int64,
    "bytes": pl.Int64,
    "estimated_rows": pl.Int64,
    "rows_per_s": pl.Float64,
    "way": pl.String,
}

# The columns of durations; the others are moments.
DURATIONS = ("wait_s", "decode_s", "rows_per_s")


def profiled(
    call: Request, draw: Tell | None = None, settled: list[tuple[str, pl.DataType]] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a call, and return its frame and profile; `draw` receives the progress, `settled` are fixed column types."""
    measured: list[Measured] = []

    def watch(now: list[Measured]) -> None:
        measured[:] = now
        if draw is not None:
            draw(partial(progress_of, now))

    frame = finished(read_sql(call, watch, settled), call.dtypes)
    return frame, profile_of(measured)


def profile_of(measured: Sequence[Measured]) -> pl.DataFrame:
    """Return measurements as a frame with a row for each partition."""
    return pl.DataFrame([_row(n, one) for n, one in enumerate(measured, 1)], schema=SCHEMA, orient="row")


def profile_of_attempts(attempts: Iterable[tuple[float, Sequence[Measured]]]) -> pl.DataFrame:
    """Return the profile of reads that began one after the other, each with the time of its beginning in seconds.

    A further column, ``write_s``, has the time in which the reader waited until its rows were written.
    """
    times = [name for name in SCHEMA if name.endswith("_s") and name not in DURATIONS]
    frames = []
    for began, measured in attempts:
        held = pl.Series("write_s", [one.held for one in measured], pl.Float64)
        frame = profile_of(measured).with_columns(held, pl.col(times) + began)
        frames.append(frame.with_columns(decode_s=pl.max_horizontal(pl.col("decode_s") - pl.col("write_s"), 0.0)))
    return pl.concat(frames).with_columns(partition=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32))


def _row(number: int, measured: Measured) -> tuple[object, ...]:
    """Return the profile's row of a partition; zeros of connectors that do not measure become null."""
    connected, end, waited = measured.connected, measured.end, measured.waited
    reading = None if connected is None or end is None else end - connected
    return (
        number, measured.worker + 1, measured.start, connected, measured.first_rows, end,
        waited or None,
        None if reading is None else max(reading - waited, 0.0),
        measured.rows,
        measured.bytes or None,
        None if measured.estimated_rows is None else round(measured.estimated_rows),
        measured.rows / reading if reading else None,
        measured.way,
    )  # fmt: skip


def show(page: str) -> None:
    """Show a page: in the notebook, if the call runs in one, or else in a browser."""
    if is_notebook():
        notebook.show(page, "a profile, which needs a notebook that shows HTML")
        return
    with NamedTemporaryFile("w", encoding="utf-8", prefix="industrydb-", suffix=".html", delete=False) as file:
        file.write(page)  # the file is kept, as nothing tells when the browser has read it
    if not webbrowser.open(Path(file.name).as_uri()):
        LOGGER.warning("there is no browser to show the chart, which is in %s", file.name)
