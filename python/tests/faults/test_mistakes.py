"""The mistakes that a new user makes: each message says what happened, where, and what to do."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    DatabaseConnectionError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from industrydb._cli import main
from tests.kit.mariadb import Pymysql
from tests.kit.servers import Server, tcp_uri
from tests.kit.support import SqliteFile, eventually, sessions, with_options
from tests.kit.untyped import batches, config, connect, extract, plan, read, scan, write

SECRET = "hunter2"  # noqa: S105, of no real account
ALL = "SELECT * FROM shop_orders"
LINES = "SELECT id,\n  customer,,\n  amount\nFROM shop_orders"
ROWS = [(1, "Ada", 1.5), (2, "Grace", 2.5), (128, None, 3.5)]


@dataclass
class World:
    """The databases that the mistakes are made on, each with the table ``shop_orders``."""

    request: pytest.FixtureRequest
    folder: Path

    @cached_property
    def pg(self) -> str:
        """Return PostgreSQL's URI."""
        uri: str = self.request.getfixturevalue("postgres_uri")
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(
                "DROP SCHEMA IF EXISTS shop_sales CASCADE; DROP TABLE IF EXISTS shop_orders, shop_odd, shop_keyed, "
                '"Shop_Customers"; CREATE TABLE shop_orders (id int8, customer text, amount numeric);'
                "CREATE TABLE shop_odd AS SELECT 'NaN'::numeric AS n, 'infinity'::timestamp AS t;"
                "CREATE TABLE shop_keyed (id int PRIMARY KEY, name text NOT NULL); CREATE SCHEMA shop_sales;"
                'CREATE TABLE shop_sales.shop_invoices (id int); CREATE TABLE "Shop_Customers" ("Id" int)'
            )
            connection.cursor().executemany("INSERT INTO shop_orders VALUES (%s, %s, %s)", ROWS)
        return uri

    @cached_property
    def lite(self) -> str:
        """Return SQLite's URI."""
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection, connection:
            connection.execute("CREATE TABLE shop_orders (id BIGINT, customer TEXT, amount REAL)")
            connection.execute('CREATE TABLE "odd name" (id INTEGER)')
            connection.execute("CREATE TABLE shop_keyed (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            connection.executemany("INSERT INTO shop_orders VALUES (?, ?, ?)", ROWS)
        return f"sqlite://{self.folder}/shop.db"

    @property
    def is_mariadb(self) -> bool:
        """Whether the server of MySQL's protocol is MariaDB."""
        connection: Pymysql = self.request.getfixturevalue("mysql")
        return connection.is_mariadb

    @cached_property
    def my(self) -> str:
        """Return MariaDB's URI."""
        uri: str = self.request.getfixturevalue("mysql_uri")
        with closing(Pymysql(uri)) as connection:
            connection.execute(
                "DROP DATABASE IF EXISTS shop_sales; DROP TABLE IF EXISTS shop_orders, `shop ``odd`;"
                "CREATE TABLE shop_orders (id BIGINT, customer VARCHAR(20), amount DECIMAL(10, 2));"
                "CREATE TABLE `shop ``odd` (`a b` INT); CREATE DATABASE shop_sales;"
                "CREATE TABLE shop_sales.shop_invoices (id INT)"
            )
            for row in ROWS:
                connection.execute("INSERT INTO shop_orders VALUES (%s, %s, %s)", row)
        return uri

    @cached_property
    def ms(self) -> str:
        """Return SQL Server's URI."""
        uri: str = self.request.getfixturevalue("mssql_uri")
        with Connection(uri) as connection:
            connection.execute("CREATE TABLE shop_orders (id BIGINT, customer NVARCHAR(20), amount DECIMAL(10, 2))")
            connection.execute("INSERT INTO shop_orders VALUES (1, 'Ada', 1.5), (2, 'Grace', 2.5)")
        return uri

    @property
    def server(self) -> Server:
        """Return PostgreSQL's server, if the tests have started it."""
        server: Server = self.request.getfixturevalue("own_server")
        return server

    def file(self, name: str, text: str) -> Path:
        """Write a file, and return its path."""
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the databases, and remove their tables afterwards."""
    world = World(request, tmp_path_factory.mktemp("mistakes"))
    yield world
    if "pg" in vars(world):
        with psycopg.connect(world.pg, autocommit=True) as connection:
            connection.execute(
                'DROP SCHEMA shop_sales CASCADE; DROP TABLE shop_orders, shop_odd, shop_keyed, "Shop_Customers"'
            )
    if "my" in vars(world):
        with closing(Pymysql(world.my)) as connection:
            connection.execute("DROP DATABASE shop_sales; DROP TABLE shop_orders, `shop ``odd`")
    if "ms" in vars(world):
        with Connection(world.ms) as connection:
            connection.execute("DROP TABLE shop_orders")


def read_within(uri: str, query: str, params: list[object]) -> pl.DataFrame:
    """Read a query on a connection of its own."""
    with Connection(uri) as connection:
        return industrydb.read_sql(connection, query, params=params)


def repeated(connection: Connection, statement: str, *values: list[object]) -> None:
    """Run a statement with one list of values after the other."""
    for params in values:
        connection.execute(statement, params)


# What is done, the exception's class, and the parts that its message must have.
Mistake = tuple[Callable[[World], object], type[Exception], list[str]]

STATEMENTS: dict[str, Mistake] = {
    "a table's name, PostgreSQL": (
        lambda w: read(w.pg, "SELECT * FROM shop_oders"),
        QueryExecutionError,
        [
            'relation "shop_oders" does not exist [42P01]\nLINE 1: SELECT * FROM shop_oders\n',
            "\n                      ^\nHINT: did you mean shop_orders?",
        ],
    ),
    "a table's name, SQLite": (
        lambda w: read(w.lite, "SELECT * FROM shop_oders"),
        QueryExecutionError,
        [
            "no such table: shop_oders [SQLITE_ERROR]\nLINE 1: SELECT * FROM shop_oders\n",
            "HINT: did you mean shop_orders?",
        ],
    ),
    "a table's name, SQL Server": (
        lambda w: read(w.ms, "SELECT * FROM shop_oders"),
        QueryExecutionError,
        [
            "Invalid object name 'shop_oders'",
            "[208]\nLINE 1: SELECT * FROM shop_oders\n",
            "HINT: did you mean dbo.shop_orders?",
        ],
    ),
    "a table in another schema": (
        lambda w: read(w.pg, "SELECT * FROM shop_invoices"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: did you mean shop_sales.shop_invoices?"],
    ),
    "a table's name without its quotes": (
        lambda w: read(w.pg, "SELECT * FROM Shop_Customers"),
        QueryExecutionError,
        ["LINE 1: ", 'HINT: did you mean "Shop_Customers"?'],
    ),
    "a table's name with a blank, SQLite": (
        lambda w: read(w.lite, "SELECT * FROM [odd nam]"),
        QueryExecutionError,
        ['HINT: did you mean "odd name"?'],
    ),
    "a column's name, PostgreSQL": (
        lambda w: read(w.pg, "SELECT id,\n       custmer\nFROM shop_orders"),
        QueryExecutionError,
        [
            'column "custmer" does not exist [42703]\nLINE 2:        custmer\n               ^\n',
            '\nHINT: Perhaps you meant to reference the column "shop_orders.customer".',
        ],
    ),
    "a column's name in capitals, PostgreSQL": (
        lambda w: read(w.pg, 'SELECT "ID" FROM shop_orders'),
        QueryExecutionError,
        ['column "ID" does not exist', "\n               ^", "HINT: did you mean id?"],
    ),
    "a column's name, SQLite": (
        lambda w: read(w.lite, "-- all\nSELECT o.custmer FROM shop_orders AS o"),
        QueryExecutionError,
        ["no such column: o.custmer [SQLITE_ERROR]\nLINE 2: SELECT o.custmer", "HINT: did you mean customer?"],
    ),
    "a column's name, SQL Server": (
        lambda w: read(w.ms, "SELECT custmer FROM shop_orders"),
        QueryExecutionError,
        ["Invalid column name 'custmer'", "[207]", "HINT: did you mean customer?"],
    ),
    "a function's name": (
        lambda w: read(w.pg, "SELECT lenght(customer) FROM shop_orders"),
        QueryExecutionError,
        ["function lenght(text) does not exist", "LINE 1: ", "did you mean length?"],
    ),
    "a comma too many, PostgreSQL": (
        lambda w: read(w.pg, LINES),
        QueryExecutionError,
        ['syntax error at or near ","', "\nLINE 2:   customer,,\n                   ^"],
    ),
    "a comma too many, SQLite": (
        lambda w: read(w.lite, LINES),
        QueryExecutionError,
        ['near ",": syntax error', "\nLINE 2:   customer,,\n                   ^"],
    ),
    "a comma too many in front of comments": (
        lambda w: read(w.pg, f"-- one\n/* two */\n{LINES}"),
        QueryExecutionError,
        ["\nLINE 4:   customer,,\n                   ^"],
    ),
    "a comma too many, SQL Server": (lambda w: read(w.ms, LINES), QueryExecutionError, ["[102]", "line "]),
    "a misspelled keyword": (
        lambda w: read(w.pg, "SELEC * FROM shop_orders"),
        QueryExecutionError,
        ["\nLINE 1: SELEC * FROM shop_orders\n        ^"],
    ),
    "a mere name, PostgreSQL": (
        lambda w: read(w.pg, "shop_orders"),
        QueryExecutionError,
        ["HINT: this is a name, and no statement: SELECT * FROM"],
    ),
    "a mere name, SQLite": (
        lambda w: read(w.lite, "shop_orders"),
        QueryExecutionError,
        ["HINT: this is a name, and no statement: SELECT * FROM"],
    ),
    "a text in double quotes": (
        lambda w: read(w.pg, 'SELECT *\nFROM shop_orders WHERE customer = "Ada\'s"'),
        QueryExecutionError,
        [
            '\nLINE 2: FROM shop_orders WHERE customer = "Ada\'s"\n' + " " * 42 + "^\n",
            "HINT: a text is written 'Ada''s', in single quotes; double quotes are for names",
        ],
    ),
    "a text in double quotes, of a statement": (
        lambda w: connect(w.pg).execute('UPDATE shop_orders SET customer = "Bob"'),
        QueryExecutionError,
        ['column "Bob" does not exist', "LINE 1: ", "HINT: a text is written 'Bob', in single quotes"],
    ),
    "backticks, PostgreSQL": (
        lambda w: read(w.pg, "SELECT `id` FROM shop_orders"),
        QueryExecutionError,
        ["syntax error", "LINE 1: ", 'HINT: names are quoted by double quotes here, such as "a name"'],
    ),
    "brackets, PostgreSQL": (
        lambda w: read(w.pg, "SELECT [id] FROM shop_orders"),
        QueryExecutionError,
        ['near "["', "\n               ^\nHINT: names are quoted by double quotes here"],
    ),
    "backticks, SQL Server": (
        lambda w: read(w.ms, "SELECT `id` FROM shop_orders"),
        QueryExecutionError,
        ["[102]", "HINT: names are quoted by brackets here, such as [a name]"],
    ),
    "SHOW TABLES, PostgreSQL": (
        lambda w: read(w.pg, "SHOW TABLES"),
        QueryExecutionError,
        ['parameter "tables"', "HINT: SELECT table_schema, table_name FROM information_schema.tables lists the tables"],
    ),
    "SHOW DATABASES, PostgreSQL": (
        lambda w: connect(w.pg).execute("show databases"),
        QueryExecutionError,
        ['parameter "databases"', "HINT: SELECT datname FROM pg_database lists the databases"],
    ),
    "DESCRIBE, PostgreSQL": (
        lambda w: read(w.pg, "DESCRIBE public.shop_orders"),
        QueryExecutionError,
        ["LINE 1: DESCRIBE", "information_schema.columns WHERE table_name = 'shop_orders' lists the columns"],
    ),
    "SHOW COLUMNS, PostgreSQL": (
        lambda w: connect(w.pg).execute("SHOW FULL COLUMNS FROM shop_orders"),
        QueryExecutionError,
        ["information_schema.columns WHERE table_name = 'shop_orders' lists the columns"],
    ),
    "SHOW TABLES, SQLite": (
        lambda w: read(w.lite, "SHOW TABLES"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: SELECT name FROM sqlite_schema WHERE type = 'table' lists the tables"],
    ),
    "DESC, SQLite": (
        lambda w: connect(w.lite).execute('DESC "odd name"'),
        QueryExecutionError,
        ["HINT: SELECT name, type FROM pragma_table_info('odd name') lists the columns"],
    ),
    "SHOW TABLES, SQL Server": (
        lambda w: read(w.ms, "SHOW TABLES"),
        ConfigurationError,
        [
            "not a single SELECT",
            "HINT: SELECT table_schema, table_name FROM information_schema.tables lists the tables",
        ],
    ),
    "DESCRIBE, SQL Server": (
        lambda w: connect(w.ms).execute("DESCRIBE shop_orders"),
        QueryExecutionError,
        ["[102]", "information_schema.columns WHERE table_name = 'shop_orders' lists the columns"],
    ),
    "LIMIT, SQL Server": (
        lambda w: read(w.ms, "SELECT * FROM shop_orders LIMIT 5"),
        QueryExecutionError,
        ["[102]", "HINT: write SELECT TOP (5), or OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY behind ORDER BY"],
    ),
    "TOP, PostgreSQL": (
        lambda w: read(w.pg, "SELECT TOP 5 * FROM shop_orders"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: write LIMIT 5 at the end of the query, in place of TOP"],
    ),
    "TOP, SQLite": (
        lambda w: read(w.lite, "SELECT TOP 5 * FROM shop_orders"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: write LIMIT 5 at the end of the query, in place of TOP"],
    ),
    "a list for IN": (
        lambda w: read(w.pg, f"{ALL} WHERE id IN ($1)", params=[[1, 2]]),
        QueryExecutionError,
        ["[22P02]\nCONTEXT: parameter $1", "HINT: a list is an array here: write = ANY($1) in place of IN ($1)"],
    ),
    "a list for IN, of a statement": (
        lambda w: connect(w.pg).execute("DELETE FROM shop_orders WHERE false OR id IN ($1)", [[1, 2]]),
        QueryExecutionError,
        ["HINT: a list is an array here: write = ANY($1) in place of IN ($1)"],
    ),
    "a list of texts for IN": (
        lambda w: read(w.pg, f"{ALL} WHERE id > $1 AND customer IN ($2)", params=[0, ["Ada", "Grace"]]),
        ConfigurationError,
        ["the value of $2 is a list, and its type is a text", "= ANY($2) in place of IN ($2); $2::text[] makes"],
    ),
    "a list of texts for IN, of a statement": (
        lambda w: connect(w.pg).execute("DELETE FROM shop_orders WHERE customer IN ($1)", [["Ada"]]),
        ConfigurationError,
        ["the value of $1 is a list", "not run", "HINT: a list is an array here: write = ANY($1)"],
    ),
    "a list of texts for IN, on a connection": (
        lambda w: read_within(w.pg, f"{ALL} WHERE customer IN ($1)", [["Ada"]]),
        ConfigurationError,
        ["the value of $1 is a list", "HINT: a list is an array here: write = ANY($1)"],
    ),
    "a list for a text, of a statement that is repeated": (
        lambda w: repeated(connect(w.pg), "SELECT id FROM shop_orders WHERE customer = $1", ["Ada"], [["Ada"]]),
        ConfigurationError,
        ["the value of $1 is a list, and its type is a text", "not run"],
    ),
    "a list for a JSON": (
        lambda w: read(w.pg, "SELECT $1::jsonb AS a", params=[[]]),
        ConfigurationError,
        ["the value of $1 is a list, and its type is jsonb", "HINT: pass its JSON as a text, which json.dumps writes"],
    ),
    "a list for bytes": (
        lambda w: connect(w.pg).execute("SELECT $1::bytea AS a", [[1]]),
        ConfigurationError,
        ["the value of $1 is a list, and its type is bytea", "HINT: a list is an array here"],
    ),
    "a list for a domain of texts": (
        lambda w: connect(w.pg).execute("SELECT $1::information_schema.character_data AS a", [["x"]]),
        ConfigurationError,
        ["the value of $1 is a list, and its type is a text"],
    ),
    "IN without brackets": (
        lambda w: read(w.pg, f"{ALL} WHERE id IN $1", params=[[1, 2]]),
        QueryExecutionError,
        ['near "$1"', "LINE 1: ", "HINT: a list is an array here: write = ANY($1) in place of IN ($1)"],
    ),
    "the end too early, SQLite": (
        lambda w: read(w.lite, f"{ALL}\n  WHERE"),
        QueryExecutionError,
        ["incomplete input [SQLITE_ERROR]\nLINE 2:   WHERE\n               ^"],
    ),
    "an index's name, SQLite": (
        lambda w: read(w.lite, f"{ALL} INDEXED BY nosuch"),
        QueryExecutionError,
        ["no such index: nosuch", f"LINE 1: {ALL} INDEXED BY nosuch\n{' ' * len(f'LINE 1: {ALL} INDEXED BY ')}^"],
    ),
    "a column of one table in USING, SQLite": (
        lambda w: read(w.lite, "SELECT 1 FROM shop_orders JOIN shop_keyed USING (amount)"),
        QueryExecutionError,
        ["cannot join using column amount", "LINE 1: ", f"\n{' ' * len('LINE 1: SELECT 1 FROM shop_orders JOIN ')}"],
    ),
    "a mere name, SQL Server": (lambda w: read(w.ms, "shop_orders"), ConfigurationError, ["not a single SELECT"]),
    "psycopg's %s": (
        lambda w: read(w.pg, f"{ALL} WHERE id = %s", params=[1]),
        QueryExecutionError,
        ["\nLINE 1: ", "HINT: parameters are written $1, $2, … (with params a list) here, in place of %s"],
    ),
    "the question mark": (
        lambda w: read(w.pg, f"{ALL} WHERE id = ?", params=[1]),
        QueryExecutionError,
        ["parameters are written $1, $2, …", "in place of ?"],
    ),
    "SQLAlchemy's :name": (
        lambda w: read(w.pg, f"{ALL} WHERE id = :id", params=[1]),
        QueryExecutionError,
        ["parameters are written $1, $2, …", "in place of :id"],
    ),
    "a dict for numbers": (
        lambda w: read(w.pg, f"{ALL} WHERE id = :id", params={"id": 1}),
        ConfigurationError,
        ["PostgreSQL's parameters are numbered ($1, $2, …)", "as a list"],
    ),
    "psycopg's %s on SQLite": (
        lambda w: read(w.lite, f"{ALL} WHERE id = %s", params=[1]),
        QueryExecutionError,
        ["\nLINE 1: ", "parameters are written ? (with params a list) or :name", "in place of %s"],
    ),
    "psycopg's %s on SQL Server": (
        lambda w: read(w.ms, f"{ALL} WHERE id = %s", params=[1]),
        QueryExecutionError,
        ["parameters are written @P1, @P2, …", "in place of %s"],
    ),
    "a parameter in capitals": (
        lambda w: read(w.lite, f"{ALL} WHERE id = :id", params={"ID": 1}),
        ConfigurationError,
        ['params has no value for "id", did you mean "ID"?'],
    ),
    "no values": (
        lambda w: read(w.pg, f"{ALL} WHERE id = $1"),
        ConfigurationError,
        ["the query has 1 parameter(s) ($1, $2, …), and params has 0 value(s)"],
    ),
    "a single value": (
        lambda w: read(w.pg, f"{ALL} WHERE id = $1", params=1),
        TypeError,
        ["params must be a list or a dict of values, not int"],
    ),
    "a value of another type": (
        lambda w: read(w.pg, f"{ALL} WHERE id = $1", params=["x"]),
        QueryExecutionError,
        ['invalid input syntax for type bigint: "x" [22P02]', "\nCONTEXT: parameter $1"],
    ),
    "an object": (
        lambda w: read(w.pg, f"{ALL} WHERE id = $1", params=[object()]),
        ConfigurationError,
        ["a value of the type object cannot be passed"],
    ),
    "two statements": (lambda w: read(w.pg, f"{ALL}; {ALL}"), ConfigurationError, ["more than one statement"]),
    "no query": (lambda w: read(w.pg, " -- later"), ConfigurationError, ["the query is empty"]),
    "a statement without rows": (
        lambda w: read(w.pg, "DELETE FROM shop_orders"),
        ConfigurationError,
        ["returns no rows of its own: read_sql takes a SELECT", "not run"],
    ),
    "one name twice": (lambda w: read(w.pg, "SELECT id, id FROM shop_orders"), ConfigurationError, ['"id"', "AS"]),
    "a setup that is misspelled": (
        lambda w: read(w.pg, ALL, pre_execution_query="SELEC 1", snapshot=False),
        QueryExecutionError,
        ['pre_execution_query: syntax error at or near "SELEC" [42601]'],
    ),
    "a setting that is none": (
        lambda w: read(w.pg, ALL, pre_execution_query="SET nosuch = 1"),
        QueryExecutionError,
        ['pre_execution_query: unrecognized configuration parameter "nosuch"'],
    ),
    "the server's time limit": (
        lambda w: read(w.pg, "SELECT pg_sleep(5)", pre_execution_query="SET statement_timeout = 50"),
        QueryTimeoutError,
        ["statement timeout [57014]"],
    ),
}

ARGUMENTS: dict[str, Mistake] = {
    "partition_on in capitals": (
        lambda w: read(w.pg, ALL, partition_on="ID", partitions=2),
        ConfigurationError,
        ['partition_on="ID" is not a column of the query\'s result, did you mean "id"?', '"customer"'],
    ),
    "partition_on in capitals, SQLite": (
        lambda w: plan(w.lite, ALL, partition_on="Id", partitions=2),
        ConfigurationError,
        ['did you mean "id"?'],
    ),
    "partition_on in capitals, SQL Server": (
        lambda w: read(w.ms, ALL, partition_on="ID", partitions=2),
        ConfigurationError,
        ['did you mean "id"?'],
    ),
    "partition_on as a list": (
        lambda w: read(w.pg, ALL, partition_on=["id"], partitions=2),
        TypeError,
        ["partition_on must be the name of one column, a str, not list"],
    ),
    "partitions as text": (
        lambda w: read(w.pg, ALL, partitions="4"),
        TypeError,
        ["partitions must be an int, not str"],
    ),
    "too few partitions": (lambda w: read(w.pg, ALL, partitions=0), ConfigurationError, ["from 1 to 4096, not 0"]),
    "partitions of a sum": (
        lambda w: read(w.pg, "SELECT count(*) AS n FROM shop_orders", partitions=4),
        ConfigurationError,
        ["pass partition_on"],
    ),
    "timeout as text": (
        lambda w: read(w.pg, ALL, timeout="5s"),
        TypeError,
        ["timeout must be a number of seconds or a timedelta, not str"],
    ),
    "timeout below 0": (lambda w: read(w.pg, ALL, timeout=-1), ConfigurationError, ["seconds above 0, not -1"]),
    "max_connections as text": (
        lambda w: read(w.pg, ALL, max_connections="4"),
        TypeError,
        ["max_connections must be an int, not str"],
    ),
    "progress as text": (
        lambda w: read(w.pg, ALL, progress="no"),
        TypeError,
        ["progress must be True or False, not str"],
    ),
    "query is None": (lambda w: read(w.pg, None), TypeError, ["query must be a str or a list of str, not NoneType"]),
    "query as bytes": (lambda w: read(w.pg, b"SELECT 1"), TypeError, ["query must be a str", "not bytes"]),
    "query as a path": (lambda w: read(w.pg, Path("q.sql")), TypeError, ["query must be a str", "path.read_text()"]),
    "a list with None": (lambda w: read(w.pg, [ALL, None]), TypeError, ["query must be a str or a list", "NoneType"]),
    "queries of other columns": (
        lambda w: read(w.pg, ["SELECT 1 AS a", "SELECT 'x' AS a"]),
        ConfigurationError,
        ["query 1 has", "pl.Int32 (int4)", "query 2 has", "pl.String (text)"],
    ),
    "query and uri swapped": (
        lambda _: read(ALL, f"postgresql://ana:{SECRET}@db/shop"),
        ConfigurationError,
        ["uri and query are in each other's place"],
    ),
    "a uri twice": (
        lambda w: read(w.lite, f"postgresql://ana:{SECRET}@db/shop"),
        ConfigurationError,
        ["query is a URI, and no statement"],
    ),
    "a query in place of the uri": (
        lambda _: connect("SELECT 1"),
        ConfigurationError,
        ["not a database URI, but a query"],
    ),
    "connectorx's partition_num": (
        lambda w: read(w.pg, ALL, partition_on="id", partition_num=4),
        TypeError,
        ["read_sql() has no argument 'partition_num': it is called partitions here"],
    ),
    "connectorx's conn": (lambda w: read(conn=w.pg, query=ALL), TypeError, ["'conn'", "it is called uri here"]),
    "connectorx's protocol": (lambda w: read(w.pg, ALL, protocol="binary"), TypeError, ["'protocol': leave it out"]),
    "pandas' con": (lambda w: read(ALL, con=w.pg), TypeError, ["'con': it is called uri here"]),
    "pandas' sql": (lambda w: read(uri=w.pg, sql=ALL), TypeError, ["'sql': it is called query here"]),
    "pandas' chunksize": (lambda w: read(w.pg, ALL, chunksize=9), TypeError, ["'chunksize'", "read_sql_batches"]),
    "pandas' chunksize, in batches": (
        lambda w: batches(w.pg, ALL, chunksize=9),
        TypeError,
        ["read_sql_batches() has no argument 'chunksize': it is called batch_size here"],
    ),
    "pandas' index_col": (lambda w: read(w.pg, ALL, index_col="id"), TypeError, ["'index_col': leave it out"]),
    "pandas' dtype": (lambda w: read(w.pg, ALL, dtype={}), TypeError, ["it is called schema_overrides here"]),
    "Polars' execute_options": (lambda w: read(w.pg, ALL, execute_options={}), TypeError, ["called params here"]),
    "Polars' iter_batches": (lambda w: read(w.pg, ALL, iter_batches=True), TypeError, ["read_sql_batches"]),
    "Polars' if_table_exists": (
        lambda w: write({"a": [1]}, "t", w.lite, if_table_exists="append"),
        TypeError,
        ["write_sql() has no argument 'if_table_exists': it is called if_exists here"],
    ),
    "a misspelled argument": (
        lambda w: scan(w.pg, ALL, partition=4),
        TypeError,
        ["scan_sql() has no argument 'partition', did you mean 'partitions'?"],
    ),
    "an argument by its place": (
        lambda w: plan(w.pg, ALL, "id"),
        TypeError,
        ["plan_sql() takes uri, query by their place, and all other arguments by name"],
    ),
    "a partition that is not there": (
        lambda w: plan(w.lite, ALL, partition_on="id", partitions=2).read(7),
        IndexError,
        ["the plan has 2 partitions", "from 0 to 1, and no partition 7"],
    ),
    "a partition as text": (lambda w: plan(w.lite, ALL).read("1"), TypeError, ["index must be an int, not str"]),
    "batch_size as text": (
        lambda w: batches(w.pg, ALL, batch_size="10"),
        TypeError,
        ["batch_size must be an int, not str"],
    ),
    "a scan of several queries": (lambda w: scan(w.pg, [ALL]), TypeError, ["query must be a str, not list"]),
    "a scan of no table": (lambda w: scan(w.pg, "shop_oders"), QueryExecutionError, ["did you mean shop_orders?"]),
    "return_type of PyArrow": (
        lambda w: read(w.pg, ALL, return_type="pyarrow"),
        ConfigurationError,
        ["return_type must be 'polars', 'arrow' or 'pandas', not 'pyarrow', did you mean 'arrow'?"],
    ),
    "a type that is too small, PostgreSQL": (
        lambda w: read(w.pg, ALL, schema_overrides={"id": pl.Int8}),
        TypeConversionError,
        ['column "id" (int8), row 3: 128 is no pl.Int8', "schema_overrides"],
    ),
    "a type that is too small, SQLite": (
        lambda w: read(w.lite, ALL, schema_overrides={"id": pl.Int8}),
        TypeConversionError,
        ['column "id" (BIGINT), row 3: 128 is no pl.Int8', "schema_overrides"],
    ),
    "a type that is too small, SQL Server": (
        lambda w: read(w.ms, ALL, schema_overrides={"amount": pl.Int8}),
        TypeConversionError,
        ['column "amount" (decimal(10,2)), row 1: 1.50 is no pl.Int8', "schema_overrides"],
    ),
    "an override in capitals": (
        lambda w: read(w.pg, ALL, schema_overrides={"ID": pl.Int32}),
        ConfigurationError,
        ['schema_overrides names ["ID"], which the query does not have, did you mean "id"?'],
    ),
    "an override as text": (
        lambda w: read(w.pg, ALL, schema_overrides={"id": "Int32"}),
        ConfigurationError,
        ["schema_overrides asks for column 'id' as 'Int32'", "no data type of Polars"],
    ),
    "an override that is impossible": (
        lambda w: read(w.pg, ALL, schema_overrides={"id": pl.Date}),
        ConfigurationError,
        ['column "id" (int8) cannot be read as pl.Date', "convert it in the query"],
    ),
    "NaN": (
        lambda w: read(w.pg, "SELECT n FROM shop_odd"),
        TypeConversionError,
        ['column "n" (numeric), row 1: NaN', "schema_overrides can ask for pl.Float64"],
    ),
    "infinity": (
        lambda w: read(w.pg, "SELECT t FROM shop_odd"),
        TypeConversionError,
        ['column "t" (timestamp), row 1: infinity', "schema_overrides can ask for pl.String"],
    ),
    "a range without its column": (
        lambda w: read(w.pg, ALL, partition_range=(1, 9)),
        ConfigurationError,
        ["partition_range places the cuts of partition_on, which is not given"],
    ),
    "a range that falls": (
        lambda w: read(w.pg, ALL, partition_on="id", partitions=2, partition_range=(9, 1)),
        ConfigurationError,
        ["partition_range must be finite, and rise: 9 to 1"],
    ),
}

ADDRESSES: dict[str, Mistake] = {
    "MySQL as another name": (
        lambda _: config("mysqll", host="db"),
        ConfigurationError,
        ['unknown database "mysqll"', '"postgresql"'],
    ),
    "a database that is not read": (
        lambda _: read(f"oracle://ana:{SECRET}@db/shop", ALL),
        ConfigurationError,
        ['unknown database "oracle", which industrydb does not read', '"postgresql", "sqlite"'],
    ),
    "psql": (lambda _: read("psql://db/shop", ALL), ConfigurationError, ['"psql", did you mean "postgresql"?']),
    "one letter too many": (
        lambda _: read("postgressql://db/shop", ALL),
        ConfigurationError,
        ['"postgressql", did you mean "postgresql"?'],
    ),
    "sqlite3": (lambda _: read("sqlite3:///x.db", ALL), ConfigurationError, ['did you mean "sqlite"?']),
    "a driver": (
        lambda _: config("postgresql+psycopg2", host="db"),
        ConfigurationError,
        ["+psycopg2 names a driver of SQLAlchemy", "leave it out, as in postgresql://"],
    ),
    "several hosts of a database that takes one": (
        lambda _: read(f"mssql://ana:{SECRET}@one:1433,two:1433/shop", ALL),
        ConfigurationError,
        ["several hosts are named; pass the one to read from"],
    ),
    "a slash in the password": (
        lambda _: read(f"postgresql://ana:{SECRET}/x@db/shop", ALL),
        ConfigurationError,
        ["an @ behind its first /", "must be percent-encoded (@ is %40)"],
    ),
    "a question mark in the password": (
        lambda _: read(f"postgresql://ana:x?{SECRET}@db/shop", ALL),
        ConfigurationError,
        ["behind the URI's ?", "must be percent-encoded"],
    ),
    "a port that is no number": (
        lambda _: read("postgresql://db:54x/shop", ALL),
        ConfigurationError,
        ["port", "65535"],
    ),
    "JDBC": (
        lambda _: read(f"jdbc:postgresql://db/shop?user=ana&password={SECRET}", ALL),
        ConfigurationError,
        ["but one of JDBC: leave out jdbc:"],
    ),
    "ODBC's words": (
        lambda _: read(f"Driver=x;Server=db;Pwd={SECRET}", ALL),
        ConfigurationError,
        ["but key=value pairs, as of ODBC: write them as a URI"],
    ),
    "a path as text": (
        lambda _: read("data/shop.db", ALL),
        ConfigurationError,
        ["but perhaps a path: pass it as a pathlib.Path", "sqlite:///path/to/file"],
    ),
    "a slash too few": (
        lambda _: read("postgresql:/db/shop", ALL),
        ConfigurationError,
        ["behind whose kind of database comes ://"],
    ),
    "no uri": (lambda _: read("", ALL), ConfigurationError, ["but an empty text", "postgresql://user:password@host"]),
    "uri is None": (lambda _: read(None, ALL), TypeError, ["the database must be a URI, a path", "not NoneType"]),
    "an unknown option": (
        lambda _: read("postgresql://db/shop?sslmod=require", ALL),
        ConfigurationError,
        ['unknown option "sslmod" for PostgreSQL, did you mean "sslmode"?'],
    ),
    "ssl": (lambda _: read("postgresql://db/shop?ssl=true", ALL), ConfigurationError, ['"sslmode"', "did you mean"]),
    "an option of .NET": (
        lambda _: read("mssql://ana@db/shop?TrustServerCertificate=yes", ALL),
        ConfigurationError,
        ['did you mean "trust_server_certificate"?'],
    ),
    "a closed port": (
        lambda _: read(f"postgresql://ana:{SECRET}@127.0.0.1:1/shop", ALL),
        DatabaseConnectionError,
        ["cannot connect to the PostgreSQL server at 127.0.0.1:1", "check the host and the port"],
    ),
    "a closed port, SQL Server": (
        lambda _: read(f"mssql://ana:{SECRET}@127.0.0.1:1/shop", ALL),
        DatabaseConnectionError,
        ["cannot connect to the SQL Server at 127.0.0.1:1", "check the host and the port"],
    ),
    "a wrong password": (
        lambda w: read(tcp_uri(w.server.port, "scram_user", SECRET), ALL),
        DatabaseConnectionError,
        ['password authentication failed for user "scram_user" [28P01]', "HINT: check the user and the password"],
    ),
    "a file that is not there": (
        lambda w: read(f"sqlite://{w.folder}/none.db", ALL),
        DatabaseConnectionError,
        ["none.db", "there is no such file"],
    ),
    "a file of another kind": (
        lambda w: read(w.file("text.txt", "hello " * 100), ALL),
        DatabaseConnectionError,
        ["text.txt", "it is not an SQLite database, or it is encrypted"],
    ),
    "user in place of username": (
        lambda _: config("postgresql", user="ana"),
        ConfigurationError,
        ['unknown argument "user", did you mean "username"?'],
    ),
    "dbname in place of database": (
        lambda _: config("postgresql", dbname="x"),
        ConfigurationError,
        ['unknown argument "dbname", did you mean "database"?'],
    ),
    "a port as text": (lambda _: config("postgresql", port="5432"), ConfigurationError, ["65535, not a str"]),
    "a host of a file": (lambda _: config("sqlite", host="x"), ConfigurationError, ['"host"', "a file has a path"]),
    "a dict without its kind": (
        lambda _: config.from_dict({"host": "db"}),
        ConfigurationError,
        ['"db_type" is missing'],
    ),
}

WRITES: dict[str, Mistake] = {
    "a table that is there, PostgreSQL": (
        lambda w: write({"id": [1]}, "shop_orders", w.pg),
        QueryExecutionError,
        ['relation "shop_orders" already exists [42P07]', 'if_exists="append"', 'if_exists="replace"'],
    ),
    "a table that is there, SQLite": (
        lambda w: write({"id": [1]}, "shop_orders", w.lite),
        QueryExecutionError,
        ["already exists [SQLITE_ERROR]", 'if_exists="append"'],
    ),
    "a table that is there, SQL Server": (
        lambda w: write({"id": [1]}, "shop_orders", w.ms),
        QueryExecutionError,
        ["already an object named 'shop_orders'", "[2714]", 'if_exists="append"'],
    ),
    "a column that the table has not": (
        lambda w: write({"idd": [1]}, "shop_orders", w.pg, if_exists="append"),
        ConfigurationError,
        ['table shop_orders has no column "idd"', '"customer"'],
    ),
    "if_exists of another library": (
        lambda w: write({"id": [1]}, "shop_orders", w.pg, if_exists="overwrite"),
        ConfigurationError,
        ["if_exists must be one of ('fail', 'append', 'replace'), not 'overwrite', did you mean 'replace'?"],
    ),
    "table and uri swapped": (
        lambda _: write({"id": [1]}, f"postgresql://ana:{SECRET}@db/shop", "shop_orders"),
        ConfigurationError,
        ["table is a URI: write_sql takes the data, the table's name, and then the URI"],
    ),
    "data and table swapped": (
        lambda w: write("shop_orders", {"id": [1]}, w.pg),
        TypeError,
        ["table must be the name of a table, a str, not dict"],
    ),
    "rows that are no dicts": (
        lambda w: write([(1, 2)], "t", w.pg),
        ConfigurationError,
        ["the rows of a list must be dicts, not tuple"],
    ),
    "a text for an INTEGER PRIMARY KEY": (
        lambda w: write({"id": ["x"], "name": ["y"]}, "shop_keyed", w.lite, if_exists="append"),
        QueryExecutionError,
        [
            "row 1: datatype mismatch [SQLITE_MISMATCH]",
            "HINT: id, the INTEGER PRIMARY KEY of shop_keyed, takes integers only",
        ],
    ),
    "a text for an INTEGER PRIMARY KEY, of a statement": (
        lambda w: connect(w.lite).execute(
            "INSERT OR IGNORE INTO main.shop_keyed SELECT 'x', customer FROM shop_orders"
        ),
        QueryExecutionError,
        ["datatype mismatch [SQLITE_MISMATCH]\nHINT: id, the INTEGER PRIMARY KEY of shop_keyed, takes integers only"],
    ),
    "a number that is too large": (
        lambda w: write({"id": [2**40], "name": ["x"]}, "shop_keyed", w.pg, if_exists="append"),
        TypeConversionError,
        ['column "id" (integer), row 1: 1099511627776', "a wider column"],
    ),
    "extract to a store": (lambda w: extract(w.pg, ALL, "s3://bucket/x"), ConfigurationError, ["s3://", "folders"]),
    "extract to a file": (
        lambda w: extract(w.lite, ALL, w.file("there.txt", "")),
        FileExistsError,
        ["target must be a directory, and this is a file", "there.txt"],
    ),
    "extract to None": (lambda w: extract(w.lite, ALL, None), TypeError, ["target must be the path of a directory"]),
    "extract in a format that is none": (
        lambda w: extract(w.lite, ALL, w.folder / "x", format="feather"),
        ConfigurationError,
        ["format must be one of ('parquet', 'ipc', 'csv'), not 'feather', did you mean 'ipc'?"],
    ),
    "extract of compressed CSV": (
        lambda w: extract(w.lite, ALL, w.folder / "x", format="csv", compression="zstd"),
        ConfigurationError,
        ["csv files are not compressed: leave compression='zstd' out"],
    ),
    "extract since a column in capitals": (
        lambda w: extract(w.lite, ALL, w.folder / "x", since="ID"),
        ConfigurationError,
        ["since='ID' is none of the query's columns", "did you mean 'id'?"],
    ),
    "retries as text": (
        lambda w: extract(w.lite, ALL, w.folder / "x", retries="3"),
        TypeError,
        ["retries must be an int, not str"],
    ),
    "a select from no table": (
        lambda w: connect(w.lite).select("shop_oders"),
        QueryExecutionError,
        ["no such table: shop_oders", "did you mean shop_orders?"],
    ),
    "an insert into no table": (
        lambda w: connect(w.pg).insert("shop_oders", {"id": [1]}),
        QueryExecutionError,
        ['relation "shop_oders" does not exist', "did you mean shop_orders?"],
    ),
    "an update of no column": (
        lambda w: connect(w.pg).update("shop_orders", {"custmer": 1}, where={"id": 1}),
        QueryExecutionError,
        ['column "custmer" of relation "shop_orders" does not exist', "did you mean customer?"],
    ),
    "an update of all rows": (
        lambda w: connect(w.pg).update("shop_orders", {"customer": "x"}),
        ConfigurationError,
        ["there is no where", "all_rows=True"],
    ),
    "an update by a list": (
        lambda w: connect(w.lite).update("shop_orders", ["x"], where={"id": 1}),
        TypeError,
        ["values must be a mapping of columns to values, not list"],
    ),
    "a limit as text": (
        lambda w: connect(w.lite).select("shop_orders", limit="5"),
        TypeError,
        ["limit must be an int, not str"],
    ),
    "an upsert of another library": (
        lambda w: connect(w.lite).insert("shop_keyed", {"id": [1]}, on_conflict="update"),
        ConfigurationError,
        ["did you mean 'replace'?"],
    ),
    "two statements in one": (
        lambda w: connect(w.pg).execute("SELECT 1; SELECT 2"),
        QueryExecutionError,
        ["cannot insert multiple commands", "pass one"],
    ),
    "a cursor": (
        lambda w: connect(w.lite).cursor(),
        AttributeError,
        ["'Connection' object has no attribute 'cursor': execute() runs a statement"],
    ),
    "a commit": (lambda w: connect(w.lite).commit(), AttributeError, ["'commit'", "transaction() block"]),
    "no statement": (lambda w: connect(w.lite).execute(None), TypeError, ["sql must be a str, not NoneType"]),
}

MYSQL: dict[str, Mistake] = {
    "a table's name": (
        lambda w: read(w.my, "SELECT * FROM shop_oders"),
        QueryExecutionError,
        [
            "shop_oders' doesn't exist (SQLSTATE 42S02) [1146]\nLINE 1: SELECT * FROM shop_oders\n",
            "\n                      ^\nHINT: did you mean shop_orders?",
        ],
    ),
    "a table's name in capitals": (
        lambda w: read(w.my, "SELECT * FROM Shop_Orders"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: did you mean shop_orders?"],
    ),
    "a table in another database": (
        lambda w: read(w.my, "SELECT * FROM shop_invoices"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: did you mean shop_sales.shop_invoices?"],
    ),
    "a table's name with a backtick": (
        lambda w: read(w.my, "SELECT * FROM `shop ``od`"),
        QueryExecutionError,
        ["LINE 1: SELECT * FROM `shop ``od`\n                      ^", "HINT: did you mean `shop ``odd`?"],
    ),
    "a table that is not read": (
        lambda w: read(w.my, "SELECT x.* FROM shop_orders AS o"),
        QueryExecutionError,
        ["[1051]\nLINE 1: SELECT x.* FROM shop_orders AS o\n               ^"],
    ),
    "a column's name": (
        lambda w: read(w.my, "SELECT id,\n       o.custmer\nFROM shop_orders AS o"),
        QueryExecutionError,
        ["[1054]\nLINE 2:        o.custmer\n                 ^\nHINT: did you mean customer?"],
    ),
    "a function's name": (
        lambda w: read(w.my, "SELECT lenght(customer) FROM shop_orders"),
        QueryExecutionError,
        ["lenght does not exist", "LINE 1: ", "did you mean LENGTH?"],
    ),
    "a comma too many": (
        lambda w: read(w.my, LINES),
        QueryExecutionError,
        ["at line 2 (SQLSTATE 42000) [1064]\nLINE 2:   customer,,\n                   ^"],
    ),
    "a comma too many in front of comments": (
        lambda w: read(w.my, f"-- one\n/* two */\n{LINES}"),
        QueryExecutionError,
        ["\nLINE 4:   customer,,\n                   ^"],
    ),
    "a comma too many in a long statement": (
        lambda w: read(w.my, f"SELECT ',', id,\n  customer,, '{'x' * 200}'\nFROM shop_orders"),
        QueryExecutionError,
        ["\nLINE 2:   customer,, 'xxx", "\n                   ^"],
    ),
    "the end too early": (
        lambda w: read(w.my, f"{ALL} WHERE"),
        QueryExecutionError,
        [f"\nLINE 1: {ALL} WHERE\n{' ' * len(f'LINE 1: {ALL} WHERE')}^"],
    ),
    "a misspelled keyword": (
        lambda w: read(w.my, "SELEC * FROM shop_orders"),
        ConfigurationError,
        ['begins with "SELEC" and is no query'],
    ),
    "psycopg's %s": (
        lambda w: read(w.my, f"{ALL} WHERE id = %s", params=[1]),
        QueryExecutionError,
        ["\nLINE 1: ", "HINT: parameters are written ? (with params a list) here, in place of %s"],
    ),
    "PostgreSQL's $1": (
        lambda w: read(w.my, f"{ALL} WHERE id = $1", params=[1]),
        QueryExecutionError,
        ["\nLINE 1: ", "HINT: parameters are written ? (with params a list) here, in place of $1"],
    ),
    "PostgreSQL's $1 in LIMIT": (
        lambda w: read(w.my, f"{ALL} LIMIT $1", params=[1]),
        QueryExecutionError,
        [
            f"LINE 1: {ALL} LIMIT $1\n{' ' * len(f'LINE 1: {ALL} LIMIT ')}^",
            "HINT: parameters are written ? (with params a list) here, in place of $1",
        ],
    ),
    "a list for IN": (
        lambda w: read(w.my, f"{ALL} WHERE id IN (?)", params=[[1, 2]]),
        ConfigurationError,
        ["has no arrays", "give each element a parameter of its own"],
    ),
    "TOP": (
        lambda w: read(w.my, "SELECT TOP 5 * FROM shop_orders"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: write LIMIT 5 at the end of the query, in place of TOP"],
    ),
    "a comma too many in repeated lines": (
        lambda w: read(w.my, f"SELECT '{'x' * 90}' AS a\nFROM ,\n(SELECT '{'x' * 90}' AS a\nFROM ,\nshop_orders) AS t"),
        QueryExecutionError,
        ["at line 2 ", "\nLINE 2: FROM ,\n             ^"],
    ),
    "a column of two tables": (
        lambda w: read(w.my, "SELECT 1,\n  id FROM shop_orders AS a, shop_orders AS b"),
        QueryExecutionError,
        ["ambiguous", "LINE 2:   id FROM", "\n          ^"],
    ),
    "SQLAlchemy's :name": (
        lambda w: read(w.my, f"{ALL} WHERE id = :id", params=[1]),
        QueryExecutionError,
        ["HINT: parameters are written ? (with params a list) here, in place of :id"],
    ),
    "a dict for positions": (
        lambda w: read(w.my, f"{ALL} WHERE id = :id", params={"id": 1}),
        ConfigurationError,
        ["positions and no names: write ? for each, and pass a list"],
    ),
    "double quotes around names": (
        lambda w: read(w.my, 'SELECT id FROM "shop_orders"'),
        QueryExecutionError,
        ['\nLINE 1: SELECT id FROM "shop_orders"\n', "HINT: names are quoted by backticks here"],
    ),
    "brackets around names": (
        lambda w: read(w.my, "SELECT [id] FROM shop_orders"),
        QueryExecutionError,
        ["LINE 1: ", "HINT: names are quoted by backticks here"],
    ),
    "two statements": (lambda w: read(w.my, f"{ALL}; {ALL}"), ConfigurationError, ["more than one statement"]),
    "two statements in one": (
        lambda w: connect(w.my).execute("SELECT 1; SELECT 2"),
        QueryExecutionError,
        ["LINE 1: SELECT 1; SELECT 2\n                  ^\nHINT: there are several statements: pass one"],
    ),
    "a secret in a statement": (
        lambda w: connect(w.my).execute(f"CREATE USER ana IDENTIFED BY '{SECRET}'"),
        QueryExecutionError,
        ["near 'IDENTIFED…' at line 1"],
    ),
    "partition_on in capitals": (
        lambda w: read(w.my, ALL, partition_on="ID", partitions=2),
        ConfigurationError,
        ['partition_on="ID" is not a column of the query\'s result, did you mean "id"?'],
    ),
    "a type that is too small": (
        lambda w: read(w.my, ALL, schema_overrides={"id": pl.Int8}),
        TypeConversionError,
        ['column "id" (bigint), row 3: 128 is no pl.Int8', "schema_overrides"],
    ),
    "a table that is there": (
        lambda w: write({"id": [1]}, "shop_orders", w.my),
        QueryExecutionError,
        ["already exists (SQLSTATE 42S01) [1050]", 'if_exists="append"'],
    ),
    "an insert into no table": (
        lambda w: connect(w.my).insert("shop_oders", {"id": [1]}),
        QueryExecutionError,
        ["[1146]", "HINT: did you mean shop_orders?"],
    ),
    "an update of no column": (
        lambda w: connect(w.my).update("shop_orders", {"custmer": 1}, where={"id": 1}),
        QueryExecutionError,
        ["[1054]", "did you mean customer?"],
    ),
    "a wrong password": (
        lambda w: read(w.my.replace("//root:", f"//root:{SECRET}"), ALL),
        DatabaseConnectionError,
        ["Access denied for user 'root'", "[1045]", "HINT: check the user and the password"],
    ),
    "a database that is not there": (
        lambda w: read(f"{w.my}x", ALL),
        DatabaseConnectionError,
        ["[1049]", "HINT: SHOW DATABASES"],
    ),
    "an option of PostgreSQL": (
        lambda _: read("mysql://db/shop?sslmode=require", ALL),
        ConfigurationError,
        ['unknown option "sslmode" for MySQL, did you mean "ssl-mode"?'],
    ),
}

MISTAKES = {
    **STATEMENTS,
    **ARGUMENTS,
    **ADDRESSES,
    **WRITES,
    **{f"{name}, MySQL": mistake for name, mistake in MYSQL.items()},
}

# Arguments of the command, and the parts that its message must have.
COMMANDS: dict[str, tuple[Callable[[World], list[str]], list[str]]] = {
    "a table's name": (
        lambda w: ["read", "SELECT * FROM shop_oders", "-u", w.lite],
        ["LINE 1: SELECT * FROM shop_oders", "HINT: did you mean shop_orders?"],
    ),
    "a query's file": (
        lambda w: ["read", f"@{w.file('q.sql', f'-- orders{chr(10)}{LINES}')}", "-u", w.pg],
        ["LINE 3:   customer,,\n                   ^"],
    ),
    "a file that is not there": (
        lambda w: ["read", f"@{w.folder}/none.sql", "-u", w.lite],
        ["cannot read the query", "none.sql"],
    ),
    "no database": (lambda _: ["read", ALL], ["pass --uri URI or --database NAME"]),
    "a column in capitals": (
        lambda w: ["plan", ALL, "-u", w.lite, "--partition-on", "ID"],
        ['--partition-on "ID" is not a column', 'did you mean "id"?'],
    ),
    "too few partitions": (lambda w: ["read", ALL, "-u", w.lite, "--partitions", "0"], ["--partitions must be from 1"]),
    "too few sessions": (
        lambda w: ["read", ALL, "-u", w.lite, "--max-connections", "0"],
        ["--max-connections must be at least 1"],
    ),
    "a type that is too small": (
        lambda w: ["read", ALL, "-u", w.lite, "--schema-override", "id=Int8"],
        ["128 is no Int8", "by --schema-override"],
    ),
    "a parameter too many": (lambda w: ["read", ALL, "-u", w.lite, "--param", "1"], ["--param has 1 value(s)"]),
    "a driver of MySQL": (lambda _: ["read", ALL, "-u", "mysqll://db"], ['unknown database "mysqll"']),
    "another extract": (
        lambda w: [
            *("extract", "SELECT id FROM shop_orders", str(w.folder / "used"), "-u", w.lite),
            *(("--partitions", "2", "--partition-on", "id") if extract(w.lite, ALL, w.folder / "used") else ()),
        ],
        ["has another extract", "--resume restart"],
    ),
    "since a column in capitals": (
        lambda w: ["extract", ALL, str(w.folder / "new"), "-u", w.lite, "--since", "ID"],
        ["--since ID is none of the query's columns", "did you mean 'id'?"],
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_explained(world: World, what: str) -> None:
    """The message says what happened, where, and what to do; it never has a password."""
    do, kind, parts = MISTAKES[what]
    with pytest.raises(kind) as raised:
        do(world)
    message = str(raised.value)
    for part in parts:
        if part == "did you mean LENGTH?" and not world.is_mariadb:
            continue  # MySQL does not list its own functions
        assert part in message
    assert SECRET not in message
    assert type(raised.value) is kind


@pytest.mark.parametrize("what", COMMANDS)
def test_a_mistake_is_explained_by_the_command(
    world: World, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's message says the same, in the command's words."""
    monkeypatch.delenv("INDUSTRYDB_URI", raising=False)
    arguments, parts = COMMANDS[what]
    assert main(arguments(world)) != 0
    message = capsys.readouterr().err
    for part in parts:
        assert part in message
    for python in ("resume=", "partition_on", "schema_overrides", "max_connections", "params", "pl."):
        assert python not in message


def test_the_table_is_long_enough() -> None:
    """At least 95 mistakes are explained."""
    assert len(MISTAKES) + len(COMMANDS) >= 95


@pytest.mark.parametrize("name", ["mysql", "mariadb", "oracle", "duckdb"])
def test_no_product_is_a_misspelled_one(name: str) -> None:
    """No other database is suggested for the name of a product, whether industrydb reads that product or not."""
    with pytest.raises((ConfigurationError, DatabaseConnectionError)) as raised:
        industrydb.read_sql(f"{name}://ana@127.0.0.1:1/x", ALL)
    assert "did you mean" not in str(raised.value)


def test_a_failed_lookup_changes_nothing(
    sqlite_file: SqliteFile, postgres: psycopg.Connection, postgres_uri: str
) -> None:
    """If names cannot be looked up, the error is as it would be without: here nobody else may connect, or read."""
    postgres.execute("CREATE ROLE shop_only LOGIN CONNECTION LIMIT 1")
    alone = postgres_uri.replace("postgresql://", "postgresql://shop_only@") if "@" not in postgres_uri else ""
    try:
        uri = alone or with_options(postgres_uri, user="shop_only")
        with pytest.raises(QueryExecutionError) as raised:
            industrydb.read_sql(uri, "SELECT * FROM shop_oders")
        assert str(raised.value).startswith('relation "shop_oders" does not exist [42P01]\nLINE 1: ')
        assert raised.value.code == "42P01"
        assert "HINT" not in str(raised.value)
    finally:
        postgres.execute("DROP ROLE shop_only")
    with closing(sqlite3.connect(sqlite_file.path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE shop_orders (id INTEGER)")
        with Connection(sqlite_file.uri) as connection:
            connection.execute("SELECT * FROM shop_orders")
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.raises(QueryExecutionError, match="no such column: di"):
                connection.execute("SELECT di FROM shop_orders")


def test_a_session_goes_on_after_a_mistake(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Looking names up leaves the session as it is, also within a transaction; the server has no other one left."""
    postgres.execute("CREATE TABLE shop_kept AS SELECT 1 AS id")
    try:
        with Connection(postgres_uri) as connection:
            with connection.transaction():
                with pytest.raises(QueryExecutionError, match=r"did you mean shop_kept\?"), connection.transaction():
                    connection.execute("SELECT * FROM shop_kep")
                assert connection.select("shop_kept")["id"].to_list() == [1]
            assert connection.select("shop_kept")["id"].to_list() == [1]
    finally:
        postgres.execute("DROP TABLE shop_kept")
    eventually(lambda: not sessions(postgres))


def test_lines_that_may_have_a_secret_are_not_shown(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """The line that an error is about is left out if it may have a password."""
    query = f"SELECT dblink_connect('host=db password={SECRET}'), nosuch"
    for uri in (postgres_uri, sqlite_file.uri):
        with pytest.raises(QueryExecutionError) as raised:
            industrydb.read_sql(uri, query)
        assert SECRET not in str(raised.value)
        assert "LINE" not in str(raised.value)
