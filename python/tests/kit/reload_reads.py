"""Every way to read a table that is being reloaded, and the check of what a read returns."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import polars as pl

import industrydb
from industrydb import Connection, DatabaseConnectionError, QueryExecutionError, TypeConversionError
from tests.kit.reloads import FIXED, PARTITIONED, TABLE, Object, Writer, height

# Errors that a read may raise instead of returning rows, but none that says that the call is wrong. The last one is
# what Polars makes of a scan's error.
REFUSALS = (DatabaseConnectionError, QueryExecutionError, TypeConversionError, pl.exceptions.ComputeError)

# Longer than any read that finishes by itself.
TIMEOUT_S = 20

SPLIT: dict[str, Any] = {"partition_on": "id", "partitions": 4, "timeout": TIMEOUT_S}

# With a given range, the cuts do not depend on the rows; every generation has rows in each partition.
EVEN: dict[str, Any] = {**SPLIT, "partition_range": (1, 400)}

# The frames of one read, each read at one moment. Together they hold all rows.
Frames = list[pl.DataFrame]


class Way(NamedTuple):
    """One way to read an object."""

    name: str
    read: Callable[[str, Object], Frames]
    objects: tuple[Object, ...] | None = None
    """Objects that can be read this way; `None` for all."""
    is_kept: bool = False
    """Whether the session is the caller's own, in which nothing is promised for objects with hidden tables."""

    def __str__(self) -> str:
        """Return the test id."""
        return self.name

    def reads(self, of: Object) -> bool:
        """Tell whether an object can be read this way."""
        return (self.objects is None or of in self.objects) and not (self.is_kept and of.hidden)


def _whole(uri: str, of: Object, **arguments: Any) -> Frames:  # noqa: ANN401
    return [industrydb.read_sql(uri, of.query, timeout=TIMEOUT_S, **arguments)]


def _split(uri: str, of: Object, **arguments: Any) -> Frames:  # noqa: ANN401
    return [industrydb.read_sql(uri, of.query, **SPLIT, **arguments)]


def _unshared(uri: str, of: Object) -> Frames:
    frame = industrydb.read_sql(uri, of.query, **EVEN, snapshot=False)
    # Without a snapshot, each partition is read at its own moment. These are the bounds of the partitions.
    ends = [-FIXED - 1, 100, 200, 300, frame["id"].max()]
    return [frame.filter(pl.col("id") > lower, pl.col("id") <= upper) for lower, upper in pairwise(ends)]


def _queries(uri: str, of: Object) -> Frames:
    queries = [f"{of.query} AS q WHERE q.id {condition}" for condition in ("<= 200", "> 200")]
    return [industrydb.read_sql(uri, queries, timeout=TIMEOUT_S)]


def _parameters(uri: str, of: Object, **arguments: Any) -> Frames:  # noqa: ANN401
    query = f"{of.query} AS q WHERE q.id > $1"
    return [industrydb.read_sql(uri, query, params=[-FIXED - 1], **{"timeout": TIMEOUT_S, **arguments})]


def _batches(uri: str, of: Object, **arguments: Any) -> Frames:  # noqa: ANN401
    with industrydb.read_sql_batches(uri, of.query, batch_size=300, **{"timeout": TIMEOUT_S, **arguments}) as reader:
        empty = pl.DataFrame(schema=reader.schema)
        return [pl.concat([empty, *reader])]


def _scan(uri: str, of: Object, *conditions: pl.Expr) -> Frames:
    return [industrydb.scan_sql(uri, of.query, **SPLIT).filter(*conditions).collect()]


def _extract(uri: str, of: Object) -> Frames:
    with tempfile.TemporaryDirectory() as folder:
        done = industrydb.extract(uri, of.query, folder, **SPLIT, retries=0)
        return [pl.concat([pl.read_parquet(file) for file in done.files])]


def _resume(uri: str, of: Object) -> Frames:
    with tempfile.TemporaryDirectory() as folder:
        with suppress(*REFUSALS):
            industrydb.extract(uri, of.query, folder, **EVEN, retries=0)
        done = industrydb.extract(uri, of.query, folder, **EVEN)
        return [pl.read_parquet(file) for file in done.files]


def _plan(uri: str, of: Object) -> Frames:
    return [industrydb.plan_sql(uri, of.query, **SPLIT).read()]


def _plan_parts(uri: str, of: Object) -> Frames:
    plan = industrydb.plan_sql(uri, of.query, **EVEN)
    return [plan.read(index) for index in range(len(plan))]


def _execute(uri: str, of: Object) -> Frames:
    with Connection(uri) as connection:
        return [connection.execute(of.query)]


def _select(uri: str, of: Object) -> Frames:
    table = "reload.source" if of is TABLE else "reload.object"
    with Connection(uri) as connection:
        return [connection.select(table)]


def _arrow(uri: str, of: Object) -> Frames:
    frame = pl.from_arrow(industrydb.read_sql(uri, of.query, return_type="arrow", **SPLIT))
    assert isinstance(frame, pl.DataFrame)
    return [frame]


_STORED = (TABLE, PARTITIONED)

WHOLE = Way("whole", _whole)
BY_KEY = Way("by_key", _split)
BATCHES = Way("batches", lambda uri, of: _batches(uri, of, **SPLIT))
PARTS = Way("plan_parts", _plan_parts)
WAYS = [
    WHOLE,
    BY_KEY,
    BATCHES,
    PARTS,
    Way("by_blocks", lambda uri, of: _whole(uri, of, partitions=4), (TABLE,)),
    Way("in_range", lambda uri, of: [industrydb.read_sql(uri, of.query, **EVEN)]),
    Way("one_session", lambda uri, of: _split(uri, of, max_connections=1)),
    Way("two_sessions", lambda uri, of: _split(uri, of, max_connections=2)),
    Way("without_snapshot", lambda uri, of: _whole(uri, of, snapshot=False)),
    Way("parts_without_snapshot", _unshared),
    Way("queries", _queries),
    Way("parameters", _parameters),
    Way("parameters_by_key", lambda uri, of: _parameters(uri, of, **SPLIT)),
    Way("batches_unordered", lambda uri, of: _batches(uri, of, **SPLIT, ordered=False)),
    Way("batches_whole", _batches),
    Way("scan", _scan),
    Way("scan_filtered", lambda uri, of: _scan(uri, of, pl.col("id") > -FIXED - 1)),
    Way("extract", _extract),
    Way("extract_resumed", _resume),
    Way("plan", _plan),
    Way("execute", _execute, is_kept=True),
    Way("select", _select, (TABLE, PARTITIONED)),
    Way("arrow", _arrow),
]


def verdict(frames: Frames, of: Object, writer: Writer) -> int:
    """Return the generation of all frames, 0 for no rows, or -1 if the frames are of different generations.

    Asserts that every frame is empty or has one generation, without gaps or duplicates, that each frame continues where
    the one before ends, and that the last one ends with its generation's last row.
    """
    fixed = pl.concat([frame.select("id") for frame in frames]).filter(pl.col("id") < 0)
    expected = range(-FIXED, 0) if of.fixed else ()
    assert sorted(fixed["id"]) == list(expected), f"{fixed.height} rows of {len(expected)} that nobody writes"
    generations: list[int] = []
    following: int | None = 1
    for frame in frames:
        part = frame.filter(pl.col("id") > 0).select("id", "generation", pl.col("v").cast(pl.Float64)).sort("id")
        if part.is_empty():
            assert writer.comes_and_goes, "no rows at all"
            generations.append(0)
            following = None
            continue
        found = part["generation"].unique().to_list()
        assert len(found) == 1, f"rows of the generations {sorted(found)} in one frame of {part.height} rows"
        generations += found
        ids = part["id"].to_list()
        begin = ids[0] if following is None else following
        following = begin + part.height
        assert ids == list(range(begin, following)), (
            f"rows are missing or twice: {part.height} from {ids[0]} to {ids[-1]}"
        )
        values = [number * 7.0 + found[0] for number in ids]
        assert part["v"].to_list() == values, f"values are {part['v'].head(3).to_list()}, not {values[:3]}"
    last = generations[-1]
    assert following in {None, height(last) + 1}, f"{following} follows the last of {height(last)} rows"
    return last if len(set(generations)) == 1 else -1
