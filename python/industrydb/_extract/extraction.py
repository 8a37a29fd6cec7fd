"""The work of ``extract`` while it holds the lock of a folder."""

from __future__ import annotations

import logging
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from industrydb._extract.files import LOCK, NOT_IN_CSV, TEMPORARY, checksum, replacing, write
from industrydb._extract.increments import divided, has_risen, increment, largest, within
from industrydb._extract.manifest import (
    MANIFEST,
    Finished,
    Generation,
    Manifest,
    Part,
    Snapshot,
    differences,
    load,
    now,
)
from industrydb._read.batches import Partitions
from industrydb._text.overrides import finished
from industrydb._text.partition_sql import is_of
from industrydb._watch.progress import Progress
from industrydb._watch.shown import shown
from industrydb.industrydb import (
    MAX_SESSIONS,
    ConfigurationError,
    IndustryDbError,
    QueryTimeoutError,
    open_columns_sql,
    shares_snapshots,
)
from industrydb.industrydb import plan_sql as _plan_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from industrydb._extract.manifest import Json
    from industrydb._request import Request
    from industrydb.industrydb import Measured

LOGGER = logging.getLogger("industrydb")

# The pause before partitions are read again: the first one, doubled each time, and the longest one.
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

# The interval at which the progress is drawn.
TICK_S = 0.1

# How long the manifest may lag behind the finished files. Files that it does not list yet are read again after a crash.
LAG_S = 1.0

# The maximum number of files that a message names.
MOST_NAMED = 5


@dataclass
class Extraction:
    """A call of `extract`; `asked` are the arguments that must be the same in every call that resumes it."""

    call: Request
    asked: dict[str, Json]
    folder: Path
    began: float
    retries: int
    batch_size: int
    compression: str | None
    progress: bool
    manifest: Manifest = field(init=False)
    # The time at which an earlier call completed the extract, if this one finds nothing to read.
    complete_since: datetime | None = field(init=False, default=None)
    # When each attempt began, in seconds since `began`, and what its partitions did.
    measured: list[tuple[float, list[Measured]]] = field(init=False, default_factory=list)
    _saved: float = field(init=False, default=0.0)
    _has_news: bool = field(init=False, default=False)

    def run(self, *, restart: bool) -> None:
        """Read all partitions that are missing: of the first generation, or also of a new one if rows were added."""
        kept = self._kept(restart=restart)
        if kept is None or restart:
            self.manifest = Manifest(self.asked, [self._first()])
            for part in () if kept is None else kept.parts:
                (self.folder / part.name).unlink(missing_ok=True)
        else:
            self.manifest = kept
            if self._is_complete():
                if self._has_begun_empty():
                    self.run(restart=True)
                    return
                if not self._has_grown():
                    self.complete_since = datetime.fromisoformat(kept.updated)
                    LOGGER.info("%s", self.told())
                    if kept.state != "finished":
                        self._save("finished")
                    return
            else:
                self._check_kept()
        self._save("running")
        missing = sum(part.finished is None for part in self.manifest.parts)
        LOGGER.info("extracting %d of %d partitions to %s", missing, len(self.manifest.parts), self.folder)
        try:
            for generation in self.manifest.generations:
                self._read(generation)
        except BaseException as error:
            with suppress(OSError):  # the first error is what counts
                self._save("failed", self._told(error))
            raise
        self._save("finished")
        files = [part.finished for part in self.manifest.parts if part.finished is not None]
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        seconds = time.monotonic() - self.began
        LOGGER.info("extracted to %s: %d rows, %d bytes in files, %.3f s", self.folder, rows, size, seconds)

    def told(self) -> str:
        """Return the message for the user about the state of the files, and how to resume."""
        if self.complete_since is not None:
            since = self.asked["since"]
            news = "" if since is None else f", and no row has a larger {since!r}"
            at = f"{self.complete_since:%Y-%m-%d %H:%M:%S} UTC"
            return f"{self.folder} is complete since {at}{news}: nothing was read; resume='restart' writes it anew"
        parts = self.manifest.parts if hasattr(self, "manifest") else []
        kept = sum(part.finished is not None for part in parts)
        return (
            f"the extract was interrupted: {kept} of {len(parts)} files in {self.folder} are finished and kept, "
            "and the same call goes on with the others"
        )

    def _check_kept(self) -> None:
        """Raise if the manifest's statement of a missing file does not read the call's own query."""
        for generation in self.manifest.generations:
            missing = [part for part in generation.parts if part.finished is None]
            if all(part.sql in self.call.queries for part in missing):
                continue
            since = self.asked["since"]
            call = (
                self.call if generation.above is None else divided(self.call, since, generation.above, generation.up_to)
            )
            _, planned, *_ = _plan_sql(self._timed(call))
            keys = [key for key in (self.asked["partition_on"], since) if key is not None]
            for part in missing:
                if not is_of(part.sql, self.call.queries, [sql for sql, _ in planned], keys):
                    msg = (
                        f"the statement that {self.folder / MANIFEST} has for {part.name} is none of this call's "
                        "query, and was not run: whoever can write to the folder may have changed it. Look at it, "
                        "or write the extract anew by resume='restart'"
                    )
                    raise ConfigurationError(msg)

    def _save(self, state: str, error: str | None = None) -> None:
        self.manifest.state, self.manifest.error = state, error
        self.manifest.save(self.folder)
        self._saved, self._has_news = time.monotonic(), False

    def _told(self, error: BaseException) -> str:
        """Return the manifest's text of an error: without its message if that may repeat secret values."""
        kind = type(error).__name__
        if not (self.call.parameters or self.call.setup):
            return str(error) or kind
        code = getattr(error, "code", None)
        return kind if code is None else f"{kind} [{code}]"

    # The existing files

    def _kept(self, *, restart: bool) -> Manifest | None:
        """Return the folder's manifest, if any; raise if the folder has foreign files or another extract."""
        names = sorted(entry.name for entry in self.folder.iterdir())
        temporary = [name for name in names if TEMPORARY.fullmatch(name)]
        kept = load(self.folder)
        if kept is None:
            strange = set(names) - {LOCK, *temporary}
        else:  # only files that a pattern such as *.parquet would read together with the extract's
            read = {name for name in names if name.endswith(self._suffix)}
            strange = read - {part.name for part in kept.parts} - set(temporary)
        if strange:
            shown_names = ", ".join(sorted(strange)[:MOST_NAMED]) + ", …" * (len(strange) > MOST_NAMED)
            msg = f"{self.folder} has files that no extract wrote: {shown_names}; use an empty directory"
            raise ConfigurationError(msg)
        if kept is not None and not restart and (found := differences(kept, self.call, self.asked)):
            msg = (
                f"{self.folder} has another extract: {'; '.join(map(str, found))}. "
                "Use another directory, or resume='restart' to write this one anew"
            )
            error = ConfigurationError(msg)
            error.differences = tuple(found)
            raise error
        for name in temporary:
            (self.folder / name).unlink()
        return kept

    def _is_complete(self) -> bool:
        """Tell whether all files are finished and unchanged; mark the changed ones as missing."""
        done = [part for part in self.manifest.parts if part.finished is not None]
        with ThreadPoolExecutor() as pool:
            for part, intact in zip(done, pool.map(self._is_intact, done), strict=True):
                if not intact:
                    LOGGER.warning("%s is not as it was written: it is read again", self.folder / part.name)
                    part.finished = None
        return all(part.finished is not None for part in self.manifest.parts)

    def _is_intact(self, part: Part) -> bool:
        path, file = self.folder / part.name, part.finished
        if file is None or not path.is_file() or path.stat().st_size != file.bytes:
            return False
        return checksum(path) == file.sha256

    # Planning

    @property
    def _suffix(self) -> str:
        return f".{self.asked['format']}"

    def _has_begun_empty(self) -> bool:
        """Tell whether an extract with `since` has no rows yet, so that some of its column types may be unknown."""
        files = [part.finished for part in self.manifest.parts if part.finished is not None]
        return self.asked["since"] is not None and not any(file.rows for file in files)

    def _has_grown(self) -> bool:
        """Add a generation for the rows above the last watermark; return whether there are any."""
        if (since := self.asked["since"]) is None:
            return False
        generations = self.manifest.generations
        above, up_to = generations[-1].up_to, largest(self._timed(self.call), since)
        if up_to is None or not has_risen(since, above, up_to):
            return False
        generation = Generation(len(generations), [], above, up_to)
        try:
            planned = self._planned(generation, divided(self.call, since, above, up_to))
        except ConfigurationError:  # the column cannot be cut at the values, such as texts that are read as dates
            planned = self._planned(generation, divided(self.call, since, None, up_to))
        generations.append(planned)
        return True

    def _first(self) -> Generation:
        """Return the first generation, with all rows up to now."""
        since = self.asked["since"]
        if since is not None:
            self._check_types()
        # The upper watermark is fixed before anything is read. Partitions may be read at different times, and all of
        # them must leave rows that arrive from now on to the next generation.
        up_to = None if since is None else largest(self._timed(self.call), since)
        return self._planned(Generation(0, [], None, up_to), self.call)

    def _planned(self, generation: Generation, call: Request) -> Generation:
        """Plan a call, and return the generation with the partitions."""
        frame, planned, *_ = _plan_sql(self._timed(call))
        self._check(finished(frame, call.dtypes).schema)
        prefix = "part-" if self.asked["since"] is None else f"part-{generation.number:05}-"
        generation.parts = [
            Part(f"{prefix}{index:05}{self._suffix}", sql, None if rows is None else round(rows))
            for index, (sql, rows) in enumerate(planned)
        ]
        return generation

    def _check_types(self) -> None:
        """Raise if a column's type depends on its values, since later rows could need another type than the files."""
        found = [name for name in open_columns_sql(self._timed(self.call)) if name not in self.call.dtypes]
        if found:
            names = ", ".join(map(repr, found))
            msg = (
                f"the values of {names} decide the type of each such column, and since={self.asked['since']!r} "
                "adds rows later that may need another one: say by schema_overrides what they become in all files, "
                f"such as {{{found[0]!r}: pl.Decimal(38, 10)}} or pl.String, or, on PostgreSQL, cast them in the query "
                "to a numeric with a precision"
            )
            raise ConfigurationError(msg)

    def _check(self, schema: pl.Schema) -> None:
        """Raise if the format cannot represent a column."""
        for name, dtype in schema.items():
            if self.asked["format"] == "csv" and isinstance(dtype, NOT_IN_CSV):
                msg = f"CSV has no form for column {name!r}, {dtype!r}: use parquet or ipc, or cast it in the query"
                raise ConfigurationError(msg)

    def _timed(self, call: Request) -> Request:
        """Return the call with the rest of the time limit; raise if no time is left."""
        left = self._left()
        if left is not None and left <= timedelta(0):
            msg = f"the extract was not finished within its timeout of {self.call.timeout} (h:mm:ss)"
            raise QueryTimeoutError(msg)
        return replace(call, timeout=left)

    def _left(self) -> timedelta | None:
        """Return the rest of the time limit, or `None` if there is none."""
        if self.call.timeout is None:
            return None
        return self.call.timeout - timedelta(seconds=time.monotonic() - self.began)

    # Reading

    def _read(self, generation: Generation) -> None:
        """Read the missing partitions of a generation, and again those that failed with a transient error."""
        failures: Counter[str] = Counter()
        pause = FIRST_WAIT_S
        while pending := [part for part in generation.parts if part.finished is None]:
            errors = self._attempt(generation, pending)
            failures.update(errors.keys())  # a mapping's values would be added as counts
            for name, error in errors.items():
                left = self._left()
                if failures[name] > self.retries or (left is not None and left.total_seconds() <= pause):
                    raise error
                LOGGER.warning("%s is read again in %g s, in a later snapshot: %s", name, pause, error)
            if errors:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_WAIT_S)

    def _attempt(self, generation: Generation, pending: list[Part]) -> dict[str, IndustryDbError]:
        """Read partitions in one snapshot; return the transient errors by file name, and raise any other."""
        since = self.asked["since"]
        call = self.call if generation.number == 0 else increment(self.call, since, generation.above)
        queries = tuple(part.sql for part in pending)
        call = replace(self._timed(call), queries=queries, partition_on=None, partitions=None, cuts=None)
        snapshot = self._begin(call, pending)
        errors: dict[str, IndustryDbError] = {}

        def written(partitions: Partitions, index: int) -> Finished:
            frames: Iterator[pl.DataFrame] = partitions.read(index)
            if since is not None:
                frames = (within(frame, since, generation) for frame in frames)
            path = self.folder / pending[index].name
            return _written(path, frames, partitions.schema, self.compression, snapshot.number)

        try:
            # The order matters: on exit the partitions are closed first, which ends the writers in the pool, and then
            # the pool waits for these.
            with (
                ThreadPoolExecutor(min(len(pending), call.max_connections or MAX_SESSIONS)) as pool,
                Partitions(call, batch_size=self.batch_size, schema=self.manifest.schema) as partitions,
                shown(self.progress, f"extract to {self.folder.name}") as draw,
            ):
                offset = time.monotonic() - self.began
                self._take(partitions.schema)
                self._save("running")
                running = {pool.submit(written, partitions, index): part for index, part in enumerate(pending)}
                try:
                    while running:
                        done, _ = wait(running, TICK_S, FIRST_COMPLETED)
                        errors |= _settled({future: running.pop(future) for future in done})
                        self._has_news |= bool(done)
                        if self._has_news and time.monotonic() - self._saved >= LAG_S:
                            self._save("running")
                        if draw is not None:
                            draw(lambda: _estimated(partitions.progress(), pending))
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                self.measured.append((offset, partitions.measured()))
        except IndustryDbError as error:
            if not error.is_transient:
                raise
            errors = {part.name: error for part in pending if part.finished is None}  # the error concerns them all
        return errors

    def _take(self, schema: pl.Schema) -> None:
        """Record the schema of the files, or raise if it differs from the recorded one."""
        kept = self.manifest.schema
        if kept is None:
            self._check(schema)
            self.manifest.schema = schema
        elif schema != kept:
            msg = (
                f"the query's columns are no longer those of {self.folder}: they are {dict(schema)}, and were "
                f"{dict(kept)}. Name them in the query, or use another directory"
            )
            raise ConfigurationError(msg)

    def _begin(self, call: Request, pending: Sequence[Part]) -> Snapshot:
        """Record a snapshot in which partitions are about to be read, and count their attempts."""
        is_one_moment = call.snapshot and shares_snapshots(call.uri)
        snapshot = Snapshot(len(self.manifest.snapshots) + 1, now(), is_one_moment or len(pending) == 1)
        self.manifest.snapshots.append(snapshot)
        for part in pending:
            part.attempts += 1
        return snapshot


def _written(
    path: Path, frames: Iterator[pl.DataFrame], schema: pl.Schema, compression: str | None, snapshot: int
) -> Finished:
    """Write a partition into its file, and return the facts that the manifest keeps about the file."""
    rows = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows
        for frame in frames:
            if frame.height:  # `within` may have dropped all rows of a frame
                rows += frame.height
                yield frame

    with replacing(path) as temporary:
        write(counted(), schema, temporary, path.suffix[1:], compression)
        return Finished(rows, temporary.stat().st_size, checksum(temporary), snapshot)


def _settled(done: dict[Future[Finished], Part]) -> dict[str, IndustryDbError]:
    """Record the finished files; return the transient errors by file name, and raise any other."""
    errors = {}
    fatal: list[BaseException] = []
    for future, part in done.items():
        error = future.exception()
        if error is None:
            part.finished = future.result()
        elif isinstance(error, IndustryDbError) and error.is_transient:
            errors[part.name] = error
        else:
            fatal.append(error)
    for error in fatal:
        raise error
    return errors


def _estimated(progress: Progress, parts: Sequence[Part]) -> Progress:
    """Return the progress with the plan's estimated row counts."""
    return Progress(
        tuple(
            replace(partition, estimated_rows=part.estimated_rows)
            for partition, part in zip(progress.partitions, parts, strict=True)
        )
    )
