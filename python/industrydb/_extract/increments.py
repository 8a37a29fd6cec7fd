"""The rows that each call of ``extract`` with ``since`` reads: those above one watermark, up to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from industrydb._read.batches import BATCH_SIZE, BatchReader
from industrydb._request import range_cuts
from industrydb._scan import narrowed
from industrydb._text.near import near
from industrydb._text.overrides import finished
from industrydb.industrydb import ConfigurationError, TypeConversionError
from industrydb.industrydb import plan_sql as _plan_sql
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    from industrydb._extract.manifest import Generation, Watermark
    from industrydb._request import Request


def divided(call: Request, since: str, above: Watermark | None, up_to: Watermark) -> Request:
    """Return the call with the rows above a generation's watermark divided by ranges of the `since` column itself.

    Without a watermark above which to begin, the rows stay in one partition.
    """
    if call.partitions is None:
        return call
    if above is None:
        return replace(call, partition_on=None, partitions=None, cuts=None)
    return replace(call, partition_on=since, cuts=range_cuts(above, up_to, call.partitions))


def increment(call: Request, since: str, above: Watermark | None) -> Request:
    """Return the call with a filter for the rows above a generation's watermark, or those with a value if it is `None`.

    The database may return more rows; `within` drops these.
    """
    return narrowed(call, ("not", ("is_null", since)) if above is None else ("compare", since, ">", above))


def largest(call: Request, since: str) -> Watermark | None:
    """
    Return the largest value of the column now, in the order of the values as they are read.

    `within` compares values in the same order. If the database orders the values differently, such as dates that are
    stored as texts of several forms, all values are read and compared here.
    """
    call = replace(call, partition_on=None, partitions=None, cuts=None)
    frame, *_ = _plan_sql(call)
    dtype = finished(frame, call.dtypes).schema.get(since)
    if dtype is None:
        msg = f"since={since!r} is none of the query's columns, which are {frame.columns}{near(since, frame.columns)}"
        raise ConfigurationError(msg)
    _check(since, dtype)
    # The description of the query may leave the type open. SQLite's expressions have none, and the scale of a `numeric`
    # without precision depends on the values.
    is_described = since in call.dtypes or not isinstance(dtype, (pl.Decimal, pl.Null))
    asked = {since: dtype} if since in call.dtypes else {}
    call = replace(call, narrowing=([since], None, None, True), dtypes=asked)
    value: Watermark | None = None
    if is_described:
        known = None if asked else {since: dtype}
        with BatchReader(call, batch_size=BATCH_SIZE, ordered=False, known=known) as batches:
            for batch in batches:
                found = batch.get_column(since).max()
                if found is not None and (value is None or found > value):
                    value = found
    else:
        column = _read_sql(call).get_column(since)
        _check(since, column.dtype)
        value = column.max()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc)
    return value


def _check(since: str, dtype: pl.DataType) -> None:
    """Raise if the column's type is not one that can serve as a watermark."""
    is_number = dtype.is_integer() or isinstance(dtype, (pl.Decimal, pl.Null))
    # The manifest keeps watermarks as Python's datetimes, which have microseconds.
    if is_number or isinstance(dtype, pl.Date) or (isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns"):
        return
    msg = (
        f"since={since!r} is a column of {dtype!r}: use one of integers, decimals, dates or datetimes in microseconds, "
        "or say by schema_overrides that it is one"
    )
    raise ConfigurationError(msg)


def has_risen(since: str, above: Watermark | None, value: Watermark) -> bool:
    """Tell whether a value is above the watermark; raise if the column's kind (number, date, datetime) has changed."""
    if above is None:
        return True
    kinds = [next(kind for kind in (datetime, date, object) if isinstance(end, kind)) for end in (above, value)]
    if kinds[0] is not kinds[1]:
        msg = (
            f"since={since!r}: the largest value is {value!r} now, and was {above!r} when the extract was last "
            "continued: the column's type has changed, so that nothing says which rows have come since. Write the "
            "extract anew by resume='restart', or bring the column back to its type in the query"
        )
        raise TypeConversionError(msg)
    return bool(value > above)


def _check_order(since: str, dtype: pl.DataType, end: Watermark | None) -> None:
    """Raise if the column's type has changed to one whose values cannot be ordered with the watermark."""
    if isinstance(end, datetime):
        fits = isinstance(dtype, pl.Datetime)
    elif isinstance(end, date):
        fits = isinstance(dtype, pl.Date)
    else:
        fits = end is None or dtype.is_integer() or isinstance(dtype, pl.Decimal)
    if fits or isinstance(dtype, pl.Null):
        return
    kind = "numbers" if isinstance(end, (int, Decimal)) else f"{type(end).__name__}s"
    msg = (
        f"since={since!r}: some values of the column are no {kind}, and all of them together are {dtype!r}, "
        f"whose order is another one than that of {end!r}, the largest value: change these values, or leave them out "
        "in the query"
    )
    raise TypeConversionError(msg)


def within(frame: pl.DataFrame, since: str, generation: Generation) -> pl.DataFrame:
    """Return the rows of a generation. Rows with a NULL in the `since` column belong to the first generation."""
    column = frame.get_column(since)
    _check_order(since, column.dtype, generation.up_to)
    rows = column.is_null() if generation.number == 0 else pl.repeat(False, len(column), eager=True)  # noqa: FBT003
    if generation.up_to is not None:
        risen = column <= pl.Series([generation.up_to], dtype=column.dtype)
        if generation.above is not None:
            risen &= column > pl.Series([generation.above], dtype=column.dtype)
        rows |= risen.fill_null(False)  # noqa: FBT003
    return frame.filter(rows)
