"""The files that the command writes: their formats, which types these lack, and how a file appears whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from industrydb import ConfigurationError
from industrydb._cli.arguments import SUFFIXES
from industrydb._extract.files import LARGE_TEXT, NOT_IN_CSV

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator

DataTypes: TypeAlias = tuple[type[pl.DataType], ...]

# The writer of each format to a file.
WRITERS: dict[str, Callable[[pl.DataFrame, Any], object]] = {
    "parquet": pl.DataFrame.write_parquet,
    "arrow": partial(pl.DataFrame.write_ipc, compat_level=LARGE_TEXT),
    "csv": pl.DataFrame.write_csv,
    "json": pl.DataFrame.write_json,
    "ndjson": pl.DataFrame.write_ndjson,
}
# The writers to standard output: a stream of record batches can be read from a pipe, which a file of them cannot.
PIPED = WRITERS | {
    "arrow": partial(pl.DataFrame.write_ipc_stream, compat_level=LARGE_TEXT),
    "json": lambda frame, file: file.write(frame.write_json().encode() + b"\n"),
}

# The data types that each format cannot represent.
LACKS: dict[str, DataTypes] = {
    "parquet": (),
    "arrow": (),
    "csv": NOT_IN_CSV,
    "json": (pl.Binary,),
    "ndjson": (pl.Binary,),
}


def format_of(name: str, given: str | None) -> str:
    """Return the format that an option or the name of a file gives."""
    kind = given or SUFFIXES.get(Path(name).suffix.lower())
    if kind is None:
        msg = f"the name of a file says its format, and {name} has none of {' '.join(SUFFIXES)}: add it, or --format"
        raise ConfigurationError(msg)
    return kind


class _Standard:
    """Standard output as a file of bytes, which keeps the error that writing to it raised."""

    error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return sys.stdout.buffer.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Do nothing: the end of the block flushes."""


@contextmanager
def standard_output() -> Iterator[_Standard]:
    """Yield standard output as a file of bytes; its errors are raised in place of those that Polars makes of them."""
    file = _Standard()
    try:
        yield file
        sys.stdout.flush()
    except (OSError, pl.exceptions.PolarsError):
        if file.error is not None:
            raise file.error from None
        raise


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
