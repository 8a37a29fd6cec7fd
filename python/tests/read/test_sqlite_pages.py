"""SQLite tables that are read by decoding their pages have the rows of sqlite3 and of industrydb's own step loop."""

import logging
import random
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import industrydb
from tests.kit.support import SqliteFile

DECODED = "decoding the pages of"
STEPPED = "stepping through the rows"


@pytest.fixture
def ways(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Log the way in which each partition is read."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def taken(ways: pytest.LogCaptureFixture) -> set[str]:
    """Return the ways that were taken since the last call."""
    messages = [record.getMessage() for record in ways.records]
    ways.clear()
    return {way for way in (DECODED, STEPPED) if any(way in message for message in messages)}


MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
# Makes a file large enough for its pages to be decoded.
LARGE = "CREATE TABLE large (b); INSERT INTO large VALUES (zeroblob(100000))"
TABLES = f"""
    CREATE TABLE plain (id INTEGER PRIMARY KEY, k INTEGER, r REAL, s TEXT, b BLOB);
    {MANY} INSERT INTO plain SELECT i * 2, i * 7919 % 1000, i / 8.0, 'text ' || i, zeroblob(i % 90) FROM n;
    CREATE TABLE keyed (s TEXT, k INTEGER, r REAL, PRIMARY KEY (k, s)) WITHOUT ROWID;
    INSERT INTO keyed SELECT s, k, r FROM plain;
    CREATE VIEW seen AS SELECT s AS t, k FROM plain;
"""


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("SELECT * FROM plain", "id"),
        ("SELECT * FROM plain", "k"),
        ("SELECT * FROM plain", "r"),
        ("SELECT * FROM plain", "s"),
        ("SELECT r, s, r AS q FROM plain AS p", "q"),
        ("SELECT * FROM keyed", "k"),
        ("SELECT r, s FROM keyed", "s"),
        ("SELECT * FROM seen", "k"),
        ("WITH x AS (SELECT * FROM plain) SELECT k, s FROM x", "k"),
    ],
)
def test_plain_tables_are_decoded(
    sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture, query: str, key: str
) -> None:
    """A plain table is decoded whole, in partitions, in batches and by a scan, with sqlite3's rows in its order."""
    sqlite_file.connection.executescript(TABLES)
    expected = sqlite_file.connection.execute(query).fetchall()
    assert industrydb.read_sql(sqlite_file.uri, query).rows() == expected
    assert taken(ways) == {DECODED}
    plan = industrydb.plan_sql(sqlite_file.uri, query, partition_on=key, partitions=3)
    assert plan.way is not None
    assert plan.way.startswith(DECODED)
    assert plan.way in plan.explain()
    in_parts = [row for sql in plan.sql for row in sqlite_file.connection.execute(sql)]
    taken(ways)
    assert industrydb.read_sql(sqlite_file.uri, query, partition_on=key, partitions=3).rows() == in_parts
    assert taken(ways) == {DECODED}
    batches = industrydb.read_sql_batches(sqlite_file.uri, query, batch_size=777)
    assert [row for batch in batches for row in batch.rows()] == expected
    assert taken(ways) == {DECODED}
    assert [row for index in range(len(plan)) for row in plan.read(index).rows()] == in_parts
    assert taken(ways) == {DECODED}
    assert industrydb.scan_sql(sqlite_file.uri, query).select(key).collect().height == len(expected)
    assert taken(ways) == {DECODED}


@pytest.mark.parametrize("table", ["plain", "keyed"])
def test_parts_of_the_tables_own_rows_are_decoded(
    sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture, table: str
) -> None:
    """Without a key, a table is divided by its rowid or its primary key, and decoded."""
    sqlite_file.connection.executescript(TABLES)
    expected = sqlite_file.connection.execute(f"SELECT * FROM {table}").fetchall()
    assert industrydb.read_sql(sqlite_file.uri, f"SELECT * FROM {table}", partitions=4).rows() == expected
    assert taken(ways) == {DECODED}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM plain LIMIT -1",
        "SELECT id + 0 AS id FROM plain",
        "SELECT * FROM plain WHERE k > 5",
        "SELECT * FROM plain ORDER BY id DESC",
        "SELECT p.s FROM plain AS p, keyed AS q WHERE p.id = q.k",
        "SELECT s FROM plain UNION ALL SELECT s FROM keyed",
        "SELECT count(*) FROM plain",
        "SELECT name FROM sqlite_schema",
    ],
)
def test_everything_else_is_stepped(sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture, query: str) -> None:
    """All other queries are read by the step loop, with sqlite3's rows."""
    sqlite_file.connection.executescript(TABLES)
    expected = sqlite_file.connection.execute(query).fetchall()
    assert sorted(industrydb.read_sql(sqlite_file.uri, query).rows()) == sorted(expected)
    assert taken(ways) == {STEPPED}


def test_texts_in_utf16_are_stepped(tmp_path: Path, ways: pytest.LogCaptureFixture) -> None:
    """A UTF-16 file is read by the step loop: its header tells the encoding, its bytecode does not."""
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (s); INSERT INTO t VALUES ('ä')")
    assert industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM t").rows() == [("ä",)]
    assert taken(ways) == {STEPPED}


def test_a_covering_index_is_stepped(sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture) -> None:
    """A covering index is read by the step loop, although its program looks like that of a table."""
    sqlite_file.connection.executescript("CREATE TABLE t (a, b); INSERT INTO t VALUES (2, 1), (1, 2)")
    sqlite_file.connection.executescript(f"CREATE INDEX by_a ON t (a); {LARGE}")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT a FROM t").rows() == [(1,), (2,)]
    assert taken(ways) == {STEPPED}
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").rows() == [(2, 1), (1, 2)]
    assert taken(ways) == {DECODED}


def test_an_index_is_used_for_many_partitions(sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture) -> None:
    """Many partitions use an index on their key; without one, each partition costs a pass over the table."""
    sqlite_file.connection.executescript(TABLES)
    query = "SELECT * FROM plain"
    expected = sorted(sqlite_file.connection.execute(query).fetchall())
    for index, few, many in (("", DECODED, DECODED), ("CREATE INDEX by_k ON plain (k)", DECODED, STEPPED)):
        sqlite_file.connection.execute(index)
        for partitions, way in ((3, few), (20, many)):
            frame = industrydb.read_sql(sqlite_file.uri, query, partition_on="k", partitions=partitions)
            assert sorted(frame.rows()) == expected
            assert taken(ways) == {way}
            by_key = industrydb.read_sql(sqlite_file.uri, query, partition_on="id", partitions=partitions)
            assert by_key.rows() == expected
            assert taken(ways) == {DECODED}


def test_rows_that_only_the_log_has_are_decoded(tmp_path: Path, ways: pytest.LogCaptureFixture) -> None:
    """Rows that are only in the log, which no checkpoint has copied, are decoded through SQLite's own pager."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    with closing(sqlite3.connect(first, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.executescript(TABLES)
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("UPDATE plain SET s = 'changed' WHERE k % 2")
        connection.execute("DELETE FROM keyed WHERE k < 500")
        expected = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("plain", "keyed")]
        for end in ("", "-wal"):
            shutil.copy(f"{first}{end}", f"{second}{end}")
    for table, rows in zip(("plain", "keyed"), expected, strict=True):
        for partitions in (1, 3):
            frame = industrydb.read_sql(f"sqlite://{second}", f"SELECT * FROM {table}", partitions=partitions)
            assert frame.rows() == rows
            assert taken(ways) == {DECODED}


def test_messages_are_those_of_the_step_loop(sqlite_file: SqliteFile) -> None:
    """A value that does not fit raises the step loop's message, with the same column, row and remedy."""
    sqlite_file.connection.executescript(
        f"CREATE TABLE t (a INTEGER, s TEXT, n INTEGER); {MANY} INSERT INTO t SELECT i, 'x', i FROM n; "
        "UPDATE t SET s = CAST(x'ff' AS TEXT) WHERE a = 4000; UPDATE t SET n = 'late' WHERE a = 3000"
    )
    for columns, overrides in [
        ("s, a", {}),
        ("n", {"n": pl.Int64}),
        ("n, s", {"n": pl.Int64}),
        ("s, n", {"n": pl.Int64}),
    ]:
        messages = []
        for end in ("", " LIMIT -1"):
            with pytest.raises(industrydb.TypeConversionError) as raised:
                industrydb.read_sql(sqlite_file.uri, f"SELECT {columns} FROM t{end}", schema_overrides=overrides)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]


# Values of one storage class each, by the declared type.
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300),
    "REAL": st.floats(allow_nan=False) | st.integers(-1000, 1000).map(float),
    "TEXT": st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.integers(0, 5000).map(lambda length: "ä" * length),
    "BLOB": st.binary(max_size=40) | st.integers(0, 70_000).map(bytes),
}


@settings(max_examples=150)
@given(st.data())
def test_random_tables_are_those_of_sqlite3(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random tables have sqlite3's rows: any page size, key and length, after deletes, VACUUM and altered columns."""
    path = tmp_path_factory.mktemp("random") / "t.db"
    types = data.draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=2, max_size=5))
    names = [f"c{number}" for number in range(len(types))]
    kind = data.draw(st.sampled_from(["rowid", "alias", "keyed", "descending"]))
    key = {
        "rowid": "",
        "alias": ", id INTEGER PRIMARY KEY",
        "keyed": ", PRIMARY KEY (c1, c0)",
        "descending": ", PRIMARY KEY (c1 DESC)",
    }[kind]
    made = " WITHOUT ROWID" if kind in ("keyed", "descending") else ""
    rows = st.lists(st.tuples(*(COLUMNS[declared] for declared in types)), max_size=60)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {data.draw(st.sampled_from([512, 1024, 4096, 65_536]))}")
        connection.execute(f"PRAGMA auto_vacuum = {data.draw(st.integers(0, 2))}")
        columns = ", ".join(f"{name} {declared}" for name, declared in zip(names, types, strict=True))
        connection.execute(f"CREATE TABLE t ({columns}{key}){made}")
        insert = f"INSERT OR IGNORE INTO t ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        connection.execute("BEGIN")
        connection.executemany(insert, data.draw(rows))
        connection.execute("COMMIT")
        for step in data.draw(st.lists(st.sampled_from(["delete", "vacuum", "add", "insert", "drop"]), max_size=4)):
            if step == "delete":
                connection.execute("DELETE FROM t WHERE length(c0) % 2")
            elif step == "vacuum":
                connection.execute("VACUUM")
            elif step == "insert":
                connection.executemany(insert, data.draw(rows))
            elif step == "add" and "late" not in names:
                connection.execute(
                    f"ALTER TABLE t ADD COLUMN late {data.draw(st.sampled_from(['REAL DEFAULT 7', 'TEXT']))}"
                )
                names.append("late")
            elif step == "drop" and "late" in names:
                connection.execute("ALTER TABLE t DROP COLUMN late")
                names.remove("late")
        if data.draw(st.booleans()):
            connection.execute("PRAGMA journal_mode = WAL")
        some = ", ".join(data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)))
        expected = [connection.execute(f"SELECT {wanted} FROM t").fetchall() for wanted in ("*", some)]
    uri = f"sqlite://{path}"
    for wanted, rows_expected in zip(("*", some), expected, strict=True):
        frame = industrydb.read_sql(uri, f"SELECT {wanted} FROM t")
        assert frame.rows() == rows_expected
        assert_frame_equal(frame, industrydb.read_sql(uri, f"SELECT {wanted} FROM t LIMIT -1"))
    on = data.draw(st.sampled_from(names[:2]))
    parts = industrydb.read_sql(uri, "SELECT * FROM t", partition_on=on, partitions=3)
    assert sorted(map(repr, parts.rows())) == sorted(map(repr, expected[0]))


def code_of_a_read(uri: str, table: str, partitions: int) -> str | None:
    """Read a table; return SQLite's code of the error that is raised, or `None`."""
    try:
        industrydb.read_sql(uri, f"SELECT * FROM {table}", partitions=partitions)
    except industrydb.IndustryDbError as error:
        return error.code
    return None


def test_damaged_files_raise_and_end(tmp_path: Path) -> None:
    """Files with random damage are read, or raise an error with SQLite's code, and nothing else happens."""
    path, damaged = tmp_path / "whole.db", tmp_path / "damaged.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.executescript(TABLES.replace("5000", "300"))
    whole = path.read_bytes()
    codes = set()
    for seed in range(150):
        numbers = random.Random(seed)  # noqa: S311, damage need not be secret
        content = bytearray(whole)
        for _ in range(numbers.choice([1, 5, 50])):
            at = numbers.randrange(4096, len(content))
            content[at] = numbers.randrange(256)
        if seed % 10 == 0:
            del content[numbers.randrange(4096, len(content)) :]
        damaged.write_bytes(content)
        for table in ("plain", "keyed"):
            for partitions in (1, 3):
                codes.add(code_of_a_read(f"sqlite://{damaged}", table, partitions))
    assert "SQLITE_CORRUPT" in codes


def test_a_tree_in_a_circle_raises(tmp_path: Path) -> None:
    """An inner page that points to itself makes the read raise, and not loop endlessly."""
    path = tmp_path / "circle.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.executescript(TABLES.replace("5000", "300"))
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'plain'").fetchone()
    content = bytearray(path.read_bytes())
    start = (root - 1) * 512
    assert content[start] == 5  # an inner page of a table
    content[start + 8 : start + 12] = struct.pack(">I", root)
    path.write_bytes(content)
    with pytest.raises(industrydb.QueryExecutionError, match="malformed: page"):
        industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM plain")


def leaves(data: bytes | bytearray, page_size: int) -> list[int]:
    """Return the offsets of the leaf pages of tables and of keys."""
    return [at for at in range(page_size, len(data), page_size) if data[at] in (10, 13)]


@pytest.mark.parametrize("table", ["t (a INTEGER PRIMARY KEY, b)", "t (a INTEGER PRIMARY KEY, b) WITHOUT ROWID"])
@pytest.mark.parametrize("place", ["leaf", "root"])
@pytest.mark.parametrize("split", [{}, {"partition_on": "a", "partitions": 2, "partition_range": (1, 3000)}], ids=str)
def test_a_page_that_has_lost_its_cells_raises(tmp_path: Path, table: str, place: str, split: dict[str, Any]) -> None:
    """A page without cells raises, as in sqlite3; only a table without rows may have one."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        script = f"PRAGMA page_size = 512; CREATE TABLE {table}; {MANY} INSERT INTO t SELECT i, i FROM n"
        connection.executescript(script)
    data = bytearray(path.read_bytes())
    at = leaves(data, 512)[5] if place == "leaf" else 512  # the root is the second page
    data[at + 3 : at + 5] = bytes(2)
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.DatabaseError, match="malformed"):
        connection.execute("SELECT * FROM t").fetchall()
    with pytest.raises(industrydb.QueryExecutionError) as raised:
        industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM t", **split)
    assert raised.value.code == "SQLITE_CORRUPT"


@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 3}, {"partitions": 3}], ids=str)
def test_a_page_that_is_in_its_tree_twice_raises(tmp_path: Path, split: dict[str, Any]) -> None:
    """A page that is in its tree twice raises; sqlite3 returns its rows twice, and its integrity check says so."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"PRAGMA page_size = 512; CREATE TABLE t (i INTEGER, j); {MANY} INSERT INTO t SELECT i, i FROM n"
        )
    data = bytearray(path.read_bytes())
    inner = next(at for at in range(512, len(data), 512) if data[at] == 5 and at > 512)
    first, second = (int.from_bytes(data[inner + at : inner + at + 2], "big") for at in (12, 14))
    data[inner + second : inner + second + 4] = data[inner + first : inner + first + 4]
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM t").fetchall()
        assert len(set(rows)) < len(rows)
        assert connection.execute("PRAGMA integrity_check").fetchone() != ("ok",)
    with pytest.raises(industrydb.QueryExecutionError, match="rows that another page has too") as raised:
        industrydb.read_sql(f"sqlite://{path}", "SELECT * FROM t", **split)
    assert raised.value.code == "SQLITE_CORRUPT"


def test_a_table_without_rows_is_one_empty_page(sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture) -> None:
    """The one empty page of a table without rows is not taken for damage."""
    sqlite_file.connection.executescript(f"CREATE TABLE t (a); {LARGE}")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").shape == (0, 1)
    assert taken(ways) == {DECODED}


def test_small_files_are_stepped(sqlite_file: SqliteFile, ways: pytest.LogCaptureFixture) -> None:
    """A small file is read by the step loop: to find out how to decode it would take longer than to read it."""
    sqlite_file.connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").rows() == [(1,), (2,)]
    assert taken(ways) == {STEPPED}


@pytest.mark.parametrize("split", [{}, {"partition_on": "a", "partitions": 3}, {"partitions": 3}], ids=str)
def test_views_that_are_not_read_are_not_compiled(sqlite_file: SqliteFile, split: dict[str, Any]) -> None:
    """Views that are not read are not compiled, which would take far too long here, and cannot be interrupted."""
    views = [f"CREATE VIEW v{i} AS SELECT x.a, y.b FROM v{i - 1} x JOIN v{i - 1} y USING (a)" for i in range(1, 30)]
    script = f"CREATE TABLE t (a INTEGER PRIMARY KEY, b); {MANY} INSERT INTO t SELECT i, i FROM n"
    with closing(sqlite3.connect(sqlite_file.path)) as connection:
        connection.executescript(";".join([script, "CREATE VIEW v0 AS SELECT a, b FROM t", *views]))
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", **split)
    assert sorted(frame.rows()) == sqlite_file.execute("SELECT * FROM t")
    with industrydb.Connection.from_uri(sqlite_file.uri) as session:
        assert session.select("t", limit=1).height == 1
    industrydb.write_sql(pl.DataFrame({"a": [1]}), "other", sqlite_file.uri, if_exists="replace")


@pytest.mark.parametrize(
    "name", ["table_xinfo", "table_list", "index_list", "index_xinfo", "database_list", "encoding"]
)
@pytest.mark.parametrize("kind", ["TABLE", "TEMP VIEW"])
@pytest.mark.parametrize("split", [{}, {"partitions": 3}, {"partition_on": "a", "partitions": 3}], ids=str)
def test_names_of_pragmas_may_be_those_of_tables(
    sqlite_file: SqliteFile, name: str, kind: str, split: dict[str, Any]
) -> None:
    """A table or view with the name of a pragma's table-valued function does not replace the pragma in a read."""
    connection = sqlite_file.connection
    connection.executescript(
        f"CREATE TABLE t (a, b, PRIMARY KEY (a)) WITHOUT ROWID; {MANY} INSERT INTO t SELECT i, i FROM n"
    )
    other = f"CREATE {kind} pragma_{name} {'(x)' if kind == 'TABLE' else 'AS SELECT 1 AS x'}"
    setup = other if kind == "TEMP VIEW" else None
    if setup is None:
        connection.execute(other)
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", pre_execution_query=setup, **split)
    assert sorted(frame.rows()) == connection.execute("SELECT * FROM t").fetchall()


@pytest.mark.parametrize(
    "definition",
    ["a, bQZ", "a, b QZ", "a, b DEFAULT 'QZ'", "a, b TEXT DEFAULT 'long QZ'"],
    ids=["name", "type", "default", "text"],
)
@pytest.mark.parametrize("split", [{}, {"partitions": 3}, {"partition_on": "a", "partitions": 3}], ids=str)
def test_schemas_need_not_be_utf8(tmp_path: Path, definition: str, split: dict[str, Any]) -> None:
    """In a schema that is not UTF-8, columns with other names can be read; a split without a key may be refused."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE t ({definition}); {MANY} INSERT INTO t (a) SELECT i FROM n")
    path.write_bytes(path.read_bytes().replace(b"QZ", b"\xff\xfe"))
    try:
        frame = industrydb.read_sql(f"sqlite://{path}", "SELECT a FROM t", **split)
    except industrydb.ConfigurationError as error:
        assert "partitions" in split, error  # noqa: PT017
        assert "partition_on" not in split, error  # noqa: PT017
        return
    assert sorted(frame["a"]) == list(range(1, 5001))
