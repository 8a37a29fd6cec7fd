"""``schema_overrides``: the data types that a caller asks for, and what becomes of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from industrydb.industrydb import ConfigurationError, TypeConversionError

# A data type, its class, or the Python type of its values.
Dtype: TypeAlias = "pl.DataType | type[pl.DataType] | type"
SchemaOverrides: TypeAlias = Mapping[str, Dtype]

# What the columns of the compiled module can be, beside lists, and times with any zone but UTC.
BASES = (
    *(pl.Boolean, pl.String, pl.Binary, pl.Decimal, pl.Date, pl.Time, pl.Datetime, pl.Duration),
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64),
)


def dtypes(schema_overrides: SchemaOverrides | None) -> dict[str, pl.DataType]:
    """Check the argument, and bring its types to one form."""
    if schema_overrides is None:
        return {}
    if not isinstance(schema_overrides, Mapping):
        msg = f"schema_overrides must be a dict of data types by column names, not {type(schema_overrides).__name__}"
        raise TypeError(msg)
    asked = {}
    for name, given in schema_overrides.items():
        if not isinstance(name, str):
            msg = f"schema_overrides must have the names of columns, not {name!r}"
            raise TypeError(msg)
        asked[name] = _instance(name, given)
        try:
            pl.Series(dtype=base(asked[name])).cast(asked[name])
        except PolarsError as error:
            msg = f"schema_overrides asks for column {name!r} as {asked[name]!r}: {error}"
            raise ConfigurationError(msg) from None
    return asked


def _instance(name: str, given: object) -> pl.DataType:
    try:
        if isinstance(given, type) and not issubclass(given, pl.DataType):
            given = pl.DataType.from_python(given)
        dtype = given() if isinstance(given, type) else given
    except TypeError as error:
        msg = f"schema_overrides asks for column {name!r} as {given!r}: {error}"
        raise ConfigurationError(msg) from None
    if not isinstance(dtype, pl.DataType):
        msg = f"schema_overrides asks for column {name!r} as {given!r}, which is no data type of Polars"
        raise ConfigurationError(msg)
    return dtype


def base(dtype: pl.DataType) -> pl.DataType:
    """Return the type that is read, whose values then become those of `dtype` by a cast that changes none."""
    if isinstance(dtype, pl.List):
        return pl.List(base(_inner(dtype)))
    if isinstance(dtype, pl.Array):
        return pl.List(base(_inner(dtype)))
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return pl.String()
    if isinstance(dtype, pl.Int128):
        return pl.Decimal(38, 0)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    if not isinstance(dtype, BASES):
        msg = f"schema_overrides asks for {dtype!r}, which no column can be read as"
        raise ConfigurationError(msg)
    return dtype


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner()


def finished(frame: pl.DataFrame, asked: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Cast the columns whose types the compiled module does not have."""
    columns = (frame[name] for name, dtype in asked.items() if frame.schema[name] != dtype)
    return frame.with_columns(_cast(column, asked[column.name]) for column in columns)


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        cast: pl.Series = column.cast(dtype)
    except PolarsError as error:
        row = bisect_left(range(1, len(column)), x=True, key=lambda rows: _fails(column.head(rows), dtype))
        (value,) = column[row : row + 1].to_list()
        msg = f"column {column.name!r}, row {row + 1}: {value!r} is no {dtype!r}, which schema_overrides asks for"
        raise TypeConversionError(msg) from error
    return cast


def _fails(column: pl.Series, dtype: pl.DataType) -> bool:
    try:
        column.cast(dtype)
    except PolarsError:
        return True
    return False
