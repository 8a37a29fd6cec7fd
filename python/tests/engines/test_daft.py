"""Daft's own ways with a source: columns by their positions, long lists, limits, and tasks that share an event loop."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import psycopg
import pytest

import industrydb
from tests.kit.engines import Frame, engine
from tests.kit.servers import Server
from tests.kit.support import sessions

pytestmark = pytest.mark.filterwarnings("default")

COLUMNS = ("a", "b", "s", "t")
ROWS = 60


@pytest.fixture
def pair(tmp_path: Any) -> tuple[Frame, Frame]:  # noqa: ANN401, pytest's path
    """Return a frame that reads a table in three tasks, and Daft's own frame of the same rows in memory."""
    engine("daft")
    import daft  # noqa: PLC0415, may not be installed

    uri = f"sqlite://{tmp_path / 'daft.db'}"
    numbers = range(ROWS)
    rows = {
        "a": [number % 7 for number in numbers],
        "b": [number % 5 for number in numbers],
        "s": ["xyz"[number % 3] + str(number % 2) for number in numbers],
        "t": [None if number % 11 == 0 else str(number) for number in numbers],
    }
    industrydb.write_sql(rows, "wide", uri)
    return engine("daft").frame(uri, "SELECT * FROM wide", partition_on="b", partitions=3), daft.from_pydict(rows)


def conditions(frame: Frame) -> dict[str, Any]:
    """Return filters of each kind: in the statement, in Daft alone, and in both, on early and on late columns."""
    pushed, late, left = frame["a"] == 3, frame["t"] < "4", frame["s"].startswith("x")
    return {
        "none": None,
        "pushed": pushed,
        "pushed on a late column": late,
        "Daft's own": left,
        "Daft's own on an early column": frame["a"] % 2 == 0,
        "both": pushed & left,
        "either": late | left,
        "a long list": frame["a"].is_in([1, 3, *range(100, 120)]),
    }


def kept(frame: Frame, name: str) -> Frame:
    """Return the rows that a filter keeps."""
    condition = conditions(frame)[name]
    return frame if condition is None else frame.where(condition)


FILTERS = [
    *("none", "pushed", "pushed on a late column", "Daft's own", "Daft's own on an early column", "both", "either"),
    "a long list",
]


def rows_of(frame: Frame) -> list[tuple[str, ...]]:
    """Return a frame's rows in an order of their own."""
    return sorted(tuple(map(str, row.values())) for row in frame.to_pylist())


@pytest.mark.parametrize("name", FILTERS)
def test_every_selection_has_its_own_columns(pair: tuple[Frame, Frame], name: str) -> None:
    """Columns in any order, beside any filter, have the values that Daft finds in memory."""
    read, memory = (kept(frame, name) for frame in pair)
    for count in (1, 2, 3):
        for columns in permutations(COLUMNS, count):
            assert rows_of(read.select(*columns)) == rows_of(memory.select(*columns)), columns


@pytest.mark.parametrize("name", FILTERS)
def test_every_aggregate_has_its_own_column(pair: tuple[Frame, Frame], name: str) -> None:
    """Sums, counts and groups, beside any filter, are those that Daft finds in memory."""
    read, memory = (kept(frame, name) for frame in pair)
    for first, second in permutations(("a", "b"), 2):
        sums = [frame.agg(frame[first].sum(), frame[second].sum()).to_pydict() for frame in (read, memory)]
        assert sums[0] == sums[1]
        groups = [
            rows_of(frame.groupby(first).agg(frame[second].sum(), frame["t"].count())) for frame in (read, memory)
        ]
        assert groups[0] == groups[1]
    assert read.count_rows() == memory.count_rows()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("limit", [0, 1, 7, ROWS + 1])
def test_a_limit_counts_the_rows_that_the_filter_keeps(pair: tuple[Frame, Frame], name: str, limit: int) -> None:
    """A limit gives as many of the filter's rows as there are, and no others."""
    read, memory = (kept(frame, name).select("t", "a") for frame in pair)
    found, every = rows_of(read.limit(limit)), rows_of(memory)
    assert len(found) == min(limit, len(every))
    assert set(found) <= set(every)


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the rows of the batches that tasks read."""
    from industrydb._engines.parts import Part  # noqa: PLC0415, needs pyarrow

    rows: list[int] = []
    read = Part.batches

    def batches(part: Part) -> Iterator[Any]:
        for batch in read(part):
            rows.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(Part, "batches", batches)
    return rows


def test_a_task_stops_reading_at_a_limit(pair: tuple[Frame, Frame], arrived: list[int]) -> None:
    """Each of the three tasks reads no more rows than the limit."""
    assert len(pair[0].limit(5).to_pylist()) == 5
    assert 5 <= sum(arrived) <= 15


def test_a_list_of_values_is_part_of_the_statement(pair: tuple[Frame, Frame], arrived: list[int]) -> None:
    """A list of a thousand values is evaluated by the database; a longer one is left to Daft."""
    frame = pair[0]
    assert frame.where(frame["a"].is_in(list(range(6, 1006)))).count_rows() == sum(arrived) < ROWS
    arrived.clear()
    assert frame.where(frame["a"].is_in(list(range(6, 5006)))).count_rows() < sum(arrived) == ROWS


def test_a_filter_on_a_field_is_left_to_daft(own_server: Server) -> None:
    """A filter that Daft shows no visitor, such as one on a field of a struct, is Daft's, with all columns it needs."""
    uri = own_server.uri
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS fielded; DROP TYPE IF EXISTS two; CREATE TYPE two AS (x int, y text)")
        connection.execute("CREATE TABLE fielded AS SELECT i, ROW(i, 'y')::two AS r FROM generate_series(1, 9) AS i")
    frame = engine("daft").frame(uri, "SELECT * FROM fielded")
    assert frame.where((frame["r"]["x"] > 4) & (frame["i"] < 7)).select("i").sort("i").to_pydict() == {"i": [5, 6]}


def test_tasks_read_at_the_same_time(own_server: Server, postgres: psycopg.Connection) -> None:
    """A task that waits for the database lets the others go on, though all share Daft's event loop."""
    slow = "CREATE OR REPLACE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$"
    postgres.execute(f"{slow}BEGIN PERFORM pg_sleep(0.01); RETURN $1; END$$")
    query = "SELECT i, slow(i) AS s FROM generate_series(1, 200) AS i"
    frame = engine("daft").frame(own_server.uri, query, partition_on="i", partitions=2)
    most = 0
    with ThreadPoolExecutor() as executor:
        rows = executor.submit(frame.to_pylist)
        while not rows.done():
            most = max(most, len(sessions(postgres)))
    assert len(rows.result()) == 200
    assert most == 2
