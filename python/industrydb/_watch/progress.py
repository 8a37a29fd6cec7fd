"""The progress of a read: how far each partition is, and the whole as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from industrydb.industrydb import Measured

State: TypeAlias = Literal["waiting", "reading", "done"]


@dataclass(frozen=True)
class PartitionProgress:
    """The progress of one partition."""

    state: State
    rows: int
    size: int  # received bytes, or bytes of the batches in memory if the connector does not count; 0 if unknown
    estimated_rows: float | None


@dataclass(frozen=True)
class Progress:
    """The progress of a read."""

    partitions: tuple[PartitionProgress, ...]

    @property
    def done(self) -> int:
        """The number of partitions that have been read."""
        return sum(partition.state == "done" for partition in self.partitions)

    @property
    def rows(self) -> int:
        """The number of rows that have arrived."""
        return sum(partition.rows for partition in self.partitions)

    @property
    def expected_rows(self) -> float | None:
        """The expected number of rows: actual for finished partitions, estimated for others; `None` if unknown."""
        rows = [part.rows if part.state == "done" else part.estimated_rows for part in self.partitions]
        known = [max(row, part.rows) for row, part in zip(rows, self.partitions, strict=True) if row is not None]
        return sum(known) if len(known) == len(rows) else None

    @property
    def is_open(self) -> bool:
        """Whether there is one partition without an estimate, so that nothing tells how much of it is done."""
        return len(self.partitions) == 1 and self.partitions[0].estimated_rows is None

    @property
    def share(self) -> float | None:
        """The share that is done, from 0 to 1: of the rows if their number is known, otherwise of the partitions.

        `None` while one partition without an estimate is read.
        """
        if self.expected_rows is None:
            return None if self.is_open else self.done / len(self.partitions)
        return self.rows / self.expected_rows if self.expected_rows else 1.0


# A callback that takes the progress, or a function that returns it, for when that is expensive.
Tell: TypeAlias = "Callable[[Progress | Callable[[], Progress]], None]"


def progress_of(measured: list[Measured]) -> Progress:
    """Return the compiled module's measurements of the partitions as progress."""
    return Progress(tuple(map(_partition, measured)))


def _partition(measured: Measured) -> PartitionProgress:
    state: State = "waiting" if measured.start is None else "reading" if measured.end is None else "done"
    return PartitionProgress(state, measured.rows, measured.bytes, measured.estimated_rows)


def summary(progress: Progress, elapsed_s: float, width: int | None = None) -> str:
    """Return the progress as text: partitions, rows, speed, and the remaining time if it can be estimated.

    A read of one partition without an estimate has the elapsed time instead. The text has at most `width` letters; what
    does not fit is left out from the left.
    """
    rows, expected = progress.rows, progress.expected_rows
    parts = [] if progress.is_open else [f"{progress.done}/{len(progress.partitions)} partitions"]
    parts.append(f"{rows:,} row{'s'[: rows != 1]}")
    size = sum(partition.size for partition in progress.partitions)
    if elapsed_s > 0 and (size > 0 or rows > 0):  # not every connector counts bytes
        parts.append(f"{bytes_as_text(size / elapsed_s)}/s" if size > 0 else f"{rows / elapsed_s:,.0f}/s")
    if progress.is_open:
        parts.append(duration(elapsed_s))
    elif expected is not None and expected > rows > 0:
        parts.append(f"{duration(elapsed_s * (expected - rows) / rows)} left")
    while width is not None and len(", ".join(parts)) > width and len(parts) > 1:
        del parts[0]
    return ", ".join(parts)


def bytes_as_text(size: float) -> str:
    """Return a number of bytes as text, in MB, or in kB if there is less than one MB."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"  # noqa: PLR2004, a MB


def duration(seconds: float) -> str:
    """Return a duration as text, in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004, an hour
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
