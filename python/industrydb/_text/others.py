"""What arguments and methods of other libraries are called here, or what to do without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_BATCHES = "read_sql_batches(…, batch_size=…) reads in batches"
_WRITES = (
    "leave it out: data that come in batches are written while they arrive, such as a LazyFrame, read_sql_batches(…) "
    "or an Arrow stream"
)
_COLUMNS = "name them in the query, as in SELECT a, b FROM …"
_BOUNDS = "partition_range=(lowest, highest) has both bounds"
_INDEX = "leave it out: an index is not written, and frame.reset_index() makes it a column"
_SINCE = "since=COLUMN appends the rows that are new since the last call"

# The names of arguments that may be meant, of which the first one that the function has counts; or what to do.
OTHERS: dict[str, tuple[str, ...] | str] = {
    **dict.fromkeys(
        ("con", "conn", "connection", "connection_uri", "connection_string", "engine_url"), ("uri", "config")
    ),
    **dict.fromkeys(("sql", "queries", "statement"), ("query", "sql")),
    **dict.fromkeys(("partition_num", "num_partitions", "partition_count", "n_partitions"), ("partitions",)),
    **dict.fromkeys(("partition_column", "partition_key"), ("partition_on",)),
    **dict.fromkeys(("dtype", "dtypes", "schema"), ("schema_overrides",)),
    **dict.fromkeys(("parameters", "args", "execute_options"), ("params",)),
    **dict.fromkeys(("name", "table_name"), ("table",)),
    **dict.fromkeys(("df", "frame", "rows"), ("data",)),
    **dict.fromkeys(("path", "output", "folder", "directory"), ("target",)),
    "partition": ("index",),
    "pre_execution_queries": ("pre_execution_query",),
    "if_table_exists": ("if_exists",),
    "watermark": ("since",),
    "columns": _COLUMNS,
    **dict.fromkeys(("lower_bound", "upper_bound"), _BOUNDS),
    "table": "write a query, such as SELECT * FROM the table; scan_sql takes the name of a table, too",
    **dict.fromkeys(
        ("fetchsize", "fetch_size", "arraysize"), f"leave it out: rows are never fetched singly; {_BATCHES}"
    ),
    "protocol": "leave it out: the fastest protocol is always used",
    "index_col": "leave it out: a Polars DataFrame has no index",
    "parse_dates": "leave it out: dates have their own types; schema_overrides asks for others",
    "coerce_float": "leave it out: decimals stay exact; schema_overrides can ask for pl.Float64",
    "engine": "leave it out: there is one engine",
    "strategy": "leave it out: partition_on and partitions divide the query",
    **dict.fromkeys(("chunksize", "chunk_size"), ("batch_size",)),
    "iter_batches": _BATCHES,
    "infer_schema_length": "leave it out: the types come from the database",
}

# What to do without an argument that has no name here, if `OTHERS` says only what it is called.
WITHOUT = dict.fromkeys(("chunksize", "chunk_size"), _BATCHES)

# What to do in one function, in place of what `OTHERS` says.
OF: dict[str, dict[str, str]] = {
    "write_sql": {
        **dict.fromkeys(("chunksize", "chunk_size", "batch_size", "batchsize"), _WRITES),
        "schema": "write it in front of the table's name, as in 'schema.table'",
        **dict.fromkeys(("index", "index_label"), _INDEX),
        "method": "leave it out: the database's fastest way to insert is always used",
        **dict.fromkeys(
            ("dtype", "dtypes"),
            "cast the data's columns, whose types become the table's; or create the table before, and pass "
            "if_exists='append'",
        ),
        "mode": "if_exists='append' or if_exists='replace' says what to do with the table's rows",
    },
    "insert": dict.fromkeys(("chunksize", "chunk_size", "batch_size"), "leave it out: all rows are inserted, or none"),
    "scan_sql": {
        "columns": "call .select(…) on the LazyFrame, and only those columns are read",
        "table": "it is called query here, which may be the name of a table",
    },
    "hold_snapshot": {"table": "it is called tables here", "query": "it is called queries here"},
    "extract": {
        "overwrite": "resume='restart' removes the files of the last call, and begins anew",
        "mode": "resume='restart' begins anew, and resume='continue' goes on",
        **dict.fromkeys(("append", "incremental"), _SINCE),
    },
}

_ROWS = ": execute() runs a statement, and returns its rows as a DataFrame"
_TRANSACTION = ": a statement is a transaction of its own, or part of a transaction() block"
_READ = ": industrydb.read_sql(connection, query) reads on it, and select(table) the rows of a table"
_WRITE = (
    ": industrydb.write_sql(data, table, connection) writes on it, and insert(table, rows) into a table that is there"
)

# What there is in place of the methods that the connections of other libraries have.
INSTEAD = {
    **dict.fromkeys(("cursor", "query", "sql", "run", "exec_driver_sql", "executescript"), _ROWS),
    **dict.fromkeys(("fetchall", "fetchone", "fetchmany"), ": execute() returns the rows as a DataFrame"),
    "executemany": ": insert(table, rows) inserts many rows",
    **dict.fromkeys(("commit", "rollback", "begin", "autocommit"), _TRANSACTION),
    **dict.fromkeys(("read", "read_sql", "table"), _READ),
    **dict.fromkeys(("write", "write_sql"), _WRITE),
}


class Explained:
    """Base of a connection: a method that only other libraries have is missed with a word on what there is instead."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Raise; name what replaces a method of other libraries."""
            msg = f"{type(self).__name__!r} object has no attribute {name!r}{INSTEAD.get(name, '')}"
            raise AttributeError(msg, name=name, obj=self)
