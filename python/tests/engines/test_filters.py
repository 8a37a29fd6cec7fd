"""Filters of engines as Polars' expressions: for all rows that any engine keeps, of values that Polars can hold."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from industrydb._engines.filters import compared, contained
from industrydb._text.predicate import translated

SCHEMA = pl.Schema(
    [("i", pl.Int64()), ("t", pl.String()), ("d", pl.Date()), ("b", pl.Boolean()), ("n", pl.Decimal(10, 2))]
)

MEMBERS: list[tuple[str, list[Any], Any]] = [
    ("i", [1, 2], ("in", "i", (1, 2))),
    ("t", ["a"], ("in", "t", ("a",))),
    ("d", [date(1, 1, 1)], ("in", "d", (date(1, 1, 1),))),
    ("b", [True], ("in", "b", (True,))),
    ("n", [Decimal("1.10"), Decimal(1)], ("in", "n", (Decimal("1.10"), Decimal(1)))),
    ("i", [7, None], ("or", ("in", "i", (7,)), ("is_null", "i"))),
    ("i", [None], ("is_null", "i")),
    ("i", [*range(1000)], ("in", "i", tuple(range(1000)))),
]


@pytest.mark.parametrize(("column", "values", "tree"), MEMBERS)
def test_a_list_of_values_is_translated(column: str, values: list[Any], tree: object) -> None:
    """A list of values becomes one list in SQL; NULL in it keeps the rows with NULL, as PyArrow does."""
    expression = contained(SCHEMA, column, values)
    assert expression is not None
    assert translated(expression, SCHEMA) == tree


@pytest.mark.parametrize(
    ("column", "values"),
    [
        *(("i", [*range(count)]) for count in (0, 1001, 50_000)),
        ("i", [1, 2**200]),
        ("i", [1, True]),
        ("i", [1.0]),
        ("t", ["\ud800"]),
        ("n", [Decimal("1e30"), Decimal("1e-30")]),
        ("n", [Decimal("1e60")]),
        ("n", [Decimal("NaN")]),
        ("no such column", [1]),
        ("no such column", [None]),
    ],
)
def test_other_lists_are_left_to_the_engine(column: str, values: list[Any]) -> None:
    """A list that is too long, or has values of another kind, or such that Polars cannot hold, is not translated."""
    assert contained(SCHEMA, column, values) is None


@pytest.mark.parametrize(
    ("column", "value"), [("i", 2**200), ("t", "\ud800"), ("n", Decimal("1e60")), ("n", Decimal("1e-60")), ("i", True)]
)
def test_values_that_polars_cannot_hold_are_left_to_the_engine(column: str, value: object) -> None:
    """A comparison with a value that Polars cannot hold is not translated, and raises nothing."""
    assert compared(SCHEMA, column, "<", value) is None
