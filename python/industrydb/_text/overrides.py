"""``schema_overrides``: check the data types that a caller asks for, and cast the columns to them."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from industrydb.industrydb import ConfigurationError, TypeConversionError

# A data type, its class, or the Python type of its values.
Dtype: TypeAlias = "pl.DataType | type[pl.DataType] | type"
SchemaOverrides: TypeAlias = Mapping[str, Dtype]

# The number of characters of a long value that a message shows.
MAX_SHOWN = 80

# The types that the compiled module can decode, besides lists and structs of them. Of the datetimes with a time zone,
# it decodes only UTC.
BASES = (
    *(pl.Boolean, pl.String, pl.Binary, pl.Decimal, pl.Date, pl.Time, pl.Datetime, pl.Duration),
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64),
)


def dtypes(schema_overrides: SchemaOverrides | None) -> dict[str, pl.DataType]:
    """Check the argument, and return its types as instances of Polars' data types."""
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
        try:
            name.encode()
            asked[name] = _instance(given)
            _check(asked[name])
        except (PolarsError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            reason = str(error).partition("\n")[0]
            msg = f"schema_overrides asks for column {name!r} as {_shown(given)}: {reason}"
            raise ConfigurationError(msg) from None
    return asked


def _instance(given: object) -> pl.DataType:
    if isinstance(given, type) and not issubclass(given, pl.DataType):
        given = pl.DataType.from_python(given)
    if given is pl.Decimal:
        msg = "say how many digits, and how many of them behind the point: pl.Decimal(38, 2)"
        raise TypeError(msg)
    dtype = given() if isinstance(given, type) else given
    if not isinstance(dtype, pl.DataType):
        msg = "this is no data type of Polars"
        raise TypeError(msg)
    return dtype


def _check(dtype: pl.DataType) -> None:
    """Raise if no column can have the type: a cast from its base gives another one, or its time zone is ``"*"``."""
    if pl.Series(dtype=base(dtype)).cast(dtype).dtype != dtype or getattr(dtype, "time_zone", None) == "*":
        msg = "no column can have this type"
        raise TypeError(msg)


def _shown(value: object) -> str:
    """Return the `repr` of a value for a message, shortened if it is long."""
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"


def from_texts(texts: Iterable[str]) -> dict[str, Dtype]:
    """Parse texts such as ``amount=Decimal(38, 2)``, with types as in Python, and return them as schema overrides."""
    asked: dict[str, Dtype] = {}
    for text in texts:
        # Column names and types may contain "=" as well: the first one with a valid type behind it counts.
        pairs = ((text[: sign.start()], _written(text[sign.end() :])) for sign in re.finditer("=", text))
        name, dtype = next(((name, dtype) for name, dtype in pairs if dtype is not None), (None, None))
        if name is None or dtype is None:
            shown = "a URI" if re.search("://|@", text) else _shown(text)  # a URI may have a password
            msg = (
                "an override of the schema must be COLUMN=TYPE with a type of Polars, such as 'amount=Decimal(38, 2)', "
                f'id=Int64 or \'day=Datetime("us", "UTC")\', not {shown}'
            )
            raise ConfigurationError(msg)
        if name in asked:
            msg = f"there are two overrides of the schema for column {name!r}"
            raise ConfigurationError(msg)
        asked[name] = dtype
    return asked


def _written(text: str) -> Dtype | None:
    """Parse a data type; return `None` if the text is not one."""
    try:
        found = _value(ast.parse(text.strip(), mode="eval").body)
    except (ArithmeticError, MemoryError, PolarsError, RecursionError, SyntaxError, TypeError, ValueError):
        return None
    is_type = isinstance(found, pl.DataType) or (isinstance(found, type) and issubclass(found, pl.DataType))
    return found if is_type else None


def _value(node: ast.expr) -> Any:  # noqa: ANN401, a data type, or what one is made of
    """Evaluate an expression of literals and data types; calls of anything else raise."""
    match node:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="pl"), attr=name):
            found = getattr(pl, name, None)
            if not (isinstance(found, type) and issubclass(found, pl.DataType)):
                msg = f"{name} is no data type of Polars"
                raise TypeError(msg)
            return found
        case ast.Call(func=ast.Name() | ast.Attribute() as function, args=values, keywords=named):
            given = {str(keyword.arg): _value(keyword.value) for keyword in named}
            return _value(function)(*map(_value, values), **given)
        case ast.List(elts=values):
            return [_value(value) for value in values]
        case ast.Tuple(elts=values):
            return tuple(_value(value) for value in values)
        case ast.Dict(keys=names, values=values):
            return {ast.literal_eval(name): _value(value) for name, value in zip(names, values, strict=True) if name}
    return ast.literal_eval(node)


def base(dtype: pl.DataType) -> pl.DataType:
    """Return the type to decode a column as, from which a cast to `dtype` changes no value."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(base(_instance(dtype.inner)))
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return pl.String()
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(field.name, base(_instance(field.dtype))) for field in dtype.fields])
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    if not isinstance(dtype, BASES):
        msg = f"no column can be read as {_shown(dtype)}"
        raise TypeError(msg)
    return dtype


def finished(frame: pl.DataFrame, asked: Mapping[str, pl.DataType], of: str = "all") -> pl.DataFrame:
    """Cast the columns to the types that were asked for; `of` names the frame in messages, such as "the batch"."""
    if not asked:
        return frame  # Polars takes longer to cast nothing than a small query takes
    columns = (frame[name] for name, dtype in asked.items() if frame.schema.get(name, dtype) != dtype)
    return frame.with_columns(_cast(column, asked[column.name], of) for column in columns)


def _cast(column: pl.Series, dtype: pl.DataType, of: str) -> pl.Series:
    try:
        cast: pl.Series = column.cast(dtype)
    except PolarsError as error:
        row = bisect_left(range(1, len(column)), x=True, key=lambda rows: _fails(column.head(rows), dtype))
        (value,) = column[row : row + 1].to_list()
        msg = (
            f"column {column.name!r}, row {row + 1} of {of}: {_shown(value)} is no {_shown(dtype)}, "
            "which schema_overrides asks for; ask for a type that has it, or change the value in the query"
        )
        raise TypeConversionError(msg) from error
    return cast


def _fails(column: pl.Series, dtype: pl.DataType) -> bool:
    try:
        column.cast(dtype)
    except PolarsError:
        return True
    return False
