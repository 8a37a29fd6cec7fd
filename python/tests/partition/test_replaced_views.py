"""A view that is replaced while a read begins: its rows are divided only if they are the same each time."""

import json

import pytest

import industrydb
from tests.kit.databases import Database, Feature
from tests.kit.support import working

ROWS = 500

# Runs the lists of statements in turns, with short pauses, until standard input ends.
WRITING = """
import json, sqlite3, sys, threading
from urllib.parse import unquote, urlsplit
enough = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
uri, turns = sys.argv[1], json.loads(sys.argv[2])
address = urlsplit(uri)
if address.scheme == "":
    connection = sqlite3.connect(uri, timeout=60, isolation_level=None)
elif address.scheme.startswith("postgres"):
    import psycopg
    connection = psycopg.connect(uri, autocommit=True)
else:
    import pymysql
    connection = pymysql.connect(host=address.hostname, port=address.port, user=unquote(address.username),
                                 password=unquote(address.password), database=address.path[1:], autocommit=True)
made = 0
while not enough.wait(0.03):
    cursor = connection.cursor()
    for statement in turns[made % len(turns)]:
        cursor.execute(statement)
    made += 1
    if made == 1:
        print("begun", flush=True)
connection.close()
print(made)
"""


@pytest.mark.needs(Feature.DRIVER)
def test_a_view_that_is_replaced_meanwhile(database: Database) -> None:
    """All rows of the one view or of the other, each once, whether or not these can be divided."""
    random = "RAND()" if database.name == "mysql" else "random()"
    database.script("CREATE TABLE item (id int PRIMARY KEY, n int)")
    for start in range(0, ROWS, 100):
        database.script("INSERT INTO item VALUES " + ", ".join(f"({key}, 1)" for key in range(start, start + 100)))
    views = [f"CREATE VIEW shown AS SELECT id, n FROM item {end}" for end in ("", f"ORDER BY {random} LIMIT 250")]
    database.script(views[0])
    if database.name == "sqlite":
        turns = [["BEGIN IMMEDIATE", "DROP VIEW shown", view, "COMMIT"] for view in views]
    else:
        turns = [[view.replace("CREATE", "CREATE OR REPLACE")] for view in views]
    counts = set()
    try:
        written = str(database.connection.path) if database.name == "sqlite" else database.uri
        with working(WRITING, written, json.dumps(turns), least=5):
            for _ in range(300 if database.name == "sqlite" else 40):
                try:
                    found = industrydb.read_sql(
                        database.uri, "SELECT id, n FROM shown", partition_on="id", partitions=4
                    )
                except industrydb.QueryExecutionError as error:  # it has changed again and again
                    if not error.is_transient:
                        raise
                    continue
                counts.add((found.height, found["id"].n_unique()))
        assert counts
        assert counts <= {(250, 250), (ROWS, ROWS)}
    finally:
        database.script("DROP VIEW shown; DROP TABLE item")
