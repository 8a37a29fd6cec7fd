"""The files that the command writes: a file appears whole, with types that its format has."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from industrydb import ConfigurationError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

DataTypes: TypeAlias = tuple[type[pl.DataType], ...]


@contextmanager
def replacing(path: Path) -> Iterator[io.BufferedWriter]:
    """Yield a temporary file, which replaces `path` at the end of the block; if the block raises, it is removed."""
    temporary: Path | None = None
    try:
        target = path.resolve()
        mode = _mode(target)
        temporary = target.with_name(f".industrydb-{secrets.token_hex(4)}.tmp")
        with temporary.open("xb") as file:
            if mode is not None:
                temporary.chmod(mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except (OSError, RuntimeError) as error:  # a loop of symbolic links raises a RuntimeError
        msg = f"cannot write {path}: {getattr(error, 'strerror', None) or error}"
        raise OSError(msg) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """Return the permissions of a file, or `None` if it does not exist; raise for anything but a regular file."""
    if not path.exists():
        return None
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return stat.S_IMODE(mode)


def must_hold(what: str, lacks: DataTypes, frame: pl.DataFrame) -> None:
    """Raise if a format cannot represent a column; Polars' writers would fail halfway, or panic."""
    for name, dtype in frame.schema.items():
        if any(isinstance(part, lacks) for part in _parts(dtype)):
            msg = f'column "{name}" is {dtype}, which {what} cannot hold: cast it in the query, or write .parquet'
            raise ConfigurationError(msg)


def _parts(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """Yield a data type, and all types nested in it."""
    yield dtype
    inner = [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else [getattr(dtype, "inner", None)]
    for part in inner:
        if part is not None:
            yield from _parts(part)  # type: ignore[arg-type] # the types in a frame's schema are always instances
