"""``Connection``: a session with a database that stays open between statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, get_args

from industrydb._request import parameters
from industrydb._text.address import Address, config_of
from industrydb._text.arguments import chosen, explained, text
from industrydb._text.condition import Where, check_names, clamped, condition, ordered
from industrydb._text.html import table
from industrydb._text.others import Explained
from industrydb._text.statement import compiled, is_statement
from industrydb._write import OnConflict
from industrydb._write.frame import frame
from industrydb.industrydb import DatabaseConfig, IndustryDbError, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from typing_extensions import Self

    from industrydb._text.statement import Parameters, Statement
    from industrydb._write.frame import Data


class Connection(Explained):
    """A session with a database that stays open, for any statements.

    Each statement is a transaction of its own, unless it runs inside a
    `transaction` block. Threads may share a connection: their calls wait
    for one another, and release the GIL while they wait; while a reader of
    `read_sql_batches` has the session, they raise.

    Parameters
    ----------
    config
        The database, as a `DatabaseConfig` or a URI. A missing SQLite file
        is created.

    Raises
    ------
    ConfigurationError
        The configuration is not valid.
    DatabaseConnectionError
        The database cannot be reached, or refuses the login.

    Examples
    --------
    >>> from industrydb import Connection
    >>> with Connection("sqlite://:memory:") as connection:
    ...     _ = connection.execute(
    ...         "CREATE TABLE person (id INTEGER, name TEXT)"
    ...     )
    ...     people = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]
    ...     _ = connection.insert("person", people)
    ...     connection.update(
    ...         "person", {"name": "Ada Lovelace"}, where={"id": 1}
    ...     )
    ...     connection.select("person", order_by="id")["name"].to_list()
    1
    ['Ada Lovelace', 'Grace']
    """

    def __init__(self, config: Address) -> None:
        """Open the session."""
        self._config = config_of(config)
        self._session = Session(self._config)

    @classmethod
    def connect(cls, config: Address) -> Self:
        """Open a session; the same as calling the class.

        Examples
        --------
        >>> import industrydb
        >>> industrydb.Connection.connect(uri).select("person").height
        3
        """
        return cls(config)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Open a session with the database at a URI.

        Examples
        --------
        >>> import industrydb
        >>> memory = industrydb.Connection.from_uri("sqlite://:memory:")
        >>> memory.execute("SELECT 1 AS a").item()
        1
        """
        return cls(DatabaseConfig.from_uri(text("uri", uri)))

    @explained
    def execute(self, sql: str | Statement, params: Parameters | None = None) -> pl.DataFrame:
        """Run one statement, which may change the database.

        Parameters
        ----------
        sql
            One statement in the database's own SQL, or a statement of
            SQLAlchemy, which is compiled for the database.
        params
            The values of the statement's parameters, as for `read_sql`. The
            database binds them; they never become part of the statement's
            text.

        Returns
        -------
        polars.DataFrame
            The rows that the statement returns, with the same data types as
            `read_sql`. For a statement that returns no rows: one row with
            the column ``rows_affected``, the number of rows that the
            statement changed.

        Raises
        ------
        ConfigurationError
            The parameters do not match the statement, or two columns have
            the same name. In the latter case, SQL Server has already run
            the statement.
        ConnectionClosedError
            The connection has been closed, or is broken.
        ConstraintViolationError
            A row violates a constraint of its table; ``constraint``,
            ``table`` and ``column`` name it, as far as the database reports
            them.
        QueryExecutionError
            The database refuses the statement, or fails to run it.
        TypeConversionError
            A returned value does not fit the type of its column. The
            statement's changes stay in effect.
        KeyboardInterrupt
            On Ctrl-C; the database's work is then cancelled, and the
            connection closed.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as db:
        ...     query = "SELECT name FROM person WHERE id = ?"
        ...     db.execute(query, [1]).item()
        ...     db.execute(
        ...         "UPDATE person SET name = 'Alan' WHERE id = 3"
        ...     ).item()
        'Ada'
        1
        """
        if is_statement(sql):
            sql, params = compiled(sql, params, self._config.db_type)
        return self._session.execute(text("sql", sql), parameters(params))

    @explained
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
            The table's name, or ``schema.table``. Names are always quoted,
            so upper and lower case must match. Write a name that contains a
            point in the database's own quotes.
        columns
            Names of columns; all columns if empty.
        where
            The rows to read: a mapping of columns to values, or an SQL
            expression. In a mapping, a list matches any of its elements,
            and ``None`` matches NULL.
        params
            The values of the parameters in a `where` expression.
        order_by, descending
            Names of columns, and whether to sort each in descending order,
            as for `polars.DataFrame.sort`.
        limit, offset
            The maximum number of rows, and the number of rows to skip
            first.

        Returns
        -------
        polars.DataFrame
            The rows, as `execute` returns them.

        Raises
        ------
        ConfigurationError
            As for `execute`; also if a name is not valid.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as connection:
        ...     where = {"id": [1, 2]}
        ...     frame = connection.select("person", where=where)
        ...     frame.sort("id").rows()
        ...     connection.select(
        ...         "person", ["id"], where="name LIKE ?", params=["G%"]
        ...     ).item()
        [(1, 'Ada'), (2, 'Grace')]
        2
        """
        check_names(table, columns=columns, order_by=order_by)
        equal, sql = condition(where, params, selects=True)
        names = [columns] if isinstance(columns, str) else list(columns)
        order = ordered(order_by, descending)
        first, last = clamped("limit", limit), clamped("offset", offset)
        return self._session.select(table, names, equal, sql, parameters(params), order, first, last)

    @explained
    def update(
        self,
        table: str,
        values: Mapping[str, object],
        *,
        where: Where | None = None,
        params: Parameters | None = None,
        all_rows: bool = False,
    ) -> int:
        """Update rows of a table.

        Parameters
        ----------
        table, where, params
            As for `select`.
        values
            A mapping of columns to their new values.
        all_rows
            Must be ``True`` to update all rows, in place of a `where`.

        Returns
        -------
        int
            The number of updated rows, as the database counts them.

        Raises
        ------
        ConfigurationError
            Neither `where` nor `all_rows` is given, or both are; or as for
            `execute`.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as db:
        ...     db.update("person", {"name": "Alan"}, where={"name": None})
        1
        """
        check_names(table)
        if not isinstance(values, Mapping):
            msg = f"values must be a mapping of columns to values, not {type(values).__name__}"
            raise TypeError(msg)
        equal, sql = condition(where, params, all_rows=all_rows)
        return self._session.update(table, list(values.items()), equal, sql, parameters(params))

    @explained
    def delete(
        self, table: str, *, where: Where | None = None, params: Parameters | None = None, all_rows: bool = False
    ) -> int:
        """Delete rows of a table.

        Parameters
        ----------
        table, where, params
            As for `select`.
        all_rows
            Must be ``True`` to delete all rows, in place of a `where`.

        Returns
        -------
        int
            The number of deleted rows, as the database counts them.

        Raises
        ------
        ConfigurationError
            Neither `where` nor `all_rows` is given, or both are; or as for
            `execute`.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as connection:
        ...     connection.delete("person", where="id > ?", params=[2])
        1
        """
        check_names(table)
        equal, sql = condition(where, params, all_rows=all_rows)
        return self._session.delete(table, equal, sql, parameters(params))

    @explained
    def insert(self, table: str, data: Data, *, on_conflict: OnConflict = "error") -> int:
        """Insert rows into a table: all of them, or none.

        Parameters
        ----------
        table
            As for `select`.
        data
            A DataFrame or LazyFrame, a dict of columns, a list of dicts, or
            any object with ``__arrow_c_stream__``, such as a pyarrow table.
            Columns are matched by name; columns of the table that the data
            lack get their defaults.
        on_conflict
            What to do with a row whose key is already in the table.
            `"error"` raises. `"ignore"` skips the row, for a conflict on
            any unique key. `"replace"` overwrites the existing row with the
            same primary key; of several such rows in the data, the last one
            wins. SQL Server supports only `"error"`.

        Returns
        -------
        int
            The number of written rows, as the database reports it.

        Raises
        ------
        ConfigurationError
            The data cannot be read as a table, the table lacks one of the
            data's columns, a column cannot be converted to the table's
            type, a name is longer than the database allows, or `"replace"`
            finds no primary key.
        TypeConversionError
            A value does not fit its column: the message names column, row
            and value.
        ConstraintViolationError
            A row violates a constraint.
        QueryExecutionError, DatabaseConnectionError, ConnectionClosedError
            As for `execute`.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as db:
        ...     more = {"id": [4, 5], "name": ["Alan", "Edsger"]}
        ...     db.insert("person", more)
        ...     row = {"id": 5, "name": "Edsger W."}
        ...     db.insert("person", [row], on_conflict="replace")
        2
        1
        """
        chosen("on_conflict", on_conflict, get_args(OnConflict))
        check_names(table)
        return self._session.insert(table, frame(data), on_conflict)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Run a block as one transaction, rolled back if the block raises.

        A block inside another block is a savepoint, which can be rolled
        back by itself. Statements that other threads run on this connection
        meanwhile belong to the transaction; other threads cannot begin one
        of their own.

        Yields
        ------
        Connection
            This connection.

        Raises
        ------
        ConfigurationError
            A statement or another thread has a transaction open; or a
            reader has the session at the end of the block, which is rolled
            back.
        QueryExecutionError
            The database cannot commit the transaction, or has ended it by
            itself; nothing is kept then.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as connection:
        ...     with connection.transaction():
        ...         connection.delete("person", where={"id": 1})
        ...         connection.insert(
        ...             "person", [{"id": 1, "name": "Ada Lovelace"}]
        ...         )
        1
        1
        """
        depth = 0
        try:
            depth = self._session.begin()
            yield self
        except BaseException as error:
            with suppress(IndustryDbError):  # the first error is what counts
                if depth:
                    self._session.rollback(depth)
                elif not isinstance(error, IndustryDbError):  # a signal arrived after the database began it
                    self._session.close()
            raise
        self._session.commit(depth)

    def close(self) -> None:
        """Close the session, and roll back an open transaction; end a reader.

        A second call does nothing.

        Examples
        --------
        >>> import industrydb
        >>> connection = industrydb.Connection(uri)
        >>> connection.close()
        >>> connection
        <Connection: closed, DatabaseConfig('sqlite', ...)>
        """
        self._session.close()

    def is_closed(self) -> bool:
        """Tell whether the session has ended, by `close` or because it broke.

        Examples
        --------
        >>> import industrydb
        >>> with industrydb.Connection(uri) as connection:
        ...     connection.is_closed()
        False
        """
        return self._session.is_closed()

    def __enter__(self) -> Self:
        """Return the connection; the end of the block closes it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connection."""
        self.close()

    def __repr__(self) -> str:
        """Return the session's state (open, closed, busy) and its database."""
        return f"<Connection: {self._session.state()}, {self._config!r}>"

    def _repr_html_(self) -> str:
        """Return the same as a table for a notebook."""
        parts = self._config.to_dict().items()
        return table(f"Connection: {self._session.state()}", ("part", "value"), parts)
