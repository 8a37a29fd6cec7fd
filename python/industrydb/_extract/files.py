"""The files of an extract: locking their folder, writing them, and replacing them atomically by a rename."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from contextlib import contextmanager
from functools import partial
from inspect import signature
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.exceptions import PolarsError
from polars.io.plugins import register_io_source

from industrydb._read.batches import BATCH_SIZE
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

# The file that a process locks while it works in a folder. The system releases the lock however the process ends.
LOCK = ".extract.lock"

# The name of a file while it is written.
TEMPORARY = re.compile(r"\..+\.tmp-[0-9a-f]{16}")

# The number of bytes to read at a time.
BLOCK = 1 << 20

# Writes text as `large_string`, which every Arrow library supports; many do not support Polars' `string_view`.
LARGE_TEXT = pl.CompatLevel.oldest()

# The function that writes a lazy frame piece by piece, by the name of the format, which is also the file extension.
SINKS: dict[str, Callable[..., object]] = {
    "parquet": pl.LazyFrame.sink_parquet,
    "ipc": partial(pl.LazyFrame.sink_ipc, compat_level=LARGE_TEXT),
    "csv": pl.LazyFrame.sink_csv,
}

# The compressions of each format; the first one is the default. Snappy is the usual default of Parquet writers: its
# files are a third larger than those of zstd, and take half the time.
COMPRESSIONS = {
    "parquet": ("snappy", "zstd", "lz4", "gzip", "brotli", "uncompressed"),
    "ipc": ("uncompressed", "lz4", "zstd"),
    "csv": (),
}

# The types that CSV cannot represent.
NOT_IN_CSV = (pl.Binary, pl.Duration, pl.List, pl.Array, pl.Struct)

# Polars collects a fixed number of rows, however large they are, before it writes them; these are the names of that
# parameter. `write` sets it to a number of whole batches, since parts of batches would be copied: about the default
# size of a batch, and at most PIECE_BYTES.
PIECES = {"parquet": "row_group_size", "ipc": "record_batch_size", "csv": ""}
PIECE_BYTES = 64 << 20


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder against other processes and threads; raise if another extract has it."""
    with (folder / LOCK).open("ab") as file:
        if not _lock(file):
            msg = f"another extract is writing to {folder}: wait for its end, or use another directory"
            raise ConfigurationError(msg)
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, whose file replaces `path` at the end of the block, once it is synced to the disk."""
    temporary = path.with_name(f".{path.name}.tmp-{secrets.token_hex(8)}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if sys.platform != "win32":  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write(
    frames: Iterator[pl.DataFrame], schema: pl.Schema, path: Path, file_format: str, compression: str | None
) -> None:
    """Write frames into a file as they arrive; errors of the frames' source and of the disk are raised unchanged."""
    raised: list[BaseException] = []

    def source(*_: object) -> Iterator[pl.DataFrame]:  # asked for all columns and rows
        try:
            yield from frames if first is None else chain([first], frames)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        sink = SINKS[file_format]
        options: dict[str, Any] = {} if compression is None else {"compression": compression}
        first = next(frames, None)
        if first is not None and (name := PIECES[file_format]) in signature(sink).parameters:
            whole = max(1, round(BATCH_SIZE / first.height)) * first.height
            most = max(1, PIECE_BYTES * first.height // max(1, int(first.estimated_size())))
            options[name] = min(whole, most)
        sink(register_io_source(source, schema=schema), path, **options)
    except (OSError, PolarsError) as error:
        # Polars wraps the errors of a source, and for Parquet also those of the disk, in errors of its own.
        if raised:
            raise raised[0] from None
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
        raise
