"""The work of ``extract``, between taking the lock of a folder and giving it back."""

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
from industrydb._watch.progress import Progress, shown
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

LOGGER = logging.getLogger("industrydb")

# How long to wait before partitions are read again: this, then twice as long each time, up to the other.
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

# How often the progress is drawn.
TICK_S = 0.1

# How long the manifest may lag behind the files, which are read again if the work ends meanwhile.
LAG_S = 1.0

# How many files a message names.
MOST_NAMED = 5


@dataclass
class Extraction:
    """A call of `extract`; `asked` is what it has in common with those that it continues."""

    call: Request
    asked: dict[str, Json]
    folder: Path
    began: float
    retries: int
    batch_size: int
    compression: str | None
    progress: bool
    manifest: Manifest = field(init=False)
    # When an earlier call had written everything, if this one has found nothing to read.
    complete_since: datetime | None = field(init=False, default=None)
    _saved: float = field(init=False, default=0.0)
    _has_news: bool = field(init=False, default=False)

    def run(self, *, restart: bool) -> None:
        """Read what the files do not have yet."""
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
        try:
            for generation in self.manifest.generations:
                self._read(generation)
        except BaseException as error:
            with suppress(OSError):  # the first error is what counts
                self._save("failed", self._told(error))
            raise
        self._save("finished")

    def told(self) -> str:
        """Return what became of the files, and how to go on, for a user."""
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
        """Raise unless the statements that the manifest has kept, and are to be run, are of the call's own query."""
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
        """Return what the manifest says of an error, which may repeat values that are not to be in it."""
        kind = type(error).__name__
        if not (self.call.parameters or self.call.setup):
            return str(error) or kind
        code = getattr(error, "code", None)
        return kind if code is None else f"{kind} [{code}]"

    # What is there

    def _kept(self, *, restart: bool) -> Manifest | None:
        """Return the manifest, if there is one; whatever else is there must be the extract's."""
        names = sorted(entry.name for entry in self.folder.iterdir())
        temporary = [name for name in names if TEMPORARY.fullmatch(name)]
        kept = load(self.folder)
        if kept is None:
            strange = set(names) - {LOCK, *temporary}
        else:  # only what would be read with the extract's files
            read = {name for name in names if name.endswith(self._suffix)}
            strange = read - {part.name for part in kept.parts} - set(temporary)
        if strange:
            shown_names = ", ".join(sorted(strange)[:MOST_NAMED]) + ", …" * (len(strange) > MOST_NAMED)
            msg = f"{self.folder} has files that no extract wrote: {shown_names}; use an empty directory"
            raise ConfigurationError(msg)
        if kept is not None and not restart and (found := differences(kept, self.call, self.asked)):
            msg = (
                f"{self.folder} has another extract: {'; '.join(found)}. "
                "Use another directory, or resume='restart' to write this one anew"
            )
            raise ConfigurationError(msg)
        for name in temporary:
            (self.folder / name).unlink()
        return kept

    def _is_complete(self) -> bool:
        """Tell whether all files are finished; forget those that are no longer as they were."""
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

    # What is to be read

    @property
    def _suffix(self) -> str:
        return f".{self.asked['format']}"

    def _has_begun_empty(self) -> bool:
        """Tell whether there was nothing to read, not even what types some columns have, and more is to come."""
        files = [part.finished for part in self.manifest.parts if part.finished is not None]
        return self.asked["since"] is not None and not any(file.rows for file in files)

    def _has_grown(self) -> bool:
        """Plan to read what has come since the last call, if anything has."""
        if (since := self.asked["since"]) is None:
            return False
        generations = self.manifest.generations
        above, up_to = generations[-1].up_to, largest(self._timed(self.call), since)
        if up_to is None or not has_risen(since, above, up_to):
            return False
        generation = Generation(len(generations), [], above, up_to)
        try:
            planned = self._planned(generation, divided(self.call, since, above, up_to))
        except ConfigurationError:  # the database has texts, say, which are read as the dates that they mean
            planned = self._planned(generation, divided(self.call, since, None, up_to))
        generations.append(planned)
        return True

    def _first(self) -> Generation:
        """Plan to read everything."""
        since = self.asked["since"]
        if since is not None:
            self._check_types()
        # The end is fixed before anything is read. Partitions may be read at different moments: all of them
        # leave what comes from now on to the next generation.
        up_to = None if since is None else largest(self._timed(self.call), since)
        return self._planned(Generation(0, [], None, up_to), self.call)

    def _planned(self, generation: Generation, call: Request) -> Generation:
        """Add the partitions of a generation."""
        frame, planned, *_ = _plan_sql(self._timed(call))
        self._check(finished(frame, call.dtypes).schema)
        prefix = "part-" if self.asked["since"] is None else f"part-{generation.number:05}-"
        generation.parts = [
            Part(f"{prefix}{index:05}{self._suffix}", sql, None if rows is None else round(rows))
            for index, (sql, rows) in enumerate(planned)
        ]
        return generation

    def _check_types(self) -> None:
        """Raise if later rows may need other types than those that are there: all files have the same."""
        found = [name for name in open_columns_sql(self._timed(self.call)) if name not in self.call.dtypes]
        if found:
            names = ", ".join(map(repr, found))
            msg = (
                f"the values of {names} decide the type of each such column, and since={self.asked['since']!r} "
                "adds rows later that may need another one: say by schema_overrides, or --schema-override of the "
                f"command, what they become in all files, such as {{{found[0]!r}: pl.Decimal(38, 10)}} or pl.String, "
                "or, on PostgreSQL, cast them in the query to a numeric with a precision"
            )
            raise ConfigurationError(msg)

    def _check(self, schema: pl.Schema) -> None:
        """Raise if the format has no form for a column."""
        for name, dtype in schema.items():
            if self.asked["format"] == "csv" and isinstance(dtype, NOT_IN_CSV):
                msg = f"CSV has no form for column {name!r}, {dtype!r}: use parquet or ipc, or cast it in the query"
                raise ConfigurationError(msg)

    def _timed(self, call: Request) -> Request:
        """Give a call what is left of the time."""
        left = self._left()
        if left is not None and left <= timedelta(0):
            msg = f"the extract was not finished within its timeout of {self.call.timeout} (h:mm:ss)"
            raise QueryTimeoutError(msg)
        return replace(call, timeout=left)

    def _left(self) -> timedelta | None:
        """Return what is left of the time, if it is limited."""
        if self.call.timeout is None:
            return None
        return self.call.timeout - timedelta(seconds=time.monotonic() - self.began)

    # Reading

    def _read(self, generation: Generation) -> None:
        """Read what is missing of a generation, and again what has failed for a reason that passes."""
        failures: Counter[str] = Counter()
        pause = FIRST_WAIT_S
        while pending := [part for part in generation.parts if part.finished is None]:
            errors = self._attempt(generation, pending)
            failures.update(errors.keys())  # a mapping would be added as counts
            for name, error in errors.items():
                left = self._left()
                if failures[name] > self.retries or (left is not None and left.total_seconds() <= pause):
                    raise error
                LOGGER.warning("%s is read again in %g s, in a later snapshot: %s", name, pause, error)
            if errors:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_WAIT_S)

    def _attempt(self, generation: Generation, pending: list[Part]) -> dict[str, IndustryDbError]:
        """Read partitions of one snapshot; return the errors of those that may be read again."""
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
            # In this order: at the end the partitions are closed, which ends what is written, and waits for that.
            with (
                ThreadPoolExecutor(min(len(pending), call.max_connections or MAX_SESSIONS)) as pool,
                Partitions(call, batch_size=self.batch_size, schema=self.manifest.schema) as partitions,
                shown(self.progress, f"extract to {self.folder}") as draw,
            ):
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
        except IndustryDbError as error:
            if not error.is_transient:
                raise
            errors = {part.name: error for part in pending if part.finished is None}  # all share what has failed
        return errors

    def _take(self, schema: pl.Schema) -> None:
        """Keep the schema that all files have, or raise if it is another one."""
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
        """Note that partitions are about to be read."""
        is_one_moment = call.snapshot and shares_snapshots(call.uri)
        snapshot = Snapshot(len(self.manifest.snapshots) + 1, now(), is_one_moment or len(pending) == 1)
        self.manifest.snapshots.append(snapshot)
        for part in pending:
            part.attempts += 1
        return snapshot


def _written(
    path: Path, frames: Iterator[pl.DataFrame], schema: pl.Schema, compression: str | None, snapshot: int
) -> Finished:
    """Write a partition into its file."""
    rows = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows
        for frame in frames:
            if frame.height:  # nothing may be left of one
                rows += frame.height
                yield frame

    with replacing(path) as temporary:
        write(counted(), schema, temporary, path.suffix[1:], compression)
        return Finished(rows, temporary.stat().st_size, checksum(temporary), snapshot)


def _settled(done: dict[Future[Finished], Part]) -> dict[str, IndustryDbError]:
    """Keep what has been written; return the errors of what may be read again, and raise any other."""
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
    """Add how many rows the plan has expected."""
    return Progress(
        tuple(
            replace(partition, estimated_rows=part.estimated_rows)
            for partition, part in zip(progress.partitions, parts, strict=True)
        )
    )
