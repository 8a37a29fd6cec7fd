"""What is to be written, as one DataFrame of the types that databases have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import polars as pl
from polars.exceptions import PanicException

from industrydb.industrydb import ConfigurationError


class ArrowStream(Protocol):
    """A table of whatever library, as the Arrow PyCapsule interface hands it over."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream."""


# A table: a frame, columns by their names, rows as dicts, or any Arrow table, such as pyarrow's or pandas'.
Data: TypeAlias = pl.DataFrame | pl.LazyFrame | Mapping[str, object] | Iterable[Mapping[str, object]] | ArrowStream

# Types that are written as others; not every version of Polars has all of them …
_PLAIN: dict[str, pl.DataType] = {
    "Categorical": pl.String(),
    "Enum": pl.String(),
    "Int128": pl.Decimal(38, 0),
    "UInt128": pl.Decimal(38, 0),
    "Float16": pl.Float32(),
}
# … and as they are, beside those that consist of others.
_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_NUMBERS = (*_INTEGERS, pl.Float32, pl.Float64, pl.Decimal)
_KEPT = (*_NUMBERS, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime, pl.Duration, pl.Null)


def frame(data: Data) -> pl.DataFrame:
    """Return the data as a frame that the compiled module takes."""
    made = data.collect() if isinstance(data, pl.LazyFrame) else data if isinstance(data, pl.DataFrame) else _made(data)
    schema = made.schema
    for name in schema:
        if "\0" in name:
            msg = f"no database has a column named {name!r}"
            raise ConfigurationError(msg)
    casts: dict[Any, Any] = {name: plain for name, dtype in schema.items() if (plain := _plain(name, dtype)) != dtype}
    if not casts:
        return made
    try:
        return made.cast(casts)
    except pl.exceptions.PolarsError as error:
        msg = f"a column cannot be written: {error}"
        raise ConfigurationError(msg) from error


def _made(data: object) -> pl.DataFrame:
    """Return a frame of columns, of rows, or of an Arrow table."""
    if isinstance(data, (str, bytes)) or not (isinstance(data, Iterable) or hasattr(data, "__arrow_c_stream__")):
        msg = f"the data must be a frame, a dict of columns or a list of dicts, not {type(data).__name__}"
        raise ConfigurationError(msg)
    table: Any = data
    if not isinstance(data, Mapping) and not hasattr(data, "__arrow_c_stream__"):
        table = _columns(list(table))
    try:
        if not isinstance(table, Mapping):
            return pl.DataFrame(table)
        columns = {name: _texts(values) for name, values in table.items()}
        made = pl.DataFrame(columns, strict=False)
        for name, values in columns.items():
            if isinstance(values, (list, tuple)):
                _reject_changes(name, made[name], values)
    # Whatever a library raises of what it cannot convert, panics of Polars' too.
    except (Exception, PanicException) as error:
        msg = f"the data cannot be made a frame: {error}"
        raise ConfigurationError(msg) from error
    return made


def _columns(rows: list[Any]) -> dict[str, list[object]]:
    """Return the columns of rows; what a row lacks is NULL."""
    others = {type(row).__name__ for row in rows if not isinstance(row, Mapping)}
    if others:
        msg = f"the rows of a list must be dicts, not {', '.join(sorted(others))}"
        raise ConfigurationError(msg)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _texts(values: object) -> object:
    """Return UUIDs, which Polars does not have, as texts, and other values as they are."""
    if not isinstance(values, (list, tuple)):
        return values
    kinds = {type(value) for value in values}
    if UUID in kinds and kinds <= {UUID, NoneType}:
        return [None if value is None else str(value) for value in values]
    return values


def _reject_changes(name: object, made: pl.Series, given: Sequence[object]) -> None:
    """Refuse values that Polars has rounded, cut off or left out to bring a column to one type."""
    for number, (kept, value) in enumerate(zip(made.to_list(), given, strict=True), 1):
        if not _is_same(kept, value):
            msg = f"row {number} of column {name!r}, {value!r}, is no {made.dtype}, as others of its column are"
            raise ValueError(msg)


def _is_same(kept: Any, given: Any) -> bool:  # noqa: ANN401, values of any kind
    """Tell whether a value is the one that was given. What a struct has beside that is NULL."""
    if isinstance(given, Mapping):
        return isinstance(kept, Mapping) and all(_is_same(kept.get(name), given.get(name)) for name in {*kept, *given})
    if isinstance(kept, list):
        return len(kept) == len(given) and all(map(_is_same, kept, given))
    if isinstance(kept, bool) != (type(given).__name__ in {"bool", "bool_"}):
        return False
    return bool(kept == given) or (kept is None and given is None) or bool(kept != kept and given != given)  # noqa: PLR0124, NaN


def _plain(name: str, dtype: pl.DataType) -> pl.DataType:
    """Return the type that a column is written as."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(_plain(name, _instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        fields = {field.name: _plain(name, _instance(field.dtype)) for field in dtype.fields}
        return pl.Struct(fields)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    plain = _PLAIN.get(type(dtype).__name__)
    if plain is None and not isinstance(dtype, _KEPT):
        msg = f"column {name!r} is {dtype}, which no database has"
        raise ConfigurationError(msg)
    return plain or dtype


def _instance(dtype: Any) -> pl.DataType:  # noqa: ANN401, a class or an instance, as Polars has both
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made
