"""Frames with the types of connectorx's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

# The return types that are made of a pandas frame, and how.
OF_PANDAS: dict[str, Callable[[Any], Any]] = {
    "pandas": lambda frame: frame,
    "modin": lambda frame: importlib.import_module("modin.pandas").DataFrame(frame),
    "dask": lambda frame: importlib.import_module("dask.dataframe").from_pandas(frame, npartitions=1),
}


def to_pandas(columns: list[pl.Series], height: int) -> pd.DataFrame:
    """
    Convert columns to the pandas types that connectorx returns; the list is emptied.

    Integers become ``Int64`` (unsigned ones of 64 bits ``UInt64``), floats and decimals ``float64``, booleans
    ``boolean``, dates and times of day with a date ``datetime64[us]`` in UTC, and everything else Python objects, times
    as text. NULL is ``pd.NA``, ``NaN``, ``NaT`` or ``None``.
    """
    from pandas import Series  # noqa: PLC0415, pandas is optional

    from industrydb._read import pandas  # noqa: PLC0415

    def array(column: pl.Series) -> Any:  # noqa: ANN401, an array of pandas, or of numpy
        dtype = column.dtype
        if dtype.is_integer():
            return pandas.integers(column if dtype == pl.UInt64 else column.cast(pl.Int64))
        if dtype == pl.Boolean:
            return pandas.booleans(column)
        if dtype.is_float() or dtype.is_decimal():
            return column.cast(pl.Float64).to_numpy(writable=True)
        if dtype == pl.Date or isinstance(dtype, pl.Datetime):
            zone = getattr(dtype, "time_zone", None)
            utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
            return utc.cast(pl.Datetime("us")).to_numpy(writable=True)
        objects = pandas.objects(column.dt.to_string("%H:%M:%S%.f") if dtype == pl.Time else column)
        return Series(objects, dtype=object)  # pandas 3 would make texts a type of their own

    return pandas.frame(columns, height, array)
