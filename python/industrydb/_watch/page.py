"""The page of a profile: totals, advice, a lane for each worker with a bar for each partition, and the profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

from industrydb._watch.advice import Division, Row, advice, phases
from industrydb._watch.progress import bytes_as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

MOST_TICKS = 8

# A tick behind this share of the axis has its label to its left.
LAST = 0.95

# The longest title, in letters; a longer query is shown whole below it.
LONGEST_TITLE = 120

# The phases of a bar, from left to right, and the colour of a lane.
PHASES = {
    "connect": "connecting",
    "first": "until the first rows",
    "wait": "waiting for more",
    "write": "waiting for the writer of the file",
    "decode": "decoding",
    "idle": "idle",
}

# All rules are limited to one class, because a notebook has other content on the same page. A label is shown where its
# bar is wide enough; the rest of the figures appears when the pointer is on the bar, or when the bar is touched.
STYLE = """
.industrydb-profile { --paper: #fff; --ink: #1b2330; --faint: #5d6878; --track: #eceff3; --line: #cfd5de;
  --connect: #8a94a6; --first: #c2410c; --wait: #f4a261; --write: #8e6bbf; --decode: #2f6fd0;
  background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; padding: 20px;
  box-sizing: border-box; max-width: 1320px; margin: 0 auto; }
@media (prefers-color-scheme: dark) { .industrydb-profile { --paper: #12161d; --ink: #e4e8ef; --faint: #98a3b5;
  --track: #1f2630; --line: #343d4b; --connect: #79859a; --first: #e0662f; --wait: #f0b27a; --write: #a98bd6;
  --decode: #5b96ec; } }
.industrydb-profile h1 { font-size: 18px; line-height: 1.3; margin: 0; overflow-wrap: anywhere; }
.industrydb-profile p { margin: 4px 0; overflow-wrap: anywhere; }
.industrydb-profile .faint { color: var(--faint); }
.industrydb-profile details pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 4px 0; font-size: 12px; }
.industrydb-profile dl { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 14px 0; }
.industrydb-profile dt { color: var(--faint); font-size: 12px; }
.industrydb-profile dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
.industrydb-profile ul { margin: 14px 0; padding: 10px 16px 10px 30px; background: var(--track);
  border-left: 3px solid var(--decode); }
.industrydb-profile .chart { display: grid; grid-template-columns: max-content 1fr; column-gap: 10px;
  margin: 16px 0 34px; font-size: 11px; line-height: 16px; }
.industrydb-profile .name { align-self: end; }
.industrydb-profile .lane { position: relative; height: 36px; min-width: 0; }
.industrydb-profile .track { position: absolute; left: 0; right: 0; bottom: 0; height: 16px; }
.industrydb-profile .bar { position: absolute; top: 2px; bottom: 0; outline: none; }
.industrydb-profile .label { display: block; height: 18px; overflow: hidden; white-space: nowrap;
  container-type: inline-size; }
.industrydb-profile .label b, .industrydb-profile .label i { display: none; font: inherit; }
@container (min-width: 30px) { .industrydb-profile .label b { display: inline; } }
@container (min-width: 120px) { .industrydb-profile .label i { display: inline; } }
.industrydb-profile .phases { display: flex; height: 16px; box-shadow: inset 1px 0 var(--paper); }
.industrydb-profile .phases span { box-shadow: inherit; }
.industrydb-profile .phases span + span { box-shadow: none; }
.industrydb-profile .bar:hover .phases, .industrydb-profile .bar:focus .phases { outline: 2px solid var(--ink); }
.industrydb-profile .tip { display: none; position: absolute; top: 42px; z-index: 1; width: 210px; margin: 0;
  left: clamp(0px, calc(var(--at) - 105px), calc(100% - 210px)); padding: 8px 10px; box-sizing: border-box;
  background: var(--ink); color: var(--paper); font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; pointer-events: none; border-radius: 4px; }
.industrydb-profile .bar:hover + .tip, .industrydb-profile .bar:focus + .tip { display: block; }
.industrydb-profile .axis { grid-column: 2; position: relative; height: 26px; }
.industrydb-profile .tick { position: absolute; top: 0; height: 8px; border-left: 1px solid var(--line); }
.industrydb-profile .tick span { position: absolute; top: 9px; transform: translateX(-50%); white-space: nowrap;
  color: var(--faint); }
.industrydb-profile .tick:first-child span { transform: none; }
.industrydb-profile .tick.end span { transform: translateX(-100%); }
.industrydb-profile .idle { background: var(--track); }
.industrydb-profile .connect { background: var(--connect); }
.industrydb-profile .first { background: var(--first); }
.industrydb-profile .wait { background: var(--wait); }
.industrydb-profile .write { background: var(--write); }
.industrydb-profile .decode { background: var(--decode); }
.industrydb-profile .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 16px; }
.industrydb-profile .legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; }
.industrydb-profile .wide { overflow-x: auto; }
.industrydb-profile table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.industrydb-profile th, .industrydb-profile td { padding: 2px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
.industrydb-profile th { color: var(--faint); font-weight: normal; }
@media (max-width: 600px) { .industrydb-profile { padding: 12px; }
  .industrydb-profile .name span, .industrydb-profile .tick:nth-child(even) span { display: none; }
  .industrydb-profile dl { gap: 6px 20px; } .industrydb-profile dd { font-size: 17px; } }
"""


@dataclass(frozen=True)
class Facts:
    """What a page says about the read that it shows; `database` is a URI without secrets."""

    query: str
    database: str
    seconds: float | None = None
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    division: Division | None = None


def chart(profile: pl.DataFrame, facts: Facts) -> str:
    """Return the page of a profile, which is one file, has no script, and loads nothing."""
    rows = [row for row in profile.to_dicts() if row["end_s"] is not None]
    wall_s = max((row["end_s"] for row in rows), default=0.0)
    workers = max((row["worker"] for row in rows), default=0)
    title = " ".join(facts.query.split())
    short = title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 2]} …"
    whole = (
        ""
        if short == facts.query
        else f"<details><summary>The query</summary><pre>{escape(facts.query)}</pre></details>\n"
    )
    body = _body(rows, wall_s, workers, facts) if rows else "<p>Nothing was read.</p>"
    return f"""<!doctype html>
<html lang="en" style="color-scheme: light dark">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(short)}</title><style>{STYLE}</style></head>
<body style="margin: 0"><main class="industrydb-profile">
<h1>{escape(short)}</h1>
<p class="faint">{escape(facts.database)}, {facts.at:%Y-%m-%d %H:%M:%S} UTC</p>
{whole}{body}
<div class="wide"><table>
{_table(profile)}
</table></div>
</main></body></html>
"""


def _body(rows: list[Row], wall_s: float, workers: int, facts: Facts) -> str:
    told = "\n".join(f"<li>{escape(text)}</li>" for text in advice(rows, wall_s, workers, facts.division))
    totals = "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _totals(rows, wall_s, facts))
    lanes = "\n".join(_lane(number, rows, wall_s) for number in range(1, workers + 1))
    ticks = "".join(
        f'<div class="tick{" end" * (at > LAST * wall_s)}" style="left:{_percent(at, wall_s)}">'
        f"<span>{text} s</span></div>"
        for at, text in _ticks(wall_s)
    )
    return f"""<dl>
{totals}
</dl>
<ul class="advice">
{told}
</ul>
<p>{_summary(rows, wall_s, workers)}</p>
<div class="chart">
{lanes}
<div class="axis">{ticks}</div>
</div>
<p class="legend">{_legend(rows)}</p>"""


def _totals(rows: list[Row], wall_s: float, facts: Facts) -> Iterator[tuple[str, str]]:
    total, size = sum(row["rows"] for row in rows), sum(row["bytes"] or 0 for row in rows)
    yield "rows", f"{total:,}"
    yield "rows/s", f"{total / wall_s:,.0f}"
    if size:  # not every connector counts bytes
        yield "received", bytes_as_text(size)
        yield "speed", f"{bytes_as_text(size / wall_s)}/s"
    yield "partitions", f"{len(rows):,}"
    yield "workers", f"{max(row['worker'] for row in rows):,}"
    yield "reading", f"{wall_s:,.2f} s"
    if facts.seconds is not None:
        yield "in all", f"{facts.seconds:,.2f} s"


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


def _lane(number: int, rows: list[Row], wall_s: float) -> str:
    """Return the lane of a worker, with the bars of the partitions that it read."""
    bars = "\n".join(_bar(row, wall_s) for row in rows if row["worker"] == number)
    return (
        f'<div class="name"><span>worker </span>{number}</div>\n'
        f'<div class="lane"><div class="track idle"></div>\n{bars}</div>'
    )


def _bar(row: Row, wall_s: float) -> str:
    """Return the bar of a partition, and what is shown when the pointer is on it."""
    start, end = row["start_s"], row["end_s"]
    details = "\n".join(f"{name}: {_shown(value)}" for name, value in row.items() if value is not None)
    parts = "".join(
        f'<span class="{phase}" style="width:{_percent(until - begin, end - start)}"></span>'
        for phase, (begin, until) in phases(row).items()
        if begin < until
    )
    return (
        f'<div class="bar" tabindex="0" style="left:{_percent(start, wall_s)};width:{_percent(end - start, wall_s)}">'
        f'<span class="label"><b>{row["partition"]}</b><i>: {row["rows"]:,} row{"s"[: row["rows"] != 1]}</i></span>'
        f'<span class="phases">{parts}</span></div>'
        f'<div class="tip" style="--at:{_percent((start + end) / 2, wall_s)}">{escape(details)}</div>'
    )


def _legend(rows: list[Row]) -> str:
    drawn = {phase for row in rows for phase, (begin, end) in phases(row).items() if begin < end} | {"idle"}
    names = dict(PHASES)
    if all(row["wait_s"] is None for row in rows):  # then the time of decoding includes the waiting
        names["decode"] = "reading and decoding"
    return "".join(f'<span><i class="{name}"></i>{text}</span>' for name, text in names.items() if name in drawn)


def _table(profile: pl.DataFrame) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in profile.columns)
    body = ("".join(f"<td>{escape(_shown(value))}</td>" for value in row) for row in profile.iter_rows())
    return "\n".join(f"<tr>{line}</tr>" for line in (head, *body))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.4f}%"


def _ticks(wall_s: float) -> list[tuple[float, str]]:
    """Return the ticks of the time axis: round numbers of seconds at equal distances, and their labels."""
    least = floor(log10(wall_s / MOST_TICKS))
    steps = ((factor * 10.0**power, power) for power in (least, least + 1) for factor in (1, 2, 5))
    step, power = next((step, power) for step, power in steps if wall_s / step <= MOST_TICKS)
    return [(n * step, f"{n * step:,.{max(-power, 0)}f}") for n in range(floor(wall_s / step) + 1)]


def _shown(value: object) -> str:
    """Return a value as text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.{0 if value >= 1000 else 4}f}"  # noqa: PLR2004, digits enough
    return f"{value:,}" if isinstance(value, int) else str(value)
