"""Without a key column, a table is split by where its rows are stored: each row once, or the query is refused."""

import logging
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError
from tests.kit.support import SqliteFile

POSTGRES = """
    DROP SCHEMA IF EXISTS physical CASCADE;
    DROP SCHEMA IF EXISTS plain CASCADE;
    CREATE SCHEMA physical;
    CREATE SCHEMA plain;
    SET search_path = physical;
    CREATE TABLE plain (id int, gone text, x int, plain text, ctid_old int,
        doubled int GENERATED ALWAYS AS (x * 2) STORED);
    INSERT INTO plain SELECT i, 'gone', i % 10, 'row ' || i, i FROM generate_series(1, 3000) AS i;
    ALTER TABLE plain DROP COLUMN gone;
    CREATE INDEX ON plain (id);
    CREATE INDEX ON plain (x);
    CREATE TABLE plain.plain (id int, x int);
    INSERT INTO plain.plain SELECT -i, i % 10 FROM generate_series(1, 2000) AS i;
    CREATE TABLE "A ""quoted"" name" (id int, x int, "A ""quoted"" name" text);
    INSERT INTO "A ""quoted"" name" SELECT i, i % 10, 'q' || i FROM generate_series(1, 2000) AS i;
    CREATE TABLE "Plain" (id int);
    INSERT INTO "Plain" SELECT i + 10000 FROM generate_series(1, 2000) AS i;
    CREATE TABLE empty (id int);
    CREATE TABLE parts (id int, x int) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (100);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (2900) PARTITION BY LIST (x);
    CREATE TABLE parts_2_a PARTITION OF parts_2 FOR VALUES IN (1, 2, 3);
    CREATE TABLE parts_2_b PARTITION OF parts_2 DEFAULT;
    CREATE TABLE parts_3 PARTITION OF parts DEFAULT;
    INSERT INTO parts SELECT i, i % 10 FROM generate_series(1, 3000) AS i;
    CREATE TABLE parent (id int, x int);
    CREATE TABLE child (more text) INHERITS (parent);
    INSERT INTO parent SELECT i, i % 10 FROM generate_series(1, 1000) AS i;
    INSERT INTO child SELECT i, i % 10, 'child' FROM generate_series(1001, 5000) AS i;
    CREATE TABLE holes AS SELECT i AS id, repeat('x', 500) AS pad FROM generate_series(1, 5000) AS i;
    DELETE FROM holes WHERE id % 7 > 0 OR id BETWEEN 1000 AND 3000;
    CREATE MATERIALIZED VIEW kept AS SELECT id, x FROM plain WHERE id < 2500;
    CREATE VIEW seen AS SELECT id, x FROM plain;
    CREATE VIEW named_plain AS SELECT * FROM plain WHERE id > 10;
    CREATE FUNCTION twice(plain) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.id * 2';
    CREATE FUNCTION rows_of_plain() RETURNS SETOF plain LANGUAGE sql STABLE AS 'SELECT * FROM physical.plain';
    CREATE FUNCTION counted() RETURNS int8 LANGUAGE sql STABLE AS 'SELECT count(*) FROM physical.plain';
    ANALYZE plain; ANALYZE parent; ANALYZE child;
    RESET search_path;
"""

PATH = "SET search_path = physical"


@pytest.fixture(scope="module")
def tables(postgres: psycopg.Connection) -> psycopg.Connection:
    """Create tables of all kinds."""
    postgres.execute(POSTGRES)
    postgres.execute("VACUUM FULL pg_class")  # other tests leave empty blocks
    return postgres


def read_by(
    connection: psycopg.Connection, query: str, parameters: Sequence[object] = ()
) -> Counter[tuple[object, ...]]:
    """Return the rows as psycopg reads them, with the tables in the search path."""
    with connection.transaction():
        connection.execute(PATH.replace("SET", "SET LOCAL"))
        with psycopg.RawCursor(connection) as cursor:
            return Counter(cursor.execute(query, parameters).fetchall())


SPLIT = [
    "SELECT id, x FROM plain",
    "SELECT * FROM plain",
    "TABLE plain",
    "(SELECT id FROM plain)",
    "SELECT id FROM physical.plain -- the end",
    'SELECT id FROM "physical" . "plain"',
    "SELECT id FROM PHYSICAL.Plain;",
    "SELECT id FROM physical /* a */ . /* . b */ plain",
    "SELECT physical.plain.id, plain.plain FROM physical.plain",
    "SELECT p.id, p.plain AS other, plain FROM plain AS p",
    "SELECT id AS plain FROM plain AS physical",
    "SELECT physical.plain FROM plain AS physical",
    "SELECT a, c FROM plain AS z (a, b, c)",
    "SELECT id + x AS s, id FROM plain WHERE x IN (3, 4) AND plain LIKE 'row%'",
    "SELECT id FROM plain WHERE ctid_old > 10",
    "SELECT id FROM plain WHERE plain <> 'ctid'",
    "SELECT id FROM plain WHERE random() >= 0",
    "SELECT id, generate_series(1, x) AS g FROM plain",
    "SELECT id FROM (SELECT id, x FROM plain WHERE x > 1) AS s WHERE x < 7",
    "SELECT doubled, id FROM plain",
    "SELECT id, CASE WHEN x > 4 THEN 'limit' END AS \"LIMIT\" FROM plain",
    "SELECT id, counted() AS n FROM plain",
    "SELECT id FROM plain.plain",
    "SELECT plain.plain.id FROM plain.plain",
    'SELECT id, "A ""quoted"" name" FROM "A ""quoted"" name"',
    'SELECT id FROM "Plain"',
    "SELECT id, x FROM parts",
    "SELECT id FROM parts_2",
    "SELECT id, x FROM parent",
    "SELECT id, x FROM parent *",
    "SELECT id FROM child",
    "SELECT id FROM holes",
    "SELECT id, x FROM kept",
    "SELECT oid, relname::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace",
]

EITHER = [
    "SELECT id, x FROM parts WHERE id < 100",
    "SELECT p.id FROM plain AS p, LATERAL (SELECT p.id AS other) AS q",
    "SELECT twice(p.*) AS t, id FROM plain AS p",
    "SELECT id FROM ONLY parent",
    "SELECT id FROM ONLY (parent)",
    "SELECT id FROM ONLY physical.parent",
    'SELECT id FROM physical."A ""quoted"" name"',
    'SELECT id FROM physical."A ""quoted"" name" WHERE "A ""quoted"" name" <> \'ctid\'',
    "SELECT id FROM physical.U&\"\\0070lain\" WHERE plain <> 'ctid'",
    "SELECT id FROM U&\"\\0070lain\" WHERE plain <> 'ctid'",
    "SELECT id FROM postgres.physical.plain",
    "SELECT id FROM postgres.physical.plain WHERE ctid_old > 0",
    "SELECT id, p::text AS t, to_json(p)::text AS j FROM plain AS p",
    "SELECT id FROM plain WHERE false",
    "SELECT id FROM plain WHERE id = 77",
    "SELECT id FROM plain WHERE id < 77 OR x = 5",
    "SELECT id FROM empty",
    "SELECT p.id FROM plain.plain AS p, physical.plain AS q WHERE q.ctid_old < 0",
    "SELECT id, (SELECT 'ctid') AS c FROM plain",
    "SELECT id FROM plain WHERE EXISTS (SELECT 1)",
    "SELECT id FROM plain WHERE id IN (VALUES (1), (2))",
    "SELECT id FROM rows_of_plain()",
    "SELECT id FROM rows_of_plain() AS plain WHERE plain.ctid_old > 0",
    "SELECT id FROM LATERAL (SELECT id FROM plain) AS q",
    "SELECT id FROM ROWS FROM (rows_of_plain()) AS q",
    "SELECT id, tableoid::regclass::text AS t FROM parent",
    "SELECT id FROM plain TABLESAMPLE SYSTEM (100)",
    "SELECT id FROM named_plain WHERE ctid_old > 1",
    "SELECT id FROM plain WHERE x = (SELECT q.x FROM plain.plain AS q WHERE q.id = -5)",
    "SELECT id FROM plain WHERE (SELECT count(*) FROM plain AS q WHERE q.id = plain.id AND q.ctid_old > 0) = 1",
    "SELECT id, ARRAY(SELECT q.id FROM plain AS q WHERE q.id = 5) AS a FROM plain",
]

REFUSED = [
    "SELECT id FROM seen",
    "SELECT p.id FROM plain AS p JOIN parent AS q USING (id)",
    "SELECT p.id FROM plain AS p, parent AS q WHERE p.id = q.id",
    "SELECT p.id FROM plain AS p, plain AS q WHERE p.id = q.id AND p.ctid_old = 1 AND q.ctid_old = 1",
    "SELECT p.id FROM plain AS p NATURAL JOIN plain AS q",
    "SELECT count(*) AS n FROM plain",
    "SELECT max(id) AS m FROM plain",
    "SELECT x, count(*) AS n FROM plain GROUP BY x",
    "SELECT x FROM plain GROUP BY x",
    "SELECT DISTINCT x FROM plain",
    "SELECT DISTINCT ON (x) x, id FROM plain",
    "SELECT id FROM plain UNION SELECT id FROM parent",
    "SELECT id FROM plain UNION ALL SELECT id FROM plain",
    "SELECT id FROM plain INTERSECT SELECT id FROM parent",
    "SELECT id FROM plain EXCEPT ALL SELECT id FROM parent",
    "SELECT id, row_number() OVER () AS n FROM plain",
    "SELECT id, sum(x) OVER w AS n FROM plain WINDOW w AS (ORDER BY id)",
    "SELECT id FROM plain ORDER BY id",
    "WITH q AS (SELECT id FROM plain) SELECT id FROM q",
    "SELECT id FROM plain WHERE x > (SELECT avg(x) FROM plain)",
    "SELECT id FROM plain WHERE id IN (SELECT x FROM plain)",
    "SELECT id FROM plain WHERE EXISTS (SELECT 1 FROM physical.plain AS q WHERE q.x = plain.id)",
    "SELECT id, (SELECT max(q.id) FROM plain AS q) AS m FROM plain",
    "SELECT id, ARRAY(SELECT q.id FROM plain AS q WHERE q.id < 5) AS a FROM plain",
    "SELECT ctid::text AS c, id FROM plain",
    "SELECT xmin::text AS c, id FROM plain",
    "SELECT id FROM plain WHERE ctid > '(1,1)'",
    "SELECT 1 AS one FROM plain",
    "SELECT 1 AS one",
    "SELECT id + 1 AS more FROM plain",
    "SELECT i FROM generate_series(1, 100) AS i",
    "VALUES (1), (2)",
]


@pytest.mark.parametrize("arguments", [{}, {"snapshot": False}], ids=["snapshot", "alone"])
@pytest.mark.parametrize("query", SPLIT)
def test_postgres_tables_are_split(
    tables: psycopg.Connection, postgres_uri: str, query: str, arguments: dict[str, Any]
) -> None:
    """A table is read in several partitions without a key, and each row once."""
    frame = industrydb.read_sql(postgres_uri, query, partitions=4, pre_execution_query=PATH, **arguments)
    assert Counter(frame.rows()) == read_by(tables, query)
    assert len(set(frame.rows())) > 10
    assert 1 < frame.n_chunks() <= 4


@pytest.mark.parametrize("partitions", [2, 3, 64])
@pytest.mark.parametrize("query", [*EITHER, *REFUSED])
def test_postgres_rows_are_never_wrong(
    tables: psycopg.Connection, postgres_uri: str, query: str, partitions: int
) -> None:
    """A query returns the right rows, split or not, or is refused with advice to use `partition_on`."""
    try:
        frame = industrydb.read_sql(postgres_uri, query, partitions=partitions, pre_execution_query=PATH)
    except ConfigurationError as error:
        assert "partition_on" in str(error)  # noqa: PT017
        return
    expected = read_by(tables, query)
    assert Counter(tuple(map(str, row)) for row in frame.rows()) == Counter(
        tuple(map(str, row)) for row in expected.elements()
    )


@pytest.mark.parametrize("query", REFUSED)
@pytest.mark.usefixtures("tables")
def test_postgres_queries_that_are_more_than_a_table(postgres_uri: str, query: str) -> None:
    """A query that is more than a table's rows is refused, with advice to use `partition_on`."""
    with pytest.raises(ConfigurationError, match="partition_on"):
        industrydb.read_sql(postgres_uri, query, partitions=4, pre_execution_query=PATH)


def test_postgres_parameters(tables: psycopg.Connection, postgres_uri: str) -> None:
    """Parameters are bound in each partition."""
    query = "SELECT id, $2::text AS t FROM plain WHERE x = $1 AND plain LIKE $2"
    parameters = (3, "row%")
    frame = industrydb.read_sql(postgres_uri, query, params=parameters, partitions=4, pre_execution_query=PATH)
    assert Counter(frame.rows()) == read_by(tables, query, parameters)
    assert frame.n_chunks() > 1


@pytest.mark.parametrize("setting", ["enable_seqscan", "enable_tidscan", "enable_indexscan", "enable_bitmapscan"])
@pytest.mark.parametrize(
    "query", ["SELECT id FROM plain", "SELECT id FROM plain WHERE id < 500", "SELECT id FROM parts"]
)
def test_postgres_plans_of_other_kinds(tables: psycopg.Connection, postgres_uri: str, setting: str, query: str) -> None:
    """Each row is read once, whichever scan the server chooses."""
    setup = [PATH, f"SET {setting} = off"]
    frame = industrydb.read_sql(postgres_uri, query, partitions=4, pre_execution_query=setup)
    assert Counter(frame.rows()) == read_by(tables, query)


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("split", [{}, {"partition_on": "id"}], ids=["physical", "key"])
@pytest.mark.parametrize("name", ["own", "pg_temp.own"])
def test_postgres_temporary_tables(postgres_uri: str, name: str, split: dict[str, Any], snapshot: bool) -> None:  # noqa: FBT001
    """A table that each session has made for itself is read as a whole, or the read is refused."""
    setup = "CREATE TEMP TABLE own AS SELECT i AS id, 'x' AS note FROM generate_series(1, 3000) AS i"
    query = f"SELECT id FROM {name} WHERE note <> 'ctid'"
    try:
        frame = industrydb.read_sql(
            postgres_uri, query, partitions=4, pre_execution_query=setup, snapshot=snapshot, **split
        )
    except industrydb.IndustryDbError:
        return
    assert sorted(frame["id"]) == list(range(1, 3001))


# SQLite

SQLITE = """
    CREATE TABLE plain (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, plain TEXT, doubled AS (x * 2));
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
        INSERT INTO plain SELECT n, n * 7 % 3000, n * 11 % 3000, 'row ' || n FROM c;
    CREATE INDEX plain_x ON plain (x);
    CREATE INDEX plain_y ON plain (y);
    CREATE TABLE rowids (rowid TEXT, x INTEGER);
    INSERT INTO rowids SELECT 'r' || id, x FROM plain;
    CREATE TABLE no_rowids (rowid TEXT, _ROWID_ TEXT, "Oid" TEXT);
    INSERT INTO no_rowids SELECT id, x, y FROM plain;
    CREATE TABLE keys (a TEXT, b INTEGER, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
    INSERT INTO keys SELECT 'k' || x, id, plain FROM plain;
    CREATE TABLE falling (a INTEGER, b INTEGER, PRIMARY KEY (a DESC, b)) WITHOUT ROWID;
    INSERT INTO falling SELECT x, id FROM plain;
    CREATE TABLE extremes (x INTEGER);
    INSERT INTO extremes (rowid, x) VALUES (-9223372036854775808, 1), (9223372036854775807, 2), (0, 3);
    INSERT INTO extremes (rowid, x) SELECT -id, x FROM plain;
    CREATE TABLE empty (x);
    CREATE TABLE "A ""quoted"" name" ("A ""quoted"" name" TEXT, x INTEGER);
    INSERT INTO "A ""quoted"" name" SELECT plain, x FROM plain;
    CREATE VIEW seen AS SELECT id, x FROM plain;
    CREATE VIEW few AS SELECT id, x FROM plain ORDER BY random() LIMIT 50;
    CREATE TABLE other (id INTEGER, x INTEGER);
    INSERT INTO other SELECT id, x FROM plain;
    CREATE VIRTUAL TABLE words USING fts5 (word);
    INSERT INTO words SELECT plain FROM plain;
    CREATE VIRTUAL TABLE boxes USING rtree (id, low, high);
    INSERT INTO boxes SELECT id, x, x + 1 FROM plain;
"""


@pytest.fixture(scope="module")
def file(shared_sqlite_file: SqliteFile) -> SqliteFile:
    """Create tables of all kinds."""
    shared_sqlite_file.connection.executescript(SQLITE)
    return shared_sqlite_file


SQLITE_SPLIT = [
    "SELECT id, x FROM plain",
    "SELECT * FROM plain;",
    "SELECT doubled, id FROM plain",
    "SELECT id FROM main.plain -- the end",
    'SELECT "main"."plain".id FROM [main] . `plain`',
    "SELECT id FROM MAIN.Plain",
    "SELECT p.id, plain FROM plain AS p WHERE x < 2000",
    "SELECT main.plain FROM plain AS main",
    "SELECT id FROM plain NOT INDEXED WHERE y % 3",
    "SELECT id FROM plain WHERE x < 500 OR y < 500",
    "SELECT x FROM plain",
    "SELECT id FROM (SELECT id, x FROM plain WHERE x > 100) WHERE x < 700",
    "SELECT rowid, x FROM rowids",
    "SELECT a, b FROM keys",
    "SELECT b, c FROM main.keys WHERE b % 2",
    "SELECT a, b FROM falling",
    "SELECT x FROM extremes",
    'SELECT "A ""quoted"" name", x FROM "A ""quoted"" name"',
]

SQLITE_EITHER = [
    "SELECT id FROM plain WHERE x IN (1, 2, 3)",
    "SELECT id FROM plain WHERE 0",
    "SELECT x FROM empty",
    "SELECT rowid, _ROWID_, Oid FROM no_rowids",
    "SELECT id FROM plain INDEXED BY plain_x WHERE x < 50",
    'SELECT x FROM main."A ""quoted"" name"',
    "SELECT rowid, x FROM other",
    "SELECT oid FROM other",
    "SELECT _rowid_ AS r FROM plain",
    "SELECT other.rowid AS r FROM other",
    "SELECT id FROM seen",
    "SELECT s.id FROM seen AS s, plain AS p WHERE p.id = s.id",
    "SELECT word FROM words",
    "SELECT word FROM words WHERE words MATCH 'row'",
    "SELECT id FROM boxes",
    "SELECT name FROM sqlite_schema",
    "SELECT name FROM main.sqlite_schema WHERE type = 'table'",
    "SELECT id FROM plain WHERE (x, y) IN (SELECT x, y FROM other)",
    "SELECT id FROM plain WHERE id IN (SELECT id FROM other WHERE id < 50)",
    "SELECT p.plain FROM plain AS p, plain AS q WHERE q.x = p.id",
    "SELECT p.x FROM plain AS p, plain AS q WHERE q.y = p.x",
    "SELECT plain FROM plain WHERE id IN (SELECT x FROM plain)",
    "SELECT plain FROM plain WHERE id IN (SELECT x FROM plain WHERE x < 50)",
    "SELECT plain FROM plain WHERE EXISTS (SELECT 1 FROM plain AS q WHERE q.x = plain.id AND q.x < 50)",
    "SELECT plain FROM plain WHERE id NOT IN (SELECT x FROM plain WHERE x < 2500)",
    "SELECT plain, (SELECT q.x FROM plain AS q WHERE q.x > plain.id) AS z FROM plain",
    "SELECT x FROM plain WHERE x NOT IN (SELECT y FROM plain WHERE y < 2500)",
    "SELECT p.a FROM keys AS p, keys AS q WHERE q.a = p.c",
    "SELECT id FROM plain WHERE plain = (SELECT 'row 5')",
]

SQLITE_REFUSED = [
    "SELECT p.id FROM plain AS p JOIN other AS q USING (id)",
    "SELECT p.id FROM plain AS p, other AS q WHERE p.id = q.id",
    "SELECT count(*) AS n FROM plain",
    "SELECT max(id) AS n FROM plain",
    "SELECT x, max(id) AS n FROM plain",
    "SELECT x FROM plain GROUP BY x",
    "SELECT DISTINCT x FROM plain",
    "SELECT id FROM plain UNION SELECT id FROM other",
    "SELECT id FROM plain UNION ALL SELECT id FROM plain",
    "SELECT id FROM plain EXCEPT SELECT x FROM other",
    "SELECT id, row_number() OVER () AS n FROM plain",
    "SELECT id FROM plain ORDER BY x",
    "WITH q AS (SELECT id FROM plain) SELECT id FROM q",
    "SELECT id FROM plain WHERE x > (SELECT avg(x) FROM plain)",
    "SELECT id FROM plain WHERE x = (SELECT max(x) FROM plain)",
    "SELECT 1 AS one FROM plain",
    "SELECT 1 AS one",
    "VALUES (1), (2)",
]


@pytest.mark.parametrize("query", SQLITE_SPLIT)
def test_sqlite_tables_are_split(file: SqliteFile, query: str) -> None:
    """A table is read in several partitions without a key, and each row once."""
    expected = Counter(file.connection.execute(query).fetchall())
    for partitions in (4, 33):
        frame = industrydb.read_sql(file.uri, query, partitions=partitions)
        assert Counter(frame.rows()) == expected
        assert 1 < frame.n_chunks() <= partitions


@pytest.mark.parametrize("query", [*SQLITE_EITHER, *SQLITE_REFUSED])
def test_sqlite_rows_are_never_wrong(file: SqliteFile, query: str) -> None:
    """A query returns the right rows, split or not, or is refused with advice to use `partition_on`."""
    try:
        frame = industrydb.read_sql(file.uri, query, partitions=3)
    except ConfigurationError as error:
        assert "partition_on" in str(error)  # noqa: PT017
        return
    assert Counter(frame.rows()) == Counter(file.connection.execute(query).fetchall())


@pytest.mark.parametrize("query", SQLITE_REFUSED)
def test_sqlite_queries_that_are_more_than_a_table(file: SqliteFile, query: str) -> None:
    """A query that is more than a table's rows is refused, with advice to use `partition_on`."""
    with pytest.raises(ConfigurationError, match="partition_on"):
        industrydb.read_sql(file.uri, query, partitions=4)


def test_sqlite_parameters(file: SqliteFile) -> None:
    """Parameters are bound in each partition."""
    query = "SELECT id, :t AS t FROM plain WHERE x < :x AND plain LIKE :t"
    values = {"x": 1000, "t": "row%"}
    frame = industrydb.read_sql(file.uri, query, params=values, partitions=4)
    assert Counter(frame.rows()) == Counter(file.connection.execute(query, values).fetchall())
    assert frame.n_chunks() > 1


@pytest.mark.parametrize("rows", [1, 10, 300, 700, 1500, 6000])
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_sqlite_tables_of_few_pages(sqlite_file: SqliteFile, rows: int, page_size: int) -> None:
    """A table gets the requested number of even partitions, whether its B-tree has many pages or few."""
    connection = sqlite_file.connection
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("CREATE TABLE sized (x INTEGER)")
    connection.executemany("INSERT INTO sized VALUES (?)", [(n,) for n in range(rows)])
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT x FROM sized", partitions=8)
    assert sorted(frame["x"]) == list(range(rows))
    heights = [len(chunk) for chunk in frame["x"].get_chunks()]
    assert len(heights) == min(rows, 8)
    assert max(heights) <= max(2 * rows / 8, 1)


@pytest.mark.parametrize("split", [{}, {"partition_on": "x"}], ids=["physical", "key"])
@pytest.mark.parametrize(
    ("setup", "name"),
    [
        ("CREATE TEMP TABLE own AS SELECT x FROM plain", "own"),
        ("CREATE TEMP TABLE own AS SELECT x FROM plain", "temp.own"),
        ("CREATE TEMP TABLE other AS SELECT x FROM plain WHERE x < 1000", "other"),
        ("CREATE TEMP TABLE other AS SELECT x FROM plain WHERE x < 1000", "main.other"),
        ("CREATE TEMP VIEW own AS SELECT x FROM plain", "own"),
        ("CREATE TEMP VIEW plain AS SELECT id, x FROM main.plain WHERE x < 500", "plain"),
        ("CREATE TEMP VIEW plain AS SELECT id, x + 100 AS x FROM main.plain", "plain"),
        ("CREATE TEMP VIEW plain AS SELECT id AS x, x AS id FROM main.plain", "plain"),
        ("CREATE TEMP VIEW plain AS SELECT id AS x, x AS id FROM main.plain", "main.plain"),
    ],
)
def test_sqlite_temporary_tables(file: SqliteFile, setup: str, name: str, split: dict[str, Any]) -> None:
    """Temporary tables and views hide tables of the file, unless the query names the file's schema."""
    with sqlite3.connect(file.path) as connection:
        connection.execute(setup)
        expected = sorted(connection.execute(f"SELECT x FROM {name}").fetchall())
    connection.close()
    try:
        frame = industrydb.read_sql(file.uri, f"SELECT x FROM {name}", partitions=4, pre_execution_query=setup, **split)
    except ConfigurationError:
        assert "VIEW" in setup
        return
    assert sorted(frame.rows()) == expected
    assert frame.n_chunks() > 1


# Both databases


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, x FROM plain ORDER BY id LIMIT 7 OFFSET 3",
        "SELECT id FROM plain LIMIT 10",
        "SELECT id FROM plain WHERE x IN (SELECT x FROM plain ORDER BY x LIMIT 3)",
        "SELECT p.id FROM plain AS p JOIN plain AS q ON p.id = q.x ORDER BY 1 LIMIT 5",
    ],
)
@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_a_limit_makes_one_partition(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, database: str, query: str
) -> None:
    """A query with LIMIT is evaluated once, in one partition, and a warning says why."""
    setup = []
    if database == "postgres":
        connection, uri, setup = request.getfixturevalue("tables"), request.getfixturevalue("postgres_uri"), [PATH]
        expected = read_by(connection, query)
    else:
        source: SqliteFile = request.getfixturevalue("file")
        uri, expected = source.uri, Counter(source.connection.execute(query).fetchall())
    with caplog.at_level(logging.WARNING):
        frame = industrydb.read_sql(uri, query, partitions=4, pre_execution_query=setup)
    assert Counter(frame.rows()) == expected
    assert frame.n_chunks() == 1
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "LIMIT" in warnings[0].getMessage()
