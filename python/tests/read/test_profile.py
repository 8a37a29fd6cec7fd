"""A profile's numbers are true, and its chart is to scale, safe for any name, and self-contained."""

import doctest
import math
import re
import sys
import tempfile
import time
import webbrowser
from datetime import datetime, timezone
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import polars as pl
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import industrydb
from industrydb._watch.advice import Division
from industrydb._watch.page import Facts, chart
from industrydb._watch.profile import SCHEMA, profile_of, profile_of_attempts, show
from industrydb.industrydb import Measured
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile

pytestmark = pytest.mark.needs(Feature.DRIVER)

QUERY = "SELECT id, name FROM profiled"
TIMES = ("start_s", "connected_s", "first_rows_s", "end_s")


@pytest.fixture
def table(database: Database) -> Database:
    """Return a database with a table ``profiled (id, name)`` of 5000 rows."""
    rows = ", ".join(f"({n}, 'name {n}')" for n in range(5000))
    database.script("DROP TABLE IF EXISTS profiled; CREATE TABLE profiled (id INTEGER PRIMARY KEY, name TEXT)")
    database.execute(f"INSERT INTO profiled VALUES {rows}")
    return database


# The profile


@pytest.mark.parametrize(
    "split", [{}, {"partitions": 5}, {"partition_on": "id", "partitions": 16, "max_connections": 2}], ids=str
)
def test_a_profile(table: Database, split: dict[str, Any]) -> None:
    """A profile has each partition's row count, as another driver counts it, and plausible times."""
    plan = industrydb.plan_sql(table.uri, QUERY, **split)
    began = time.monotonic()
    frame, profile = plan.profile()
    wall_s = time.monotonic() - began
    assert frame.equals(plan.read())
    assert profile.schema == SCHEMA
    assert profile["partition"].to_list() == list(range(1, len(plan) + 1))
    assert profile["rows"].to_list() == [len(table.rows(sql)) for sql in plan.sql]
    assert profile["estimated_rows"].to_list() == list(plan.estimated_rows)
    assert set(profile["worker"]) <= set(range(1, min(len(plan), split.get("max_connections", 32)) + 1))
    for row in profile.iter_rows(named=True):
        times = [row[name] for name in TIMES]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= wall_s
        reading_s = row["end_s"] - row["connected_s"]
        assert (row["wait_s"] or 0) + row["decode_s"] == pytest.approx(reading_s)
        assert row["rows_per_s"] == pytest.approx(row["rows"] / reading_s)
        assert (row["wait_s"] is None) == (row["bytes"] is None) == table.uri.startswith("sqlite")
        assert row["way"] == ("decoding the pages of profiled" if table.name == "sqlite" else None)
    for (_,), of_worker in profile.group_by("worker"):
        bars = sorted(of_worker.select("start_s", "end_s").rows())
        assert all(end <= start for (_, end), (start, _) in pairwise(bars))


def test_bytes_are_those_of_the_rows(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A profile's bytes are those of COPY's rows, five bytes for each row's message, and a few other messages."""
    query = "SELECT n, repeat('x', n % 50) AS x FROM generate_series(1, 3000) AS n"
    _, profile = industrydb.plan_sql(postgres_uri, query).profile()
    with postgres.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
        size = sum(map(len, copy))
    size -= 19 + 2  # header and trailer
    assert size + 5 * 3000 <= profile["bytes"].item() <= size + 5 * 3000 + 2000


def test_waiting_is_not_decoding(postgres_uri: str) -> None:
    """The time in which the query sleeps is waiting, and not decoding."""
    # The server may sleep for a while before its answer is waited for: longer than what is asserted.
    sleeps = "SELECT pg_sleep(0.5)::text AS t"
    plan = industrydb.plan_sql(postgres_uri, [sleeps, *["SELECT 'x' AS t"] * 3], max_connections=2)
    _, profile = plan.profile()
    sleeping = profile.row(0, named=True)
    assert sleeping["wait_s"] >= 0.3
    assert sleeping["decode_s"] < sleeping["wait_s"] / 2
    assert sleeping["first_rows_s"] - sleeping["connected_s"] >= 0.3
    longest = max(bars(chart(profile, FACTS)), key=lambda bar: bar.width)
    assert max(longest.phases, key=lambda phase: phase[1])[0] == "first"


def test_no_rows(table: Database) -> None:
    """A partition without rows has no time of first rows, and a rate of zero."""
    frame, profile = industrydb.plan_sql(table.uri, [f"{QUERY} WHERE id < 0", f"{QUERY} WHERE id < 9"]).profile()
    assert frame.height == 9
    assert profile.select("rows", pl.col("first_rows_s").is_null(), pl.col("rows_per_s") == 0).rows() == [
        (0, True, True),
        (9, False, False),
    ]
    page = chart(industrydb.plan_sql(table.uri, f"{QUERY} WHERE id < 0").profile()[1], FACTS)
    assert "the most rows, 0. 1 worker, idle" in Page(page).text
    assert {kind for bar in bars(page) for kind, _ in bar.phases} <= {"connect", "first"}


def test_errors_are_those_of_a_read(table: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of a read that fails raises the read's error, and shows no chart."""
    monkeypatch.setattr(webbrowser, "open", None)
    plan = industrydb.plan_sql(table.uri, QUERY, timeout=60)
    table.execute("DROP TABLE profiled")
    with pytest.raises(industrydb.QueryExecutionError, match="profiled"):
        plan.profile(show_plot=True)


def test_the_example(tmp_path: Path, sqlite_file: SqliteFile) -> None:
    """The docstring's example prints what it shows."""
    sqlite_file.connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")
    sqlite_file.connection.execute("INSERT INTO person VALUES (1, 'Ada'), (2, 'Grace'), (3, NULL)")
    (found,) = doctest.DocTestFinder().find(industrydb.ReadPlan.profile, "profile", globs={"uri": sqlite_file.uri})
    assert doctest.DocTestRunner().run(found) == (0, 5)
    assert list(tmp_path.iterdir()) == [sqlite_file.path]


# The chart


def measured(*values: float | None) -> Measured:
    """Return made-up measurements of one partition."""
    names = "start connected first_rows end waited held rows bytes worker estimated_rows"
    return cast("Measured", SimpleNamespace(way=None, **dict(zip(names.split(), values, strict=True))))


# Two workers for two seconds; the second worker is idle for one of them.
MEASURED = [
    measured(0.0, 0.1, 0.4, 1.0, 0.5, 0.0, 250, 5000, 0, 240.4),
    measured(0.0, 0.2, 0.2, 1.0, 0.0, 0.0, 600, 0, 1, None),
    measured(1.0, 1.0, None, 1.01, 0.01, 0.0, 0, 61, 0, 10.0),
    measured(1.01, 1.01, 1.1, 2.0, 0.89, 0.0, 150, 4000, 0, 149.5),
]


FACTS = Facts("SELECT 1", "sqlite://x.db", at=datetime(2024, 2, 29, 12, tzinfo=timezone.utc))


class Bar(NamedTuple):
    """A bar: its lane, its place and its width in percent, its phases with their widths, its label, and its tip."""

    lane: int
    left: float
    width: float
    phases: list[tuple[str, float]]
    label: str
    tip: list[str]


class Page(HTMLParser):
    """A page as a browser parses it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.by_class: dict[str, list[str]] = {}
        self._kind = ""
        self.feed(page)
        self.close()
        self.text = " ".join("".join(part) for part in self.texts.values())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        self.tags.append(tag)
        self.attributes.extend(attrs)
        self._kind = dict(attrs).get("class") or self._kind

    def handle_data(self, data: str) -> None:
        """Record a text under the element, and under the class, that began last."""
        self.texts.setdefault(self.tags[-1] if self.tags else "", []).append(data)
        self.by_class.setdefault(self._kind, []).append(data)


def bars(page: str) -> list[Bar]:
    """Return the bars of a page, in the order of their lanes."""
    found = []
    for lane, part in enumerate(page.split('<div class="lane">')[1:], 1):
        for left, width, rest in re.findall(
            r'<div class="bar" tabindex="0" style="left:(.*?)%;width:(.*?)%">(.*)', part
        ):
            phases = re.findall(r'<span class="(\w+)" style="width:([\d.]+)%">', rest)
            label = re.sub(r"<.*?>", "", re.findall(r'<span class="label">(.*?)</span>', rest)[0])
            (tip,) = re.findall(r'<div class="tip"[^>]*>(.*?)</div>', part[part.index(rest) :], re.DOTALL)[:1]
            widths = [(name, float(share)) for name, share in phases]
            found.append(Bar(lane, float(left), float(width), widths, label, unescape(tip).splitlines()))
    return found


def test_bars_are_to_scale() -> None:
    """Each partition's bar is in its worker's lane, at the position and length of its time, divided into its phases."""
    # Calculated by hand: each partition's lane, and the seconds of its phases.
    expected = [
        (1, {"connect": 0.1, "first": 0.3, "wait": 0.2, "decode": 0.4}),
        (2, {"connect": 0.2, "decode": 0.8}),
        (1, {"first": 0.01}),
        (1, {"first": 0.09, "wait": 0.8, "decode": 0.1}),
    ]
    found = sorted(bars(chart(profile_of(MEASURED), FACTS)), key=lambda bar: int(bar.label.partition(":")[0]))
    for one, (lane, phases), bar in zip(MEASURED, expected, found, strict=True):
        start, end = cast("float", one.start), cast("float", one.end)
        assert bar.lane == lane
        # The reads take two seconds, which are 100 %.
        assert [bar.left, bar.width] == pytest.approx([start * 50, (end - start) * 50], abs=0.01)
        assert [name for name, _ in bar.phases] == list(phases)
        shares = [100 * seconds / (end - start) for seconds in phases.values()]
        assert [width for _, width in bar.phases] == pytest.approx(shares, abs=0.01)


def test_labels_and_tips() -> None:
    """Each bar has a label, which is cut at the bar's width, and a tip with all figures that were measured."""
    profile = profile_of(MEASURED)
    page = chart(profile, FACTS)
    found = bars(page)
    assert [bar.label for bar in found] == ["1: 250 rows", "3: 0 rows", "4: 150 rows", "2: 600 rows"]
    assert found[0].tip == [
        "partition: 1", "worker: 1", "start_s: 0.0000", "connected_s: 0.1000", "first_rows_s: 0.4000", "end_s: 1.0000",
        "wait_s: 0.5000", "decode_s: 0.4000", "rows: 250", "bytes: 5,000", "estimated_rows: 240",
        "rows_per_s: 277.7778",
    ]  # fmt: skip
    style = Page(page).texts["style"][0]
    assert re.search(r"\.label \{[^}]*overflow: hidden[^}]*container-type", style)
    assert re.search(r"\.bar:hover \+ \.tip, .*\.bar:focus \+ \.tip \{ display: block", style)


def test_the_whole_read() -> None:
    """The page has the totals, the database, the time and the query; a long query is shown whole below its title."""
    query = f"SELECT {', '.join(f'column_{n}' for n in range(50))}\nFROM t"
    page = Page(chart(profile_of(MEASURED), Facts(query, "postgresql://ana@host/db", 2.5, FACTS.at)))
    title = page.texts["h1"][0]
    assert title == f"{query[:118]} …"
    assert page.texts["pre"][0] == query
    assert "postgresql://ana@host/db, 2024-02-29 12:00:00 UTC" in page.text
    # 1000 rows and 9061 bytes in two seconds.
    values = [text for text in page.texts["dd"] if text.strip()]
    assert dict(zip(page.texts["dt"], values, strict=True)) == {
        "rows": "1,000", "rows/s": "500", "received": "9.1 kB", "speed": "4.5 kB/s", "partitions": "4", "workers": "2",
        "reading": "2.00 s", "in all": "2.50 s",
    }  # fmt: skip
    assert "details" not in Page(chart(profile_of(MEASURED), FACTS)).tags


# Measurements, and what the advice must say about them, word by word.
ADVICE = [
    # 700 of 1000 rows in one partition of four, and three workers idle for most of the time.
    (
        [
            measured(0.0, 0.0, 0.0, 7.0 if n == 2 else 1.0, 0.0, 0.0, 700 if n == 2 else 100, 0, n, None)
            for n in range(4)
        ],
        [
            r"Partition 3 has 70% of the rows, where an even one of 4 would have 25%",
            r"The workers were idle for 64% of the time",
        ],
    ),
    (
        [measured(0.0, 0.1, 0.1, 10.0, 8.0, 0.0, 1, 1, 0, None)],
        [r"One worker read all", r"The server made you wait 80% "],
    ),
    (
        [measured(0.0, 0.0, 0.6, 1.0, 0.6, 0.0, 1, 1, 0, None)],
        [r"60% of the time went by until the first rows", r"wait 60%"],
    ),
    (
        [measured(0.0, 0.5, 0.5, 1.0, 0.3, 0.0, 1, 1, 0, None)],
        [r"One worker read all", r"Connecting took 50% of the time"],
    ),
    (
        [measured(0.0, 0.0, 0.0, 1.0, 0.1, 0.0, 1, 1, 0, None)],
        [r"One worker read all", r"This machine was decoding 90% of the time"],
    ),
    ([measured(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1, 0, worker, None) for worker in (0, 1)], [r"Nothing stands out"]),
]


@pytest.mark.parametrize(("partitions", "said"), ADVICE)
def test_advice(partitions: list[Measured], said: list[str]) -> None:
    """The page says in words what slowed the read down, and nothing else."""
    told = Page(chart(profile_of(partitions), FACTS)).texts["li"]
    told = [text for text in told if text.strip()]
    assert len(told) == len(said)
    assert all(re.search(pattern, text) for pattern, text in zip(said, told, strict=True))


def of_rows(*rows: int, estimated: tuple[int | None, ...] = (None,)) -> list[Measured]:
    """Return partitions of so many rows, each read by a worker of its own in a second per 100 rows."""
    estimates = estimated * len(rows) if len(estimated) == 1 else estimated
    parts = zip(rows, estimates, strict=True)
    return [measured(0.0, 0.0, 0.0, n / 100, 0.0, 0.0, n, 0, worker, e) for worker, (n, e) in enumerate(parts)]


def late(partitions: int) -> list[Measured]:
    """Return partitions whose first rows come after 90 % of their time."""
    return [measured(0.0, 0.0, 9.0, 10.0, 9.0, 0.0, 1000, 9, n, None) for n in range(partitions)]


# Measurements, how the query was divided, what the advice must have, and what it must not.
DIVISIONS: dict[str, tuple[list[Measured], Division | None, list[str], list[str]]] = {
    "a short read": (
        [measured(0.0, 0.0001, 0.0015, 0.002, 0.001, 0.0, 3, 99, 0, None)],
        None,
        ["The read took 0.002 s, which is too short for advice."],
        ["index", "Connecting"],
    ),
    "no rows": (
        [measured(0.0, 0.0, None, 0.002, 0.002, 0.0, 0, 0, 0, None)],
        Division(None),
        ["too short for advice"],
        ["index", "100%"],
    ),
    "a frequent key": (
        of_rows(600, 200, 200, estimated=(610, 195, 195)),
        Division("k"),
        ["one key has most of them, and no cut can split the rows of one key", "partitions without a column",
         "idle for 44% of the time: the others waited for partition 1"],
        ["range", "more partitions"],
    ),
    "rows that the sample did not see": (
        of_rows(600, 200, 200, estimated=(200, 200, 200)),
        Division("k"),
        ["the sample did not see them"],
        ["one key", "range"],
    ),
    "a range": (
        of_rows(600, 200, 200),
        Division("k", has_range=True),
        ["a range is cut at equal distances", "leave the range out"],
        ["one key", "more partitions"],
    ),
    "a list of queries": (of_rows(600, 200, 200), Division(None), ["divide that query further"], ["range", "column"]),
    "partitions without a column": (
        of_rows(600, 200, 200, estimated=(200, 200, 200)),
        Division(None),
        ["not spread evenly over the table"],
        ["range", "one key"],
    ),
    "a costly partition": (
        [
            measured(0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 9, 0, 0, 9),
            *(measured(n / 2, n / 2, n / 2, n / 2 + 0.5, 0.0, 0.0, 9, 0, 1, 9) for n in range(7)),
        ],
        Division("k"),
        ["idle for 28% of the time: partition 1 alone took 8.0 s"],
        ["more partitions than there are workers"],
    ),
    "late rows of one partition": (
        late(1),
        Division(None),
        ["90% of the time went by until the first rows: the database sorts, groups or searches", "WHERE, JOIN"],
        ["partition"],
    ),
    "late rows by a column": (
        late(2), Division("day"), ["An index on the column day helps, or partitions without a column"], ["WHERE"],
    ),
    "late rows without a column": (
        late(2), Division(None), ["once for each partition", "fewer partitions"], ["without a column", "whole table"],
    ),
    "one session": (
        [measured(0.0, 5.0, 5.0, 8.0, 3.0, 0.0, 9, 9, 0, None)],
        Division(None),
        ["Connecting took 62% of the time: read on an open Connection"],
        ["fewer sessions"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DIVISIONS)
def test_advice_fits_the_division(what: str) -> None:
    """Advice depends on how the query was divided, and a read of less than a second gets none."""
    partitions, division, said, unsaid = DIVISIONS[what]
    page = Page(chart(profile_of(partitions), Facts("SELECT 1", "sqlite://x.db", at=FACTS.at, division=division)))
    told = " ".join(page.texts["li"])
    assert [text for text in said if text not in told] == []
    assert [text for text in unsaid if text in told] == []


@pytest.mark.parametrize("split", [{}, {"partition_on": "id"}, {"partition_on": "id", "partition_range": (0, 4999)}])
def test_a_plan_knows_its_division(
    table: Database, split: dict[str, Any], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice on a plan's read gets the column that divides the query, and whether a range placed the cuts."""
    seen: list[Facts] = []

    def page_of(_: pl.DataFrame, facts: Facts) -> str:
        seen.append(facts)
        return ""

    monkeypatch.setattr("industrydb._watch.page.chart", page_of)
    plan = industrydb.plan_sql(table.uri, QUERY, partitions=2, **split)
    plan[:].profile(show_plot=True)
    assert len(opened) == 1
    assert [one.division for one in seen] == [Division(split.get("partition_on"), has_range="partition_range" in split)]


def test_the_writing_of_an_extract() -> None:
    """The profile of an extract tells the time of writing from that of decoding, and joins the attempts in time."""
    first, second = (
        measured(0.0, 0.0, 0.0, 1.0, 0.1, 0.7, 5, 9, 0, None),
        measured(0.0, 0.0, 0.0, 2.0, 0.0, 0.5, 6, 9, 1, None),
    )
    profile = profile_of_attempts([(0.5, [first]), (3.0, [second])])
    columns = ["partition", "start_s", "end_s", "decode_s", "write_s"]
    found = profile.select(columns).rows()
    assert found == [(1, 0.5, 1.5, pytest.approx(0.2), 0.7), (2, 3.0, 5.0, 1.5, 0.5)]
    page = chart(profile, FACTS)
    assert [dict(bar.phases).get("write") for bar in bars(page)] == [pytest.approx(70), pytest.approx(25)]
    assert "waiting for the writer of the file" in page


def test_the_summary() -> None:
    """The summary says whether the partitions are even and the workers busy."""
    text = Page(chart(profile_of(MEASURED), FACTS)).text
    # 600 of 1000 rows, in four partitions. The workers are busy for 1, 1, 0.01 and 0.99 of four seconds.
    assert (
        "2.0000 s of wall time. Partition 2 has the most rows, 600: 2.40 times the mean. "
        "2 workers, idle for 25% of the time."
    ) in text


def test_idle_workers_have_lanes() -> None:
    """A worker that has got no partition has a lane and counts as idle."""
    partitions = [measured(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 10, 0, worker, None) for worker in (0, 3)]
    page = chart(profile_of(partitions), FACTS)
    assert page.count('<div class="lane">') == 4
    assert "4 workers, idle for 50% of the time." in Page(page).text


@pytest.mark.parametrize("waits", [True, False])
def test_the_legend(waits: bool) -> None:  # noqa: FBT001, a parameter
    """The legend has the phases that are drawn; without measured waits, none is called waiting."""
    profile = profile_of(MEASURED)
    if not waits:
        profile = profile.with_columns(wait_s=pl.lit(None, pl.Float64))
    page = chart(profile, FACTS)
    legend = re.findall(r'<i class="(\w+)"></i>([^<]+)', page)
    assert {kind for bar in bars(page) for kind, _ in bar.phases} | {"idle"} == {kind for kind, _ in legend}
    assert ("wait", "waiting for more") in legend if waits else ("decode", "reading and decoding") in legend


@given(st.floats(1e-6, 1e7))
@example(8.0)
@example(1.0)
@example(0.1)
@example(0.3)
def test_ticks_are_round(wall_s: float) -> None:
    """There are 3 to 9 ticks, with steps of 1, 2 or 5 times a power of ten, where their labels say."""
    page = chart(profile_of([measured(0.0, 0.0, 0.0, wall_s, 0.0, 0.0, 1, 0, 0, None)]), FACTS)
    ticks = re.findall(r'<div class="tick(?: end)?" style="left:([\d.]+)%"><span>(.*?)</span>', page)
    labels = [label for _, label in ticks]
    seconds = [float(label.removesuffix(" s").replace(",", "")) for label in labels]
    assert 3 <= len(seconds) <= 9
    steps = [right - left for left, right in pairwise(seconds)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:.6e}"[:8] in {"1.000000", "2.000000", "5.000000"}
    assert wall_s - seconds[-1] <= steps[0] * (1 + 1e-9)
    assert [float(place) for place, _ in ticks] == pytest.approx([100 * s / wall_s for s in seconds], abs=0.001)
    assert len({len(label.partition(".")[2]) for label in labels}) == 1
    assert math.isclose(seconds[0], 0)


def test_the_table() -> None:
    """The page's table shows the profile."""
    profile = profile_of(MEASURED)
    page = chart(profile, FACTS)
    head, *lines = [re.findall(r"<t[hd]>(.*?)</t[hd]>", line) for line in re.findall(r"<tr>(.*?)</tr>", page)]
    assert head == profile.columns
    found = [[float(cell.replace(",", "")) if cell else None for cell in line] for line in lines]
    for cells, row in zip(found, profile.rows(), strict=True):
        assert [cell is None for cell in cells] == [value is None for value in row]
        values = [value for value in row if value is not None]
        assert [cell for cell in cells if cell is not None] == pytest.approx(values, rel=1e-3, abs=5e-5)


HOSTILE = """</title></h1><script>alert(1)</script><img src=x onerror='a' "b"> &amp; </svg>{0}%s"""


def test_hostile_names_are_text() -> None:
    """Queries, databases and column names with HTML are shown as text, and make no elements."""
    plain, profile = chart(profile_of(MEASURED), FACTS), profile_of(MEASURED)
    page = chart(profile.with_columns(pl.lit(HOSTILE).alias(HOSTILE)), Facts(HOSTILE, HOSTILE))
    found = Page(page)
    assert found.texts["h1"][0] == HOSTILE
    assert found.texts["title"][0] == HOSTILE
    assert HOSTILE in found.texts["p"][0]
    assert HOSTILE in found.texts["th"]
    assert HOSTILE in found.texts["td"]
    assert bars(page)[0].tip[-1] == f"{HOSTILE}: {HOSTILE}"
    assert set(found.tags) == set(Page(plain).tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_nothing_comes_from_elsewhere() -> None:
    """The page loads nothing, has no script, and its style rules change nothing else in a notebook."""
    page = chart(profile_of(MEASURED), FACTS)
    found = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(found.tags)
    assert not {"href", "src", "xlink:href"} & {name for name, _ in found.attributes}
    assert not re.findall(r"https?://", page)
    style = found.texts["style"][0]
    assert not re.search(r"url\(|@import|@font-face", style)
    assert "@media (prefers-color-scheme: dark)" in style
    selectors = re.findall(r"([^{}]+)\{", re.sub(r"@(media|container)[^{]*\{", "", style))
    assert all(part.strip().startswith(".industrydb-profile") for text in selectors for part in text.split(","))


# How it is shown


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Record the URLs that a browser would open, and keep temporary files in the test's folder."""
    found: list[str] = []

    def open_url(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_url)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    return found


def test_a_browser(table: Database, opened: list[str], tmp_path: Path) -> None:
    """A browser opens the chart on request only, from a file that stays."""
    plan = industrydb.plan_sql(table.uri, QUERY, partition_on="id", partitions=3)
    plan.profile()
    assert not opened
    _, profile = plan.profile(show_plot=True)
    (url,) = opened
    (path,) = tmp_path.glob("industrydb-*.html")
    assert url == path.as_uri()
    page = path.read_text("utf-8")
    at = datetime.strptime(re.findall(r", ([\d: -]{19}) UTC</p>", page)[0], "%Y-%m-%d %H:%M:%S").replace(
        tzinfo=timezone.utc
    )
    database = industrydb.DatabaseConfig.from_uri(table.uri).to_uri()
    assert page == chart(profile, Facts(QUERY, database, at=at, division=Division("id")))


@pytest.mark.usefixtures("opened")
def test_no_browser(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Without a browser, a log message says where the page is."""
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    show("ein ü")
    (path,) = tmp_path.glob("industrydb-*.html")
    assert path.read_text("utf-8") == "ein ü"
    assert [str(path) in message for message in caplog.messages] == [True]


def test_a_notebook(monkeypatch: pytest.MonkeyPatch, opened: list[str], tmp_path: Path) -> None:
    """A notebook shows the page below the cell, without a file or a browser."""
    shown: list[object] = []
    display = SimpleNamespace(display=lambda bundle, **_: shown.append(bundle["text/html"]))
    kernel = SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show("a page")
    assert shown == ["a page"]
    assert not opened
    assert not list(tmp_path.iterdir())
