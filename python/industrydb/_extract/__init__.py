"""``extract``: a bulk job that writes the result of a query into files, and goes on where it was ended."""

from __future__ import annotations

import operator
import re
import time
from dataclasses import dataclass, field
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from industrydb._read.batches import BATCH_SIZE
from industrydb._request import Parameters, request
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from os import PathLike

    from industrydb._text.overrides import SchemaOverrides
    from industrydb.industrydb import DatabaseConfig

# What the files are.
Format = Literal["parquet", "ipc", "csv"]

# What to do where the same call has written before.
Resume = Literal["continue", "restart"]


# How a target begins that is no path, such as s3://, of which a `Path` keeps one slash. Windows' drives are one letter.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]+")


@dataclass(frozen=True)
class Extract:
    """
    What `extract` has written.

    Attributes
    ----------
    rows : int
        How many rows all files have.
    files : tuple of Path
        The files, in the order of the rows.
    bytes : int
        How long they are together.
    manifest : Path
        The file that says what the extract is of, when each file was read, and its checksum.
    seconds : float
        How long the call took.
    schema : polars.Schema
        The columns. CSV does not keep their types.
    complete_since : datetime or None
        When an earlier call had written all of that, in UTC, if this one has read nothing, since nothing was missing.
    """

    rows: int
    files: tuple[Path, ...]
    bytes: int
    manifest: Path
    seconds: float = field(compare=False)
    schema: pl.Schema
    complete_since: datetime | None = field(default=None, compare=False)


def extract(  # noqa: PLR0913, each is a choice of its own, and has a default
    uri: str | DatabaseConfig,
    query: str | Sequence[str],
    target: str | PathLike[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    format: Format = "parquet",  # noqa: A002, as Polars calls it
    compression: str | None = None,
    since: str | None = None,
    resume: Resume = "continue",
    retries: int = 3,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Extract:
    """
    Write the result of a SQL query into files, one for each partition.

    Rows go from the database into the files in batches, so that memory stays bounded. A file is there when
    it is whole. The same call again goes on where the last one was ended, by whatever: finished files
    are kept, and every row is in the files exactly once.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range, schema_overrides
        As for `read_sql`. Each partition, or query of a list, becomes a file.
    target
        The directory to write to, which is made if there is none; a path, and no URI such as ``s3://``. It must be
        empty, or hold what the same call has begun. Who can write to it can change what is read later.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`. Partitions that are read again, or by a later call, are of a later snapshot; the
        manifest says which.
    timeout
        As for `read_sql`, for the whole call. What is finished by then is kept.
    format
        ``"parquet"``, ``"ipc"`` (Arrow, also called Feather) or ``"csv"``.
    compression
        Of Parquet ``"snappy"``, if not given, ``"zstd"``, ``"lz4"``, ``"gzip"``, ``"brotli"`` or ``"uncompressed"``; of
        Arrow ``"uncompressed"``, if not given, ``"lz4"`` or ``"zstd"``.
    since
        A column of integers, decimals, dates or datetimes that only grows from row to row. Once all is written, the
        same call writes the rows above the largest value until then into further files. Columns whose values decide
        their types, such as PostgreSQL's ``numeric`` without precision, then need `schema_overrides`.
    resume
        ``"continue"``, or ``"restart"`` to remove what the directory's manifest names and begin anew.
    retries
        How many times a partition is read again whose session broke, or could not go on because of others. Between
        the attempts are 0.5 seconds, and then twice as many each time, up to 30.
    batch_size
        The most rows of a batch. A row group of Parquet, or a record batch of Arrow, has one batch, or several small
        ones that come near to 65,536 rows, and not more than about 64 MiB.
    progress
        Whether to show how far the partitions are.

    Returns
    -------
    Extract
        The files, and how many rows and bytes they have.

    Raises
    ------
    ConfigurationError
        An argument cannot be carried out, the directory has other files or another extract, or another
        process writes there. Nothing was read.
    DatabaseConnectionError, QueryExecutionError, QueryTimeoutError, TypeConversionError
        As `read_sql` does. Finished files are kept for the next call.
    OSError
        A file cannot be written.
    KeyboardInterrupt
        On Ctrl-C, and says what is kept and how to go on; the database's work is then cancelled too.

    Examples
    --------
    >>> import industrydb
    >>> import polars as pl
    >>> done = industrydb.extract(uri, "SELECT id, name FROM person", target, partition_on="id", partitions=2)
    >>> done.rows, [file.name for file in done.files]
    (3, ['part-00000.parquet', 'part-00001.parquet'])
    >>> pl.scan_parquet(f"{target}/*.parquet").collect().rows()
    [(1, 'Ada'), (2, 'Grace'), (3, None)]
    """
    # What only this needs takes as long to import as half of all the rest.
    from industrydb._extract.extraction import Extraction  # noqa: PLC0415
    from industrydb._extract.files import COMPRESSIONS, locked  # noqa: PLC0415
    from industrydb._extract.manifest import MANIFEST, job  # noqa: PLC0415

    began = time.monotonic()
    for name, value, choices in (("format", format, get_args(Format)), ("resume", resume, get_args(Resume))):
        if value not in choices:
            msg = f"{name} must be one of {choices}, not {value!r}"
            raise ConfigurationError(msg)
    compressions = COMPRESSIONS[format]
    if compression is not None and compression not in compressions:
        msg = f"compression of {format} must be one of {compressions}, not {compression!r}"
        raise ConfigurationError(msg)
    for name, number, least in (("retries", retries, 0), ("batch_size", batch_size, 1)):
        if operator.index(number) < least:
            msg = f"{name} must be at least {least}, not {number}"
            raise ConfigurationError(msg)
    call = request(
        uri,
        query,
        params=params,
        partition_on=partition_on,
        partitions=partitions,
        partition_range=partition_range,
        schema_overrides=schema_overrides,
        pre_execution_query=pre_execution_query,
        snapshot=snapshot,
        max_connections=max_connections,
        timeout=timeout,
    )
    asked = job(
        call,
        format=format,
        partition_on=partition_on,
        partitions=None if partitions is None else operator.index(partitions),
        partition_range=None if partition_range is None else [repr(end) for end in partition_range],
        since=since,
    )
    if found := SCHEME.match(fspath(target)):
        msg = (
            f"target begins with {found[0]}, and extract writes to folders of this machine: write there, and copy the "
            "files, or mount the store"
        )
        raise ConfigurationError(msg)
    # Polars would read a leading ~ in its own way.
    folder = Path(target).absolute()
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        msg = f"target must be a path in UTF-8, not {str(folder)!r}"
        raise ConfigurationError(msg) from None
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        codec = compression or next(iter(compressions), None)
        extraction = Extraction(call, asked, folder, began, retries, batch_size, codec, progress)
        try:
            extraction.run(restart=resume == "restart")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(extraction.told()) from None
    manifest = extraction.manifest
    files = [part.finished for part in manifest.parts if part.finished is not None]
    return Extract(
        rows=sum(file.rows for file in files),
        files=tuple(folder / part.name for part in manifest.parts),
        bytes=sum(file.bytes for file in files),
        manifest=folder / MANIFEST,
        seconds=time.monotonic() - began,
        schema=manifest.schema or pl.Schema(),
        complete_since=extraction.complete_since,
    )
