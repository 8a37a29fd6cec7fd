"""Spark's own ways with a source: one frame used twice, types that it cannot count, and options as texts."""

import re
from pathlib import Path

import pytest

import industrydb
from tests.kit.engines import Frame, engine
from tests.kit.servers import Server

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    """Return a frame of 100 rows, ten of which have each of the numbers from 0 to 9."""
    uri = f"sqlite://{tmp_path / 'spark.db'}"
    industrydb.write_sql({"id": list(range(100)), "k": [n % 10 for n in range(100)]}, "tens", uri)
    return engine("spark").frame(uri, "SELECT * FROM tens", partition_on="id", partitions=2)


def test_one_frame_is_used_in_several_ways(frame: Frame) -> None:
    """A query on a frame has rows of its own filters alone, beside and after other queries on the same frame."""
    sevens, eights = frame.where("k = 7"), frame.where("k = 8")
    assert sevens.unionByName(frame).count() == 110
    assert frame.unionByName(sevens).count() == 110
    assert sevens.unionByName(eights).distinct().count() == 20
    assert sevens.select("k").withColumnRenamed("k", "seven").crossJoin(frame).count() == 1000
    assert (frame.count(), sevens.count(), eights.count(), frame.count()) == (100, 10, 10, 100)


def test_times_can_be_counted_and_filtered(own_server: Server) -> None:
    """A table with times of day can be used in every way: they are texts, with nine digits of the second."""
    times = "'12:00:00.5'::time + i * interval '1 s' AS t, ARRAY['01:02'::time] AS a"
    query = f"SELECT i, {times} FROM generate_series(1, 3) AS i"
    frame = engine("spark").frame(own_server.uri, query)
    assert frame.count() == 3
    assert frame.where("t > '12:00:02'").select("i").orderBy("i").collect() == [(2,), (3,)]
    assert frame.where("i = 1").select("t", "a").first() == ("12:00:01.500000000", ["01:02:00.000000000"])


@pytest.mark.parametrize("name", ["timeout", "partitions"])
def test_an_option_that_is_no_number_is_named(own_server: Server, name: str) -> None:
    """A text in place of a number raises an error that names the option and the text."""
    option = {"partitions": "numPartitions"}.get(name, name)
    with pytest.raises(
        Exception, match=re.escape(f"ConfigurationError: the option {option} must be a number, not 'abc'")
    ):
        engine("spark").frame(own_server.uri, "SELECT 1 AS n", **{name: "abc"}).count()
