"""``write_sql``: write a frame into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from industrydb._text.address import Address, config_of
from industrydb._text.arguments import explained, near, text
from industrydb._write.frame import frame
from industrydb.industrydb import ConfigurationError, Session

if TYPE_CHECKING:
    from industrydb._write.frame import Data

# What to do if a table of the given name exists.
IfExists = Literal["fail", "append", "replace"]


@explained
def write_sql(data: Data, table: str, uri: Address, *, if_exists: IfExists = "fail") -> int:
    """Write data into a table, which is created if it does not exist: all rows, or none.

    Parameters
    ----------
    data
        A DataFrame or LazyFrame, a dict of columns, a list of dicts, or any object with ``__arrow_c_stream__``, such as
        a pyarrow table.
    table
        The table's name, or ``schema.table``. A name that contains a point must be quoted.
    uri
        The database, as for `read_sql`. A missing SQLite file is created.
    if_exists
        What to do if the table exists: raise (`"fail"`), insert the rows into it (`"append"`), or drop it and create a
        new one (`"replace"`). Creating the table and writing the rows are one transaction.

    Returns
    -------
    int
        The number of written rows.

    Raises
    ------
    ConfigurationError
        The data cannot be read as a table, a column has a type that the database does not have, or a name is longer
        than the database allows.
    DatabaseConnectionError
        The database cannot be reached, refuses the login, or drops the connection.
    QueryExecutionError
        The table exists, or the database refuses to create it.
    ConstraintViolationError
        A row violates a constraint of the table.
    TypeConversionError
        A value does not fit its column: the message names column, row and value.

    Notes
    -----
    The documentation's page on writing lists the type of each new column: one that `read_sql` reads back as the same
    type, if the database has one. A new table has neither keys nor indexes.

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
        msg = f"if_exists must be one of {get_args(IfExists)}, not {if_exists!r}{near(if_exists, get_args(IfExists))}"
        raise ConfigurationError(msg)
    if "://" in text("table", table, "the name of a table, a str"):
        msg = "table is a URI: write_sql takes the data, the table's name, and then the URI"
        raise ConfigurationError(msg)
    config = config_of(uri)
    if config.path == ":memory:":
        msg = "an in-memory SQLite database would end with this call: write into a file, or use a Connection"
        raise ConfigurationError(msg)
    rows = frame(data)
    session = Session(config)
    try:
        return session.write(table, rows, if_exists)
    finally:
        session.close()
