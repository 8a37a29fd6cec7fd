"""The profile of a read: what each partition did and when, as a frame and as a chart."""

from __future__ import annotations

import logging
import webbrowser
from functools import partial
from html import escape
from itertools import pairwise
from math import floor, log10
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from industrydb._text.overrides import finished
from industrydb._watch import notebook
from industrydb._watch.notebook import is_notebook
from industrydb._watch.progress import progress_of
from industrydb.industrydb import read_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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

# The profile's row of a partition, as a dict by column names.
Row: TypeAlias = dict[str, Any]


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


# The chart. Lengths are in the units of the SVG's view box, which is scaled to the width of the page.

WIDTH = 960
LEFT = 76  # left margin, for the names of the lanes
RIGHT = 28  # right margin, for half of the last tick's label
LANE = 36  # height of a lane; its upper half is for labels
BAR = 16  # height of a bar
LETTER = 6.4  # upper bound of the average width of a letter
MOST_TICKS = 8

# The phases of a bar, from left to right. Waiting and decoding alternate: their widths say how long each took in total,
# not when.
PHASES = {
    "connect": "connecting",
    "first": "until the first rows",
    "wait": "waiting for more",
    "decode": "decoding",
}

# All rules are limited to one class, because a notebook has other content on the same page.
STYLE = """
.industrydb-profile { --paper: #fff; --ink: #1b2330; --faint: #5d6878; --track: #eceff3; --line: #cfd5de;
  --connect: #8a94a6; --first: #c2410c; --wait: #f4a261; --decode: #2f6fd0;
  background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; padding: 20px; }
@media (prefers-color-scheme: dark) { .industrydb-profile { --paper: #12161d; --ink: #e4e8ef; --faint: #98a3b5;
  --track: #1f2630; --line: #343d4b; --connect: #79859a; --first: #e0662f; --wait: #f0b27a; --decode: #5b96ec; } }
.industrydb-profile h1 { font-size: 18px; margin: 0; overflow-wrap: anywhere; }
.industrydb-profile p { margin: 4px 0; }
.industrydb-profile svg { display: block; max-width: 1280px; margin: 16px 0; font-size: 11px; }
.industrydb-profile text { fill: var(--ink); }
.industrydb-profile .tick text { fill: var(--faint); text-anchor: middle; }
.industrydb-profile line { stroke: var(--line); }
.industrydb-profile .edge { fill: var(--paper); }
.industrydb-profile .idle { fill: var(--track); background: var(--track); }
.industrydb-profile .connect { fill: var(--connect); background: var(--connect); }
.industrydb-profile .first { fill: var(--first); background: var(--first); }
.industrydb-profile .wait { fill: var(--wait); background: var(--wait); }
.industrydb-profile .decode { fill: var(--decode); background: var(--decode); }
.industrydb-profile .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 16px; }
.industrydb-profile .legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; }
.industrydb-profile .wide { overflow-x: auto; }
.industrydb-profile table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.industrydb-profile th, .industrydb-profile td { padding: 2px 10px; text-align: right;
  border-bottom: 1px solid var(--line); }
.industrydb-profile th { color: var(--faint); font-weight: normal; }
"""


def chart(profile: pl.DataFrame, title: str) -> str:
    """Return a page with a lane for each worker, a bar for each partition, and the profile as a table."""
    rows = profile.to_dicts()
    wall_s = max(row["end_s"] for row in rows)
    lanes = max(row["worker"] for row in rows)
    # Where waiting was not measured, the time of decoding includes it.
    unknown = all(row["wait_s"] is None for row in rows)
    known = {"connect": "connecting", "first": "until the first rows", "decode": "reading and decoding"}
    phases = (known if unknown else PHASES) | {"idle": "idle"}
    legend = [f'<span><i class="{name}"></i>{text}</span>' for name, text in phases.items()]
    head = "".join(f"<th>{escape(name)}</th>" for name in profile.columns)
    body = ("".join(f"<td>{escape(_shown(value))}</td>" for value in row.values()) for row in rows)
    lines = "\n".join(f"<tr>{line}</tr>" for line in (head, *body))
    return f"""<!doctype html>
<html lang="en" style="color-scheme: light dark">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>
<body style="margin: 0"><main class="industrydb-profile">
<h1>{escape(title)}</h1>
<p>{_summary(rows, wall_s, lanes)}</p>
{_drawing(rows, wall_s, lanes)}
<p class="legend">{"".join(legend)}</p>
<div class="wide"><table>
{lines}
</table></div>
</main></body></html>
"""


def _summary(rows: list[Row], wall_s: float, lanes: int) -> str:
    """Return the wall time, the skew of the partitions, and the share of idle time, as a sentence."""
    most = max(rows, key=lambda row: row["rows"])
    mean = sum(row["rows"] for row in rows) / len(rows)
    skew = f": {most['rows'] / mean:.2f} times the mean" if mean else ""
    idle = 1 - sum(row["end_s"] - row["start_s"] for row in rows) / (wall_s * lanes)
    return (
        f"{_shown(wall_s)} s of wall time. Partition {most['partition']} has the most rows, {most['rows']:,}{skew}. "
        f"{lanes} worker{'s'[: lanes != 1]}, idle for {max(idle, 0):.0%} of the time."
    )


def _drawing(rows: list[Row], wall_s: float, lanes: int) -> str:
    """Return the SVG with the time axis, the lanes and the bars."""
    right, height = WIDTH - RIGHT, lanes * LANE

    def at(seconds: float) -> float:
        return LEFT + (right - LEFT) * seconds / wall_s

    ticks = (
        f'<g class="tick"><line x1="{at(s):.2f}" y1="0" x2="{at(s):.2f}" y2="{height + 8}"/>'
        f'<text x="{at(s):.2f}" y="{height + 22}">{text} s</text></g>'
        for s, text in _ticks(wall_s)
    )
    tracks = (
        f'<g class="lane"><text x="4" y="{n * LANE - 4}">worker {n}</text>{_rect("idle", LEFT, right, n)}</g>'
        for n in range(1, lanes + 1)
    )
    drawn = "\n".join([*ticks, *tracks, *(_bar(row, at) for row in rows)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 28}" width="100%" role="img">\n'
        f"{drawn}\n</svg>"
    )


def _bar(row: Row, at: Callable[[float], float]) -> str:
    """Return the bar of a partition, in the lane of its worker."""
    left, right, lane = at(row["start_s"]), at(row["end_s"]), row["worker"]
    details = "\n".join(f"{name}: {_shown(value)}" for name, value in row.items())
    labels = (f"{row['partition']}: {row['rows']:,} row{'s'[: row['rows'] != 1]}", str(row["partition"]), "")
    label = next(text for text in labels if len(text) * LETTER <= right - left)
    parts = "".join(_rect(phase, at(begin), at(end), lane) for phase, begin, end in _phases(row))
    return (
        f'<g class="bar"><title>{escape(details)}</title>'
        f'<text x="{left:.2f}" y="{lane * LANE - BAR - 4}">{label}</text>'
        # The edge to the previous bar hides at most a quarter of this bar.
        f"{parts}{_rect('edge', left, left + min((right - left) / 4, 1), lane)}</g>"
    )


def _rect(kind: str, left: float, right: float, lane: int) -> str:
    place = f'x="{left:.2f}" y="{lane * LANE - BAR}" width="{right - left:.2f}" height="{BAR}"'
    return f'<rect class="{kind}" {place}/>'


def _phases(row: Row) -> Iterator[tuple[str, float, float]]:
    """Yield the phases of a bar: name, begin and end, in seconds."""
    start, connected, first_rows, end = (row[name] for name in ("start_s", "connected_s", "first_rows_s", "end_s"))
    connected = end if connected is None else connected
    first_rows = end if first_rows is None else first_rows
    # The time until the first rows is almost only waiting, so it is subtracted from the waiting behind them.
    wait = min(max((row["wait_s"] or 0) - (first_rows - connected), 0), end - first_rows)
    ends = pairwise((start, connected, first_rows, first_rows + wait, end))
    return ((phase, *one) for phase, one in zip(PHASES, ends, strict=True) if one[0] < one[1])


def _ticks(wall_s: float) -> list[tuple[float, str]]:
    """Return the ticks of the time axis: round numbers of seconds at equal distances, and their labels."""
    least = floor(log10(wall_s / MOST_TICKS))
    steps = ((factor * 10.0**power, power) for power in (least, least + 1) for factor in (1, 2, 5))
    step, power = next((step, power) for step, power in steps if wall_s / step <= MOST_TICKS)
    return [(n * step, f"{n * step:,.{max(-power, 0)}f}") for n in range(floor(wall_s / step) + 1)]


def _shown(value: object) -> str:
    """Return a value as text for the chart."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.{0 if value >= 1000 else 4}f}"  # noqa: PLR2004, digits enough
    return f"{value:,}" if isinstance(value, int) else str(value)
