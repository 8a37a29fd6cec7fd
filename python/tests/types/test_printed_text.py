"""Types that are read as text have the text that PostgreSQL prints, also if a cast to text makes another one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest

import industrydb
from tests.kit.postgres_types import printed

# A type with its own cast function to text, and one whose cast has no function. A domain is cast as its base type.
USERS = """
    CREATE SCHEMA print_ed;
    SET search_path = print_ed, public;
    CREATE TYPE shown;
    CREATE FUNCTION shown_in(cstring) RETURNS shown LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION "shown Out"(shown) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE TYPE shown (INPUT = shown_in, OUTPUT = "shown Out", LIKE = text);
    CREATE FUNCTION cast_shown(shown) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'cast' $$;
    CREATE CAST (shown AS text) WITH FUNCTION cast_shown;
    CREATE TYPE hex;
    CREATE FUNCTION hex_in(cstring) RETURNS hex LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
    CREATE FUNCTION hex_out(hex) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
    CREATE TYPE hex (INPUT = hex_in, OUTPUT = hex_out, LIKE = bytea);
    CREATE CAST (hex AS text) WITHOUT FUNCTION;
    CREATE TYPE pair AS (address inet, shown shown);
    CREATE FUNCTION cast_pair(pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'cast' $$;
    CREATE CAST (pair AS text) WITH FUNCTION cast_pair;
    CREATE DOMAIN host AS inet;
    CREATE DOMAIN hosts AS inet[];
    RESET search_path;
"""
VALUES = [
    "'192.168.1.1'::inet",
    "'192.168.1.1/24'::inet",
    "'::1'::inet",
    "'10.0.0.0/8'::cidr",
    "'x'::\"char\"",
    "'x'::print_ed.shown",
    "'xyz'::print_ed.hex",
    "'192.168.1.1'::print_ed.host",
]


@pytest.fixture(scope="module", autouse=True)
def users(postgres: psycopg.Connection) -> Iterator[None]:
    """Create user-defined types."""
    postgres.execute("DROP SCHEMA IF EXISTS print_ed CASCADE")
    postgres.execute(USERS)
    yield
    postgres.execute("DROP SCHEMA print_ed CASCADE")


def partitioned(uri: str, query: str) -> pl.DataFrame:
    """Read in partitions."""
    return industrydb.read_sql(uri, query, partition_on="n", partitions=2)


def batches(uri: str, query: str) -> pl.DataFrame:
    """Read batches."""
    with industrydb.read_sql_batches(uri, query) as frames:
        return pl.concat(frames)


def scanned(uri: str, query: str) -> pl.DataFrame:
    """Collect a lazy frame."""
    return industrydb.scan_sql(uri, query).collect()


def planned(uri: str, query: str) -> pl.DataFrame:
    """Read a plan's partitions."""
    plan = industrydb.plan_sql(uri, query, partition_on="n", partitions=2)
    return pl.concat(plan.read(number) for number in range(len(plan)))


def executed(uri: str, query: str) -> pl.DataFrame:
    """Read on a kept session."""
    with industrydb.Connection(uri) as connection:
        return connection.execute(query)


WAYS = [industrydb.read_sql, partitioned, batches, scanned, planned, executed]


@pytest.mark.parametrize("read", WAYS, ids=lambda read: read.__name__)
def test_text_is_what_the_server_prints(
    postgres_uri: str, postgres: psycopg.Connection, read: Callable[[str, str], pl.DataFrame]
) -> None:
    """A value has the server's text in every way of reading, in arrays and rows too; `read_sql` reads nested arrays."""
    for value in VALUES:
        text = printed(postgres, f"SELECT {value}")
        query = f"""SELECT n, v, ARRAY[v, NULL] AS vs, ARRAY[[v], [v]] AS vss, ROW(v) AS r
                    FROM (SELECT 1 AS n, {value} AS v UNION ALL SELECT 2, NULL) AS t"""
        lists = [[text], [text]] if read in {industrydb.read_sql, partitioned} else None
        one = query if lists else query.replace("ARRAY[[v], [v]] AS vss", "NULL::int AS vss")
        frame = read(postgres_uri, one).sort("n")
        row = printed(postgres, f"SELECT ROW({value})")
        assert frame.row(0) == (1, text, [text, None], lists, row)
        assert frame.row(1)[:3] == (2, None, [None, None])
        assert frame.dtypes[1:3] == [pl.String, pl.List(pl.String)]


def test_fields_of_rows_are_what_the_server_prints(postgres_uri: str) -> None:
    """Fields of structs have the server's text, and arrays of rows are text if one of their fields is."""
    query = """SELECT p, ARRAY[p] AS ps, ARRAY['::1']::print_ed.hosts AS h
               FROM (SELECT ROW('192.168.1.1', 'x')::print_ed.pair AS p UNION ALL SELECT NULL) AS t"""
    frame = industrydb.read_sql(postgres_uri, query)
    assert frame.row(0) == ({"address": "192.168.1.1", "shown": "x"}, ["(192.168.1.1,x)"], ["::1"])
    assert frame.row(1) == (None, [None], ["::1"])


def test_every_type_with_a_cast_of_its_own_prints_otherwise_or_is_decoded(
    postgres_uri: str, postgres: psycopg.Connection
) -> None:
    """Every type with a cast to text of its own has an example in `VALUES`, or is decoded."""
    decoded = {"boolean", "name", "character", "character varying"}
    internal = {"xml", "pg_node_tree"}  # xml needs libxml, and pg_node_tree has no input function
    casts = postgres.execute("""
        SELECT format_type(castsource, NULL) FROM pg_cast
        WHERE casttarget = 'text'::regtype AND castmethod <> 'i' AND oid < 16384
    """)
    shown = {value.split("::")[-1].strip('"') for value in VALUES}
    assert {name.strip('"') for (name,) in casts} - decoded - internal <= shown
    query = "SELECT ev_action FROM pg_rewrite ORDER BY oid LIMIT 1"
    assert industrydb.read_sql(postgres_uri, query).item() == printed(postgres, query)


def test_xml_is_what_the_server_prints(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """XML is read without the encoding of its declaration, which was that of the client that wrote it."""
    query = 'SELECT \'<?xml version="1.0" encoding="UTF-8"?><a/>\'::xml AS x'
    try:
        text = printed(postgres, query)
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("the server has no xml")
    assert industrydb.read_sql(postgres_uri, query).item() == text


def test_the_largest_printed_key_goes_on_an_extract(
    postgres_uri: str, postgres: psycopg.Connection, tmp_path: Path
) -> None:
    """A column of `inet` is a key of partitions by its text, in a read and in an extract."""
    postgres.execute("DROP TABLE IF EXISTS print_ed.host_of; CREATE TABLE print_ed.host_of (a inet, n int)")
    postgres.execute("INSERT INTO print_ed.host_of SELECT '10.0.0.0'::inet + i, i FROM generate_series(1, 1000) AS i")
    query = "SELECT * FROM print_ed.host_of"
    expected = postgres.execute("SELECT host(a), n FROM print_ed.host_of ORDER BY n").fetchall()
    frame = industrydb.read_sql(postgres_uri, query, partition_on="a", partitions=3)
    assert frame.n_chunks() == 3
    assert frame.sort("n").rows() == expected
    industrydb.extract(postgres_uri, query, tmp_path / "hosts", partition_on="a", partitions=2)
    assert pl.read_parquet(tmp_path / "hosts/*.parquet").sort("n").rows() == expected
