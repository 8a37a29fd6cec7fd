"""Dask's own ways with a source: texts in place of objects, and errors of other processes."""

from decimal import Decimal
from typing import Literal

import pytest

import industrydb
from tests.kit.engines import engine
from tests.kit.servers import Server

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_dtypes_are_those_of_read_sql(own_server: Server, backend: Literal["pyarrow", "numpy_nullable"]) -> None:
    """Every dtype, before and after the tasks, is that of `read_sql`, and no object becomes a text."""
    objects = "1.5::numeric(5, 2) AS d, '\\x00'::bytea AS b, '12:00'::time AS t, ARRAY[1] AS a"
    query = f"SELECT {objects}, 'x'::text AS s, NULL::int AS n"
    frame = engine("dask").frame(own_server.uri, query, dtype_backend=backend)
    expected = industrydb.read_sql(own_server.uri, query, return_type="pandas", dtype_backend=backend)
    made = frame.compute(scheduler="threads")
    assert dict(frame.dtypes) == dict(made.dtypes) == dict(expected.dtypes)
    assert (made["d"][0], made["b"][0]) == (Decimal("1.50"), b"\x00")


def test_errors_of_other_processes_have_their_code(own_server: Server) -> None:
    """An error of a task in another process is of the task's class, and has the database's code."""
    query = "SELECT i, 1 / (i - 5) AS x FROM generate_series(1, 9) AS i"
    frame = engine("dask").frame(own_server.uri, query, partition_on="i", partitions=2)
    with pytest.raises(industrydb.QueryExecutionError, match="division by zero") as raised:
        frame.compute(scheduler="processes", num_workers=1)
    assert raised.value.code == "22012"
