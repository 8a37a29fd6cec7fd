"""Ray's own ways with a source: NULL among the values of a filter, long lists, columns that do not exist."""

from pathlib import Path
from typing import Any

import pytest

import industrydb
from tests.kit.engines import Frame, engine

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Frame, Frame]:
    """Return a dataset that reads a table, and Ray's own dataset of the same rows in memory."""
    engine("ray")
    import ray.data  # noqa: PLC0415, may not be installed

    uri = f"sqlite://{tmp_path / 'ray.db'}"
    industrydb.write_sql({"id": [1, 2, 3, 4], "k": [1, 2, None, 7]}, "few", uri)
    read = engine("ray").frame(uri, "SELECT * FROM few", partition_on="id", partitions=2)
    return read, ray.data.from_arrow(industrydb.read_sql(uri, "SELECT * FROM few").to_arrow())


VALUES: dict[str, list[Any]] = {
    "values": [7, 1],
    "NULL among the values": [7, None],
    "NULL alone": [None],
    "no values": [],
    "a thousand values": list(range(5, 1005)),
    "50,000 values": list(range(5, 50_005)),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("verb", ["is_in", "not_in"])
def test_membership_is_rays_own(pair: tuple[Frame, Frame], verb: str, values: list[Any]) -> None:
    """A filter on a list of values keeps the rows that Ray keeps in memory, also with NULL and for long lists."""
    from ray.data.expressions import col  # noqa: PLC0415, may not be installed

    read, memory = (
        sorted(row["id"] for row in ds.filter(expr=getattr(col("k"), verb)(values)).take_all()) for ds in pair
    )
    assert read == memory


def test_an_unknown_column_is_named(pair: tuple[Frame, Frame]) -> None:
    """A selection of a column that the query does not have raises an error that names both."""
    with pytest.raises(industrydb.ConfigurationError, match=r"no columns \['nope'\]: it has \['id', 'k'\]"):
        pair[0].select_columns(["nope"]).take_all()


def test_a_task_error_keeps_its_attributes() -> None:
    """Ray's error, which inherits from the task's, has the task's `code`, `is_transient` and constraint."""
    engine("ray")
    from ray.exceptions import RayTaskError  # noqa: PLC0415, may not be installed

    import industrydb.ray  # noqa: PLC0415, needs Ray

    with pytest.raises(industrydb.DatabaseConnectionError) as refused:
        industrydb.read_sql("postgresql://127.0.0.1:1/none", "SELECT 1")
    assert refused.value.is_transient
    made = RayTaskError("read", "traceback", refused.value).as_instanceof_cause()
    assert isinstance(made, industrydb.DatabaseConnectionError)
    assert (made.code, made.is_transient) == (None, True)
    violation = industrydb.ConstraintViolationError("twice")
    violation.table = "person"
    raised = RayTaskError("read", "traceback", violation).as_instanceof_cause()
    assert (raised.table, raised.column, raised.is_transient) == ("person", None, False)
    assert industrydb.ConstraintViolationError("once").table is None
