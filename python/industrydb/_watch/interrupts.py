"""Ctrl-C while the main thread waits in Polars, where Python cannot run signal handlers.

Polars pulls a scan's rows from a thread of its own, while the main thread waits inside Polars. Python runs signal
handlers in the main thread only, so Ctrl-C would have no effect until the end of the query. Therefore each SIGINT is
held back while a scan reads, and a thread polls for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from industrydb.industrydb import (
    IndustryDbError,
    Stop,
    held_interrupt,
    hold_interrupts,
    pass_interrupt,
    release_interrupts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# The interval at which the thread polls for a SIGINT: far shorter than the half second within which a read must end.
LOOK_S = 0.05


class _Reading:
    """A read that a SIGINT ends, and the error that the handler raised."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.error: BaseException | None = None


class _Watch:
    """The running reads, and the one thread that polls for a SIGINT for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: list[_Reading] = []
        self._ended: threading.Event | None = None

    def begin(self, reading: _Reading) -> None:
        with self._lock:
            self._readings.append(reading)
            if self._ended is None and hold_interrupts():
                self._ended = threading.Event()
                looking = threading.Thread(
                    target=self._look, args=[self._ended], name="industrydb-interrupts", daemon=True
                )
                try:
                    looking.start()
                except RuntimeError:  # no thread can be started while the interpreter shuts down
                    self._release()

    def end(self, reading: _Reading) -> None:
        with self._lock:
            self._readings.remove(reading)
            if not self._readings:
                self._release()

    def _release(self) -> None:
        if self._ended is None:
            return
        self._ended.set()
        self._ended = None
        release_interrupts()
        if held_interrupt():  # the thread ended before it saw this SIGINT
            _pass_on()

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_S):
            if held_interrupt():
                self._attend()

    def _attend(self) -> None:
        """Call Python's handler of SIGINT if the main thread waits in Polars; otherwise pass the signal on to it."""
        handler = signal.getsignal(signal.SIGINT)
        frame = _polars_frame()
        if frame is None or not callable(handler):
            _pass_on()
            return
        try:
            handler(int(signal.SIGINT), frame)
        except BaseException as error:  # noqa: BLE001, the scan raises whatever the handler raises
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            with self._lock:
                readings = list(self._readings)
            for reading in readings:
                reading.error = error
                reading.stop.set()


_watch = _Watch()


def _begin_anew() -> None:
    """Start without reads in a forked process, which does not have its parent's threads."""
    global _watch  # noqa: PLW0603, there is one
    release_interrupts()
    _watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Let Ctrl-C end a read, even while the main thread is in Polars.

    In that case, Python's handler of SIGINT runs at once in another thread. If it raises, the read ends, and the block
    raises the handler's error; if it returns, the read goes on. While the main thread is not in Polars, it runs the
    handler itself, as usual.

    Yields
    ------
    Stop
        The signal that ends the read.
    """
    watch, reading = _watch, _Reading()
    watch.begin(reading)
    try:
        yield reading.stop
    except IndustryDbError:
        if reading.error is None:
            raise
    finally:
        watch.end(reading)
    if reading.error is not None:
        raise reading.error from None


def _polars_frame() -> FrameType | None:
    """Return the main thread's frame if the main thread is inside Polars, otherwise `None`."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001, the one way to look at a thread
    if frame is None or str(frame.f_globals.get("__name__")).partition(".")[0] != "polars":
        return None
    return frame


def _pass_on() -> None:
    """Send the SIGINT to the main thread."""
    pass_interrupt(threading.main_thread().ident or 0)
