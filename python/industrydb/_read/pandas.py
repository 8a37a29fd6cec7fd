"""Conversion of columns to pandas, to types that depend on the database's types only, never on the values."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl

from industrydb._read.arrow import Freed, chunks
from industrydb.industrydb import TypeConversionError

if TYPE_CHECKING:
    from collections.abc import Callable


def frame(columns: list[pl.Series], height: int, array: Callable[[pl.Series], Any]) -> pd.DataFrame:
    """Return a frame of the columns' arrays; the list is emptied, which releases each column after its conversion."""
    made: dict[str, Any] = {}
    columns.reverse()
    memory = Freed()
    while columns:
        name, size = columns[-1].name, columns[-1].estimated_size()
        made[name] = array(columns.pop())
        memory.add(size)
    return pd.DataFrame(made, index=pd.RangeIndex(height), copy=False)


def _pyarrow(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return pd.arrays.ArrowExtensionArray(chunks(column))


def _numpy_nullable(column: pl.Series) -> Any:  # noqa: ANN401, an array of pandas, or of numpy
    """Return a column as an array that distinguishes NULL from every value; its type depends on the column's only."""
    return ARRAYS.get(column.dtype.base_type(), objects)(column)


def integers(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return pd.arrays.IntegerArray(*_masked(column, 0))


def _floats(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return pd.arrays.FloatingArray(*_masked(column, 0.0))


def booleans(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return pd.arrays.BooleanArray(*_masked(column, filler=False))


def _masked(column: pl.Series, filler: float) -> tuple[Any, Any]:
    """Return the values, with a filler in place of NULLs, and the mask of the NULLs."""
    values = column.fill_null(filler) if column.null_count() else column
    return values.to_numpy(writable=True), column.is_null().to_numpy(writable=True)


def _texts(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return pd.StringDtype().__from_arrow__(chunks(column))


def _dates(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    return column.to_numpy().astype("datetime64[ms]")


def _moments(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    values = column.to_numpy(writable=True)
    zone = getattr(column.dtype, "time_zone", None)
    return values if zone is None else pd.Series(values).dt.tz_localize("UTC").dt.tz_convert(zone)


def _categories(column: pl.Series) -> Any:  # noqa: ANN401, no types of pandas
    """Return a categorical whose categories have the string type, even without any category."""
    found = chunks(column).to_pandas().cat
    categories = pd.Index(found.categories, dtype=pd.StringDtype())
    return pd.Categorical.from_codes(found.codes, categories=categories, ordered=found.ordered)


def objects(column: pl.Series) -> Any:  # noqa: ANN401, an array of numpy
    """Return a column as Python objects; raise, and name the row, if no object can hold a value exactly."""
    try:
        return _exact_objects(column)
    except (ArithmeticError, ValueError) as error:
        row = bisect_left(range(1, len(column)), x=True, key=lambda rows: _fails(column.head(rows)))
        shown = str(column.slice(row, 1)).partition("\n[\n")[2].removesuffix("]").strip()
        msg = (
            f"column {column.name!r}, row {row + 1}: no Python object has the value {shown}, "
            "which pandas would hold; ask for dtype_backend='pyarrow', or change the value in the query"
        )
        raise TypeConversionError(msg) from error


def _fails(column: pl.Series) -> bool:
    try:
        _exact_objects(column)
    except (ArithmeticError, ValueError):
        return True
    return False


def _exact_objects(column: pl.Series) -> Any:  # noqa: ANN401, an array of numpy
    if _has_nanoseconds(column):
        msg = "Python's times have microseconds"
        raise ValueError(msg)
    arrow = chunks(column)
    if isinstance(column.dtype, (pl.Decimal, pl.Binary, pl.Time)):
        return arrow.to_pandas().to_numpy(dtype=object)
    return np.fromiter(arrow.to_pylist(), dtype=object, count=len(column))


def _has_nanoseconds(column: pl.Series) -> bool:
    """Tell whether a column has times with nanoseconds, which Python's times would truncate.

    Datetimes are not checked: pandas has objects with nanoseconds for them.
    """
    dtype = column.dtype
    if dtype == pl.Time:
        return bool((column.to_physical() % 1000 != 0).any())
    if isinstance(dtype, (pl.List, pl.Array)):
        return _holds_times(dtype) and _has_nanoseconds(column.drop_nulls().explode())
    if isinstance(dtype, pl.Struct):
        return any(_has_nanoseconds(column.struct.field(field.name)) for field in dtype.fields)
    return False


def _holds_times(dtype: Any) -> bool:  # noqa: ANN401, a data type or its class
    """Tell whether a type is the type of times, or contains it."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return _holds_times(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_holds_times(field.dtype) for field in dtype.fields)
    return bool(dtype == pl.Time)


# The function that converts a column to an array, by the column's type; other types become Python objects.
ARRAYS: dict[Any, Callable[[pl.Series], Any]] = {
    **dict.fromkeys((pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64), integers),
    **dict.fromkeys((pl.Float32, pl.Float64), _floats),
    pl.Boolean: booleans,
    pl.String: _texts,
    pl.Date: _dates,
    **dict.fromkeys((pl.Datetime, pl.Duration), _moments),
    **dict.fromkeys((pl.Categorical, pl.Enum), _categories),
}

# The function that converts a column to an array, by the set of types that the caller chose.
BACKENDS: dict[str, Callable[[pl.Series], Any]] = {"numpy_nullable": _numpy_nullable, "pyarrow": _pyarrow}
