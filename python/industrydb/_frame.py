"""What is to be written, as one DataFrame of the types that databases have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias

import polars as pl

from industrydb.industrydb import ConfigurationError


class ArrowStream(Protocol):
    """A table of whatever library, as the Arrow PyCapsule interface hands it over."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream."""


# A table: a frame, columns by their names, rows as dicts, or any Arrow table, such as pyarrow's or pandas'.
Data: TypeAlias = pl.DataFrame | pl.LazyFrame | Mapping[str, object] | Iterable[Mapping[str, object]] | ArrowStream

# Types that are read as others.
_PLAIN: dict[type[pl.DataType], pl.DataType] = {
    pl.Categorical: pl.String(),
    pl.Enum: pl.String(),
    pl.Int128: pl.Decimal(38, 0),
}


def frame(data: Data) -> pl.DataFrame:
    """Return the data as a frame that the compiled module takes."""
    made = data.collect() if isinstance(data, pl.LazyFrame) else data if isinstance(data, pl.DataFrame) else _made(data)
    plain = {name: _plain(dtype) for name, dtype in made.schema.items()}
    casts = [pl.col(name).cast(dtype) for name, dtype in plain.items() if dtype != made.schema[name]]
    if not casts:
        return made
    try:
        return made.with_columns(casts)
    except pl.exceptions.PolarsError as error:
        msg = f"a column cannot be written: {error}"
        raise ConfigurationError(msg) from error


def _made(data: object) -> pl.DataFrame:
    """Return a frame of columns, of rows, or of an Arrow table."""
    if isinstance(data, (str, bytes)) or not (isinstance(data, Iterable) or hasattr(data, "__arrow_c_stream__")):
        msg = f"the data must be a frame, a dict of columns or a list of dicts, not {type(data).__name__}"
        raise ConfigurationError(msg)
    table: Any = data
    if isinstance(data, Mapping):
        table = dict(data)
    elif not hasattr(data, "__arrow_c_stream__"):
        table = list(table)
        others = {type(row).__name__ for row in table if not isinstance(row, Mapping)}
        if others:
            msg = f"the rows of a list must be dicts, not {', '.join(sorted(others))}"
            raise ConfigurationError(msg)
    try:
        return pl.DataFrame(table, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        msg = f"the data cannot be made a frame: {error}"
        raise ConfigurationError(msg) from error


def _plain(dtype: pl.DataType) -> pl.DataType:
    """Return the type that a column is written as."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(_plain(_instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(field.name, _plain(_instance(field.dtype))) for field in dtype.fields])
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    if isinstance(dtype, (pl.Object, pl.Unknown)):
        msg = f"a column of the type {dtype} cannot be written"
        raise ConfigurationError(msg)
    return _PLAIN.get(type(dtype), dtype)


def _instance(dtype: Any) -> pl.DataType:  # noqa: ANN401, a class or an instance, as Polars has both
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made
