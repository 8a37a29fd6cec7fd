"""``write_sql``: write a frame into a table."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from industrydb._request import session_of
from industrydb._text.address import config_of
from industrydb._text.arguments import chosen, explained, text
from industrydb._write.stream import Frames, frames
from industrydb.industrydb import ConfigurationError, IndustryDbError, Session

if TYPE_CHECKING:
    from industrydb._request import Database
    from industrydb._write.frame import Data

# What to do if a table of the given name exists.
IfExists = Literal["fail", "append", "replace"]

# What to do with a row whose key is already in the table.
OnConflict = Literal["error", "ignore", "replace"]

# How a URI begins; a table's name in quotes may have anything.
URI = re.compile(r"[A-Za-z][\w+.-]*://")


@explained
def write_sql(
    data: Data, table: str, uri: Database, *, if_exists: IfExists = "fail", on_conflict: OnConflict = "error"
) -> int:
    """Write data into a table, made if it does not exist: all rows, or none.

    Parameters
    ----------
    data
        A DataFrame or LazyFrame, the batches of `read_sql_batches`, a dict
        of columns, a list of dicts, or any object with
        ``__arrow_c_stream__``, such as a pyarrow table or reader. A
        LazyFrame, batches and Arrow streams are written while they arrive,
        in bounded memory.
    table
        The table's name, or ``schema.table``. A name that contains a point
        must be quoted.
    uri
        The database, as for `read_sql`. A missing SQLite file is created. A
        `Connection` writes in its transaction.
    if_exists
        What to do if the table exists: raise (`"fail"`), insert the rows
        into it (`"append"`), or drop it and create a new one (`"replace"`).
        Creating the table and writing the rows are one transaction.
    on_conflict
        What to do with a row whose key is already in the table, as for
        `Connection.insert`.

    Returns
    -------
    int
        The number of written rows.

    Raises
    ------
    ConfigurationError
        The data cannot be read as a table, their stream fails, a column has
        a type that the database lacks, or a name is longer than the
        database allows.
    DatabaseConnectionError
        The database cannot be reached, refuses the login, or drops the
        connection.
    QueryExecutionError
        The table exists, or the database refuses to create it.
    ConstraintViolationError
        A row violates a constraint of the table.
    TypeConversionError
        A value does not fit its column: the message names column, row and
        value.

    Notes
    -----
    The documentation's page on writing lists the type of each new column:
    one that `read_sql` reads back as the same type, if the database has
    one. A new table has neither keys nor indexes.

    Examples
    --------
    >>> import tempfile
    >>> import industrydb, polars as pl
    >>> frame = pl.DataFrame({"id": [1, 2], "name": ["Ada", None]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     industrydb.write_sql(
    ...         frame, "person", f"sqlite://{folder}/people.db"
    ...     )
    ...     industrydb.read_sql(
    ...         f"sqlite://{folder}/people.db", "SELECT * FROM person"
    ...     ).equals(frame)
    2
    True
    """
    chosen("if_exists", if_exists, get_args(IfExists))
    chosen("on_conflict", on_conflict, get_args(OnConflict))
    if URI.match(text("table", table, "the name of a table, a str")):
        msg = "table is a URI: write_sql takes the data, the table's name, and then the URI"
        raise ConfigurationError(msg)
    opened = session_of(uri)
    if opened is not None:
        return _write(opened, frames(data), table, if_exists, on_conflict)
    config = config_of(uri)  # type: ignore[arg-type]
    if config.path == ":memory:":
        msg = "an in-memory SQLite database would end with this call: write into a file, or use a Connection"
        raise ConfigurationError(msg)
    prepared = frames(data)  # before a missing file is created
    session = Session(config)
    try:
        return _write(session, prepared, table, if_exists, on_conflict)
    finally:
        session.close()


def _write(session: Session, data: Frames, table: str, if_exists: IfExists, on_conflict: OnConflict) -> int:
    """Create the table if needed and write the data, in one transaction, or in a savepoint of the open one."""
    empty, batches = data
    if not session.creates_in_transaction():
        # A table that is created gets all rows before its name, so that they must be one frame.
        whole = pl.concat([empty, *batches])
        if if_exists != "append" or on_conflict == "error":
            return session.write(table, whole, if_exists)
        session.write(table, empty, if_exists)
        return session.insert(table, whole, on_conflict)
    depth = session.begin()
    try:
        session.write(table, empty, if_exists)
        rows = written = 0
        for batch in batches:
            written += session.insert(table, batch, on_conflict, rows)
            rows += batch.height
    except BaseException:
        with suppress(IndustryDbError):  # the first error is what counts
            session.rollback(depth)
        raise
    session.commit(depth)
    return written
