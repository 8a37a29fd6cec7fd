"""Read by the installed wheel: the rows of an SQLite file that is made here, in partitions."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import industrydb

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "numbers.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE number (i INTEGER PRIMARY KEY, half REAL, name TEXT)")
        rows = ((i, i / 2, f"number {i}") for i in range(100_000))
        connection.executemany("INSERT INTO number VALUES (?, ?, ?)", rows)
    frame = industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM number", partition_on="i", partitions=4)
    with closing(sqlite3.connect(path)) as connection:
        assert frame.rows() == connection.execute("SELECT * FROM number ORDER BY i").fetchall()
print(f"industrydb {industrydb.__version__} reads {frame.height:,} rows")
