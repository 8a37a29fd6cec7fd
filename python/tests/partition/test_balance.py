"""The partitions of skewed keys are even: the largest is at most 1.5 times the mean, one hot key excepted."""

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
import pytest

import industrydb
from tests.kit.support import SqliteFile

ROWS = 60_000
PARTITIONS = 8
LIMIT = 1.5


def zipf(chance: random.Random) -> Iterator[object]:
    """Yield integers with Zipf-distributed frequencies (exponent 1.2): the first one is nearly a fifth of the rows."""
    ranks = range(1, 100_000)
    yield from chance.choices(ranks, [rank**-1.2 for rank in ranks], k=ROWS)


def clustered(chance: random.Random) -> Iterator[object]:
    """Yield timestamps in two months, ten years apart."""
    for _ in range(ROWS):
        start = datetime(chance.choice([2010, 2020]), 1, 1)  # noqa: DTZ001, the columns have no zone
        yield str(start + timedelta(seconds=chance.randrange(30 * 86_400)))


def growing(_chance: random.Random) -> Iterator[object]:
    """Yield ids whose distances grow exponentially."""
    for number in range(ROWS):
        yield number + int(2 ** (number / ROWS * 60))


def texts(chance: random.Random) -> Iterator[object]:
    """Yield names that all begin with ``customer-``."""
    for number in range(ROWS):
        yield f"customer-{int(chance.expovariate(0.001))}-{number}"


def uuids(chance: random.Random) -> Iterator[object]:
    """Yield random UUIDs."""
    for _ in range(ROWS):
        yield str(uuid.UUID(int=chance.getrandbits(128)))


def half_null(chance: random.Random) -> Iterator[object]:
    """Yield NULL for about half of the rows, and values around zero for the others."""
    for _ in range(ROWS):
        yield chance.choice([None, int(chance.gauss(0, 10) ** 3)])


class Case(NamedTuple):
    """A generator of keys, and the column's type in each database."""

    keys: Callable[[random.Random], Iterator[object]]
    postgres: str
    sqlite: str


CASES = {
    "zipf": Case(zipf, "bigint", "INTEGER"),
    "clustered": Case(clustered, "timestamp", "DATETIME"),
    "growing": Case(growing, "bigint", "INTEGER"),
    "text": Case(texts, "text", "TEXT"),
    "uuid": Case(uuids, "uuid", "TEXT"),
    "NULLs": Case(half_null, "int", "INTEGER"),
}


def assert_even(uri: str, query: str, keys: Sequence[object], partition_on: str | None = None) -> None:
    """Read by the key, and assert that no partition exceeds the limit or the most frequent key's rows."""
    frame = industrydb.read_sql(uri, query, partition_on=partition_on, partitions=PARTITIONS)
    assert frame.height == len(keys)
    sizes = [len(chunk) for chunk in frame.to_series(0).get_chunks()]
    ((_, hottest),) = Counter(keys).most_common(1)
    mean = len(keys) / PARTITIONS
    # The hot key's partition may include a few neighbouring keys that the sample has missed.
    assert max(sizes) <= max(LIMIT * mean, hottest + mean / 10), sizes


@pytest.mark.parametrize("name", CASES)
def test_skewed_keys_on_postgres(postgres_uri: str, postgres: psycopg.Connection, name: str) -> None:
    """Partitions are even on a table without statistics: by key, by key on half of the table, and by block."""
    case = CASES[name]
    keys = list(case.keys(random.Random(name)))  # noqa: S311, the same keys in every run
    postgres.execute(f"DROP TABLE IF EXISTS skewed; CREATE UNLOGGED TABLE skewed (k {case.postgres}, pad text)")
    with postgres.cursor() as cursor, cursor.copy("COPY skewed FROM STDIN") as copy:
        for key in keys:
            copy.write_row((key, "x" * 100))
    assert_even(postgres_uri, "SELECT k FROM skewed", keys, partition_on="k")
    (middle,) = postgres.execute("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY k) FROM skewed").fetchone() or ()
    query = f"SELECT k::text AS t, s.k FROM public.skewed AS s WHERE s.k > '{middle}'"
    rest = [key for (key, _) in postgres.execute(query.encode())]
    assert_even(postgres_uri, query, rest, partition_on="k")
    assert_even(postgres_uri, "SELECT k, pad FROM skewed", list(range(len(keys))))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stored", ["by rowid", "by key"])
def test_skewed_keys_on_sqlite(sqlite_file: SqliteFile, name: str, stored: str) -> None:
    """Partitions are even in a rowid table and in a WITHOUT ROWID table, with and without a key."""
    case = CASES[name]
    keys = list(case.keys(random.Random(name)))  # noqa: S311, the same keys in every run
    options = ""
    if stored == "by key":
        keys = [key for key in keys if key is not None]  # a primary key has no NULLs
        options = ", PRIMARY KEY (k, n)) WITHOUT ROWID"
    connection = sqlite_file.connection
    connection.execute(f"CREATE TABLE skewed (k {case.sqlite}, n INTEGER, pad TEXT{options or ')'}")
    connection.execute("BEGIN")
    rows = ((key, number, "x" * 60) for number, key in enumerate(keys))
    connection.executemany("INSERT INTO skewed VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")
    assert_even(sqlite_file.uri, "SELECT k FROM skewed", keys, partition_on="k")
    ranked = sorted(key for key in keys if key is not None)  # type: ignore[type-var]
    query = f"SELECT n, k AS key FROM main.skewed WHERE k > {ranked[len(ranked) // 2]!r}"
    rest = [key for _, key in connection.execute(query)]
    assert_even(sqlite_file.uri, query, rest, partition_on="key")
    # Without rowids, rows are split by their primary key's first column.
    rows_keys = list(range(len(keys))) if stored == "by rowid" else keys
    assert_even(sqlite_file.uri, "SELECT n, pad FROM skewed", rows_keys)
