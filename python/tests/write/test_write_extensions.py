"""Writes of UUIDs, JSON and Arrow's extension types: as text, or refused."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from industrydb import ConfigurationError, Connection, read_sql, write_sql
from tests.kit.databases import Database, Feature

pytestmark = pytest.mark.needs(Feature.DRIVER)

ONE = UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
STORED = pa.array([ONE.bytes, None], pa.uuid())


@pytest.fixture
def uri(database: Database) -> Iterator[str]:
    """Yield the URI of each database, and drop the table `extended` afterwards."""
    yield database.uri
    with Connection(database.uri) as connection:
        connection.execute("DROP TABLE IF EXISTS extended")


UUIDS: dict[str, Callable[[], Any]] = {
    "arrow table": lambda: pa.table({"v": STORED}),
    "arrow batch": lambda: pa.record_batch({"v": STORED}),
    "arrow reader": lambda: pa.table({"v": STORED}).to_reader(),
    "arrow chunks": lambda: pa.concat_tables([pa.table({"v": STORED[:1]}), pa.table({"v": STORED[1:]})]),
    "arrow array": lambda: {"v": STORED},
    "arrow chunked array": lambda: {"v": pa.chunked_array([STORED])},
    "pandas": lambda: pd.DataFrame({"v": [ONE, None]}),
    "pandas of arrow": lambda: pd.DataFrame({"v": pd.array(STORED, dtype=pd.ArrowDtype(pa.uuid()))}),
    "pandas series": lambda: {"v": pd.Series([ONE, None])},
    "numpy": lambda: {"v": np.array([ONE, None])},
    "list": lambda: {"v": [ONE, None]},
    "rows": lambda: [{"v": ONE}, {"v": None}],
}


def is_mysql_itself(uri: str) -> bool:
    """Tell whether a URI is that of MySQL, and not of MariaDB."""
    return uri.startswith("mysql") and "MariaDB" not in read_sql(uri, "SELECT version() AS v").item()


@pytest.mark.parametrize("data", UUIDS.values(), ids=UUIDS.keys())
def test_uuids_of_any_library_are_written_as_text(uri: str, data: Callable[[], Any]) -> None:
    """UUIDs read as the same text from a new column, and from one declared as uuid."""
    expected = pl.DataFrame({"v": [str(ONE), None]})
    write_sql(data(), "extended", uri)
    assert read_sql(uri, "SELECT v FROM extended").equals(expected)
    with Connection(uri) as connection:
        connection.execute("DROP TABLE extended")
        if is_mysql_itself(uri):
            pytest.skip("MySQL has no uuid")
        connection.execute("CREATE TABLE extended (v uuid)")
        assert connection.insert("extended", data()) == 2
        assert connection.select("extended").equals(expected)


@pytest.mark.parametrize("wrap", [pa.table, pl.DataFrame, dict], ids=["arrow", "polars", "columns"])
def test_arrows_json_is_written_as_text(uri: str, wrap: Callable[[Any], Any]) -> None:
    """Arrow's JSON becomes text in a new column; a column declared as json keeps the text, or MySQL's form of it."""
    texts = ['{"b": 1,  "a": [1.0]}', None]
    data = wrap({"v": pa.array(texts, pa.json_())})
    write_sql(data, "extended", uri)
    assert read_sql(uri, "SELECT v FROM extended").equals(pl.DataFrame({"v": texts}))
    with Connection(uri) as connection:
        connection.execute("DROP TABLE extended")
        connection.execute("CREATE TABLE extended (v json)")
        connection.insert("extended", data)
        kept = connection.select("extended")["v"].to_list()
        assert kept == (['{"a": [1.0], "b": 1}', None] if is_mysql_itself(uri) else texts)


OPAQUE = pa.ExtensionArray.from_storage(
    pa.opaque(pa.binary(16), "inet", "PostgreSQL"), pa.array([b"x" * 16], pa.binary(16))
)
REFUSED: list[tuple[Any, str]] = [
    (pa.table({"v": OPAQUE}), "'v' is arrow.opaque"),
    (pa.table({"v": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8()))}), "'v' is arrow.bool8"),
    ({"v": OPAQUE}, "'v' is arrow.opaque"),
    (pa.table({"v": pa.ListArray.from_arrays([0, 2], STORED)}), "'v' has arrow.uuid within its type"),
    (pa.table({"v": pa.StructArray.from_arrays([STORED], ["x"])}), "'v' has arrow.uuid within its type"),
    ({"v": pa.ListArray.from_arrays([0, 2], STORED)}, "'v' has .*arrow.uuid.* within its type"),
    ([{"v": [ONE]}], "'v' is Object"),
    ([{"v": {"x": ONE}}], "'v' is Object"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_other_extension_types_are_refused_by_name(uri: str, data: object, message: str) -> None:
    """Other extension types are refused, since their stored bytes would read as something else; no table is made."""
    with pytest.raises(ConfigurationError, match=message):
        write_sql(data, "extended", uri)  # type: ignore[arg-type]
    with Connection(uri) as connection, pytest.raises(Exception, match="extended"):
        connection.select("extended")


@pytest.mark.parametrize("type_name", ["json", "jsonb", "text"])
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], [{"a": 1}]], ids=["struct", "list", "list of structs"])
def test_structs_and_lists_do_not_go_into_columns_of_json(uri: str, type_name: str, value: object) -> None:
    """A struct or list is refused, since several JSON texts are possible, and the caller must choose one."""
    if uri.startswith("mysql") and type_name == "jsonb":
        pytest.skip("not a type of MySQL's")
    with Connection(uri) as connection:
        connection.execute(f"CREATE TABLE extended (v {type_name})")
        with pytest.raises(ConfigurationError, match='column "v" is'):
            connection.insert("extended", {"v": [value]})
        assert connection.select("extended").height == 0
