"""What each call of an ``extract`` with ``since`` reads: the rows above one value of a column, up to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import polars as pl

from industrydb._overrides import finished
from industrydb._request import range_cuts
from industrydb._scan import narrowed
from industrydb.industrydb import ConfigurationError
from industrydb.industrydb import plan_sql as _plan_sql
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    from industrydb._manifest import Generation, Watermark
    from industrydb._request import Request


def divided(call: Request, since: str, above: Watermark | None, up_to: Watermark) -> Request:
    """Cut the rows that came after a generation, whose end was `above`, into ranges of the column itself."""
    if call.partitions is None:
        return call
    if above is None:
        return replace(call, partition_on=None, partitions=None, cuts=None)
    return replace(call, partition_on=since, cuts=range_cuts(above, up_to, call.partitions))


def increment(call: Request, since: str, above: Watermark | None) -> Request:
    """Ask the database for as little as possible beside the rows that came after a generation."""
    return narrowed(call, ("not", ("is_null", since)) if above is None else ("compare", since, ">", above))


def largest(call: Request, since: str) -> Watermark | None:
    """Ask for the largest value that there is now."""
    call = replace(call, partition_on=None, partitions=None, cuts=None)
    frame, _, _ = _plan_sql(call)
    dtype = finished(frame, call.dtypes).schema.get(since)
    if dtype is None:
        msg = f"since={since!r} is none of the query's columns, which are {frame.columns}"
        raise ConfigurationError(msg)
    # An expression of SQLite has no type of its own. How many decimals a number has may only be seen as it is read.
    is_described = since in call.dtypes or not isinstance(dtype, (pl.Decimal, pl.Null))
    call = replace(call, narrowing=([since], None, None, True), dtypes={since: dtype} if is_described else {})
    found = finished(_read_sql(call), call.dtypes)[since]
    _check(since, found.dtype if isinstance(dtype, pl.Null) else dtype)
    value = found.max()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc)
    return value


def _check(since: str, dtype: pl.DataType) -> None:
    """Raise if the column's values cannot say what has come since."""
    is_number = dtype.is_integer() or isinstance(dtype, (pl.Decimal, pl.Null))
    # Python's datetimes, in which the manifest keeps them, have microseconds.
    if is_number or isinstance(dtype, pl.Date) or (isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns"):
        return
    msg = (
        f"since={since!r} is a column of {dtype!r}: use one of integers, decimals, dates or datetimes in microseconds, "
        "or say by schema_overrides that it is one"
    )
    raise ConfigurationError(msg)


def within(frame: pl.DataFrame, since: str, generation: Generation) -> pl.DataFrame:
    """Leave out the rows of other generations. Rows without a value are of the first one."""
    column = frame.get_column(since)
    rows = column.is_null() if generation.number == 0 else pl.repeat(False, len(column), eager=True)  # noqa: FBT003
    if generation.up_to is not None:
        risen = column <= pl.Series([generation.up_to], dtype=column.dtype)
        if generation.above is not None:
            risen &= column > pl.Series([generation.above], dtype=column.dtype)
        rows |= risen.fill_null(False)  # noqa: FBT003
    return frame.filter(rows)
