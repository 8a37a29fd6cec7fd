"""The contenders: how each reads the table, in the way its documentation shows for a whole query.

Each function imports its library, which is not measured, and returns the read, which is measured: everything from the
URI to the frame, including connecting and planning. A contender that can use several workers gets `PARTITIONS` of them.
"""
# ruff: noqa: PLC0415, because a process imports no contender but its own

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import polars as pl

from benchmarks.data import KEY, QUERY, halves

PARTITIONS = 2

Read = Callable[[], Any]


def industrydb(uri: str, query: str = QUERY, key: str = KEY) -> Read:
    """Read by partitions into polars."""
    import industrydb

    return lambda: industrydb.read_sql(uri, query, partition_on=key, partitions=PARTITIONS)


def connectorx(uri: str, query: str = QUERY, key: str = KEY) -> Read:
    """Read by partitions into Arrow, then to polars."""
    import connectorx

    return lambda: connectorx.read_sql(uri, query, partition_on=key, partition_num=PARTITIONS, return_type="polars")


def industrydb_mssql(uri: str) -> Read:
    """Read both halves into polars. The server has only these two halves, and cannot divide the table otherwise."""
    import industrydb

    queries = halves("mssql")
    return lambda: industrydb.read_sql(uri, queries)


def connectorx_mssql(uri: str) -> Read:
    """Read both halves into Arrow, then to polars. To connectorx, `encrypt=false` means an encrypted login."""
    import connectorx

    queries = halves("mssql")
    uri = uri.removesuffix("?encrypt=false")
    return lambda: connectorx.read_sql(uri, queries, return_type="polars")


def adbc_postgres(uri: str, query: str = QUERY, _key: str = KEY) -> Read:
    """Read in one session, by binary COPY into Arrow."""
    from adbc_driver_postgresql import dbapi

    return lambda: _adbc(dbapi.connect(uri), query)


def adbc_sqlite(uri: str, query: str = QUERY, _key: str = KEY) -> Read:
    """Read by one cursor into Arrow."""
    from adbc_driver_sqlite import dbapi

    return lambda: _adbc(dbapi.connect(path(uri)), query)


def _adbc(connection: Any, query: str) -> pl.DataFrame:  # noqa: ANN401, the drivers' connections are not typed
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return pl.DataFrame(cursor.fetch_arrow_table())


def duckdb_postgres(uri: str) -> Read:
    """Scan by ranges of pages, one thread each."""
    import duckdb_extension_postgres_scanner as extension

    return _duckdb("postgres", uri, extension.__path__)


def duckdb_sqlite(uri: str) -> Read:
    """Scan the attached file, in one thread; `sqlite_scan()` and tables with a rowid were slower when tried."""
    import duckdb_extension_sqlite_scanner as extension

    return _duckdb("sqlite", path(uri), extension.__path__)


def duckdb_mysql(uri: str, options: str = "") -> Read:
    """Scan the attached database in one session, with the client's defaults."""
    import duckdb_extension_mysql_scanner as extension

    at = urlsplit(uri)
    source = f"host={at.hostname} port={at.port} user={at.username} database={at.path.lstrip('/')} {options}"
    return _duckdb("mysql", source, extension.__path__)


def duckdb_mysql_uncompressed(uri: str) -> Read:
    """Scan the attached database without compression, which is a default of the client."""
    return duckdb_mysql(uri, "compress=0")


def _duckdb(kind: str, source: str, package: list[str]) -> Read:
    import duckdb

    connection = duckdb.connect(config={"threads": PARTITIONS})
    version = f"v{duckdb.__version__}"
    connection.load_extension(str(Path(package[0], "extensions", version, f"{kind}_scanner.duckdb_extension")))

    def read() -> pl.DataFrame:
        connection.execute(f"ATTACH '{source}' AS source (TYPE {kind}, READ_ONLY)")
        connection.execute("USE source")
        return connection.sql(QUERY).pl()

    return read


def polars_postgres(uri: str) -> Read:
    """Read rows as Python objects through psycopg."""
    import psycopg

    return lambda: pl.read_database(QUERY, psycopg.connect(uri))


def polars_sqlite(uri: str) -> Read:
    """Read rows as Python objects through sqlite3."""
    import sqlite3

    return lambda: pl.read_database(QUERY, sqlite3.connect(path(uri)))


def polars_mysql(uri: str) -> Read:
    """Read rows as Python objects through SQLAlchemy and pymysql, whose own connections polars does not take."""
    engine = mysql_engine(uri)
    return lambda: pl.read_database(QUERY, engine)


def mysql_engine(uri: str) -> Any:  # noqa: ANN401, SQLAlchemy is imported where it is measured
    """Return SQLAlchemy's engine for pymysql."""
    import pymysql  # noqa: F401, before the clock runs
    import sqlalchemy

    return sqlalchemy.create_engine(uri.replace("mysql:", "mysql+pymysql:", 1))


def pandas_postgres(uri: str) -> Read:
    """Read rows as Python objects through SQLAlchemy and psycopg."""
    import pandas as pd
    import psycopg
    import sqlalchemy

    # SQLAlchemy does not accept the directory of a socket as a host.
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(uri))
    return lambda: pd.read_sql(QUERY, engine)


def pandas_mysql(uri: str) -> Read:
    """Read rows as Python objects through SQLAlchemy and pymysql."""
    import pandas as pd

    engine = mysql_engine(uri)
    return lambda: pd.read_sql(QUERY, engine)


def pandas_sqlite(uri: str) -> Read:
    """Read rows as Python objects through sqlite3."""
    import sqlite3

    import pandas as pd

    return lambda: pd.read_sql(QUERY, sqlite3.connect(path(uri)))


def path(uri: str) -> str:
    """Return the file of an SQLite URI."""
    return uri.removeprefix("sqlite://")


class Contender(NamedTuple):
    """How a contender reads each database. A slow contender is measured once, in the warm-up round of the others."""

    distributions: tuple[str, ...]
    slow: bool = False
    postgres: Callable[[str], Read] | None = None
    sqlite: Callable[[str], Read] | None = None
    mysql: Callable[[str], Read] | None = None
    mssql: Callable[[str], Read] | None = None


CONTENDERS = {
    "industrydb": Contender(
        ("industrydb",), postgres=industrydb, sqlite=industrydb, mysql=industrydb, mssql=industrydb_mssql
    ),
    "connectorx": Contender(
        ("connectorx",), postgres=connectorx, sqlite=connectorx, mysql=connectorx, mssql=connectorx_mssql
    ),
    "duckdb": Contender(("duckdb",), postgres=duckdb_postgres, sqlite=duckdb_sqlite, mysql=duckdb_mysql),
    "duckdb compress=0": Contender(("duckdb",), mysql=duckdb_mysql_uncompressed),
    "adbc": Contender(("adbc-driver-postgresql", "adbc-driver-sqlite"), postgres=adbc_postgres, sqlite=adbc_sqlite),
    "polars": Contender(
        ("polars", "psycopg", "pymysql"),
        slow=True,
        postgres=polars_postgres,
        sqlite=polars_sqlite,
        mysql=polars_mysql,
    ),
    "pandas": Contender(
        ("pandas", "sqlalchemy"), slow=True, postgres=pandas_postgres, sqlite=pandas_sqlite, mysql=pandas_mysql
    ),
}
