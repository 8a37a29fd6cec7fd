"""What a profile says about a read, in words: where its time went, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

# The profile's row of a partition, as a dict by column names.
Row: TypeAlias = dict[str, Any]

# A largest partition of this many times the mean is worth a word, if it has at least this share of all rows.
UNEVEN = 1.5
LARGE = 0.05

# The shares of the time from which each kind of waiting is worth a word.
MUCH_CONNECTING = 0.2
MUCH_IDLE = 0.25
MUCH_BEFORE_ROWS = 0.4
MUCH_WAITING = MUCH_DECODING = MUCH_WRITING = 0.5

# A read that is shorter than this gets no advice: its times are those of a session and a plan, not of its rows.
SHORT_S = 1.0


@dataclass(frozen=True)
class Division:
    """How a query was divided into partitions."""

    column: str | None
    """The column whose values are the partitions' ranges; `None` for other partitions."""
    has_range: bool = False
    """Whether a range placed the cuts, and no sample."""


def phases(row: Row) -> dict[str, tuple[float, float]]:
    """Return the begin and the end of each phase of a partition, in seconds; the phases follow each other.

    Waiting, decoding and writing alternate: their lengths say how long each took in total, not when.
    """
    start, connected, first_rows, end = (row[name] for name in ("start_s", "connected_s", "first_rows_s", "end_s"))
    connected = end if connected is None else connected
    first_rows = end if first_rows is None else first_rows
    # The time until the first rows is almost only waiting, so it is subtracted from the waiting behind them.
    wait = min(max((row["wait_s"] or 0) - (first_rows - connected), 0), end - first_rows)
    write = min(row.get("write_s") or 0, end - first_rows - wait)
    return {
        "connect": (start, connected),
        "first": (connected, first_rows),
        "wait": (first_rows, first_rows + wait),
        "write": (first_rows + wait, first_rows + wait + write),
        "decode": (first_rows + wait + write, end),
    }


def advice(rows: list[Row], wall_s: float, workers: int, division: Division | None = None) -> list[str]:
    """Return sentences about what slowed a read down, and what would help; `division` is `None` if it is not known."""
    if wall_s < SHORT_S:
        return [f"The read took {wall_s:.3f} s, which is too short for advice."]
    spent = _spent(rows)
    found = [*_on_partitions(rows, wall_s, workers, spent, division), *_on_phases(rows, spent, division)]
    return found or ["Nothing stands out: the partitions are even, and the workers busy."]


def _spent(rows: list[Row]) -> dict[str, float]:
    """Return the share of the workers' time that each phase took."""
    busy = sum(row["end_s"] - row["start_s"] for row in rows)
    spent = dict.fromkeys(("connect", "first", "wait", "write", "decode"), 0.0)
    for row in rows:
        for phase, (begin, end) in phases(row).items():
            spent[phase] += (end - begin) / busy
    return spent


def _on_partitions(
    rows: list[Row], wall_s: float, workers: int, spent: dict[str, float], division: Division | None
) -> Iterator[str]:
    """Yield sentences about how the rows are divided, and the partitions among the workers."""
    total, most = sum(row["rows"] for row in rows), max(rows, key=lambda row: row["rows"])
    # The time until the first row, as of an aggregate, is not shorter for a part of the rows.
    if len(rows) == 1 and spent["first"] <= MUCH_BEFORE_ROWS:
        yield "One worker read all, as there was one partition: divide the query into several."
    is_uneven = len(rows) > 1 and most["rows"] > total * max(UNEVEN / len(rows), LARGE)
    if is_uneven:
        yield (
            f"Partition {most['partition']} has {most['rows'] / total:.0%} of the rows, where an even one of "
            f"{len(rows)} would have {1 / len(rows):.0%}: {_on_uneven(rows, most, division)}."
        )
    idle = 1 - sum(row["end_s"] - row["start_s"] for row in rows) / (wall_s * workers)
    if workers > 1 and idle > MUCH_IDLE:
        yield f"The workers were idle for {idle:.0%} of the time: {_on_idle(rows, most, workers, is_uneven=is_uneven)}."


def _on_uneven(rows: list[Row], most: Row, division: Division | None) -> str:
    """Return why one partition has too many rows, and what helps."""
    if division is not None and division.has_range:
        return (
            "a range is cut at equal distances, and the values are not spread so: leave the range out, and a sample "
            "places the cuts"
        )
    estimates = [row["estimated_rows"] for row in rows]
    if None in estimates:  # a list of queries, or a range that is not known here
        return (
            "divide that query further"
            if division is not None
            else "divide by a column whose values are spread better, or let a sample place the cuts instead of a range"
        )
    if division is not None and division.column is None:
        return "the rows are not spread evenly over the table: a column with even values divides them better"
    if most["estimated_rows"] > sum(estimates) * UNEVEN / len(rows):
        # The sample has seen these rows, and there was no cut between them.
        return (
            "one key has most of them, and no cut can split the rows of one key: divide by a column with more "
            "different values, or into partitions without a column"
        )
    return "the sample did not see them: they are newer than the plan, or lie close together"


def _on_idle(rows: list[Row], most: Row, workers: int, *, is_uneven: bool) -> str:
    """Return why workers were idle, and what helps."""
    if is_uneven:
        return f"the others waited for partition {most['partition']}"
    if len(rows) <= workers:
        return "make more partitions than there are workers, so that each can take another one when it is done"
    slowest = max(rows, key=lambda row: row["end_s"] - row["start_s"])
    return (
        f"partition {slowest['partition']} alone took {slowest['end_s'] - slowest['start_s']:.1f} s, so that its rows "
        "are costlier than those of the others; more and smaller partitions even this out"
    )


def _on_phases(rows: list[Row], spent: dict[str, float], division: Division | None) -> Iterator[str]:
    """Yield sentences about the phases that took much of the workers' time."""
    if spent["connect"] > MUCH_CONNECTING:
        fewer = (
            "read on an open Connection, if there are many such reads"
            if len(rows) == 1
            else "open fewer sessions, with more partitions each"
        )
        yield f"Connecting took {spent['connect']:.0%} of the time: {fewer}."
    if spent["first"] > MUCH_BEFORE_ROWS:
        yield f"{spent['first']:.0%} of the time went by until the first rows: {_before_rows(rows, division)}."
    if spent["write"] > MUCH_WRITING:
        yield f"Writing took {spent['write']:.0%} of the time: a faster disk or a cheaper compression helps."
    if all(row["wait_s"] is None for row in rows):  # waiting was not measured, and is part of decoding
        return
    if spent["first"] + spent["wait"] > MUCH_WAITING:
        yield (
            f"The server made you wait {spent['first'] + spent['wait']:.0%} of the time: read fewer columns and rows; "
            "more workers help only if the server has idle processors."
        )
    if spent["decode"] > MUCH_DECODING:
        yield (
            f"This machine was decoding {spent['decode']:.0%} of the time: more workers help if it has more processors."
        )


def _before_rows(rows: list[Row], division: Division | None) -> str:
    """Return what a database does before it sends the first rows, and what helps."""
    own = "the database sorts, groups or searches before it sends a row"
    index = "an index on the columns of the query's WHERE, JOIN or ORDER BY may help"
    if len(rows) == 1:
        return f"{own}; {index}"
    if division is None:
        return (
            "the database sorts, or scans the whole table for each partition. If a column divides the query, an index "
            "on it helps, or partitions without a column"
        )
    if division.column is None:
        return f"{own}, once for each partition; {index}, and so may fewer partitions"
    return (
        "the database sorts, or scans the whole table for each partition. An index on the column "
        f"{division.column} helps, or partitions without a column"
    )
