"""Tests of the progress of a read: what is drawn, when, and that drawing fails no read."""

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

import industrydb
from industrydb._watch.displays import Notebook
from industrydb._watch.progress import PartitionProgress, Progress, Tell
from industrydb._watch.shown import shown
from tests.kit.support import PATIENCE_S
from tests.kit.terminal import at_a_terminal, screens


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the time that the test has set."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the progress by one that the test sets."""
    clock = Clock()
    monkeypatch.setattr("industrydb._watch.shown.time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal that is wide enough for bars."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


@contextmanager
def drawn_on(stream: io.StringIO, title: str = "read") -> Iterator[Tell]:
    """Show the progress of a read on a stream in place of standard error."""
    with redirect_stderr(stream), shown(enabled=True, title=title) as tell:
        assert tell is not None
        yield tell


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide rich, as if it were not installed."""
    monkeypatch.setitem(sys.modules, "rich.console", None)


@pytest.fixture
def rich_terminal(terminal: Terminal) -> Terminal:
    """Return a terminal, or skip the test if rich is not installed."""
    pytest.importorskip("rich")
    return terminal


State = Literal["waiting", "reading", "done"]


def progress(*parts: tuple[State, int, float | None], size: int = 0) -> Progress:
    """Return the progress of partitions, with all bytes counted for the first one."""
    sizes = [size, *[0] * len(parts)][: len(parts)]
    return Progress(
        tuple(PartitionProgress(s, rows, n, about) for (s, rows, about), n in zip(parts, sizes, strict=True))
    )


# Each state two seconds after the beginning, with 5,000,000 bytes.
LINES = [
    ([("done", 10, 30.0), ("reading", 1200, 2400.0)], "1/2 partitions, 1,210 rows, 2.5 MB/s, 2 s left"),
    ([("reading", 500, 1000.0), ("waiting", 0, 1000.0)], "0/2 partitions, 500 rows, 2.5 MB/s, 6 s left"),
    ([("reading", 10, 1000.0), ("reading", 10, 1000.0)], "0/2 partitions, 20 rows, 2.5 MB/s, 3 min 18 s left"),
    ([("reading", 1, 6000.0)], "0/1 partitions, 1 row, 2.5 MB/s, 3 h 19 min left"),
    ([("reading", 500, 1000.0), ("waiting", 0, None)], "0/2 partitions, 500 rows, 2.5 MB/s"),
    ([("reading", 500, 1000.0), ("done", 500, None)], "1/2 partitions, 1,000 rows, 2.5 MB/s, 1 s left"),
    ([("reading", 1500, 1000.0), ("waiting", 0, 500.0)], "0/2 partitions, 1,500 rows, 2.5 MB/s, 1 s left"),
    ([("reading", 0, 1000.0)], "0/1 partitions, 0 rows, 2.5 MB/s"),
    # Of one partition without an estimate, nothing tells how much is done, and the elapsed time is shown.
    ([("reading", 1200, None)], "1,200 rows, 2.5 MB/s, 2 s"),
    ([("waiting", 0, None)], "0 rows, 2.5 MB/s, 2 s"),
    ([("done", 1200, None)], "1,200 rows, 2.5 MB/s, 2 s"),
    ([("done", 7, 1000.0), ("done", 3, 0.0)], "2/2 partitions, 10 rows, 2.5 MB/s"),
]


@pytest.mark.usefixtures("no_rich")
@pytest.mark.parametrize(("parts", "line"), LINES)
def test_a_line(terminal: Terminal, clock: Clock, parts: list[tuple[State, int, float | None]], line: str) -> None:
    """A line has what is done, the speed, and the time that is left if the number of rows is known."""
    with drawn_on(terminal) as tell:
        clock.now += 2
        tell(progress(*parts, size=5_000_000))
    assert terminal.getvalue() == f"read: {line}\n"


@pytest.mark.usefixtures("no_rich")
def test_rows_are_counted_where_bytes_are_not(terminal: Terminal, clock: Clock) -> None:
    """The speed is that of the rows if the connector does not count bytes."""
    with drawn_on(terminal) as tell:
        clock.now += 2
        tell(progress(("reading", 3000, 6000.0)))
    assert terminal.getvalue() == "read: 0/1 partitions, 3,000 rows, 1,500/s, 2 s left\n"


@pytest.mark.usefixtures("no_rich")
@pytest.mark.parametrize(
    ("size", "speed"), [(5_000_000, "2.5 MB/s"), (1_900_000, "950.0 kB/s"), (80_000, "40.0 kB/s"), (600, "0.3 kB/s")]
)
def test_a_slow_read_has_small_units(terminal: Terminal, clock: Clock, size: int, speed: str) -> None:
    """A speed below one MB/s is in kB/s, and never 0.0."""
    with drawn_on(terminal) as tell:
        clock.now += 2
        tell(progress(("reading", 10, None), size=size))
    assert terminal.getvalue() == f"read: 10 rows, {speed}, 2 s\n"


@pytest.mark.usefixtures("no_rich")
def test_lines_are_seldom(terminal: Terminal, clock: Clock) -> None:
    """Lines are printed once a second at most, none in the first second, and always for the last state."""
    with drawn_on(terminal) as tell:
        for rows in range(45):
            tell(progress(("reading", rows, None)))
            clock.now += 0.0625
        assert re.findall(r"(\d+) rows", terminal.getvalue()) == ["16", "32"]
    assert re.findall(r"(\d+) rows", terminal.getvalue()) == ["16", "32", "44"]


@pytest.mark.usefixtures("no_rich")
def test_what_was_drawn_is_not_drawn_again(terminal: Terminal, clock: Clock) -> None:
    """A state is drawn once, and a read that has reported nothing draws nothing."""
    with drawn_on(terminal) as tell:
        clock.now += 1
        tell(progress(("done", 5, None)))
    with drawn_on(terminal, "nothing"):
        pass
    assert terminal.getvalue().count("\n") == 1


def test_nothing_is_shown_unasked(terminal: Terminal) -> None:
    """Nothing is shown if progress is not enabled."""
    with redirect_stderr(terminal), shown(enabled=False, title="read") as tell:
        assert tell is None


@pytest.mark.parametrize("kind", ["file", "closed", "missing"])
def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Nothing is shown if standard error is a file, closed or missing."""
    stream = None if kind == "missing" else io.StringIO()
    if kind == "closed" and stream:
        stream.close()
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with redirect_stderr(stream), shown(enabled=True, title="read") as tell:
        assert tell is None


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_the_log_gets_a_line_each_minute(clock: Clock, caplog: pytest.LogCaptureFixture, level: int) -> None:
    """Where standard error is no terminal, a line each minute is logged at INFO; the reader logs start and end."""
    caplog.set_level(level, "industrydb")
    with redirect_stderr(io.StringIO()) as stream, shown(enabled=True, title="read") as tell:
        assert (tell is not None) == (level == logging.INFO)
        for second in range(1, 200):
            clock.now += 1
            if tell:
                tell(progress(("reading", second, 1000.0), size=1_000_000 * second))
        if tell:
            tell(progress(("done", 1000, 1000.0)))
    assert stream.getvalue() == ""
    expected = [f"read: 0/1 partitions, {60 * n} rows, 1.0 MB/s" for n in (1, 2, 3)] if tell else []
    assert [message.rpartition(",")[0] for message in caplog.messages] == expected


CELL = """
import sys
from industrydb._watch.progress import PartitionProgress, Progress
from industrydb._watch.shown import shown
with shown(True, "read <b>") as tell:
    tell(Progress((PartitionProgress("reading", 250, 40, 1000.0),)))
    tell(Progress((PartitionProgress("done", 1000, 8000, 1000.0),)))
"""


def test_a_notebook_draws_a_read_of_unknown_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar of a read of one partition has no value, as HTML has it for an unknown share."""
    shown_html: list[str] = []
    monkeypatch.setattr("industrydb._watch.displays.show", lambda html, *_, **__: shown_html.append(html))
    display = Notebook("read")
    display.draw(progress(("reading", 5, None)), 1.0)
    display.draw(progress(("done", 5, None)), 1.0)
    assert ["value=" in html for html in shown_html] == [False, True]


def test_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, a line of HTML below the cell is updated in place; consoles of its kernel get it as text."""
    pytest.importorskip("ipykernel", reason="needs ipykernel, as notebooks do")
    manager = pytest.importorskip("jupyter_client.manager")
    monkeypatch.setenv("PYTHONPATH", str(Path(industrydb.__file__).parents[1]))
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    messages: list[tuple[str, dict[str, Any]]] = []

    def record(message: dict[str, Any]) -> None:
        if "display" in message["header"]["msg_type"]:
            messages.append((message["header"]["msg_type"], message["content"]))

    try:
        reply = client.execute_interactive(CELL, timeout=PATIENCE_S, output_hook=record)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    (first, began), (second, ended) = messages
    assert (first, second) == ("display_data", "update_display_data")
    assert began["transient"]["display_id"] == ended["transient"]["display_id"]
    assert "read &lt;b&gt; <progress" in began["data"]["text/html"]
    assert 'value="0.2500"' in began["data"]["text/html"]
    assert re.fullmatch(r"read <b>: 1/1 partitions, 1,000 rows(, [\d.,]+ [kM]B/s)?", ended["data"]["text/plain"])
    assert ended["data"]["text/plain"].partition(": ")[2] in ended["data"]["text/html"]


class Broken(Terminal):
    """A terminal that is gone."""

    writes = 0

    def write(self, text: str, /) -> int:
        """Fail, as a terminal that is gone does."""
        self.writes += 1
        raise BrokenPipeError(text)


@pytest.fixture(params=["rich", "lines"])
def display(request: pytest.FixtureRequest) -> None:
    """Draw with rich, and as lines without it."""
    if request.param == "rich":
        pytest.importorskip("rich")
    else:
        request.getfixturevalue("no_rich")


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("when", ["from the start", "later", "closed"])
def test_a_broken_terminal_fails_no_read(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, clock: Clock, when: str
) -> None:
    """A terminal that breaks fails no read, and nothing more is drawn on it."""
    broken = Broken()
    with drawn_on(broken if when == "from the start" else terminal) as tell:
        clock.now += 1
        tell(progress(("reading", 5, None)))
        if when == "closed":
            terminal.close()
        if when == "later":
            monkeypatch.setattr(sys, "stderr", broken)
        for _ in range(9):
            clock.now += 1
            tell(progress(("reading", 6, None)))
    # Bars try once more, to show the cursor again.
    assert broken.writes <= 4
    assert bool(broken.writes) == (when != "closed")


@pytest.mark.usefixtures("display")
def test_errors_of_the_read_come_through(terminal: Terminal) -> None:
    """An error of the read is raised as it is, and the last state is shown."""
    with pytest.raises(KeyError, match="its own"), drawn_on(terminal) as tell:  # noqa: PT012
        tell(progress(("reading", 12, None)))
        raise KeyError("its own")  # noqa: EM101, TRY003
    assert "12 rows" in terminal.getvalue()


def bars(lines: list[str]) -> list[str]:
    """Return lines with their bars as ``|``."""
    return [re.sub(r"[━─]+", "|", line) for line in lines]


def test_bars(rich_terminal: Terminal, clock: Clock) -> None:
    """There is a line for the whole read, and below it a bar for each partition that is being read."""
    states: list[tuple[State, int, float | None]] = [("done", 1, 10.0), *[("reading", n, 10.0) for n in range(10)]]
    with drawn_on(rich_terminal, "read [orders]") as tell:
        clock.now += 2
        tell(progress(*states, ("waiting", 0, 10.0), size=8_000_000))
        (*_, lines) = screens(rich_terminal.getvalue())
        whole, *parts = bars(lines)
        # 46 rows of 1 + 11 * 10 in two seconds: 65 more take 2.83 s.
        assert whole == "read [orders] | 1/12 partitions, 46 rows, 4.0 MB/s, 3 s left"
        assert re.findall(r"(\d+) \| +(\d+)", "\n".join(parts)) == [(str(n + 2), str(n)) for n in range(10)]
        clock.now += 1
        done: tuple[State, int, float] = ("done", 1, 10.0)
        tell(progress(*[done] * 12, size=12_000_000))
    (*_, lines) = screens(rich_terminal.getvalue())
    assert bars(lines) == ["read [orders] | 12/12 partitions, 12 rows, 4.0 MB/s"]
    assert rich_terminal.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is back"


def test_a_read_of_unknown_length(rich_terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns, a read of one partition has a bar whose piece moves, its rows, speed and time."""
    monkeypatch.setenv("COLUMNS", "80")
    with drawn_on(rich_terminal, "extract to a folder") as tell:
        for second in range(1, 6):
            clock.now += 1
            tell(progress(("reading", 1_000_000 * second, None), size=40_000 * second))
        tell(progress(("done", 5_000_000, None), size=200_000))
    drawn = list(screens(rich_terminal.getvalue()))
    assert [len(lines) for lines in drawn] == [1] * len(drawn)
    assert max(len(lines[0]) for lines in drawn) <= 80
    assert [bars(lines)[0].partition("|")[2] for lines in drawn[:5]] == [
        f" {second:,},000,000 rows, 40.0 kB/s, {second} s" for second in range(1, 6)
    ]
    pieces = [re.findall(r"[━─]+", lines[0])[0] for lines in drawn]
    assert len({len(bar) for bar in pieces}) == 1
    assert [bar.count("━") for bar in pieces[:5]] == [len(pieces[0]) // 4] * 5
    assert pieces[0].index("━") < pieces[1].index("━") > pieces[2].index("━") > 0, "the piece goes to the end and back"
    assert set(pieces[-1]) == {"━"}, "the bar of a read that is done is full"


# 64 partitions of a million rows, of which 32 are being read: 5 are done, 27 wait.
KINDS: list[tuple[int, tuple[State, int, float | None]]] = [
    (5, ("done", 1_000_000, 1e6)),
    (32, ("reading", 500_000, 1e6)),
    (27, ("waiting", 0, 1e6)),
]
MANY = [part for count, part in KINDS for _ in range(count)]


@pytest.mark.parametrize(
    ("columns", "rows", "drawn"), [(80, 24, 24), (100, 24, 32), (200, 24, 32), (80, 5, 9), (40, 24, 8), (80, 2, 0)]
)
def test_a_line_is_never_cut(  # noqa: PLR0913, PLR0917
    rich_terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch, columns: int, rows: int, drawn: int
) -> None:
    """The line of the whole read is complete at any width, and as many partitions as fit are drawn below it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(rows))
    with drawn_on(rich_terminal, "extract to a folder of a long name") as tell:
        clock.now += 100
        tell(progress(*MANY, size=12_345_000_000))
        (*_, lines) = screens(rich_terminal.getvalue())
    assert max(map(len, lines)) <= columns
    assert len(lines) < rows
    # 21 of 64 million rows in 100 seconds: 43 more take 204.8 s.
    whole = "123.5 MB/s, 3 min 25 s left" if columns < 80 else "21,000,000 rows, 123.5 MB/s, 3 min 25 s left"
    assert lines[0].endswith(whole)
    assert len(re.findall(r"━─+ +500,000", "\n".join(lines[1:]))) + ("more" in lines[-1]) == drawn
    if more := re.search(r"… (\d+) more", lines[-1]):
        assert int(more[1]) + drawn - 1 == 32


@pytest.mark.parametrize(("variable", "value"), [("LC_ALL", "C"), ("LANG", "POSIX"), ("PYTHONIOENCODING", "ascii")])
def test_a_terminal_without_the_letters(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Bars are ASCII where the locale is not UTF-8, and have no colour where NO_COLOR is set."""
    pytest.importorskip("rich")
    for name in ("LC_ALL", "LC_CTYPE", "LANG", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    coloured = at_a_terminal([sys.executable, "-c", DRAWING])
    assert coloured.isascii()
    assert "\x1b[32m#" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = at_a_terminal([sys.executable, "-c", DRAWING])
    assert re.search(r"read [#-]+ 0/1 partitions", plain)
    assert not re.search(r"\x1b\[[\d;]*m", plain)


def test_bars_are_drawn_ten_times_a_second(rich_terminal: Terminal, clock: Clock) -> None:
    """Bars are drawn ten times a second, however often the read reports; standard output is not redirected."""
    before = sys.stdout
    with drawn_on(rich_terminal) as tell:
        assert sys.stdout is before
        for rows in range(1, 33):
            tell(progress(("reading", rows, None)))
            clock.now += 0.03125
    # Rows of the partition's own line, and of the line for the whole read.
    drawn = [int(rows) for rows in re.findall(r"(\d+) rows?", rich_terminal.getvalue())]
    assert sorted(set(drawn)) == [1, 5, 9, 13, 17, 21, 25, 29, 32]


def test_a_terminal_that_cannot_go_back_gets_lines(rich_terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot move its cursor gets lines, since bars would never be seen there."""
    monkeypatch.setenv("TERM", "dumb")
    with drawn_on(rich_terminal) as tell:
        tell(progress(("done", 5, None)))
    assert rich_terminal.getvalue().startswith("read: 5 rows")


DRAWING = """
import sys
from industrydb._watch.progress import PartitionProgress, Progress, Tell
from industrydb._watch.shown import shown
with shown(True, "read") as tell:
    for rows in range(1000):
        tell(Progress((PartitionProgress("reading", rows, 8 * rows, 1000.0),)))
    tell(Progress((PartitionProgress("done", 1000, 8000, 1000.0),)))
"""


def test_a_real_terminal() -> None:
    """On a real terminal, the last state stands on a line of its own, drawn as bars or as lines."""
    text = at_a_terminal([sys.executable, "-c", DRAWING])
    (*_, lines) = screens(text)
    assert "1/1 partitions, 1,000 rows" in lines[-1]
    if "rich" not in sys.modules and find_spec("rich") is None:
        assert text.count("\n") == 1


RESIZED = """
import fcntl, struct, sys, termios
from industrydb._watch.progress import PartitionProgress, Progress
from industrydb._watch.shown import shown
with shown(True, "read") as tell:
    for columns in (120, 60, 90):
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        drawing = tell.__self__
        drawing._due = 0
        tell(Progress(tuple(PartitionProgress("reading", columns, 800_000, 1000.0) for _ in range(9))))
"""


def test_a_terminal_that_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drawing has the width that the terminal has by then, and its first line is complete."""
    pytest.importorskip("rich")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    drawn = list(screens(at_a_terminal([sys.executable, "-c", RESIZED])))
    wholes = [re.search(r"([\d,]+) rows, [\d,.]+ MB/s, .* left$", lines[0]) for lines in drawn]
    rows = [int(whole[1].replace(",", "")) // 9 for whole in wholes if whole]
    assert rows == [120, 60, 90, 90], "the last one is drawn once more"
    assert all(0.8 * columns < max(map(len, lines)) <= columns for columns, lines in zip(rows, drawn, strict=True))


@pytest.mark.parametrize(("cost_s", "pause_s"), [(0.001, 0.1), (0.004, 0.4), (0.14, 1.0), (0.5, 1.0), (30.0, 1.0)])
def test_what_takes_long_to_look_at_is_looked_at_less_often(
    clock: Clock, rich_terminal: Terminal, cost_s: float, pause_s: float
) -> None:
    """Drawing takes a hundredth of the time, but the pause between two drawings is a second at most."""
    looked: list[float] = []
    drawn: list[float] = []

    def look() -> Progress:
        looked.append(clock.now)
        clock.now += cost_s
        drawn.append(clock.now)
        return progress(("reading", 7, None))

    with drawn_on(rich_terminal) as tell:
        for _ in range(300):
            tell(look)
            clock.now += 0.01
    pauses = [later - earlier for earlier, later in zip(drawn[:-2], looked[1:-1], strict=True)]
    assert len(pauses) > 1
    assert pauses == [pytest.approx(pause_s, abs=0.011)] * len(pauses)
    assert "7 rows" in rich_terminal.getvalue()


@pytest.mark.usefixtures("no_rich")
def test_one_slow_drawing_does_not_stop_the_lines(terminal: Terminal, clock: Clock) -> None:
    """A terminal that took 14 seconds for one line gets the next one a second later."""
    with drawn_on(terminal) as tell:
        clock.now += 1

        def slowly() -> Progress:
            clock.now += 14
            return progress(("reading", 1, None))

        tell(slowly)
        clock.now += 1.001
        tell(progress(("reading", 2, None)))
        assert re.findall(r"(\d+) rows?", terminal.getvalue()) == ["1", "2"]


FIRST_DRAWING = """
import sys
from industrydb._watch.progress import PartitionProgress, Progress
from industrydb._watch.shown import shown
sys.stderr.isatty = lambda: True
with shown(True, "read") as tell:
    before = set(sys.modules)
    tell(Progress((PartitionProgress("reading", 5, 40, 10.0), PartitionProgress("waiting", 0, 0, None))))
    print(sorted(set(sys.modules) - before))
"""


def test_the_first_drawing_imports_nothing() -> None:
    """Modules are imported before the first drawing, so that its measured time is that of any drawing."""
    pytest.importorskip("rich")
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-c", FIRST_DRAWING]
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=PATIENCE_S)
    assert child.stdout == "[]\n"
    assert "5 rows" in child.stderr
