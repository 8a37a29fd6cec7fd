"""What the objects show of themselves, as text and in a notebook: enough to know them by, and no secret."""

import pickle
import re
import sqlite3
import threading
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

import industrydb
from industrydb import Connection, DatabaseConfig, Extract
from industrydb._text.html import MOST_ROWS
from tests.kit.support import SqliteFile, eventually

SECRET = "hunter2"  # noqa: S105, of no real account
MARKUP = '<script>"&$'


class Cells(HTMLParser):
    """The texts of a table's cells, as the standard library's parser reads them."""

    def __init__(self, html: str) -> None:
        """Parse a page."""
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def cells(made: object) -> list[str]:
    """Return the texts of an object's table in a notebook, which has no other elements than a table's."""
    parsed = Cells(made._repr_html_())  # type: ignore[attr-defined]
    assert set(parsed.tags) <= {"table", "caption", "tr", "th", "td", "br"}
    return parsed.texts


@pytest.fixture
def table(sqlite_file: SqliteFile) -> SqliteFile:
    """Return a file with a table of 100 rows."""
    sqlite_file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, [x<b>&] TEXT)")
    with closing(sqlite3.connect(sqlite_file.path)) as connection, connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x") for n in range(100)])
    return sqlite_file


def test_a_plan(table: SqliteFile) -> None:
    """A plan shows its partitions: their number, estimated rows and SQL, and no values of parameters."""
    query = f"SELECT id, '{MARKUP}' AS m FROM t WHERE [x<b>&] <> ?"
    plan = industrydb.plan_sql(table.uri, query, params=[SECRET], partition_on="id", partitions=64)
    assert len(plan) == 64
    assert re.fullmatch(r"<ReadPlan: 64 partitions, about [\d,]+ rows>", repr(plan))
    shown = cells(plan)
    assert f"… and {64 - MOST_ROWS} more" in shown
    assert [text for text in shown if text.isdecimal()][::2] == [str(number) for number in range(1, MOST_ROWS + 1)]
    assert any(MARKUP in text for text in shown)
    assert SECRET not in str(shown)
    assert "<script" not in plan._repr_html_()


def test_an_extract(table: SqliteFile, tmp_path: Path) -> None:
    """An extract of 64 files shows their number, rows and bytes on one line, and some of their names in a notebook."""
    folder = tmp_path / "a<b>"
    done = industrydb.extract(table.uri, "SELECT id FROM t", folder, partition_on="id", partitions=64)
    size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    assert re.fullmatch(
        rf"<Extract: 100 rows, 64 files of {size:,} bytes in {re.escape(str(folder))}, \d+\.\d\d s>", repr(done)
    )
    shown = cells(done)
    assert shown[1:4] == ["file", "rows", "bytes"]
    first = folder / "part-00000.parquet"
    assert shown[4:7] == [first.name, str(pl.read_parquet(first).height), f"{first.stat().st_size:,}"]
    assert cells(pickle.loads(pickle.dumps(done))) == shown  # noqa: S301, our own
    assert f"… and {64 - MOST_ROWS} more" in shown
    again = industrydb.extract(table.uri, "SELECT id FROM t", folder, partition_on="id", partitions=64)
    assert "complete since" in repr(again)
    assert again == done
    one = Extract(rows=1, files=(folder,), bytes=1, manifest=folder / "x", seconds=0.0, schema=pl.Schema())
    assert repr(one).startswith("<Extract: 1 row, 1 file of 1 bytes in ")
    assert cells(one)[4:] == [folder.name], "of an extract that was made by hand, the sizes of files are not known"


def test_a_held_snapshot(table: SqliteFile) -> None:
    """A held snapshot shows how long it has been held, and its token; a released one has none."""
    with industrydb.hold_snapshot(table.uri, tables="t") as snapshot:
        assert re.fullmatch(r"<HeldSnapshot: held for \d+ s>", repr(snapshot))
        assert cells(snapshot)[1:] == ["part", "value", "token", snapshot.token]
    assert repr(snapshot) == "<HeldSnapshot: released>"
    assert cells(snapshot) == ["HeldSnapshot: released", "part", "value"]


def test_a_connection(table: SqliteFile) -> None:
    """A connection shows whether it is open, closed, or busy with another thread's call, and never waits for that."""
    connection = Connection(table.uri)
    assert repr(connection) == f"<Connection: open, {DatabaseConfig('sqlite', path=table.path)!r}>"
    assert cells(connection)[:3] == ["Connection: open", "part", "value"]
    assert str(table.path) in cells(connection)
    query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000) SELECT count(*) FROM n"
    thread = threading.Thread(target=connection.execute, args=[query])
    thread.start()
    eventually(lambda: repr(connection).startswith("<Connection: busy, ") or not thread.is_alive())
    thread.join()
    assert repr(connection).startswith("<Connection: open, ")
    connection.close()
    assert repr(connection).startswith("<Connection: closed, ")
    assert cells(connection)[0] == "Connection: closed"


def test_a_reader(table: SqliteFile) -> None:
    """A reader shows its columns, and whether it is open; its last batch closes it."""
    with industrydb.read_sql_batches(table.uri, "SELECT * FROM t") as batches:
        assert repr(batches) == "<BatchReader: open, id, x<b>&>"
        assert cells(batches) == ["BatchReader: open", "column", "type", "id", "Int64", "x<b>&", "String"]
        assert sum(batch.height for batch in batches) == 100
        assert repr(batches) == "<BatchReader: closed, id, x<b>&>"
    with industrydb.read_sql_batches(table.uri, "SELECT * FROM t") as batches:
        pass
    assert cells(batches)[0] == "BatchReader: closed"


def test_a_configuration() -> None:
    """A configuration shows its parts, and the password as stars."""
    config = DatabaseConfig("postgresql", host="db", username=MARKUP, password=SECRET, sslmode="require")
    shown = cells(config)
    assert MARKUP in shown
    assert "***" in shown
    assert SECRET not in repr(config) + config._repr_html_()
    assert "<script" not in config._repr_html_()


def test_a_profile(table: SqliteFile) -> None:
    """A profile is a frame of Polars', which shows itself."""
    _, profile = industrydb.plan_sql(table.uri, "SELECT * FROM t", partition_on="id", partitions=2).profile()
    assert "shape: (2, " in repr(profile)
    assert "<table" in profile._repr_html_()
