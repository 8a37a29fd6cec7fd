"""Conversion of the data to write to one DataFrame, of types that databases have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import polars as pl
from polars.exceptions import PanicException

from industrydb.industrydb import ConfigurationError, arrow_extensions


class ArrowStream(Protocol):
    """A table of any library that implements the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream."""


# The data to write: a frame, columns by their names, rows as dicts, or any Arrow table, such as pyarrow's or pandas'.
Data: TypeAlias = pl.DataFrame | pl.LazyFrame | Mapping[str, object] | Iterable[Mapping[str, object]] | ArrowStream

# The types that are written as another type, by name, since not every version of Polars has all of them.
_PLAIN: dict[str, pl.DataType] = {
    "Categorical": pl.String(),
    "Enum": pl.String(),
    "Int128": pl.Decimal(38, 0),
    "UInt128": pl.Decimal(38, 0),
    "Float16": pl.Float32(),
}
# The types that are written as they are, besides lists and structs.
_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_NUMBERS = (*_INTEGERS, pl.Float32, pl.Float64, pl.Decimal)
_KEPT = (*_NUMBERS, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime, pl.Duration, pl.Null)

# The Arrow extension types that are written, as text.
_EXTENSIONS = ("arrow.uuid", "arrow.json")


def reject_column(data: object) -> None:
    """Raise if the data are an array or a series of any library, and no table, unless its values are structs."""
    kind = type(data)
    dtype = str(getattr(data, "dtype", getattr(data, "type", ""))).lower()
    is_array = kind.__name__ in {"Series", "ChunkedArray", "ndarray"} or hasattr(data, "__arrow_c_array__")
    has_columns = hasattr(data, "columns") or ("struct" in dtype and hasattr(data, "__arrow_c_stream__"))
    if is_array and not has_columns:
        msg = (
            f"the data must be a frame, a dict of columns or a list of dicts, not {kind.__name__}: give its values a "
            "column's name, as in {'name': values}"
        )
        raise ConfigurationError(msg)


def frame(data: Data) -> pl.DataFrame:
    """Return the data as a frame of types that the compiled module accepts."""
    made = data.collect() if isinstance(data, pl.LazyFrame) else data if isinstance(data, pl.DataFrame) else _made(data)
    known = [series for series in made if _extension(series) in _EXTENSIONS]
    made = made.with_columns(_stored(series, _extension(series)) for series in known)
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
    """Return a frame from columns, rows or an Arrow table; raise if that would change a value."""
    reject_column(data)
    if isinstance(data, (str, bytes)) or not (isinstance(data, Iterable) or hasattr(data, "__arrow_c_stream__")):
        msg = f"the data must be a frame, a dict of columns or a list of dicts, not {type(data).__name__}"
        raise ConfigurationError(msg)
    table: Any = data
    if not isinstance(data, Mapping) and not hasattr(data, "__arrow_c_stream__"):
        table = _columns(list(table))
    try:
        if not isinstance(table, Mapping):
            return _of_arrow(table)
        columns = {name: _texts(name, values) for name, values in table.items()}
        made = pl.DataFrame(columns, strict=False)
        for name, values in columns.items():
            if isinstance(values, (list, tuple)):
                _reject_changes(name, made[name], values)
    except ConfigurationError:
        raise
    # Libraries raise errors of many kinds for data that they cannot convert; Polars also panics.
    except (Exception, PanicException) as error:
        msg = f"the data cannot be made a frame: {error}"
        raise ConfigurationError(msg) from error
    return made


def _columns(rows: list[Any]) -> dict[str, list[object]]:
    """Return rows as columns, with `None` for the values that a row lacks."""
    others = {type(row).__name__ for row in rows if not isinstance(row, Mapping)}
    if others:
        msg = f"the rows of a list must be dicts, not {', '.join(sorted(others))}"
        raise ConfigurationError(msg)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


@dataclass
class _Stream:
    """A stream that was already taken from an Arrow table, since some tables give only one."""

    capsule: object

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream in its own schema."""
        del requested_schema
        return self.capsule


def _of_arrow(table: ArrowStream) -> pl.DataFrame:
    """Return an Arrow table as a frame, with UUIDs as text.

    The extension types are taken from the table's own schema, since Polars reads some of them as their storage types.
    """
    if type(table).__module__.partition(".")[0] == "pandas":
        made = pl.DataFrame(table)
        has_bytes = any(dtype == pl.Binary for dtype in made.dtypes)
        extensions = arrow_extensions(table.__arrow_c_stream__()) if has_bytes else []
    else:
        stream = _Stream(table.__arrow_c_stream__())
        extensions = arrow_extensions(stream.capsule)
        _reject_extensions(extensions)
        made = pl.DataFrame(stream)
    _reject_extensions(extensions)
    return made.with_columns(_stored(made[name], extension) for name, extension, _ in extensions)


def _reject_extensions(extensions: Iterable[tuple[str, str, bool]]) -> None:
    """Raise if a column has, or contains, an Arrow extension type that cannot be written."""
    for name, extension, is_nested in extensions:
        if is_nested or extension not in _EXTENSIONS:
            what = f"has {extension} within its type" if is_nested else f"is {extension}"
            msg = f"column {name!r} {what}, an extension type of Arrow's which no database has: cast it, as to text"
            raise ConfigurationError(msg)


def _extension(values: pl.Series) -> str:
    """Return the name of a column's extension type, or an empty text; older versions of Polars have no such types."""
    dtype: Any = values.dtype
    return str(dtype.ext_name()) if type(dtype).__name__ == "Extension" else ""


def _stored(values: pl.Series, extension: str) -> pl.Series:
    """Return the values of an extension type as the type that is written: UUIDs as text, others as they are stored."""
    if _extension(values):
        values = values.ext.storage()
    if extension != "arrow.uuid":
        return values
    digits = values.bin.encode("hex").str
    groups = [digits.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
    return pl.select(pl.concat_str(groups, separator="-").alias(values.name)).to_series()


def _texts(name: object, values: Any) -> object:  # noqa: ANN401, a column of any library
    """Return a column of UUIDs, for which Polars has no type, as text, and other columns as they are."""
    if isinstance(values, pl.Series):
        return values
    of_pyarrow = getattr(values, "type", None)
    if "extension<" in str(of_pyarrow):
        extension: str | None = getattr(of_pyarrow, "extension_name", None)
        _reject_extensions([(str(name), extension or str(of_pyarrow), extension is None)])
        return _stored(pl.Series(str(name), values), str(extension))
    has_objects = getattr(getattr(values, "dtype", None), "kind", None) == "O"  # of NumPy's and pandas'
    if not has_objects and not isinstance(values, (list, tuple)):
        return values
    kinds = {type(value) for value in values}
    if UUID in kinds and kinds <= {UUID, NoneType}:
        return [None if value is None else str(value) for value in values]
    return values


def _reject_changes(name: object, made: pl.Series, given: Sequence[object]) -> None:
    """Raise if Polars has rounded, truncated or dropped a value to give a column one type."""
    for number, (kept, value) in enumerate(zip(made.to_list(), given, strict=True), 1):
        if not _is_same(kept, value):
            msg = f"row {number} of column {name!r}, {value!r}, is no {made.dtype}, as others of its column are"
            raise ValueError(msg)


def _is_same(kept: Any, given: Any) -> bool:  # noqa: ANN401, values of any kind
    """Tell whether a value equals the given one. A struct may have more fields than were given, if they are NULL."""
    if isinstance(given, Mapping):
        return isinstance(kept, Mapping) and all(_is_same(kept.get(name), given.get(name)) for name in {*kept, *given})
    if isinstance(kept, list):
        return len(kept) == len(given) and all(map(_is_same, kept, given))
    if isinstance(kept, bool) != (type(given).__name__ in {"bool", "bool_"}):
        return False
    return bool(kept == given) or (kept is None and given is None) or bool(kept != kept and given != given)  # noqa: PLR0124, NaN


def _plain(name: str, dtype: pl.DataType) -> pl.DataType:
    """Return the type that a column is written as."""
    dtype = _instance(dtype)  # a class, of some types in older versions of Polars
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
