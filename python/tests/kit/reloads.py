"""Tables that are reloaded, rewritten, swapped and attached while others read them, and the writers that do so.

A table holds one generation at a time: a known number of rows, each with the generation's number. A frame alone
therefore shows whether it is one complete generation.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import NamedTuple

import polars as pl
import psycopg

import industrydb
from tests.kit.support import PATIENCE_S

# Number of rows in the table part that is never written, if an object has one. Their ids are negative.
FIXED = 50

QUERY = "SELECT id, generation, v FROM reload.object"


def height(generation: int) -> int:
    """Return a generation's row count, which differs from that of the next generation."""
    return 1000 + 500 * (generation % 3)


def insert(table: str, generation: int) -> str:
    """Return the statement that writes a generation into an empty table."""
    rows = f"SELECT i, {generation}, i * 7 + {generation} FROM generate_series(1, {height(generation)}) AS i"
    return f"INSERT INTO {table} {rows}"


def new_table(name: str) -> str:
    """Return the statement that creates a table for generations."""
    return f"CREATE TABLE {name} (id int, generation int, v int)"


class Object(NamedTuple):
    """An object that is read as ``reload.object``; writers change its table ``reload.source``."""

    name: str
    setup: str
    query: str = QUERY
    altered: str = "reload.source"
    """Table whose columns can be altered."""
    fixed: bool = False
    """Whether it also has the `FIXED` rows, which are never written."""
    hidden: bool = False
    """Whether PostgreSQL does not report, before it runs the query, which tables the query reads."""

    def __str__(self) -> str:
        """Return the test id."""
        return self.name


_PARENT = "(id int, generation int, v int)"
_FIXED_ROWS = f"SELECT i - {FIXED + 1}, 0, 0 FROM generate_series(1, {FIXED}) AS i"
_BODY = "SELECT s.id, s.generation, s.v::text FROM reload.source AS s"
_FUNCTION = "CREATE OR REPLACE FUNCTION reload.object() RETURNS TABLE (id int, generation int, v text) STABLE"
_CALL = "SELECT id, generation, v FROM reload.object()"

TABLE = Object("table", "", "SELECT id, generation, v FROM reload.source")
PARTITIONED = Object(
    "partitioned",
    f"CREATE TABLE reload.object {_PARENT} PARTITION BY RANGE (id);"
    "CREATE TABLE reload.fixed PARTITION OF reload.object FOR VALUES FROM (MINVALUE) TO (0);"
    f"INSERT INTO reload.fixed {_FIXED_ROWS};"
    "ALTER TABLE reload.object ATTACH PARTITION reload.source FOR VALUES FROM (0) TO (MAXVALUE)",
    altered="reload.object",
    fixed=True,
)
CHILD = Object(
    "child",
    f"CREATE TABLE reload.object {_PARENT}; INSERT INTO reload.object {_FIXED_ROWS};"
    "ALTER TABLE reload.source INHERIT reload.object",
    altered="reload.object",
    fixed=True,
)
VIEW = Object("view", "CREATE OR REPLACE VIEW reload.object AS SELECT * FROM reload.source")
MATERIALIZED = Object("materialized_view", "CREATE MATERIALIZED VIEW reload.object AS SELECT * FROM reload.source")
INLINED = Object("inlined_function", f"{_FUNCTION} LANGUAGE sql AS '{_BODY}'", _CALL)
# A function that runs as its owner is not inlined.
SQL_FUNCTION = Object("sql_function", f"{_FUNCTION} SECURITY DEFINER LANGUAGE sql AS '{_BODY}'", _CALL, hidden=True)
PLPGSQL = Object(
    "plpgsql_function", f"{_FUNCTION} LANGUAGE plpgsql AS 'BEGIN RETURN QUERY {_BODY}; END'", _CALL, hidden=True
)
FUNCTIONS = (INLINED, SQL_FUNCTION, PLPGSQL)


class Writer(NamedTuple):
    """One way of writing the next generation while others read."""

    name: str
    objects: tuple[Object, ...]
    statements: Callable[[Object, int], list[str]]
    in_transaction: bool = True
    locks: bool = True
    """Whether the statements can stay in an open transaction with locks that readers wait for."""
    keeps: bool = False
    """Whether the rows stay those of the first generation."""
    comes_and_goes: bool = False
    """Whether the source's rows are sometimes not part of the object."""

    def __str__(self) -> str:
        """Return the test id."""
        return self.name

    @staticmethod
    def run(connection: psycopg.Connection, statements: list[str]) -> None:
        """Run statements, in the caller's transaction if there is one."""
        for statement in statements:
            connection.execute(statement.encode())


def _alter(one: str, other: str) -> Callable[[Object, int], list[str]]:
    def statements(of: Object, generation: int) -> list[str]:
        dtype = other if generation % 2 else one
        return [f"ALTER TABLE {of.altered} ALTER v TYPE {dtype} USING v::text::{dtype}"]

    return statements


def _truncate(_of: Object, generation: int) -> list[str]:
    return _refilled("reload.source", generation)


def _recreate(of: Object, generation: int) -> list[str]:
    return [
        "DROP TABLE reload.source CASCADE",
        new_table("reload.source"),
        insert("reload.source", generation),
        *filter(None, [of.setup]),
    ]


def _refilled(table: str, generation: int) -> list[str]:
    return [f"TRUNCATE {table}", insert(table, generation)]


def _in_turn(generation: int) -> tuple[str, str]:
    """Return the table being read, and the table that replaces it."""
    return ("reload.next", "reload.source") if generation % 2 else ("reload.source", "reload.next")


def _swap(_of: Object, generation: int) -> list[str]:
    renamed = (("source", "gone"), ("next", "source"), ("gone", "next"))
    return _refilled("reload.next", generation) + [f"ALTER TABLE reload.{old} RENAME TO {new}" for old, new in renamed]


def _swap_schemas(_of: Object, generation: int) -> list[str]:
    renamed = (("reload", "gone"), ("reload_spare", "reload"), ("gone", "reload_spare"))
    filled = _refilled("reload_spare.source", generation)
    return filled + [f"ALTER SCHEMA {old} RENAME TO {new}" for old, new in renamed]


def _exchange_partitions(_of: Object, generation: int) -> list[str]:
    old, new = _in_turn(generation)
    bounds = "FOR VALUES FROM (0) TO (MAXVALUE)"
    return [
        *_refilled(new, generation),
        f"ALTER TABLE reload.object DETACH PARTITION {old}",
        f"ALTER TABLE reload.object ATTACH PARTITION {new} {bounds}",
    ]


def _come_and_go(detach: str, attach: str) -> Callable[[Object, int], list[str]]:
    return lambda _of, generation: [f"ALTER TABLE {attach if generation % 2 else detach}"]


def _exchange_children(_of: Object, generation: int) -> list[str]:
    old, new = _in_turn(generation)
    return [
        *_refilled(new, generation),
        f"ALTER TABLE {old} NO INHERIT reload.object",
        f"ALTER TABLE {new} INHERIT reload.object",
    ]


def _other_view(_of: Object, generation: int) -> list[str]:
    table = _in_turn(generation)[1]
    return [*_refilled(table, generation), f"CREATE OR REPLACE VIEW reload.object AS SELECT * FROM {table}"]


def _refresh(_of: Object, generation: int) -> list[str]:
    return [*_refilled("reload.source", generation), "REFRESH MATERIALIZED VIEW reload.object"]


_ATTACH = "reload.object ATTACH PARTITION reload.source FOR VALUES FROM (0) TO (MAXVALUE)"
_DETACH = "reload.object DETACH PARTITION reload.source"

WRITERS = [
    Writer("truncate", (TABLE, PARTITIONED, CHILD, VIEW, *FUNCTIONS), _truncate),
    Writer("drop_create", (TABLE, VIEW, *FUNCTIONS), _recreate),
    Writer("alter_to_text", (TABLE, PARTITIONED, CHILD, *FUNCTIONS), _alter("text", "int"), keeps=True),
    Writer("alter_to_real", (TABLE, PARTITIONED, CHILD), _alter("real", "int"), keeps=True),
    Writer("swap", (TABLE, *FUNCTIONS), _swap),
    Writer(
        "vacuum_full",
        (TABLE, PARTITIONED, VIEW),
        lambda _of, _generation: ["VACUUM FULL reload.source"],
        in_transaction=False,
        locks=False,
        keeps=True,
    ),
    Writer("cluster", (TABLE, PARTITIONED), lambda _of, _generation: ["CLUSTER reload.source USING by_id"], keeps=True),
    Writer("refresh", (MATERIALIZED,), _refresh),
    Writer("exchange_partitions", (PARTITIONED,), _exchange_partitions),
    Writer("detach_attach", (PARTITIONED,), _come_and_go(_DETACH, _ATTACH), keeps=True, comes_and_goes=True),
    Writer(
        "detach_concurrently",
        (PARTITIONED,),
        _come_and_go(f"{_DETACH} CONCURRENTLY", _ATTACH),
        in_transaction=False,
        locks=False,
        keeps=True,
        comes_and_goes=True,
    ),
    Writer("exchange_children", (CHILD,), _exchange_children),
    Writer(
        "no_inherit",
        (CHILD,),
        _come_and_go("reload.source NO INHERIT reload.object", "reload.source INHERIT reload.object"),
        keeps=True,
        comes_and_goes=True,
    ),
    Writer("other_view", (VIEW,), _other_view),
    Writer("swap_schemas", (TABLE,), _swap_schemas, locks=False),
    Writer("write_sql", (TABLE,), lambda _of, _generation: [], in_transaction=False, locks=False),
]


def set_up(connection: psycopg.Connection, of: Object) -> None:
    """Recreate the object with the first generation, and the tables that writers need."""
    for schema in ("reload", "reload_spare"):
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.execute(f"CREATE SCHEMA {schema}")
    for table in ("reload.source", "reload.next", "reload_spare.source"):
        connection.execute(new_table(table))
    connection.execute(insert("reload.source", 1))
    connection.execute("CREATE INDEX by_id ON reload.source (id)")
    if of.setup:
        connection.execute(of.setup.encode())
    connection.execute("ANALYZE reload.source")


@contextmanager
def writing(uri: str, writer: Writer, of: Object) -> Iterator[None]:
    """Write generations without a pause in a child process, until the end of the block."""
    command = [sys.executable, "-m", "tests.kit.reloads", uri, writer.name, of.name]
    folder = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            yield
            assert int(child.communicate(timeout=PATIENCE_S)[0]) > 0
        finally:
            child.kill()


def write_until(enough: threading.Event, uri: str, writer: Writer, of: Object) -> int:
    """Write generations until `enough` is set; return how many."""
    with psycopg.connect(uri, autocommit=True, application_name="writer") as connection:
        for generation in count(2):
            while not _written(connection, uri, writer, of, generation):
                pass
            if generation == 2:
                print("begun", flush=True)
            if enough.is_set():
                return generation - 1
    raise AssertionError


def _written(connection: psycopg.Connection, uri: str, writer: Writer, of: Object, generation: int) -> bool:
    """Write a generation; return `False` if the server ended it because of a deadlock with a reader."""
    try:
        if writer.name == "write_sql":
            industrydb.write_sql(as_frame(generation), "reload.source", uri, if_exists="replace")
            return True
        with connection.transaction() if writer.in_transaction else nullcontext():
            writer.run(connection, writer.statements(of, generation))
    except psycopg.errors.DeadlockDetected:
        return False
    return True


def as_frame(generation: int) -> pl.DataFrame:
    """Return a generation as a DataFrame."""
    ids = pl.int_range(1, height(generation) + 1, dtype=pl.Int32, eager=True).alias("id")
    generations = pl.lit(generation, pl.Int32).alias("generation")
    return ids.to_frame().with_columns(generations, (pl.col("id") * 7 + generation).alias("v"))


def main(uri: str, writer_name: str, object_name: str) -> None:
    """Write generations until standard input ends; print how many."""
    enough = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        enough.set()

    threading.Thread(target=wait).start()
    writer = next(writer for writer in WRITERS if writer.name == writer_name)
    of = next(of for of in writer.objects if of.name == object_name)
    print(write_until(enough, uri, writer, of))


if __name__ == "__main__":
    main(*sys.argv[1:])
