"""A read during a reload has all old rows or all new rows, or it raises: it is never empty and never a mixture."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

import industrydb
from tests.kit.reload_reads import BATCHES, BY_KEY, PARTS, REFUSALS, SPLIT, WAYS, WHOLE, Frames, Way, verdict
from tests.kit.reloads import CHILD, FUNCTIONS, PARTITIONED, TABLE, VIEW, WRITERS, Object, Writer, set_up, writing
from tests.kit.servers import Server, tcp_uri
from tests.kit.support import PATIENCE_S, eventually, sessions, with_options

# Number of reads in each way beside each writer that does not pause.
READS = 1


@pytest.fixture
def writer_session(postgres_uri: str) -> Iterator[psycopg.Connection]:
    """Connect once more, to write in transactions."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


def waits_for_locks(postgres: psycopg.Connection) -> bool:
    """Tell whether a reading session waits for another session's lock."""
    found = postgres.execute(
        "SELECT FROM pg_stat_activity WHERE application_name = 'industrydb' AND wait_event_type = 'Lock'"
    )
    return bool(found.fetchall())


def cases() -> Iterator[tuple[Writer, Object, Way]]:
    """Yield every locking writer of every object with the main ways, and `truncate` of tables with every way."""
    for writer in WRITERS:
        if not writer.locks:
            continue
        for of in writer.objects:
            every = writer.name == "truncate" and of in {TABLE, PARTITIONED}
            main = (WHOLE, BY_KEY, BATCHES, PARTS) if of not in FUNCTIONS else (WHOLE, BY_KEY)
            yield from ((writer, of, way) for way in WAYS if way.reads(of) and (every or way in main))


@pytest.mark.parametrize(("writer", "of", "way"), list(cases()), ids=str)
def test_a_read_that_waits_for_a_reload_has_its_rows(  # noqa: PLR0913, PLR0917
    postgres: psycopg.Connection,
    postgres_uri: str,
    writer_session: psycopg.Connection,
    writer: Writer,
    of: Object,
    way: Way,
) -> None:
    """A read that starts during a reload waits until the reload commits, and then returns the new rows."""
    set_up(postgres, of)
    with ThreadPoolExecutor() as executor:
        with writer_session.transaction():
            writer.run(writer_session, writer.statements(of, 2))
            read = executor.submit(way.read, postgres_uri, of)
            eventually(lambda: waits_for_locks(postgres) or read.done())
            assert not read.done(), "the read did not wait, and so proves nothing"
        try:
            frames = read.result(timeout=PATIENCE_S)
        except REFUSALS:
            # Tables that the server does not report cannot be locked first. A plan keeps its moment's column types.
            assert of.hidden or (writer.keeps and way is PARTS)
            return
    after = 0 if writer.comes_and_goes else 1 if writer.keeps else 2
    # The planner lists child tables before it waits for them, so the old children may be read.
    before = {1} if of is CHILD and writer.name in {"exchange_children", "no_inherit"} else set()
    assert verdict(frames, of, writer) in {after, *before}
    eventually(lambda: not sessions(postgres))


PAIRS = [(writer, of) for writer in WRITERS for of in writer.objects]


@pytest.mark.parametrize(("writer", "of"), PAIRS, ids=str)
def test_reads_beside_a_writer_that_never_pauses(
    postgres: psycopg.Connection, postgres_uri: str, writer: Writer, of: Object
) -> None:
    """Each writer of each object is tested beside a third of the ways to read; the next pairs take the other thirds."""
    set_up(postgres, of)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with writing(postgres_uri, writer, of):
        for way in WAYS[PAIRS.index((writer, of)) % 3 :: 3]:
            for _ in range(READS if way.reads(of) else 0):
                outcome, what = attempted(way, postgres_uri, of, writer)
                counts[outcome] += 1
                if outcome == "wrong":
                    wrong.append(f"{way}: {what}")
    print(dict(counts))
    assert not wrong, f"{len(wrong)} of {counts.total()} reads are wrong: {wrong}"
    assert counts["rows"] or of.hidden, counts
    eventually(lambda: not sessions(postgres))


def attempted(way: Way, uri: str, of: Object, writer: Writer) -> tuple[str, object]:
    """Return the outcome of a read: its category, and the generation or the error."""
    try:
        frames: Frames = way.read(uri, of)
    except industrydb.QueryTimeoutError as error:
        return "timeout", error
    except REFUSALS as error:
        return "error", error
    except industrydb.ConfigurationError as error:
        return "wrong", f"the call is said to be wrong: {error}"
    try:
        return "rows", verdict(frames, of, writer)
    except AssertionError as error:
        return "wrong", str(error).splitlines()[0]


@pytest.mark.parametrize("split", [{}, SPLIT, {**SPLIT, "max_connections": 1}], ids=["whole", "by_key", "one_session"])
def test_a_view_whose_tables_may_not_be_read(
    own_server: Server, postgres: psycopg.Connection, split: dict[str, Any]
) -> None:
    """The right to read a view is enough: its tables are locked with the rights of the view's owner."""
    set_up(postgres, VIEW)
    postgres.execute("GRANT USAGE ON SCHEMA reload TO cleartext_user; GRANT SELECT ON reload.object TO cleartext_user")
    uri = tcp_uri(own_server.port, "cleartext_user", "pässwörd ½ ☃")
    with pytest.raises(industrydb.QueryExecutionError, match="permission denied"):
        industrydb.read_sql(uri, TABLE.query)
    frame = industrydb.read_sql(with_options(uri, application_name="industrydb"), VIEW.query, **split)
    assert verdict([frame], VIEW, WRITERS[0]) == 1
