"""Write a frame into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from industrydb._write.frame import frame
from industrydb.industrydb import ConfigurationError, DatabaseConfig, Session

if TYPE_CHECKING:
    from industrydb._write.frame import Data

# What to do where there is a table of the name.
IfExists = Literal["fail", "append", "replace"]


def write_sql(data: Data, table: str, uri: str | DatabaseConfig, *, if_exists: IfExists = "fail") -> int:
    """Write data into a table, which is made if there is none. All rows are written, or none.

    Parameters
    ----------
    data
        A DataFrame or LazyFrame, a dict of columns, a list of dicts, or whatever has ``__arrow_c_stream__``, such as a
        table of pyarrow.
    table
        The table's name, ``schema.table`` or in quotes where there are points in it.
    uri
        The database, as for `read_sql`. An SQLite file is made if there is none.
    if_exists
        What to do where there is such a table: raise (`"fail"`), add rows to it (`"append"`), or drop it and make a new
        one (`"replace"`). That and the rows are one transaction.

    Returns
    -------
    int
        The number of rows that were written.

    Raises
    ------
    ConfigurationError
        The data are no table, a column has a type that the database does not have, or a name is longer than the
        database's.
    DatabaseConnectionError
        The database cannot be reached, refuses the login, or breaks off.
    QueryExecutionError
        There is such a table, or the database refuses to make one.
    ConstraintViolationError
        A row breaks a constraint of the table.
    TypeConversionError
        A value does not fit its column: the message names column, row and value.

    Notes
    -----
    Each database's page says which type a new column gets: one that `read_sql` reads as the same type again where the
    database has one. There are neither keys nor indexes.

    Examples
    --------
    >>> import tempfile
    >>> import industrydb, polars as pl
    >>> frame = pl.DataFrame({"id": [1, 2], "name": ["Ada", None]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     industrydb.write_sql(frame, "person", f"sqlite://{folder}/people.db")
    ...     industrydb.read_sql(f"sqlite://{folder}/people.db", "SELECT * FROM person").equals(frame)
    2
    True
    """
    if if_exists not in get_args(IfExists):
        msg = f"if_exists must be one of {get_args(IfExists)}, not {if_exists!r}"
        raise ConfigurationError(msg)
    config = uri if isinstance(uri, DatabaseConfig) else DatabaseConfig.from_uri(uri)
    if config.path == ":memory:":
        msg = "an in-memory SQLite database would end with this call: write into a file, or use a Connection"
        raise ConfigurationError(msg)
    rows = frame(data)
    session = Session(config)
    try:
        return session.write(table, rows, if_exists)
    finally:
        session.close()
