"""``return_type``: the library whose frame a read returns, and the conversion to it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import polars as pl

from industrydb._read.arrow import table
from industrydb._text.near import near
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

ReturnType: TypeAlias = Literal["polars", "arrow", "pandas"]
DtypeBackend: TypeAlias = Literal["numpy_nullable", "pyarrow"]

# The libraries that each return type needs; the extras of the same names install them.
NEEDED = {"polars": (), "arrow": ("pyarrow",), "pandas": ("pandas", "pyarrow")}

# A function of a frame's columns and height that returns the converted frame. Conversions to other libraries empty the
# list of columns, so that each column is released after its conversion.
Convert: TypeAlias = "Callable[[list[pl.Series], int], Any]"


def converter(return_type: str, dtype_backend: str) -> Convert:
    """Check the arguments, before anything is read, and return the function that converts a frame's columns."""
    if return_type not in NEEDED:
        msg = f"return_type must be 'polars', 'arrow' or 'pandas', not {return_type!r}{near(return_type, NEEDED)}"
        raise ConfigurationError(msg)
    if dtype_backend not in (backends := get_args(DtypeBackend)):
        hint = near(dtype_backend, backends)
        msg = f"dtype_backend must be 'numpy_nullable' or 'pyarrow', not {dtype_backend!r}{hint}"
        raise ConfigurationError(msg)
    if dtype_backend != "numpy_nullable" and return_type != "pandas":
        msg = f"dtype_backend is for return_type='pandas', not for {return_type!r}: leave it out"
        raise ConfigurationError(msg)
    missing = [name for name in NEEDED[return_type] if find_spec(name) is None]
    if missing:
        needed = " and ".join(missing)
        msg = f"return_type={return_type!r} needs {needed}: pip install 'industrydb[{return_type}]'"
        raise ConfigurationError(msg)
    if return_type == "polars":
        return lambda columns, height: pl.DataFrame(columns) if columns else pl.DataFrame(height=height)
    if return_type == "arrow":
        return table
    # Imported late: pandas is optional, and the import takes time.
    from industrydb._read.pandas import BACKENDS, frame  # noqa: PLC0415

    return lambda columns, height: frame(columns, height, BACKENDS[dtype_backend])
