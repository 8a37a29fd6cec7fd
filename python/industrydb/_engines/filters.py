"""Filters of other engines as Polars' expressions, which the pushdown of ``scan_sql`` translates into SQL.

Only comparisons that all engines and databases agree on become expressions: of integers, decimals, texts, booleans and
dates with values of the same kind. Floats differ in NaN, and times in the zone of the session.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

import polars as pl

from industrydb._text.predicate import MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COMPARISONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "=": pl.Expr.eq,
    "<>": pl.Expr.ne,
    "<": pl.Expr.lt,
    "<=": pl.Expr.le,
    ">": pl.Expr.gt,
    ">=": pl.Expr.ge,
}
# The same comparison with its sides exchanged.
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compared(schema: pl.Schema, column: str, comparison: str, value: object) -> pl.Expr | None:
    """Return a comparison of a column with a value, or `None` if engines may not agree on it."""
    if not _fits(schema.get(column), value) or _series([value], schema[column]) is None:
        return None
    return COMPARISONS[comparison](pl.col(column), pl.lit(value, dtype=_literal(schema[column], value)))


def contained(schema: pl.Schema, column: str, values: Iterable[object]) -> pl.Expr | None:
    """Return whether a column has one of the values, or `None` if engines may not agree on it, or there are too many.

    With NULL among the values, rows with NULL are included: some engines keep them, and the others filter once more.
    """
    given = list(values)
    found = [value for value in given if value is not None]
    included = null(schema, column) if len(found) < len(given) else None
    if not found:
        return included
    if len(found) > MAX_VALUES or not all(_fits(schema.get(column), value) for value in found):
        return None
    members = _series(found, schema[column])
    if members is None:
        return None
    # A list, since Polars would overflow the stack on a long chain of comparisons.
    inside = pl.col(column).is_in(members)
    return inside if included is None else inside | included


def null(schema: pl.Schema, column: str) -> pl.Expr | None:
    """Return whether a column is NULL, or `None` if there is no such column."""
    return pl.col(column).is_null() if column in schema else None


def all_of(conditions: Iterable[pl.Expr | None]) -> pl.Expr | None:
    """Return whether all conditions hold; what is `None` is left out, so that more rows may match."""
    known = [condition for condition in conditions if condition is not None]
    return reduce(and_, known) if known else None


def any_of(conditions: Iterable[pl.Expr | None]) -> pl.Expr | None:
    """Return whether one of the conditions holds, or `None` if one of them is `None`."""
    given = list(conditions)
    known = [condition for condition in given if condition is not None]
    return reduce(or_, known) if known and len(known) == len(given) else None


def _fits(dtype: pl.DataType | None, value: object) -> bool:
    """Tell whether a value is of a column's kind."""
    if dtype is None or value is None:
        return False
    if isinstance(value, bool):
        return dtype == pl.Boolean
    if isinstance(value, int):
        return dtype.is_integer()
    if isinstance(value, Decimal):
        return dtype.is_decimal() and value.is_finite()
    if isinstance(value, str):
        return dtype == pl.String
    return isinstance(value, date) and not isinstance(value, datetime) and dtype == pl.Date


def _series(values: list[object], dtype: pl.DataType) -> pl.Series | None:
    """Return the values in Polars, or `None` if it cannot hold all of them: it has 128 bits and 38 digits."""
    try:
        made = pl.Series(values, dtype=_literal(dtype, values[0]))
    except (pl.exceptions.PolarsError, ArithmeticError, RuntimeError, TypeError, ValueError):
        return None
    return made if made.to_list() == values else None  # a value that does not fit the others' scale becomes NULL


def _literal(dtype: pl.DataType, value: object) -> pl.DataType | None:
    """Return the type of a literal; `None` if Polars finds it."""
    return None if isinstance(value, Decimal) or (isinstance(value, int) and dtype.is_integer()) else dtype
