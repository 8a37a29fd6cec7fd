"""Check the arguments that ``read_sql``, ``plan_sql`` and the other readers share, and collect them in a `Request`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat, TypeAlias

from industrydb._text.address import Address, address_of
from industrydb._text.arguments import text, whole
from industrydb._text.overrides import SchemaOverrides, base, dtypes
from industrydb._text.statement import Parameters, Query, compiled, is_statement
from industrydb.industrydb import MAX_PARTITIONS, ConfigurationError, DatabaseConfig, Session

if TYPE_CHECKING:
    import polars as pl

    from industrydb._text.password import Ask
    from industrydb._text.predicate import Predicate


class Held(Protocol):
    """A snapshot that a session holds: a `HeldSnapshot`."""

    @property
    def token(self) -> str:
        """Return the text that names the snapshot in other processes."""


# Whether the sessions of a read share one snapshot; or the snapshot of another session, or its id.
Snapshot: TypeAlias = bool | str | Held

# The longest timeout, in whole seconds.
LONGEST_S = timedelta.max // timedelta(seconds=1)

# The beginning of a URI, which no statement has.
URI = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")

# A number, a date or a datetime. They share the operators used here, but no base class.
End: TypeAlias = Any


class OpenSession(Protocol):
    """A ``Connection``."""

    _config: DatabaseConfig
    _session: Session


# A database to read from: an address, or a session that is open already.
Database: TypeAlias = Address | OpenSession


@dataclass(frozen=True, repr=False)
class Request:
    """The checked arguments of a call, in the form that the compiled module takes."""

    uri: str
    # The function that is asked for the password at each login, and the open session to read on, if there are such.
    password: Ask | None
    session: Session | None
    queries: tuple[str, ...]
    parameters: tuple[object, ...] | dict[str, object]
    setup: tuple[str, ...]
    snapshot: bool
    # The snapshot of another session that all sessions see, if there is one.
    held: str | None
    max_connections: int | None
    partition_on: str | None
    partitions: int | None
    cuts: tuple[object, ...] | None
    timeout: timedelta | None
    dtypes: dict[str, pl.DataType]
    # The columns (empty for all), the filter, the row limit, and whether to read each column's largest value instead of
    # the rows; `None` reads the whole result.
    narrowing: tuple[list[str], Predicate | None, int | None, bool] | None = None

    @property
    def overrides(self) -> list[tuple[str, pl.DataType]]:
        """The types to decode each overridden column as, before a cast to the type that the caller asked for."""
        return [(name, base(dtype)) for name, dtype in self.dtypes.items()]


def request(  # noqa: PLR0913, the arguments of all readers, checked in one place
    uri: Database,
    query: Query,
    *,
    params: Parameters | None,
    partition_on: str | None,
    partitions: int | None,
    partition_range: tuple[object, object] | None,
    schema_overrides: SchemaOverrides | None,
    pre_execution_query: str | Sequence[str] | None,
    snapshot: Snapshot,
    max_connections: int | None,
    timeout: float | timedelta | None,
    not_open: str | None = None,
) -> Request:
    """Check the arguments of a call, which `read_sql` documents, and return them as a `Request`.

    A call that cannot read on a `Connection` says why by `not_open`.
    """
    _reject_swapped(uri, query)
    if partition_on is not None:
        text("partition_on", partition_on, "the name of one column, a str")
    if max_connections is not None and whole("max_connections", max_connections) < 1:
        msg = f"max_connections must be at least 1, not {max_connections}"
        raise ConfigurationError(msg)
    count = _partition_count(partition_on, partitions)
    if partition_range is not None and (partition_on is None or count is None):
        msg = "partition_range places the cuts of partition_on, which is not given"
        raise ConfigurationError(msg)
    session = session_of(uri)
    if session is None:
        address, password = address_of(uri)  # type: ignore[arg-type]
    else:
        address, password = uri._config.to_uri(), None  # type: ignore[union-attr]  # noqa: SLF001
        if not_open is not None:
            raise ConfigurationError(not_open)
        _reject_more_than_one_session(query, count, pre_execution_query, snapshot)
    if is_statement(query):
        query, params = compiled(query, params, DatabaseConfig.from_uri(address).db_type)
    if not isinstance(query, str) and count is not None:
        msg = "each query of a list is one partition: partition_on and partitions divide a single query"
        raise ConfigurationError(msg)
    queries = texts("query", query)  # type: ignore[arg-type]
    if not queries:
        msg = "the list of queries is empty"
        raise ConfigurationError(msg)
    return Request(
        uri=address,
        password=password,
        session=session,
        queries=queries,
        parameters=parameters(params),
        setup=texts("pre_execution_query", pre_execution_query or ()),
        snapshot=bool(snapshot),
        held=_held(snapshot),
        max_connections=None
        if max_connections is None
        else min(whole("max_connections", max_connections), MAX_PARTITIONS),
        partition_on=partition_on,
        partitions=count,
        cuts=None if partition_range is None or count is None else range_cuts(*_ends(partition_range), count),
        timeout=checked_timeout(timeout),
        dtypes=dtypes(schema_overrides),
    )


def _held(snapshot: Snapshot) -> str | None:
    """Return the name of the held snapshot, if the caller passes one."""
    if isinstance(snapshot, str):
        if not snapshot:
            msg = "snapshot is an empty text: pass True, False, the id of a snapshot, or what hold_snapshot returns"
            raise ConfigurationError(msg)
        return snapshot
    if isinstance(snapshot, int) and snapshot in {0, 1}:
        return None
    if isinstance(snapshot, int) or not hasattr(snapshot, "token"):
        kind = type(snapshot).__name__
        msg = f"snapshot must be True, False, a snapshot's id or what hold_snapshot returns, not {kind}"
        raise TypeError(msg)
    return snapshot.token


def _reject_swapped(uri: object, query: Query) -> None:
    """Raise if a URI stands in the place of the query; its message does not repeat it, as it may have a password."""
    if isinstance(query, str) and URI.match(query):
        is_swapped = isinstance(uri, str) and not URI.match(uri)
        why = "uri and query are in each other's place" if is_swapped else "query is a URI, and no statement"
        msg = f"{why}: the URI comes first, and then the query"
        raise ConfigurationError(msg)


def session_of(database: Database) -> Session | None:
    """Return the session of a `Connection`; `None` for an address."""
    session = getattr(database, "_session", None)
    return session if isinstance(session, Session) else None


def _reject_more_than_one_session(query: object, count: int | None, setup: object, snapshot: Snapshot) -> None:
    """Raise if a call asks more of a `Connection` than one session can do."""
    if count is not None and count > 1:
        msg = f"a Connection is one session, which reads one partition: {count} were asked for, so pass the URI, or 1"
    elif not isinstance(query, str) and not is_statement(query):
        msg = "a Connection is one session, which reads one query: pass the URI to read a list of them"
    elif setup:
        msg = "pre_execution_query is for new sessions, and a Connection is open: run the statement by its execute"
    elif isinstance(snapshot, str) or hasattr(snapshot, "token"):
        msg = "a Connection sees the state of its own session, and not a held snapshot: pass the URI to read that"
    else:
        return
    raise ConfigurationError(msg)


def texts(name: str, texts: str | Iterable[str]) -> tuple[str, ...]:
    what = "a str or a list of str"
    if isinstance(texts, os.PathLike):
        what += ", as path.read_text() reads it"
    if isinstance(texts, str) or not isinstance(texts, Iterable) or isinstance(texts, (bytes, Mapping)):
        return (text(name, texts, what),)
    return tuple(text(name, one, what) for one in texts)


def checked_timeout(timeout: float | timedelta | None) -> timedelta | None:
    """Return the time limit of a call, or `None` if there is none; raise if it is not above 0."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (SupportsFloat, timedelta)):
        msg = f"timeout must be a number of seconds or a timedelta, not {type(timeout).__name__}"
        raise TypeError(msg)
    if not isinstance(timeout, timedelta) and timeout > LONGEST_S:
        msg = f"timeout must be at most {LONGEST_S:,} seconds, not {timeout!r}: leave it out for a call without a limit"
        raise ConfigurationError(msg)
    try:
        length = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
        if length == timedelta(0) and not isinstance(timeout, timedelta) and timeout > 0:
            length = timedelta.resolution
    except (OverflowError, ValueError):  # less than a timedelta holds, or NaN
        length = timedelta(0)
    if length <= timedelta(0):
        msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
        raise ConfigurationError(msg)
    return length


def parameters(params: Parameters | None) -> tuple[object, ...] | dict[str, object]:
    """Return the parameters of a query as the tuple or dict that the compiled module takes."""
    if params is None:
        return ()
    if isinstance(params, Mapping):
        return dict(params)
    if isinstance(params, (str, bytes)) or not isinstance(params, Iterable):
        msg = f"params must be a list or a dict of values, not {type(params).__name__}"
        raise TypeError(msg)
    return tuple(params)


def _partition_count(partition_on: str | None, partitions: int | None) -> int | None:
    """Return the number of partitions to make, or `None` if the call asks for no partitioning."""
    if partitions is None:
        return None if partition_on is None else min(os.cpu_count() or 1, MAX_PARTITIONS)
    count = whole("partitions", partitions)
    if not 1 <= count <= MAX_PARTITIONS:
        msg = f"partitions must be from 1 to {MAX_PARTITIONS}, not {count}"
        raise ConfigurationError(msg)
    return count if partition_on is not None or count > 1 else None


def _ends(partition_range: tuple[object, object]) -> tuple[End, End]:
    try:
        low, high = partition_range
    except (TypeError, ValueError):
        msg = f"partition_range must be the lowest and the highest key, not {partition_range!r}"
        raise ConfigurationError(msg) from None
    return low, high


def range_cuts(low: End, high: End, count: int) -> tuple[object, ...]:
    """Return up to `count` - 1 values that divide a range into `count` ranges of equal width."""
    kinds = (int, float, Decimal, date)
    if not all(isinstance(end, kinds) and not isinstance(end, bool) for end in (low, high)):
        msg = f"partition_range must be two numbers, dates or datetimes, not {low!r} and {high!r}"
        raise ConfigurationError(msg)
    try:
        if any(not isinstance(end, date) and not isfinite(end) for end in (low, high)) or not low <= high:
            msg = f"partition_range must be finite, and rise: {low!r} to {high!r} does not"
            raise ConfigurationError(msg)
        if isinstance(low, datetime) and low.tzinfo is not None:
            # Local times repeat when clocks are set back; UTC always rises.
            low, high = low.astimezone(timezone.utc), high.astimezone(timezone.utc)
        between = [_between(low, high, number, count) for number in range(1, count)]
    except (TypeError, ValueError, ArithmeticError) as error:
        msg = f"the range from {low!r} to {high!r} cannot be divided: {error}"
        raise ConfigurationError(msg) from None
    cuts = [low]
    for cut in between:
        if cut > cuts[-1]:  # a range with fewer values than cuts yields some cuts twice
            cuts.append(cut)
    return tuple(cuts[1:])


def _between(low: End, high: End, number: int, count: int) -> End:
    """Return the value that lies `number` / `count` of the way from `low` to `high`."""
    if isinstance(low, date):
        # Dates are whole days, datetimes whole microseconds.
        step = timedelta.resolution if isinstance(low, datetime) else timedelta(days=1)
        return low + (high - low) // step * number // count * step
    if isinstance(low, int) and isinstance(high, int):
        return low + (high - low + 1) * number // count
    if isinstance(low, float) or isinstance(high, float):
        # A weighted mean of both ends cannot overflow; `high - low` can.
        share = number / count
        return float(low) * (1 - share) + float(high) * share
    with localcontext() as context:
        context.prec = 100
        return Decimal(low) + (Decimal(high) - Decimal(low)) * number / count
