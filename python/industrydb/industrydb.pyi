"""The compiled part of industrydb, which is private: use the package ``industrydb``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import Final, Literal, final

import polars as pl

from industrydb._extract.manifest import Difference
from industrydb._request import Request

__all__ = [
    "MAX_PARTITIONS",
    "MAX_SESSIONS",
    "ArrowBatches",
    "ConfigurationError",
    "ConnectionClosedError",
    "ConstraintViolationError",
    "DatabaseConfig",
    "DatabaseConnectionError",
    "Holder",
    "IndustryDbError",
    "Measured",
    "QueryExecutionError",
    "QueryTimeoutError",
    "Session",
    "Stop",
    "Stream",
    "TypeConversionError",
    "__version__",
    "_read_sql_with_addresses",
    "arrow_extensions",
    "arrow_stream",
    "held_interrupt",
    "hold_interrupts",
    "near_names",
    "open_columns_sql",
    "pass_interrupt",
    "plan_sql",
    "read_sql",
    "release_interrupts",
    "return_free_memory",
    "schema_sql",
    "shares_snapshots",
    "without_password",
]

__version__: Final[str]
MAX_PARTITIONS: Final[int]
MAX_SESSIONS: Final[int]

def read_sql(
    call: Request,
    watch: Callable[[list[Measured]], None] | None = None,
    settled: list[tuple[str, pl.DataType]] | None = None,
    stop: Stop | None = None,
) -> pl.DataFrame: ...
def schema_sql(call: Request) -> pl.DataFrame: ...
def arrow_extensions(capsule: object) -> list[tuple[str, str, bool]]: ...
def return_free_memory() -> None: ...
def arrow_stream(frames: Iterable[pl.DataFrame], empty: pl.DataFrame, requested: object = None) -> object: ...
def hold_interrupts() -> bool: ...
def release_interrupts() -> None: ...
def held_interrupt() -> bool: ...
def pass_interrupt(thread: int) -> None: ...
def plan_sql(
    call: Request, *, settle: bool = False
) -> tuple[pl.DataFrame, list[tuple[str, float | None]], str | None, str | None]: ...
def open_columns_sql(call: Request) -> list[str]: ...
def shares_snapshots(uri: str) -> bool: ...
def without_password(uri: str) -> str: ...
def near_names(name: str, known: list[str]) -> list[str]: ...
def _read_sql_with_addresses(call: Request) -> tuple[pl.DataFrame, list[list[list[int]]]]: ...

@final
class DatabaseConfig:
    """Address of a database, and how to log in.

    Configurations with the same fields are equal. ``repr`` masks the
    password. A pickle contains the password, so that the unpickled
    configuration can log in; one whose password is asked for cannot be
    pickled.

    Parameters
    ----------
    db_type
        ``"postgresql"`` (or ``"postgres"``), ``"mysql"`` (or
        ``"mariadb"``), ``"sqlite"``, or ``"mssql"`` (or ``"sqlserver"``).
    host, port, database, username, password
        Address of a server, and its login. For PostgreSQL, `host` may also
        be the folder of a Unix socket. `password` may be a function without
        arguments that returns the password; each login calls it.
    password_command
        A command that prints the password, in place of `password`. Give a
        list of arguments, or one text: it is split as a shell splits it.
        Each login runs the command, without a shell.
    path
        Path of an SQLite file.
    options
        Options of the database, as its page lists them. Each may also be
        given as a keyword argument: ``sslmode="require"``.

    Raises
    ------
    ConfigurationError
        If the database, an argument or an option is unknown; the message
        names the one that may be meant.

    Examples
    --------
    >>> from industrydb import DatabaseConfig
    >>> config = DatabaseConfig("postgresql", host="db", password="s@cret")
    >>> config
    DatabaseConfig('postgresql', host='db', password='***')
    >>> config.to_uri()
    'postgresql://db'
    >>> config.to_uri(include_secrets=True)
    'postgresql://:s%40cret@db'
    """

    def __new__(
        cls,
        db_type: Literal["postgresql", "postgres", "sqlite", "mssql", "sqlserver", "mysql", "mariadb"] | str,  # noqa: PYI051, for editors
        *,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        username: str | None = None,
        password: str | Callable[[], str] | None = None,
        password_command: str | Sequence[str] | None = None,
        path: str | PathLike[str] | None = None,
        options: Mapping[str, str | float | bool] | None = None,
        **kwargs: str | float | bool | None,
    ) -> DatabaseConfig: ...
    @classmethod
    def from_dict(cls, config: Mapping[str, object]) -> DatabaseConfig:
        """Create a configuration from a dict of arguments and ``"db_type"``.

        Raises
        ------
        ConfigurationError
            As for the class itself.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig.from_dict({"db_type": "sqlite", "path": "x.db"})
        DatabaseConfig('sqlite', path='x.db')
        """

    @classmethod
    def from_uri(cls, uri: str) -> DatabaseConfig:
        """Parse a URI, as `read_sql` takes one.

        The URLs of SQLAlchemy with a driver, ``postgresql+psycopg2://db``,
        and the connection strings of libpq, ``host=db dbname=shop``, are
        taken too.

        Raises
        ------
        ConfigurationError
            If the text is not such a URI. The message never repeats the
            text.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig.from_uri("mysql://ana:s%40cret@db")
        DatabaseConfig('mysql', host='db', username='ana', password='***')
        """

    def to_dict(self, *, include_secrets: bool = False) -> dict[str, object]:
        """Return the arguments as a dict for `from_dict`.

        The password is left out unless `include_secrets` is true. If a
        function is asked for it, it is that function.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> config = DatabaseConfig("mysql", host="db", password="s@cret")
        >>> config.to_dict()
        {'db_type': 'mysql', 'host': 'db'}
        """

    def to_uri(self, *, include_secrets: bool = False) -> str:
        """Return the URI, with the password if `include_secrets` is true.

        Raises
        ------
        ConfigurationError
            If `include_secrets` is true, and the password is asked from a
            function.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> config = DatabaseConfig("mysql", host="db", password="s@cret")
        >>> config.to_uri()
        'mysql://db'
        """

    @property
    def db_type(self) -> str:
        """The database, by the first of its names.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig("postgres", host="db").db_type
        'postgresql'
        """

    @property
    def host(self) -> str | None:
        """The host of a server.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig("mysql", host="db").host
        'db'
        """

    @property
    def port(self) -> int | None:
        """The port of a server.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig("mysql", host="db", port=3307).port
        3307
        """

    @property
    def database(self) -> str | None:
        """The database on a server.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig.from_uri("mysql://db/shop").database
        'shop'
        """

    @property
    def username(self) -> str | None:
        """The user to log in as.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig.from_uri("mysql://ana:s%40cret@db").username
        'ana'
        """

    @property
    def path(self) -> str | None:
        """The path of an SQLite file.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig.from_uri("sqlite:///data/shop.db").path
        '/data/shop.db'
        """

    @property
    def options(self) -> dict[str, str]:
        """The options of the database, as a URI has them.

        Examples
        --------
        >>> from industrydb import DatabaseConfig
        >>> DatabaseConfig("mssql", host="db", encrypt=False).options
        {'encrypt': 'false'}
        """

    def _repr_html_(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self, /) -> DatabaseConfig: ...
    def __deepcopy__(self, memo: object, /) -> DatabaseConfig: ...

@final
class Session:
    """A session with a database; see ``industrydb.Connection``."""

    def __new__(cls, config: DatabaseConfig) -> Session: ...
    def execute(self, statement: str, parameters: object) -> pl.DataFrame: ...
    def select(
        self,
        table: str,
        columns: list[str],
        equal: list[tuple[str, object]] | None,
        sql: str | None,
        parameters: object,
        order_by: list[tuple[str, bool]],
        limit: int | None,
        offset: int | None,
    ) -> pl.DataFrame: ...
    def update(
        self,
        table: str,
        values: list[tuple[str, object]],
        equal: list[tuple[str, object]] | None,
        sql: str | None,
        parameters: object,
    ) -> int: ...
    def delete(
        self, table: str, equal: list[tuple[str, object]] | None, sql: str | None, parameters: object
    ) -> int: ...
    def insert(self, table: str, frame: pl.DataFrame, on_conflict: str, rows_before: int = 0) -> int: ...
    def write(self, table: str, frame: pl.DataFrame, if_exists: str) -> int: ...
    def creates_in_transaction(self) -> bool: ...
    def begin(self) -> int: ...
    def commit(self, depth: int) -> None: ...
    def rollback(self, depth: int) -> None: ...
    def close(self) -> None: ...
    def is_closed(self) -> bool: ...
    def state(self) -> Literal["open", "closed", "busy"]:
        """Return the state of the session, without waiting for a call that uses it."""

@final
class ArrowBatches:
    """The batches of an Arrow stream, each as a capsule with a stream of its own."""

    def __new__(cls, capsule: object) -> ArrowBatches: ...
    def __iter__(self) -> ArrowBatches: ...
    def __next__(self) -> object: ...
    def empty(self) -> object: ...

@final
class Measured:
    """Measurements of a partition so far; times are seconds since the read began, ``None`` until they are reached."""

    @property
    def start(self) -> float | None: ...
    @property
    def connected(self) -> float | None: ...
    @property
    def first_rows(self) -> float | None: ...
    @property
    def end(self) -> float | None: ...
    @property
    def waited(self) -> float:
        """Seconds spent waiting for the database."""
    @property
    def held(self) -> float:
        """Seconds spent waiting for the consumer to take a batch."""
    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def worker(self) -> int: ...
    @property
    def estimated_rows(self) -> float | None: ...
    @property
    def way(self) -> str | None:
        """How the rows are read, on databases with several ways; otherwise ``None``."""

@final
class Stop:
    """A signal that ends a read from outside."""

    def __new__(cls) -> Stop: ...
    def set(self) -> None: ...

@final
class Holder:
    """A session that holds a snapshot; see ``industrydb.HeldSnapshot``."""

    def __new__(
        cls, uri: str, queries: list[str], tables: list[str], setup: list[str], timeout: timedelta | None
    ) -> Holder: ...
    def token(self) -> str: ...
    def release(self) -> None: ...

@final
class Stream:
    """A read that returns its result batch by batch; see ``industrydb.BatchReader``."""

    def __new__(
        cls,
        call: Request,
        batch_rows: int,
        separately: bool,
        known: list[tuple[str, pl.DataType]],
        stop: Stop | None = None,
        settled: list[tuple[str, pl.DataType]] | None = None,
    ) -> Stream: ...
    def schema(self) -> pl.DataFrame: ...
    def partitions(self) -> list[tuple[str, float | None]]: ...
    def measured(self) -> list[Measured]: ...
    def receive(self, channel: int) -> pl.DataFrame | None: ...
    def close(self) -> None: ...

class IndustryDbError(Exception):
    """The base of all errors that industrydb raises.

    The attribute ``code`` holds the database's own code, if it gave one: an
    SQLSTATE for PostgreSQL, the name of a result code for SQLite, a number
    for SQL Server. ``is_transient`` tells whether the same call may succeed
    later, as the database's connector decides: after a broken connection, a
    server without a free session, a deadlock or a lock. A refused login is
    not transient.

    Examples
    --------
    >>> import industrydb
    >>> try:
    ...     industrydb.read_sql(uri, "SELECT * FROM persn")
    ... except industrydb.IndustryDbError as error:
    ...     print(error)
    no such table: persn [SQLITE_ERROR]
    LINE 1: SELECT * FROM persn
                          ^
    HINT: did you mean person?
    """

    code: str | None
    """
    The database's own error code, if it gave one: an SQLSTATE for PostgreSQL,
    the name of a result code for SQLite, a number for SQL Server.
    """
    is_transient: bool
    """
    Whether the same call may succeed later, as the database's connector
    decides: after a broken connection, a server without a free session, a
    deadlock or a lock. A refused login is not transient.
    """

class DatabaseConnectionError(IndustryDbError):
    """No session with the database could be opened, or an open one broke.

    Examples
    --------
    >>> import industrydb
    >>> try:
    ...     industrydb.read_sql("sqlite://no/such/file.db", "SELECT 1")
    ... except industrydb.DatabaseConnectionError as error:
    ...     print(error.is_transient)
    False
    """

class QueryExecutionError(IndustryDbError):
    """The database refused a statement, or failed to run it.

    Examples
    --------
    >>> import industrydb
    >>> try:
    ...     industrydb.read_sql(uri, "SELECT nme FROM person")
    ... except industrydb.QueryExecutionError as error:
    ...     print(error.code)
    SQLITE_ERROR
    """

class QueryTimeoutError(QueryExecutionError):
    """The call or a statement took longer than its timeout.

    Examples
    --------
    >>> import industrydb
    >>> numbers = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
    >>> endless = f"WITH RECURSIVE n AS ({numbers}) SELECT max(i) FROM n"
    >>> try:
    ...     industrydb.read_sql(uri, endless, timeout=0.1)
    ... except industrydb.QueryTimeoutError as error:
    ...     print(error)
    the call was ended after its timeout of 0.1 s
    """

class ConfigurationError(IndustryDbError):
    """The arguments cannot be carried out; the query was not run.

    Examples
    --------
    >>> import industrydb
    >>> try:
    ...     industrydb.read_sql(uri, "SELECT name FROM person", params=[1])
    ... except industrydb.ConfigurationError as error:
    ...     print(error)
    the query has 0 parameter(s), and params has 1 value(s)
    """

    differences: tuple[Difference, ...]
    """
    The arguments in which a call of `extract` differs from the extract that its
    directory has; empty for other errors.
    """

class ConnectionClosedError(IndustryDbError):
    """The connection was closed before this call.

    Examples
    --------
    >>> import industrydb
    >>> connection = industrydb.Connection(uri)
    >>> connection.close()
    >>> try:
    ...     connection.execute("SELECT 1")
    ... except industrydb.ConnectionClosedError as error:
    ...     print(error)
    the connection is closed
    """

class ConstraintViolationError(IndustryDbError):
    """A row breaks a constraint of its table.

    The attributes ``constraint``, ``table`` and ``column`` name the
    constraint, the table, and the column or columns, as far as the database
    reports them.

    Examples
    --------
    >>> import industrydb
    >>> with industrydb.Connection(uri) as connection:
    ...     try:
    ...         connection.insert("person", {"id": [1], "name": ["Ada"]})
    ...     except industrydb.ConstraintViolationError as error:
    ...         print(error.code, error.table, error.column)
    SQLITE_CONSTRAINT_PRIMARYKEY person id
    """

    constraint: str | None
    """The name of the constraint, if the database reports it."""
    table: str | None
    """The name of the table, if the database reports it."""
    column: str | None
    """The name of the column or columns, if the database reports them."""

class TypeConversionError(IndustryDbError):
    """A value does not fit its column's type.

    The message names the column, the row, the value and a remedy.

    Examples
    --------
    >>> import industrydb, polars as pl
    >>> small, query = {"big": pl.Int8}, "SELECT 1000 AS big"
    >>> try:
    ...     industrydb.read_sql(uri, query, schema_overrides=small)
    ... except industrydb.TypeConversionError as error:
    ...     print(str(error).partition(", the type")[0])
    column "big", row 1: 1000 is no pl.Int8
    """
