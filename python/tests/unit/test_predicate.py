"""Tests of predicate pushdown: the pushed part of a predicate is true for every row that Polars keeps."""
# ruff: noqa: DTZ001, some columns have no zone

import datetime as dt
import json
import math
import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import reduce
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.io.plugins import register_io_source

from industrydb._text.predicate import MAX_VALUES, Predicate, translated

UTC = dt.timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = dt.datetime(2024, 2, 29, 23, 59, 58, 123456)
LATER = MOMENT + dt.timedelta(microseconds=1)

TYPES: dict[str, Any] = {
    "i": pl.Int64,
    "byte": pl.Int8,
    "u": pl.UInt64,
    "f": pl.Float64,
    "single": pl.Float32,
    "c": pl.Decimal(10, 2),
    "s": pl.String,
    "x": pl.Binary,
    "b": pl.Boolean,
    "d": pl.Date,
    "t": pl.Time,
    "at": pl.Datetime("us"),
    "utc": pl.Datetime("us", "UTC"),
    "berlin": pl.Datetime("us", "Europe/Berlin"),
    "ns": pl.Datetime("ns"),
    "ms": pl.Datetime("ms"),
    "span": pl.Duration("us"),
    "list": pl.List(pl.Int64),
    "enum": pl.Enum(["a", "b"]),
    "kind": pl.Categorical(),
    'a "b" ü': pl.Int64,
}
SCHEMA = pl.Schema(TYPES)

i, byte, u, f, single, c, s, x, b, d, t, at, utc, berlin, ns, ms, span, numbers, enum, kind, odd = map(pl.col, SCHEMA)


def handed(predicate: pl.Expr) -> pl.Expr | None:
    """Return a predicate as Polars hands it to a source: rewritten, with literals of the columns' types."""
    caught: list[pl.Expr | None] = []

    def source(_columns: object, asked: pl.Expr | None, _rows: object, _size: object) -> Iterator[pl.DataFrame]:
        caught.append(asked)
        yield SCHEMA.to_frame()

    register_io_source(source, schema=SCHEMA).filter(predicate).collect()
    (asked,) = caught
    return asked


def pushed(predicate: pl.Expr) -> Predicate | None:
    """Return the tree that is pushed to the database of a predicate, if any."""
    asked = handed(predicate)
    return None if asked is None else translated(asked, SCHEMA)


FORMS: list[tuple[pl.Expr, Predicate]] = [
    (i == 1, ("compare", "i", "=", 1)),
    (i != 1, ("compare", "i", "<>", 1)),
    (i < 1, ("compare", "i", "<", 1)),
    (i <= -(2**63), ("compare", "i", "<=", -(2**63))),
    (pl.lit(1) < i, ("compare", "i", ">", 1)),
    (pl.lit(1) >= i, ("compare", "i", "<=", 1)),
    (odd > 5, ("compare", 'a "b" ü', ">", 5)),
    (byte == 127, ("compare", "byte", "=", 127)),
    (byte == pl.lit(5, dtype=pl.Int64), ("compare", "byte", "=", 5)),
    (u == 2**64 - 1, ("compare", "u", "=", 2**64 - 1)),
    (f == 0.1, ("compare", "f", "=", 0.1)),
    (f > 9007199254740993.1, ("compare", "f", ">", 9007199254740994.0)),
    (f > 5e-324, ("compare", "f", ">", 5e-324)),
    (f == 1, ("compare", "f", "=", 1.0)),
    (single == 0.1, ("compare", "single", "=", 0.10000000149011612)),
    (single < 0.5, ("compare", "single", "<", 0.5)),
    (c == Decimal("1.5"), ("compare", "c", "=", Decimal("1.5"))),
    (c > Decimal("-0.005"), ("compare", "c", ">", Decimal("-0.005"))),
    (c < Decimal("1" * 30), ("compare", "c", "<", Decimal("1" * 30))),
    (c == 1, ("compare", "c", "=", Decimal(1))),
    (c.is_between(1, 2), ("and", ("compare", "c", ">=", Decimal(1)), ("compare", "c", "<=", Decimal(2)))),
    (s >= "it's", ("compare", "s", ">=", "it's")),
    (s == "", ("compare", "s", "=", "")),
    (x == b"\x00\xff", ("compare", "x", "=", b"\x00\xff")),
    (b, ("compare", "b", "=", True)),
    (b.eq_missing(False), ("and", ("not", ("is_null", "b")), ("compare", "b", "=", False))),  # noqa: FBT003
    (~b, ("not", ("compare", "b", "=", True))),
    (d > dt.date(1, 1, 1), ("compare", "d", ">", dt.date(1, 1, 1))),
    (t == dt.time(23, 59, 59, 999999), ("compare", "t", "=", dt.time(23, 59, 59, 999999))),
    (at == MOMENT, ("compare", "at", "=", MOMENT)),
    (at >= dt.date(2024, 1, 1), ("compare", "at", ">=", dt.datetime(2024, 1, 1))),
    (utc < MOMENT.replace(tzinfo=UTC), ("compare", "utc", "<", MOMENT.replace(tzinfo=UTC))),
    (berlin == MOMENT.replace(tzinfo=BERLIN), ("compare", "berlin", "=", MOMENT.replace(tzinfo=BERLIN))),
    (ms == MOMENT.replace(microsecond=5000), ("compare", "ms", "=", MOMENT.replace(microsecond=5000))),
    (ns == MOMENT, ("and", ("compare", "ns", ">=", MOMENT), ("compare", "ns", "<", LATER))),
    (ns <= MOMENT, ("compare", "ns", "<", LATER)),
    (ns > MOMENT, ("compare", "ns", ">=", LATER)),
    (ns < MOMENT, ("compare", "ns", "<", MOMENT)),
    (span == dt.timedelta(-1, 2, 3), ("compare", "span", "=", dt.timedelta(-1, 2, 3))),
    (i.is_null(), ("is_null", "i")),
    (i.is_not_null(), ("not", ("is_null", "i"))),
    (numbers.is_null(), ("is_null", "list")),
    (enum.is_null(), ("is_null", "enum")),
    (i.eq_missing(1), ("and", ("not", ("is_null", "i")), ("compare", "i", "=", 1))),
    (i.ne_missing(1), ("or", ("is_null", "i"), ("compare", "i", "<>", 1))),
    (i.eq_missing(None), ("is_null", "i")),
    (i.ne_missing(None), ("not", ("is_null", "i"))),
    (i.is_between(1, 5), ("and", ("compare", "i", ">=", 1), ("compare", "i", "<=", 5))),
    (i.is_between(1, 5, closed="left"), ("and", ("compare", "i", ">=", 1), ("compare", "i", "<", 5))),
    (i.is_between(1, 5, closed="right"), ("and", ("compare", "i", ">", 1), ("compare", "i", "<=", 5))),
    (i.is_between(1, 5, closed="none"), ("and", ("compare", "i", ">", 1), ("compare", "i", "<", 5))),
    (i.is_in([1, 2, None]), ("in", "i", (1, 2))),
    (byte.is_in([1, 2]), ("in", "byte", (1, 2))),
    (~i.is_in([1, 2]), ("not", ("in", "i", (1, 2)))),
    (s.is_in(["a", "it's"]), ("in", "s", ("a", "it's"))),
    (x.is_in([b"", b"\xff"]), ("in", "x", (b"", b"\xff"))),
    (f.is_in([0.1, -0.0]), ("in", "f", (0.1, -0.0))),
    (c.is_in([Decimal("1.50")]), ("in", "c", (Decimal("1.50"),))),
    (d.is_in([dt.date(2024, 1, 1)]), ("in", "d", (dt.date(2024, 1, 1),))),
    (t.is_in([dt.time(1)]), ("in", "t", (dt.time(1),))),
    (at.is_in([MOMENT]), ("in", "at", (MOMENT,))),
    (utc.is_in([MOMENT.replace(tzinfo=BERLIN)]), ("in", "utc", (MOMENT.replace(tzinfo=BERLIN),))),
    (span.is_in([dt.timedelta(1)]), ("in", "span", (dt.timedelta(1),))),
    (b.is_in([True]), ("in", "b", (True,))),
    (i.is_in(range(MAX_VALUES)), ("in", "i", tuple(range(MAX_VALUES)))),
    (s.str.starts_with("50%_"), ("starts_with", "s", "50%_")),
    (s.str.ends_with("a"), ("ends_with", "s", "a")),
    (s.str.contains("a.b", literal=True), ("contains", "s", "a.b")),
    (s.str.contains("a b-c"), ("contains", "s", "a b-c")),
    (~s.str.contains("a"), ("not", ("contains", "s", "a"))),
    (d.dt.year() == 2024, ("part", "d", "year", "=", 2024)),
    (at.dt.month() >= 2, ("part", "at", "month", ">=", 2)),
    (pl.lit(2) < utc.dt.day(), ("part", "utc", "day", ">", 2)),
    (ns.dt.hour() != 3, ("part", "ns", "hour", "<>", 3)),
    (at.dt.minute() < 30, ("part", "at", "minute", "<", 30)),
    (ms.dt.second() == 0, ("part", "ms", "second", "=", 0)),
    (at.dt.month().is_in([1, 2]), ("or", ("part", "at", "month", "=", 1), ("part", "at", "month", "=", 2))),
    (at.dt.year().is_in([2024]), ("part", "at", "year", "=", 2024)),
    (d.dt.day().eq_missing(1), ("and", ("not", ("is_null", "d")), ("part", "d", "day", "=", 1))),
    ((i == 1) | b, ("or", ("compare", "i", "=", 1), ("compare", "b", "=", True))),
    ((i == 1) & (i % 2 == 0), ("compare", "i", "=", 1)),
    (b | ((i == 1) & (i % 2 == 0)), ("or", ("compare", "b", "=", True), ("compare", "i", "=", 1))),
    (ns.is_between(pl.lit(1500, dtype=pl.Datetime("ns")), MOMENT), ("compare", "ns", "<", LATER)),
    (~((i == 1) & (s == "a")), ("or", ("compare", "i", "<>", 1), ("compare", "s", "<>", "a"))),
]


@pytest.mark.parametrize(("predicate", "expected"), FORMS, ids=lambda part: str(part)[:60])
def test_forms(predicate: pl.Expr, expected: Predicate) -> None:
    """Each kind of expression is translated into its tree, with values of the right types."""
    tree = pushed(predicate)
    assert tree == expected
    assert [type(leaf) for leaf in leaves(tree)] == [type(leaf) for leaf in leaves(expected)]


def leaves(tree: Any) -> list[object]:  # noqa: ANN401, trees and their leaves
    """Return the leaves of a tree."""
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


NOTHING: list[pl.Expr] = [
    *[byte == 300, i == 2**63, u == -1, i == 1.5, i == i + 1, i == u, i % 2 == 0, i.cast(pl.String) == "1"],
    *[i.cast(pl.Int8, strict=False) == 1, byte.cast(pl.Int64) == 1000, i.abs() == 1, i.is_in([]), i.is_in([None])],
    *[i.is_in([1, None], nulls_equal=True), i.is_in(numbers), i.is_in(range(MAX_VALUES + 1)), (i == 1) ^ b],
    *[
        f == pl.lit(math.nan),
        f > math.inf,
        f.is_in([1.0, math.nan]),
        f.is_in([math.inf]),
        f.is_nan(),
        single == pl.lit(0.1, dtype=pl.Float64),
    ],
    *[c == 1.5, c.round(1) == 1, s.str.to_lowercase() == "a", s.str.starts_with(""), s.str.starts_with(s)],
    *[s.str.contains(pattern) for pattern in ("", "a.b", "^a", "a$", "(?i)a", "a|b", r"\d", "a*", "a+", "[a]", "a{2}")],
    *[s.str.contains("", literal=True), s.str.contains_any(["a"]), s.str.len_chars() > 1, b == b.fill_null(value=True)],
    *[enum == "a", kind == "a", kind.is_in(["a"]), enum.is_in(["a"]), numbers.list.len() == 1, (i == 1).is_null()],
    *[d == MOMENT, at.dt.date() == dt.date(2024, 1, 1), at.dt.weekday() == 1, t.dt.hour() == 1, d.dt.quarter() == 1],
    *[berlin.dt.hour() == 1, at.dt.year() == 2**40, at.dt.month() == 300, ns == pl.lit(5, dtype=pl.Datetime("ns"))],
    *[d == pl.lit(10**7, dtype=pl.Int32).cast(pl.Date), at == pl.lit(2**62, dtype=pl.Int64).cast(pl.Datetime("us"))],
    *[(i == 1) | (i % 2 == 0), ~((i % 2 == 0) & b), pl.lit(value=True), pl.lit(value=False), pl.when(b).then(i == 1)],
]


@pytest.mark.parametrize("predicate", NOTHING, ids=lambda part: str(part)[:60])
def test_what_is_not_translated(predicate: pl.Expr) -> None:
    """An expression without an exact or useful tree is left to Polars, in any place of a predicate."""
    assert pushed(predicate) is None
    assert translated(predicate, SCHEMA) is None
    assert translated(~predicate, SCHEMA) is None
    assert translated(predicate | (odd == 1), SCHEMA) is None
    assert translated(~(predicate & (odd == 1)), SCHEMA) is None
    assert translated(predicate & (odd == 1), SCHEMA) == ("compare", 'a "b" ü', "=", 1)
    assert translated((odd == 1) & predicate, SCHEMA) == ("compare", 'a "b" ü', "=", 1)


@pytest.mark.parametrize(
    ("sign", "turned"), [("<", ">"), ("<=", ">="), (">", "<"), (">=", "<="), ("=", "="), ("<>", "<>")]
)
def test_literals_on_the_left(sign: str, turned: str) -> None:
    """A comparison with the literal on the left is turned around, even if Polars has not done that."""
    assert translated(OPERATORS[sign](pl.lit(1), i), SCHEMA) == ("compare", "i", turned, 1)


def test_series() -> None:
    """`is_in` a series has the tree of a list; a comparison with a series, which is row by row, has no tree."""
    for values in ([1, None], [1]):
        assert translated(i == pl.lit(pl.Series(values)), SCHEMA) is None
        assert translated(i.is_in(pl.Series(values)), SCHEMA) == ("in", "i", (1,))


# Few values of each type, the extremes among them, so that literals and cells are often equal.
INTEGERS = [0, 1, 2, -1, 127, -128, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 0.1, 1.5, -1e308, 5e-324, math.inf, -math.inf, math.nan]
SINGLES = [0.0, -0.0, 0.5, 0.10000000149011612, 1e-45, math.inf, -math.inf, math.nan]
DAYS = [dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)]
MOMENTS = [
    MOMENT,
    LATER,
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(2024, 2, 1),
    dt.datetime(1700, 1, 1),
]
MILLISECONDS = [moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in MOMENTS]
CELLS: dict[str, list[Any]] = {
    "i": INTEGERS,
    "byte": [0, 1, 2, 127, -128],
    "u": [0, 1, 2, 2**63, 2**64 - 1],
    "f": FLOATS,
    "single": SINGLES,
    "c": [Decimal(text) for text in ("0.00", "1.50", "-1.50", "99999999.99", "-99999999.99")],
    "s": ["", "a", "A", "ab", "ba", "%", "é", "\U0001f600", "\uffff"],
    "x": [b"", b"a", b"\x00", b"\xff", b"a\x00"],
    "b": [True, False],
    "d": DAYS,
    "t": [dt.time(), dt.time(23, 59, 59, 999999), dt.time(12)],
    "at": [*MOMENTS, dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)],
    "utc": [moment.replace(tzinfo=UTC) for moment in MOMENTS],
    "ns": MOMENTS,
    "ms": MILLISECONDS,
    "span": [dt.timedelta(), dt.timedelta(microseconds=1), dt.timedelta(-1), dt.timedelta(10**6)],
}
CELL_TYPES = {name: SCHEMA[name] for name in CELLS}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Draw rows of all types, with NULLs, and with nanoseconds that no Python literal has."""
    height = draw(st.integers(1, 8))
    cells = {
        name: draw(st.lists(st.none() | st.sampled_from(CELLS[name]), min_size=height, max_size=height))
        for name in CELLS
    }
    extra = draw(st.lists(st.sampled_from([0, 1, 999]), min_size=height, max_size=height))
    made = pl.DataFrame(cells, schema=CELL_TYPES)
    return made.with_columns((pl.col("ns").cast(pl.Int64) + pl.Series(extra)).cast(pl.Datetime("ns")))


OPERATORS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PARTS = {"d": ["year", "month", "day"]}
PARTS |= {name: ["year", "month", "day", "hour", "minute", "second"] for name in ("at", "utc", "ns", "ms")}


def is_finite(value: object) -> bool:
    """Tell whether a value is no infinite float and no NaN, which cannot be bound."""
    return not isinstance(value, float) or math.isfinite(value)


@st.composite
def conditions(draw: st.DrawFn) -> tuple[pl.Expr, bool]:
    """Draw a condition on one column, and whether the condition has an exact tree."""
    name = draw(st.sampled_from(sorted(CELLS)))
    column, values = pl.col(name), [value for value in CELLS[name] if is_finite(value)]
    value, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
    compare = draw(st.sampled_from(sorted(OPERATORS.items())))[1]
    kinds: list[tuple[pl.Expr, bool]] = [
        (compare(column, value), True),
        (compare(pl.lit(value), column), True),
        (column.is_null(), True),
        (column.is_not_null(), True),
        (column.eq_missing(value), True),
        (column.ne_missing(value), True),
        (column.eq_missing(None), True),
        (
            column.is_between(
                pl.lit(value), pl.lit(other), closed=draw(st.sampled_from(["both", "left", "right", "none"]))
            ),
            True,
        ),
        (column.is_in([value, other, None]), True),
        (column.is_in([value, None], nulls_equal=True), False),
        (column.is_in([]), False),
        (column.is_null() ^ (column == value), False),
        (pl.lit(draw(st.booleans())), False),
    ]
    if name == "s":
        kinds += [(column.str.starts_with(value), value != ""), (column.str.contains(value, literal=True), value != "")]
        kinds += [(column.str.contains(".a"), False), (column.str.to_lowercase() == value, False)]
    if name == "b":
        kinds += [(column, True), (~column, True)]
    if name in PARTS:
        part = draw(st.sampled_from(PARTS[name]))
        of = getattr(column.dt, part)()
        kinds += [(compare(of, getattr(value, part)), True), (of.is_in([getattr(value, part)]), True)]
    if name in ("i", "byte", "u"):
        kinds += [(compare(column, draw(st.sampled_from(INTEGERS))), False), (compare(column, 0.5), False)]
    if name in ("f", "single"):
        kinds += [(compare(column, draw(st.sampled_from(FLOATS))), False), (column.is_nan(), False)]
    if name == "c":
        kinds += [(compare(column, draw(st.sampled_from([Decimal("1.505"), Decimal("1e30"), 1]))), True)]
    # Of a column of nanoseconds, Polars compares the whole microseconds, and not the values themselves.
    predicate, exact = draw(st.sampled_from(kinds))
    return predicate, exact and name not in ("ns", "single")


PREDICATES = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        inner.map(lambda one: (~one[0], one[1])),
        st.tuples(inner, inner).map(lambda two: (two[0][0] & two[1][0], two[0][1] and two[1][1])),
        st.tuples(inner, inner).map(lambda two: (two[0][0] | two[1][0], two[0][1] and two[1][1])),
        st.tuples(inner, inner).map(lambda two: (two[0][0] ^ two[1][0], False)),
    ),
    max_leaves=6,
)


def key(value: Any) -> Any:  # noqa: ANN401, values of any type
    """Return the sort key of a value: NaN equals itself, and is above all other floats, as in PostgreSQL."""
    if isinstance(value, float):
        return (math.isnan(value), 0.0 if math.isnan(value) else value)
    return (value, 0) if isinstance(value, dt.datetime) else value


def rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows; a value of ``ns`` is a pair of Python's datetime and the nanoseconds that it lacks."""
    rest = [None if moment is None else moment % 1000 for moment in frame["ns"].to_physical()]
    found = frame.rows(named=True)
    return [row | {"ns": row["ns"] and (row["ns"], ns)} for row, ns in zip(found, rest, strict=True)]


def holds(tree: Predicate, row: dict[str, Any]) -> bool | None:
    """Return whether a tree is true, false or NULL (`None`) for a row, as in SQL."""
    match tree:
        case ("and" | "or") as join, *parts:
            found, decisive = [holds(part, row) for part in parts], join == "or"
            return decisive if decisive in found else None if None in found else not decisive
        case "not", inner:
            return {True: False, False: True, None: None}[holds(inner, row)]
        case "is_null", column:
            return row[column] is None
    kind, column, *rest = tree
    return None if row[column] is None else bool(LEAVES[kind](row[column], *rest))


LEAVES: dict[str, Callable[..., object]] = {
    "compare": lambda cell, sign, value: OPERATORS[sign](key(cell), key(value)),
    "in": lambda cell, values: any(key(cell) == key(value) for value in values),
    "part": lambda cell, part, sign, value: OPERATORS[sign](
        getattr(cell[0] if isinstance(cell, tuple) else cell, part), value
    ),
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
}


@settings(max_examples=200)
@given(frame=frames(), condition=PREDICATES)
def test_no_row_is_lost(frame: pl.DataFrame, condition: tuple[pl.Expr, bool]) -> None:
    """A tree is true for every row that Polars keeps; an exact one has Polars' result for all rows."""
    predicate, exact = condition
    for expression in (predicate, handed(predicate)):
        if expression is None:
            continue
        tree = translated(expression, SCHEMA)
        expected = frame.with_columns(kept=expression)["kept"].to_list()
        found = [tree is None or holds(tree, row) for row in rows(frame)]
        assert all(pushes for pushes, keeps in zip(found, expected, strict=True) if keeps)
        if exact and expression is not predicate:
            assert tree is not None
            assert found == expected


def depth(tree: Any) -> int:  # noqa: ANN401, trees and their leaves
    """Return how deep a tree is."""
    return 1 + max(map(depth, tree)) if isinstance(tree, tuple) else 0


@pytest.mark.parametrize("join", [operator.and_, operator.or_])
def test_long_chains(join: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> None:
    """A long chain has a shallow tree with all conditions in order; one too long for Python may have none."""
    chain = reduce(join, [i == n for n in range(200)])
    for predicate in (chain, handed(chain)):
        assert predicate is not None
        tree = translated(predicate, SCHEMA)
        assert depth(tree) < 12
        assert [leaf for leaf in leaves(tree) if isinstance(leaf, int)] == list(range(200))
    for length in (1000, 5000):
        long = translated(reduce(join, [i == n for n in range(length)]), SCHEMA)
        assert long is None or [leaf for leaf in leaves(long) if isinstance(leaf, int)] == list(range(length))
    nested = reduce(lambda inner, n: ~(inner | (i == n)) & (u == n), range(300), b)
    assert translated(nested, SCHEMA) is None or depth(translated(nested, SCHEMA)) > 300


def places(node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401, JSON
    """Yield pairs of a container and a key for the values of a JSON document, at most five per container."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for place, value in [*inner][:5]:
        yield node, place
        yield from places(value)


@pytest.mark.parametrize(
    "predicate",
    [
        (single > 0.5) & ~s.str.contains("a") & at.dt.hour().is_in([1]),
        i.is_between(1, 2) | (c == Decimal("1.5")) | (x == b"ab") | span.is_in([dt.timedelta(1)]),
        (ns >= MOMENT) & byte.eq_missing(1) & (utc < MOMENT.replace(tzinfo=UTC)) & (t == dt.time(1)) & s.is_null(),
        byte.cast(pl.Int64).alias("y") == 1,
        (c.cast(pl.Decimal(20, 3)) > Decimal("1.5")) & d.is_in([DAYS[0]]) & (span == dt.timedelta(1)),
    ],
)
@pytest.mark.parametrize(
    "other", [None, 5, -1.5, "other", "Column", True, [], [1, 2, 3], {}, {"New": {}}, {"Int64": None}]
)
def test_forms_of_other_versions(predicate: pl.Expr, other: object) -> None:
    """A form that another version of Polars may write raises nothing, and conditions beside it are pushed."""
    asked = handed(predicate)
    assert asked is not None
    for text in (predicate.meta.serialize(format="json"), asked.meta.serialize(format="json")):
        for number in range(len([*places(json.loads(text))])):
            document = json.loads(text)
            holder, place = [*places(document)][number]
            if isinstance(holder[place], int) and isinstance(other, (int, float)):
                continue  # another value, not another form
            holder[place] = other
            both = json.dumps({"BinaryExpr": {"left": document, "op": "And", "right": {"Column": "b"}}})
            stub: Any = Mock(**{"meta.serialize.return_value": both})
            assert "b" in leaves(translated(stub, SCHEMA))
