"""What a profile says about a read, in words: where its time went, and what would help."""

from __future__ import annotations

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

# A read that is shorter than this needs no partitions.
SHORT_S = 1.0


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


def advice(rows: list[Row], wall_s: float, workers: int) -> list[str]:
    """Return sentences about what slowed a read down, and what would help."""
    found = [*_on_partitions(rows, wall_s, workers), *_on_phases(rows)]
    return found or ["Nothing stands out: the partitions are even, and the workers busy."]


def _on_partitions(rows: list[Row], wall_s: float, workers: int) -> Iterator[str]:
    """Yield sentences about how the rows are divided, and the partitions among the workers."""
    total, most = sum(row["rows"] for row in rows), max(rows, key=lambda row: row["rows"])
    if len(rows) == 1 and wall_s > SHORT_S:
        yield "One worker read all, as there was one partition: divide the query into several."
    if len(rows) > 1 and most["rows"] > total * max(UNEVEN / len(rows), LARGE):
        yield (
            f"Partition {most['partition']} has {most['rows'] / total:.0%} of the rows, where an even one of "
            f"{len(rows)} would have {1 / len(rows):.0%}: divide by a column whose values are spread better, let a "
            "sample place the cuts instead of a range, or make more partitions."
        )
    idle = 1 - sum(row["end_s"] - row["start_s"] for row in rows) / (wall_s * workers)
    if workers > 1 and idle > MUCH_IDLE:
        yield (
            f"The workers were idle for {idle:.0%} of the time: make more partitions than there are workers, so that "
            "each can take another one when it is done."
        )


def _on_phases(rows: list[Row]) -> Iterator[str]:
    """Yield sentences about the phases that took much of the workers' time."""
    busy = sum(row["end_s"] - row["start_s"] for row in rows)
    spent = dict.fromkeys(("connect", "first", "wait", "write", "decode"), 0.0)
    for row in rows:
        for phase, (begin, end) in phases(row).items():
            spent[phase] += (end - begin) / busy
    if spent["connect"] > MUCH_CONNECTING:
        yield f"Connecting took {spent['connect']:.0%} of the time: open fewer sessions, with more partitions each."
    if spent["first"] > MUCH_BEFORE_ROWS:
        yield (
            f"{spent['first']:.0%} of the time went by until the first rows: the database sorts, or scans the whole "
            "table for each partition. An index on the column of the partitions helps, or partitions without a column."
        )
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
