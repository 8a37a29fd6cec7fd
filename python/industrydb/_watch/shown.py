"""``shown``: show the progress of a read while it runs."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from industrydb._watch.displays import Display, display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from industrydb._watch.progress import Progress, Tell

# The largest share of the time that drawing may take: with thousands of partitions, each drawing is expensive.
LARGEST_SHARE = 0.01
# The longest pause between two drawings, even if drawing then takes a larger share.
LONGEST_PAUSE_S = 1.0


@contextmanager
def shown(enabled: bool, title: str) -> Iterator[Tell | None]:  # noqa: FBT001, the name says what it switches
    """Show the progress of a read: at a terminal on standard error, in a notebook below the cell, elsewhere in the log.

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
        ``None`` if nothing is shown: if `enabled` is false, or nobody looks and the log does not take messages.
    """
    how = display(title) if enabled else None
    if how is None:
        yield None
        return
    drawing = _Drawing(how)
    try:
        yield drawing.tell
    finally:
        drawing.end()


class _Drawing:
    """Limits how often a display draws; draws the last state always, and nothing more once a drawing has failed."""

    def __init__(self, display: Display) -> None:
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
