"""The ways to show progress: bars and lines at a terminal, an HTML line in a notebook, lines in the log."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from industrydb._text.letters import is_ascii_only
from industrydb._watch.notebook import bundle, is_notebook, show
from industrydb._watch.progress import PartitionProgress, Progress, summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LOGGER = logging.getLogger("industrydb")

# The largest number of lines with partitions, so that what was printed before stays in sight.
MOST_LINES = 8

# The smallest and the largest number of letters of a bar.
SHORTEST_BAR, LONGEST_BAR = 10, 60

# The time in which the piece of a bar for a read of unknown length goes from one end to the other.
SWING_S = 2.0

# The colours of a bar: the done part, the rest, and a bar that is complete.
DONE, REST, COMPLETE = "cyan", "bright_black", "green"


class Display(Protocol):
    """A way to draw the progress."""

    interval_s: float
    """The minimum time between two drawings."""

    first_s: float
    """The time from the beginning to the first drawing."""

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Draw the progress in place of the last drawing, or below it."""

    def end(self) -> None:
        """Leave the last drawing as it is."""


def display(title: str) -> Display | None:
    """Return the display for where the program runs; `None` where nobody looks, and the log does not take the lines."""
    if is_notebook():
        return Notebook(title)
    if not _is_terminal():
        return Log(title) if LOGGER.isEnabledFor(logging.INFO) else None
    with suppress(Exception):
        # Imported late: rich is optional, and the import takes time.
        from rich.console import Console  # noqa: PLC0415

        class OurConsole(Console):  # type: ignore[misc, unused-ignore] # the base has no known type without rich
            def on_broken_pipe(self) -> None:
                """Raise the error again; the base class would end the process."""
                raise  # noqa: PLE0704, rich calls this inside its except block

        console = OurConsole(stderr=True)
        if not console.is_dumb_terminal:
            return Bars(console, title)
    return Lines(title)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # standard error is missing or closed
        return False


class Log:
    """A display that logs a line every minute."""

    interval_s = first_s = 60.0

    def __init__(self, title: str) -> None:
        self._title = title

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Log a line, unless the read has ended: the reader logs its end."""
        if progress.done < len(progress.partitions):
            LOGGER.info("%s: %s", self._title, summary(progress, elapsed_s))

    def end(self) -> None:
        """Do nothing."""


class Lines:
    """A display that prints a line every second, from the first second on, and one at the end."""

    interval_s = first_s = 1.0

    def __init__(self, title: str) -> None:
        self._title = title

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Print a line."""
        print(f"{self._title}: {summary(progress, elapsed_s)}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Do nothing."""


class Notebook:
    """A display with an HTML line below the cell of a notebook, and a line of text where the notebook shows no HTML."""

    interval_s = 0.25
    first_s = 0.0

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown: Any = None

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Show the line, in place of the last one."""
        details = summary(progress, elapsed_s)
        # Without a value, a browser draws a bar that only says that something is done.
        value = "" if progress.share is None else f'value="{progress.share:.4f}" '
        bar = f'<progress max="1" {value}style="width: 16em; vertical-align: middle"></progress>'
        html = f'<div style="font-variant-numeric: tabular-nums">{escape(self._title)} {bar} {escape(details)}</div>'
        text = f"{self._title}: {details}"
        if self._shown is None:
            self._shown = show(html, text, updates=True)
        else:
            self._shown.update(bundle(html, text), raw=True)

    def end(self) -> None:
        """Do nothing."""


class Bars:
    """A display with a line for the whole read, and as many of the partitions that are being read as fit below it."""

    interval_s = 0.1
    first_s = 0.0

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live  # noqa: PLC0415

        self._console, self._title = console, title
        self._letters = ("#", "-", "...") if is_ascii_only(console.file) else ("━", "─", "…")
        self._widest = 0
        # The first drawing is slow, because rich imports and prepares what it needs. This one is not shown, so that the
        # first shown drawing is a measure of the pause to the next one.
        console.render_lines(self._text(Progress((PartitionProgress("reading", 1, 1, 1.0),)), 1.0))
        self._widest = 0
        # The program's own output must not be redirected.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Draw the bars in place of the last ones."""
        self._live.update(self._text(progress, elapsed_s), refresh=True)

    def end(self) -> None:
        """Show the cursor again."""
        self._live.stop()

    def _text(self, progress: Progress, elapsed_s: float) -> Text:
        from rich.text import Text  # noqa: PLC0415

        width, height = self._console.size
        lines = [self._whole(progress, elapsed_s, width), *self._partitions(progress, width, height)]
        return Text("\n", no_wrap=True).join(lines)

    def _whole(self, progress: Progress, elapsed_s: float, width: int) -> Text:
        """Return the line of the whole read: its numbers are never cut; the title and the bar are shorter instead."""
        from rich.text import Text  # noqa: PLC0415

        details = summary(progress, elapsed_s, width)
        # The bar does not become longer again when the text becomes shorter: it would flicker.
        self._widest = min(max(self._widest, len(details)), width)
        room = width - self._widest - 2
        titles = (Text(self._title), Text(self._title.partition(" ")[0]), Text())
        title = next(title for title in titles if title.cell_len <= max(room - SHORTEST_BAR, 0))
        bar = min(room - title.cell_len, LONGEST_BAR)
        if bar < SHORTEST_BAR:
            return Text(details)
        drawn = self._moving(elapsed_s, bar) if progress.share is None else self._bar(progress.share, bar)
        return Text.assemble(title, " " * bool(title), drawn, " ", details)

    def _partitions(self, progress: Progress, width: int, height: int) -> list[Text]:
        """Return the lines with the partitions that are being read: each has its number, a bar, and its rows."""
        from rich.text import Text  # noqa: PLC0415

        reading = [(n, part) for n, part in enumerate(progress.partitions, 1) if part.state == "reading"]
        if not reading or len(progress.partitions) == 1:
            return []
        numbers = len(str(len(progress.partitions)))
        rows = max(len(f"{round(max(part.rows, part.estimated_rows or 0)):,}") for _, part in reading)
        cell = 2 + numbers + 1 + SHORTEST_BAR + 1 + rows
        columns = min(max(width // cell, 1), len(reading))
        bar = min(SHORTEST_BAR + (width - columns * cell) // columns, LONGEST_BAR // 2)
        if bar < 1:
            return []
        lines = max(min(MOST_LINES, height - 2), 0)
        fit = columns * lines
        cells = [
            Text.assemble(f"  {n:>{numbers}} ", self._bar(_share(part), bar), f" {part.rows:>{rows},}")
            for n, part in reading[: fit if len(reading) <= fit else max(fit - 1, 0)]
        ]
        if len(reading) > fit > 0:
            cells.append(Text(f"  {self._letters[2]} {len(reading) - fit + 1} more", style=REST))
        return [Text().join(cells[at : at + columns]) for at in range(0, len(cells), columns)]

    def _bar(self, share: float, width: int) -> Text:
        from rich.text import Text  # noqa: PLC0415

        full, rest, _ = self._letters
        done = int(min(max(share, 0.0), 1.0) * width)
        return Text.assemble((full * done, COMPLETE if done == width else DONE), (rest * (width - done), REST))

    def _moving(self, elapsed_s: float, width: int) -> Text:
        """Return a bar for a read of unknown length: a piece of it goes from end to end and back."""
        from rich.text import Text  # noqa: PLC0415

        full, rest, _ = self._letters
        piece = max(width // 4, 1)
        way = width - piece
        # From 0 to 1 and back to 0.
        place = round(way * (1 - abs(elapsed_s / SWING_S % 2 - 1)))
        return Text.assemble((rest * place, REST), (full * piece, DONE), (rest * (way - place), REST))


def _share(part: PartitionProgress) -> float:
    return part.rows / part.estimated_rows if part.estimated_rows else 0.0
