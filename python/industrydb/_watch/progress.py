"""The progress of a read, and its display on standard error."""

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


# The largest share of the time that drawing may take: with thousands of partitions, each drawing is expensive.
LARGEST_SHARE = 0.01
# The longest pause between two drawings, even if drawing then takes a larger share.
LONGEST_PAUSE_S = 1.0

# The maximum number of partitions with a bar of their own, so that all bars fit on a screen.
MOST_BARS = 8

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


# A callback that takes the progress, or a function that returns it, for when that is expensive.
Tell: TypeAlias = "Callable[[Progress | Callable[[], Progress]], None]"


@contextmanager
def shown(enabled: bool, title: str) -> Iterator[Tell | None]:  # noqa: FBT001, the name says what it switches
    """Show the progress of a read on standard error: as bars if ``rich`` is installed, otherwise as lines.

    Parameters
    ----------
    enabled
        Whether to show the progress.
    title
        What is being done.

    Yields
    ------
    Callable or None
        A callback for the progress of the read, or for a function that returns it. It may be called as often as the
        caller likes, by one thread at a time, and never raises; not every call is drawn, but the last one always is.
        ``None`` if nothing is shown: if `enabled` is false, or standard error is neither a terminal nor a notebook.
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
    """Tell whether standard error is a terminal, or the process is a notebook's kernel."""
    try:
        return sys.stderr.isatty() or "ipykernel" in sys.modules
    except (AttributeError, ValueError):  # standard error is missing or closed
        return False


class _Display(Protocol):
    """A way to draw the progress."""

    interval_s: float
    """The minimum time between two drawings."""

    first_s: float
    """The time from the beginning to the first drawing."""

    def draw(self, progress: Progress, elapsed_s: float) -> None: ...
    def end(self) -> None: ...


class _Drawing:
    """Limits how often a display draws; draws the last state always, and nothing more once a drawing has failed."""

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
    """Return a display with bars where these can be drawn, otherwise one with lines."""
    with suppress(Exception):
        # Imported late: rich is optional, and the import takes time.
        from rich.console import Console  # noqa: PLC0415

        class OurConsole(Console):  # type: ignore[misc, unused-ignore] # the base has no known type without rich
            def on_broken_pipe(self) -> None:
                """Raise the error again; the base class would end the process."""
                raise  # noqa: PLE0704, rich calls this inside its except block

        console = OurConsole(stderr=True)
        if not console.is_dumb_terminal and (not console.is_jupyter or find_spec("ipywidgets")):
            return _Bars(console, title)
    return _Lines(title)


class _Lines:
    """A display that prints a line every second, from the first second on, and one at the end."""

    interval_s = first_s = 1.0

    def __init__(self, title: str) -> None:
        self._title = title

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        print(f"{self._title}: {_summary(progress, elapsed_s)}", file=sys.stderr, flush=True)

    def end(self) -> None:
        pass


class _Bars:
    """A display with a bar for the whole read, and one for each partition that is being read."""

    interval_s = 0.1
    first_s = 0.0

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live  # noqa: PLC0415

        self._title = title
        # The first drawing is slow, because rich imports and prepares what it needs. This one is not shown, so that the
        # first shown drawing is a measure of the pause to the next one.
        console.render_lines(self._table(Progress((PartitionProgress("reading", 1, 1, 1.0),)), 1.0))
        # The program's own output must not be redirected.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        self._live.update(self._table(progress, elapsed_s), refresh=True)

    def _table(self, progress: Progress, elapsed_s: float) -> Table:
        """Return a table with a line for the whole read, and one for each partition that is being read."""
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
    """Return the progress as text: partitions, rows, speed, and the remaining time if it can be estimated."""
    rows, expected = progress.rows, progress.expected_rows
    parts = [f"{progress.done}/{len(progress.partitions)} partitions", _rows(rows)]
    megabytes = sum(partition.size for partition in progress.partitions) / 1e6
    if elapsed_s > 0 and megabytes > 0:  # not every connector counts bytes
        parts.append(f"{megabytes / elapsed_s:,.1f} MB/s")
    if expected is not None and expected > rows > 0:
        parts.append(f"{_duration(elapsed_s * (expected - rows) / rows)} left")
    return ", ".join(parts)


def _rows(rows: int) -> str:
    return f"{rows:,} row{'s'[: rows != 1]}"


def _duration(seconds: float) -> str:
    """Return a duration as text, in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004, an hour
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def progress_of(measured: list[Measured]) -> Progress:
    """Return the compiled module's measurements of the partitions as progress."""
    return Progress(tuple(map(_partition, measured)))


def _partition(measured: Measured) -> PartitionProgress:
    state: State = "waiting" if measured.start is None else "reading" if measured.end is None else "done"
    return PartitionProgress(state, measured.rows, measured.bytes, measured.estimated_rows)
