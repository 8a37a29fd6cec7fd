"""A session with a database that is kept."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from industrydb._request import Parameters, parameters
from industrydb._write.frame import frame
from industrydb.industrydb import ConfigurationError, DatabaseConfig, IndustryDbError, Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import polars as pl
    from typing_extensions import Self

    from industrydb._write.frame import Data

# Which rows: those with these values, or those for which an expression is true.
Where: TypeAlias = Mapping[str, object] | str


# What becomes of a row whose key a table has already.
OnConflict = Literal["error", "ignore", "replace"]


class Connection:
    """A session with a database, for statements that `read_sql` does not take: those that change it.

    Each statement is a transaction of its own, unless it stands in a `transaction`. Threads may share a connection:
    their calls wait for one another, and let other Python code run. Connections of their own run at the same time.

    Parameters
    ----------
    config
        Where the database is, as a `DatabaseConfig` or a URI. An SQLite file is made if there is none.

    Raises
    ------
    ConfigurationError
        The configuration cannot be carried out.
    DatabaseConnectionError
        The database cannot be reached, or refuses the login.

    Examples
    --------
    >>> from industrydb import Connection
    >>> with Connection("sqlite://:memory:") as connection:
    ...     _ = connection.execute("CREATE TABLE person (id INTEGER, name TEXT)")
    ...     _ = connection.execute("INSERT INTO person VALUES (?, ?), (?, ?)", [1, "Ada", 2, "Grace"])
    ...     connection.update("person", {"name": "Ada Lovelace"}, where={"id": 1})
    ...     connection.select("person", order_by="id")["name"].to_list()
    1
    ['Ada Lovelace', 'Grace']
    """

    def __init__(self, config: DatabaseConfig | str) -> None:
        """Open the session."""
        self._config = config if isinstance(config, DatabaseConfig) else DatabaseConfig.from_uri(config)
        self._session = Session(self._config)

    @classmethod
    def connect(cls, config: DatabaseConfig | str) -> Self:
        """Open a session, as the class itself does."""
        return cls(config)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Open a session with the database that a URI names."""
        return cls(DatabaseConfig.from_uri(uri))

    def execute(self, sql: str, params: Parameters | None = None) -> pl.DataFrame:
        """Run a statement, which may change the database.

        Parameters
        ----------
        sql
            One statement of the database's own.
        params
            The values of its parameters, which are bound by the database and never part of the statement: as for
            `read_sql`.

        Returns
        -------
        polars.DataFrame
            The rows that it returns, with the data types that `read_sql` has; or one row with one column
            ``rows_affected``, the number of rows that it has changed.

        Raises
        ------
        ConfigurationError
            The parameters do not fit, or two columns have the same name; SQL Server has run the statement then.
        ConnectionClosedError
            The connection has been closed, or is broken.
        ConstraintViolationError
            A row breaks a constraint of its table; ``constraint``, ``table`` and ``column`` say which, as far as the
            database does.
        QueryExecutionError
            The database refuses the statement, or fails to run it.
        TypeConversionError
            A value that it returns does not fit the type of its column. What it has changed is changed.
        KeyboardInterrupt
            On Ctrl-C; the database's work is then cancelled, and the connection closed.
        """
        return self._session.execute(sql, parameters(params))

    def select(  # noqa: PLR0913
        self,
        table: str,
        columns: Sequence[str] = (),
        *,
        where: Where | None = None,
        params: Parameters | None = None,
        order_by: str | Sequence[str] = (),
        descending: bool | Sequence[bool] = False,
        limit: int | None = None,
        offset: int | None = None,
    ) -> pl.DataFrame:
        """Read rows of a table.

        Parameters
        ----------
        table
            Its name, or ``schema.table``. Names are always quoted: they are as they are written, in upper and lower
            case. A name with a point in it stands in the database's own quotes.
        columns
            Names of columns; all of them if there are none.
        where
            Which rows: a mapping of columns to their values, of which a list stands for any of its elements and
            ``None`` for NULL; or an expression of the database's own.
        params
            The values of the expression's parameters.
        order_by, descending
            Names of columns, and whether each is to fall, as for `polars.DataFrame.sort`.
        limit, offset
            The most rows, and how many to pass over before.

        Returns
        -------
        polars.DataFrame
            The rows, as `execute` returns them.

        Raises
        ------
        ConfigurationError
            As for `execute`, and for a name that is none.
        """
        equal, sql = _condition(where, params, all_rows=where is None)
        order = [order_by] if isinstance(order_by, str) else list(order_by)
        falls = [descending] * len(order) if isinstance(descending, bool) else list(descending)
        if len(falls) != len(order):
            msg = f"descending has {len(falls)} value(s), and order_by {len(order)}"
            raise ConfigurationError(msg)
        for name, value in (("limit", limit), ("offset", offset)):
            if value is not None and operator.index(value) < 0:
                msg = f"{name} must not be below 0, but is {value}"
                raise ConfigurationError(msg)
        names = [columns] if isinstance(columns, str) else list(columns)
        directions = list(zip(order, falls, strict=True))
        return self._session.select(
            table, names, equal, sql, parameters(params), directions, _clamped(limit), _clamped(offset)
        )

    def update(
        self,
        table: str,
        values: Mapping[str, object],
        *,
        where: Where | None = None,
        params: Parameters | None = None,
        all_rows: bool = False,
    ) -> int:
        """Change rows of a table.

        Parameters
        ----------
        table, where, params
            As for `select`.
        values
            The new values of columns.
        all_rows
            Whether there is no `where` on purpose.

        Returns
        -------
        int
            The number of rows that there were.

        Raises
        ------
        ConfigurationError
            There is neither `where` nor `all_rows`, or both; or as for `execute`.
        """
        equal, sql = _condition(where, params, all_rows=all_rows)
        return self._session.update(table, list(values.items()), equal, sql, parameters(params))

    def delete(
        self, table: str, *, where: Where | None = None, params: Parameters | None = None, all_rows: bool = False
    ) -> int:
        """Delete rows of a table.

        Parameters
        ----------
        table, where, params
            As for `select`.
        all_rows
            Whether there is no `where` on purpose.

        Returns
        -------
        int
            The number of rows that there were.

        Raises
        ------
        ConfigurationError
            There is neither `where` nor `all_rows`, or both; or as for `execute`.
        """
        equal, sql = _condition(where, params, all_rows=all_rows)
        return self._session.delete(table, equal, sql, parameters(params))

    def insert(self, table: str, data: Data, *, on_conflict: OnConflict = "error") -> int:
        """Add rows to a table: all of them, or none.

        Parameters
        ----------
        table
            As for `select`.
        data
            A DataFrame or LazyFrame, a dict of columns, a list of dicts, or whatever has ``__arrow_c_stream__``, such
            as a table of pyarrow. Its columns are those of the same names; columns that it lacks get their defaults.
        on_conflict
            What becomes of a row whose key the table has already: it is an error (`"error"`), is left out (`"ignore"`;
            the same for every unique key), or its values take the place of those that are there (`"replace"`; by the
            primary key, and of several such rows the last one counts). SQL Server has only the first.

        Returns
        -------
        int
            The number of rows that the database says it has written.

        Raises
        ------
        ConfigurationError
            The data are no table, a column is not among the table's or cannot become its type, a name is longer than
            the database's, or there is no primary key to replace by.
        TypeConversionError
            A value does not fit its column: the message names column, row and value.
        ConstraintViolationError
            A row breaks a constraint.
        QueryExecutionError, DatabaseConnectionError, ConnectionClosedError
            As for `execute`.
        """
        if on_conflict not in get_args(OnConflict):
            msg = f"on_conflict must be one of {get_args(OnConflict)}, not {on_conflict!r}"
            raise ConfigurationError(msg)
        return self._session.insert(table, frame(data), on_conflict)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Do all of a block, or nothing: what it has changed is taken back where it raises.

        Within another one, it is a part that can be taken back by itself (a savepoint). What other threads do with the
        connection meanwhile belongs to it, but they cannot begin one.

        Yields
        ------
        Connection
            This connection.

        Raises
        ------
        ConfigurationError
            A transaction is open already: a statement's own, or another thread's.
        QueryExecutionError
            The database cannot keep what the block has done, or has ended the transaction by itself; then nothing is
            kept.
        """
        depth = 0
        try:
            depth = self._session.begin()
            yield self
        except BaseException as error:
            with suppress(IndustryDbError):  # the first error is what counts
                if depth:
                    self._session.rollback(depth)
                elif not isinstance(error, IndustryDbError):  # a signal came when it had been begun
                    self._session.close()
            raise
        self._session.commit(depth)

    def close(self) -> None:
        """End the session; whatever a transaction has not kept is taken back. It may be ended again."""
        self._session.close()

    def is_closed(self) -> bool:
        """Tell whether the session has ended, by `close` or because it broke."""
        return self._session.is_closed()

    def __enter__(self) -> Self:
        """Return the connection, which the block's end closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def __repr__(self) -> str:
        """Return where it goes, without a password."""
        return f"Connection({self._config!r})"


def _condition(
    where: Where | None, params: Parameters | None, *, all_rows: bool
) -> tuple[list[tuple[str, object]] | None, str | None]:
    """Return the columns and values of a condition, or its text."""
    if where is not None and not isinstance(where, (str, Mapping)):
        msg = f"where must be a mapping or a str, not {type(where).__name__}"
        raise ConfigurationError(msg)
    if where is not None and all_rows:
        msg = "all_rows=True and a where contradict one another"
        raise ConfigurationError(msg)
    if where is None and all_rows is not True:
        msg = "there is no where, which would concern all rows: pass all_rows=True if that is meant"
        raise ConfigurationError(msg)
    if params is not None and not isinstance(where, str):
        msg = "params are the values of a where that is an expression, and there is none"
        raise ConfigurationError(msg)
    if where is None:
        return None, None
    if isinstance(where, str):
        return None, where
    return [(name, _listed(value)) for name, value in where.items()], None


def _clamped(number: int | None) -> int | None:
    """Return what every database takes for as many."""
    return None if number is None else min(number, 2**63 - 1)


def _listed(value: object) -> object:
    """Return a list for whatever has elements and is not one value."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        return list(value)
    return value
