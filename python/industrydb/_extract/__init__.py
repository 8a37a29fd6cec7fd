"""``extract``: a bulk job that writes the result of a query into files, and resumes where it stopped."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import polars as pl

from industrydb._read.batches import BATCH_SIZE
from industrydb._request import Snapshot, request
from industrydb._text.arguments import chosen, explained, folded, text, whole
from industrydb._text.html import table
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from industrydb._text.address import Address
    from industrydb._text.overrides import SchemaOverrides
    from industrydb._text.statement import Parameters, Query
    from industrydb.industrydb import Measured

# The format of the files.
Format = Literal["parquet", "ipc", "csv"]

# What to do if the same call has already written to the directory.
Resume = Literal["continue", "restart"]

# The beginning of a target that is a URI, such as s3://, and not a path. A `Path` drops one of the slashes. Drives of
# Windows have a single letter, and do not match.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]+")


@dataclass(frozen=True, repr=False)
class Extract:
    """
    The result of `extract`.

    Attributes
    ----------
    rows : int
        The number of rows in all files.
    files : tuple of Path
        The files, in the order of the rows.
    bytes : int
        The size of all files.
    manifest : Path
        The file that describes the extract: its query, the time at which
        each file was read, and the files' checksums.
    seconds : float
        The duration of the call.
    schema : polars.Schema
        The columns. CSV files do not keep their types.
    complete_since : datetime or None
        The time, in UTC, at which an earlier call completed the extract, if
        nothing was missing and this call read nothing; otherwise `None`.

    Examples
    --------
    >>> import industrydb
    >>> query = "SELECT id, name FROM person"
    >>> done = industrydb.extract(uri, query, target)
    >>> done.rows, len(done.files), done.schema.names()
    (3, 1, ['id', 'name'])
    """

    rows: int
    files: tuple[Path, ...]
    bytes: int
    manifest: Path
    seconds: float = field(compare=False)
    schema: pl.Schema
    complete_since: datetime | None = field(default=None, compare=False)
    """The time, in UTC, at which an earlier call completed the extract; `None` if this call read anything."""
    # The rows and bytes of each file, for a notebook.
    _sizes: ClassVar[Sequence[tuple[int, int]]] = ()
    # When each attempt began, and what its partitions did, for the command's profile. No field, since measurements can
    # be neither copied nor pickled.
    _measured: ClassVar[Sequence[tuple[float, list[Measured]]]] = ()

    def __getstate__(self) -> dict[str, object]:
        """Return the fields."""
        return {name: value for name, value in self.__dict__.items() if name != "_measured"}

    def __repr__(self) -> str:
        """Return the directory, and the numbers of rows, files and bytes."""
        return f"<Extract: {self._summary()}>"

    def _repr_html_(self) -> str:
        """Return the files as a table for a notebook, with their rows and bytes."""
        sizes = [tuple(f"{size:,}" for size in of_file) for of_file in self._sizes] or [("", "")] * len(self.files)
        files = [(file.name, *of_file) for file, of_file in zip(self.files, sizes, strict=True)]
        return table(f"Extract: {self._summary()}", ("file", "rows", "bytes"), files)

    def _summary(self) -> str:
        since = self.complete_since
        told = f"{self.seconds:.2f} s" if since is None else f"complete since {since:%Y-%m-%d %H:%M:%S} UTC"
        files = f"{len(self.files):,} file{'s'[: len(self.files) != 1]} of {self.bytes:,} bytes"
        return f"{self.rows:,} row{'s'[: self.rows != 1]}, {files} in {self.manifest.parent}, {told}"


folded(Extract.__init__)


@explained
def extract(  # noqa: PLR0913, each is a choice of its own, and has a default
    uri: Address,
    query: Query,
    target: str | PathLike[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
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

    Rows go from the database into the files in batches, so that memory
    stays bounded. A file appears in the directory only once it is complete.
    The same call, made again, resumes where the last one stopped, for
    whatever reason: finished files are kept, and every row is in the files
    exactly once.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range,
    schema_overrides
        As for `read_sql`. Each partition, or each query of a list, becomes
        a file.
    target
        The path of the directory to write to, which is created if it does
        not exist; not a URI such as ``s3://``. The directory must be empty,
        or have an extract that the same call began. Whoever can write to it
        can change the data of the extract.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`. Partitions that are read again, or by a later
        call, see a later snapshot, which the manifest records.
    timeout
        As for `read_sql`, for the whole call. Files that are finished by
        then are kept.
    format
        ``"parquet"``, ``"ipc"`` (Arrow, also called Feather) or ``"csv"``.
    compression
        For Parquet: ``"snappy"`` (the default), ``"zstd"``, ``"lz4"``,
        ``"gzip"``, ``"brotli"`` or ``"uncompressed"``. For Arrow:
        ``"uncompressed"`` (the default), ``"lz4"`` or ``"zstd"``.
    since
        A column of integers, decimals, dates or datetimes whose values grow
        with every new row. Once the extract is complete, the same call
        appends the rows above the largest value so far, as further files.
        Columns whose type depends on their values, such as PostgreSQL's
        ``numeric`` without precision, then need `schema_overrides`.
    resume
        ``"continue"``, or ``"restart"`` to remove the files that the
        directory's manifest lists and begin anew.
    retries
        The number of times that a partition is read again after a transient
        error, such as a broken session or a deadlock. The first pause
        between attempts is 0.5 seconds; each further one is twice as long,
        up to 30 seconds.
    batch_size
        The maximum number of rows of a batch. A Parquet row group or an
        Arrow record batch has one batch, or several small ones with
        together about 65,536 rows, and at most about 64 MiB.
    progress
        Whether to show the progress of the partitions.

    Returns
    -------
    Extract
        The files, and the numbers of their rows and bytes.

    Raises
    ------
    ConfigurationError
        An argument is not valid, the directory has other files or another
        extract, or another process is writing to it. Nothing was read.
    DatabaseConnectionError, QueryExecutionError, QueryTimeoutError,
    TypeConversionError
        As for `read_sql`. Finished files are kept for the next call.
    OSError
        A file cannot be written.
    KeyboardInterrupt
        On Ctrl-C; the message says what is kept and how to resume. The
        database's work is then cancelled, too.

    Examples
    --------
    >>> import industrydb
    >>> import polars as pl
    >>> query = "SELECT id, name FROM person"
    >>> done = industrydb.extract(
    ...     uri, query, target, partition_on="id", partitions=2
    ... )
    >>> done.rows, [file.name for file in done.files]
    (3, ['part-00000.parquet', 'part-00001.parquet'])
    >>> pl.scan_parquet(f"{target}/*.parquet").collect().rows()
    [(1, 'Ada'), (2, 'Grace'), (3, None)]
    """
    # Imported late: these modules take half as long to import as the rest of the package.
    from industrydb._extract.extraction import Extraction  # noqa: PLC0415
    from industrydb._extract.files import COMPRESSIONS, locked  # noqa: PLC0415
    from industrydb._extract.manifest import MANIFEST, job  # noqa: PLC0415

    began = time.monotonic()
    chosen("format", format, get_args(Format))
    chosen("resume", resume, get_args(Resume))
    compressions = COMPRESSIONS[format]
    if compression is not None and not compressions:
        msg = f"{format} files are not compressed: leave compression={compression!r} out"
        raise ConfigurationError(msg)
    if compression is not None:
        chosen(f"compression of {format}", compression, compressions)
    for name, number, least in (("retries", retries, 0), ("batch_size", batch_size, 1)):
        if whole(name, number) < least:
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
        not_open="an extract opens sessions of its own, also in later runs that resume it, and a Connection is one "
        "session of this process: pass the URI of its database",
    )
    if since is not None:
        text("since", since, "the name of one column, a str")
    asked = job(
        call,
        format=format,
        partition_on=partition_on,
        partitions=None if partitions is None else whole("partitions", partitions),
        partition_range=None if partition_range is None else [repr(end) for end in partition_range],
        since=since,
    )
    folder = _folder(target)
    with locked(folder):
        codec = compression or next(iter(compressions), None)
        extraction = Extraction(call, asked, folder, began, retries, batch_size, codec, progress)
        try:
            extraction.run(restart=resume == "restart")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(extraction.told()) from None
    manifest = extraction.manifest
    files = [part.finished for part in manifest.parts if part.finished is not None]
    result = Extract(
        rows=sum(file.rows for file in files),
        files=tuple(folder / part.name for part in manifest.parts),
        bytes=sum(file.bytes for file in files),
        manifest=folder / MANIFEST,
        seconds=time.monotonic() - began,
        schema=manifest.schema or pl.Schema(),
        complete_since=extraction.complete_since,
    )
    object.__setattr__(result, "_sizes", [(file.rows, file.bytes) for file in files])
    object.__setattr__(result, "_measured", extraction.measured)
    return result


def _folder(target: str | PathLike[str]) -> Path:
    """Return the directory to write to, which is created if it does not exist."""
    if not isinstance(target, (str, PathLike)):
        msg = f"target must be the path of a directory, not {type(target).__name__}"
        raise TypeError(msg)
    if found := SCHEME.match(fspath(target)):
        msg = (
            f"target begins with {found[0]}, and extract writes to folders of this machine: write there, and copy the "
            "files, or mount the store"
        )
        raise ConfigurationError(msg)
    # Polars would expand a leading ~ in a relative path.
    folder = Path(target).absolute()
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        msg = f"target must be a path in UTF-8, not {str(folder)!r}"
        raise ConfigurationError(msg) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise FileExistsError(error.errno, "target must be a directory, and this is a file", str(folder)) from None
    return folder
