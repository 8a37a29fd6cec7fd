"""``hold_snapshot``: one moment of a database for the reads of several processes or machines."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from industrydb._request import checked_timeout, session_of, texts
from industrydb._text.address import uri_of
from industrydb._text.arguments import explained
from industrydb._text.html import table
from industrydb.industrydb import ConfigurationError, Holder, IndustryDbError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from typing_extensions import Self

    from industrydb._text.address import Address


class HeldSnapshot:
    """
    A snapshot of a database that a session holds, until a block ends.

    Made by `hold_snapshot`. Pass it as `snapshot` to `plan_sql`, `read_sql`
    and the other readers: their sessions, in this process or in others,
    then see this moment of the database.

    Examples
    --------
    >>> import industrydb
    >>> query = "SELECT id FROM person"
    >>> with industrydb.hold_snapshot(uri, tables="person") as snapshot:
    ...     plan = industrydb.plan_sql(uri, query, snapshot=snapshot)
    ...     plan.read().height
    3
    """

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._since = time.monotonic()
        self._is_held = True

    @property
    def token(self) -> str:
        """
        Return the text that names the snapshot in other processes.

        It holds no secret.

        Raises
        ------
        ConnectionClosedError
            The block has ended.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT count(*) AS n FROM person"
        >>> with industrydb.hold_snapshot(uri, tables="person") as held:
        ...     token = held.token  # a text for any other process
        ...     industrydb.read_sql(uri, query, snapshot=token).item()
        3
        """
        return self._holder.token()

    @property
    def age_s(self) -> float:
        """
        Return how long the snapshot has been held, in seconds.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.hold_snapshot(uri, tables="person") as held:
        ...     held.age_s < 60
        True
        """
        return time.monotonic() - self._since

    def release(self) -> None:
        """End the session, and all its locks; a second call does nothing.

        Examples
        --------
        >>> import industrydb
        >>> snapshot = industrydb.hold_snapshot(uri, tables="person")
        >>> snapshot.release()
        >>> snapshot
        <HeldSnapshot: released>
        """
        self._is_held = False
        self._holder.release()

    def __enter__(self) -> Self:
        """Return the snapshot."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release the snapshot."""
        self.release()

    def __repr__(self) -> str:
        """Return how long the snapshot has been held, without the URI."""
        return f"<HeldSnapshot: {self._state()}>"

    def _repr_html_(self) -> str:
        """Return the same as a table for a notebook, with the token of a snapshot that is held."""
        parts = []
        with suppress(IndustryDbError):  # the session has ended: a snapshot that is gone can be shown, too
            parts.append(("token", self.token))
        return table(f"HeldSnapshot: {self._state()}", ("part", "value"), parts)

    def _state(self) -> str:
        return f"held for {self.age_s:.0f} s" if self._is_held else "released"


@explained
def hold_snapshot(
    uri: Address,
    *,
    queries: str | Sequence[str] | None = None,
    tables: str | Sequence[str] | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    timeout: float | timedelta | None = None,
) -> HeldSnapshot:
    """
    Hold one moment of a database for reads of other processes and machines.

    A session stays open until the end of the block, and keeps the moment.
    Plans that are made with the snapshot can be pickled; each of their
    partitions sees this moment, wherever it is read, or raises.

    On PostgreSQL, the session locks what the queries and tables need. While
    the snapshot is held, statements that rewrite, rename or drop one of the
    tables wait, such as ``TRUNCATE``, ``ALTER TABLE`` and ``VACUUM FULL``;
    and the server keeps the old rows of all tables.

    On SQLite, the processes must be on one machine, and must not be forked
    from one that holds the file. A file in WAL mode keeps all of its log,
    and others write as usual; if the log was empty, partitions raise as
    soon as others have committed. In the other journal modes, others cannot
    write meanwhile: their statements raise ``SQLITE_BUSY`` after the time
    that they wait for locks.

    Parameters
    ----------
    uri
        The database, as for `read_sql`: PostgreSQL, or an SQLite file.
        Sessions of the other databases cannot see a snapshot that another
        session holds.
    queries
        The queries that will be read, or superset queries of the same
        tables. They have no parameters.
    tables
        The tables that will be read, as ``table`` or ``schema.table``.
    pre_execution_query
        As for `read_sql`.
    timeout
        The number of seconds that opening the session and taking its locks
        may take, or a ``timedelta``.

    Returns
    -------
    HeldSnapshot
        A context manager, which releases the snapshot at the end of the
        block.

    Raises
    ------
    ConfigurationError
        There is no query and no table, or the database cannot hold a
        snapshot.
    DatabaseConnectionError, QueryExecutionError, QueryTimeoutError
        As for `read_sql`. A read whose snapshot is no longer held raises a
        `QueryExecutionError`; a read beside a statement that waits for the
        locks of a held table raises one with the `code` ``55P03``.

    Examples
    --------
    Read the partitions of one moment in other processes:

    >>> import industrydb
    >>> from concurrent.futures import ProcessPoolExecutor
    >>> from multiprocessing import get_context
    >>> query = "SELECT * FROM lineitem"
    >>> with industrydb.hold_snapshot(  # doctest: +SKIP
    ...     uri, queries=query
    ... ) as snapshot:
    ...     plan = industrydb.plan_sql(
    ...         uri, query, partitions=8, snapshot=snapshot
    ...     )
    ...     start = get_context("spawn")
    ...     with ProcessPoolExecutor(mp_context=start) as pool:
    ...         df = pl.concat(pool.map(plan.read, range(len(plan))))
    """
    given, names = texts("queries", queries or ()), texts("tables", tables or ())
    if not given and not names:
        msg = "hold_snapshot locks what will be read: pass queries, or the names of tables"
        raise ConfigurationError(msg)
    if session_of(uri) is not None:
        why = "a snapshot is held by a session of its own, and a Connection is a session already"
        msg = f"{why}: pass the URI of its database"
        raise ConfigurationError(msg)
    setup = texts("pre_execution_query", pre_execution_query or ())
    return HeldSnapshot(Holder(uri_of(uri), list(given), list(names), list(setup), checked_timeout(timeout)))
