"""What a read has done so far, and how that is drawn."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.table import Table

    from industrydb.industrydb import Measured


# How much of the time may go into drawing, where thousands of partitions have to be looked at …
LARGEST_SHARE = 0.01
# … as long as what is drawn stands still for no longer than this.
LONGEST_PAUSE_S = 1.0

# The most partitions that have a bar of their own: what is drawn must fit on a screen.
MOST_BARS = 8

State: TypeAlias = Literal["waiting", "reading", "done"]


@dataclass(frozen=True)
class PartitionProgress:
    """What one partition has done so far."""

    state: State
    rows: int
    size: int  # bytes in memory
    estimated_rows: float | None


@dataclass(frozen=True)
class Progress:
    """What a read has done so far."""

    partitions: tuple[PartitionProgress, ...]

    @property
    def done(self) -> int:
        """How many partitions have been read."""
        return sum(partition.state == "done" for partition in self.partitions)

    @property
    def rows(self) -> int:
        """How many rows have arrived."""
        return sum(partition.rows for partition in self.partitions)

    @property
    def expected_rows(self) -> float | None:
        """How many rows there will be; the estimates of partitions that have been read do not matter any more."""
        rows = [part.rows if part.state == "done" else part.estimated_rows for part in self.partitions]
        known = [max(row, part.rows) for row, part in zip(rows, self.partitions, strict=True) if row is not None]
        return sum(known) if len(known) == len(rows) else None


# What is told a state, or how to get one, which may take time.
Tell: TypeAlias = "Callable[[Progress | Callable[[], Progress]], None]"


@contextmanager
def shown(enabled: bool, title: str) -> Iterator[Tell | None]:  # noqa: FBT001, says it all
    """Show what a read does on standard error, by bars if ``rich`` is there, or else by lines.

    Parameters
    ----------
    enabled
        Whether anything is to be shown.
    title
        What is being done.

    Yields
    ------
    Callable or None
        What is to be told each state of the read, or how to get it, as often as one likes, by one thread at a time;
        the last one is always shown. ``None`` where nothing is shown: if that is not enabled, or nobody looks. It never
        raises.
    """
    if not enabled or not _somebody_looks():
        yield None
        return
    drawing = _Drawing(_display(title))
    try:
        yield drawing.tell
    finally:
        drawing.end()


def _somebody_looks() -> bool:
    """Tell whether standard error is a terminal, or this is a notebook."""
    try:
        return sys.stderr.isatty() or "ipykernel" in sys.modules
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


class _Display(Protocol):
    """A way to draw."""

    interval_s: float
    """The time that lies at least between two drawings."""

    first_s: float
    """When to draw for the first time."""

    def draw(self, progress: Progress, elapsed_s: float) -> None: ...
    def end(self) -> None: ...


class _Drawing:
    """Draws not every state, but always the last one; and nothing any more once that has failed."""

    def __init__(self, display: _Display) -> None:
        self._display = display
        self._began = time.monotonic()
        self._due = self._began + display.first_s
        self._pending: Progress | Callable[[], Progress] | None = None
        self._failed = False

    def tell(self, progress: Progress | Callable[[], Progress]) -> None:
        self._pending = progress
        if time.monotonic() >= self._due:
            self._draw()

    def end(self) -> None:
        try:
            self._draw()
        finally:
            with suppress(Exception):
                self._display.end()

    def _draw(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None or self._failed:
            return
        now = time.monotonic()
        try:
            self._display.draw(pending() if callable(pending) else pending, now - self._began)
        except Exception:  # noqa: BLE001, a closed terminal must not fail a read
            self._failed = True
        done = time.monotonic()
        self._due = done + max(self._display.interval_s, min((done - now) / LARGEST_SHARE, LONGEST_PAUSE_S))


def _display(title: str) -> _Display:
    """Return bars where they can be drawn, and lines elsewhere."""
    with suppress(Exception):
        # Not everybody has it, and it takes time to import.
        from rich.console import Console  # noqa: PLC0415

        class OurConsole(Console):  # type: ignore[misc, unused-ignore] # of no known type where there is no rich
            def on_broken_pipe(self) -> None:
                """Raise what happened: its own way is to end the process."""
                raise  # noqa: PLE0704, it is called where the error is handled

        console = OurConsole(stderr=True)
        if not console.is_dumb_terminal and (not console.is_jupyter or find_spec("ipywidgets")):
            return _Bars(console, title)
    return _Lines(title)


class _Lines:
    """A line each second, if it takes longer than that, and one at the end."""

    interval_s = first_s = 1.0

    def __init__(self, title: str) -> None:
        self._title = title

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        print(f"{self._title}: {_summary(progress, elapsed_s)}", file=sys.stderr, flush=True)

    def end(self) -> None:
        pass


class _Bars:
    """A bar for the whole, and one for each partition that is being read."""

    interval_s = 0.1
    first_s = 0.0

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live  # noqa: PLC0415

        self._title = title
        # What rich imports and prepares for its first drawing is no measure for the next ones: nobody sees this one.
        console.render_lines(self._table(Progress((PartitionProgress("reading", 1, 1, 1.0),)), 1.0))
        # What the program itself prints is to go where it would go otherwise.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        self._live.update(self._table(progress, elapsed_s), refresh=True)

    def _table(self, progress: Progress, elapsed_s: float) -> Table:
        """Return a line for the whole, and one for each partition."""
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        completed, total = float(progress.rows), progress.expected_rows
        if total is None:
            completed, total = float(progress.done), float(len(progress.partitions))
        reading = [(n, part) for n, part in enumerate(progress.partitions, 1) if part.state == "reading"]
        bars = [
            (self._title, completed, total, _summary(progress, elapsed_s)),
            *(
                (f"  partition {n}", part.rows, part.estimated_rows, _rows(part.rows))
                for n, part in reading[:MOST_BARS]
            ),
        ]
        table = Table.grid(padding=(0, 1))
        for _ in range(3):
            table.add_column(no_wrap=True)
        for name, rows, expected, details in bars:
            table.add_row(Text(name), ProgressBar(total=expected, completed=rows, width=40), Text(details))
        return table

    def end(self) -> None:
        self._live.stop()


def _summary(progress: Progress, elapsed_s: float) -> str:
    """Return what has been done, how fast, and how long the rest takes if that can be told."""
    rows, expected = progress.rows, progress.expected_rows
    parts = [f"{progress.done}/{len(progress.partitions)} partitions", _rows(rows)]
    megabytes = sum(partition.size for partition in progress.partitions) / 1e6
    if elapsed_s > 0 and megabytes > 0:  # not every database tells
        parts.append(f"{megabytes / elapsed_s:,.1f} MB/s")
    if expected is not None and expected > rows > 0:
        parts.append(f"{_duration(elapsed_s * (expected - rows) / rows)} left")
    return ", ".join(parts)


def _rows(rows: int) -> str:
    return f"{rows:,} row{'s'[: rows != 1]}"


def _duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004, an hour
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def progress_of(measured: list[Measured]) -> Progress:
    """Return what the compiled module has measured of the partitions of a read."""
    return Progress(tuple(map(_partition, measured)))


def _partition(measured: Measured) -> PartitionProgress:
    state: State = "waiting" if measured.start is None else "reading" if measured.end is None else "done"
    return PartitionProgress(state, measured.rows, measured.bytes, measured.estimated_rows)
