"""``industrydb.spark``: a data source for Spark 4, whose tasks read the partitions of a query.

Examples
--------
>>> from industrydb.spark import IndustryDb
>>> spark.dataSource.register(IndustryDb)  # doctest: +SKIP
>>> reader = spark.read.format("industrydb")  # doctest: +SKIP
>>> df = reader.options(uri=uri, dbtable="lineitem").load()  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema

from industrydb._engines.parts import arrow_schema, has_password, parts
from industrydb._plan import plan_sql
from industrydb._scan import TABLE
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyspark.sql.types import StructType

    from industrydb._engines.parts import Part
    from industrydb._plan import ReadPlan

__all__ = ["IndustryDb"]

Number = TypeVar("Number", int, float)

# Options of the source. Spark does not keep the case of their names.
OPTIONS = ("uri", "query", "dbtable", "partitionOn", "numPartitions", "snapshot", "preExecutionQuery", "timeout")


class IndustryDb(DataSource):
    """
    A query on a database as a Spark data source.

    Options, whose names Spark does not distinguish by case:

    - ``uri``: the database, without a password; workers find it in their own environment, such as ``PGPASSWORD``.
    - ``query`` or ``dbtable``: what to read.
    - ``partitionOn`` and ``numPartitions``: as `partition_on` and `partitions` of `plan_sql`; one task per partition.
    - ``snapshot``: the `HeldSnapshot.token` of a snapshot that all tasks see; otherwise each task sees the moment at
      which it runs.
    - ``preExecutionQuery`` and ``timeout``, in seconds: as for `plan_sql`.

    Each read of a frame reads all columns and rows of the query: Spark hands no columns to a source in Python, and its
    filters only in a way that mixes up two uses of one frame. What need not be read belongs into the query.

    Examples
    --------
    >>> spark.dataSource.register(IndustryDb)  # doctest: +SKIP
    >>> lines = (  # doctest: +SKIP
    ...     spark.read.format("industrydb")
    ...     .option("uri", "postgresql://reader@db/shop")
    ...     .option("query", "SELECT * FROM lineitem")
    ...     .option("partitionOn", "l_orderkey")
    ...     .option("numPartitions", 32)
    ...     .load()
    ... )
    """

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "industrydb"

    def schema(self) -> StructType:
        """Return the columns of the query in Spark's types."""
        return _spark_schema(self._plan(self._given()))

    def reader(self, schema: StructType) -> _Reader:
        """Return the reader of the query's partitions."""
        given = self._given()
        split = {"partition_on": given.get("partitionOn"), "partitions": _number(given, "numPartitions", int)}
        plan = self._plan(given, **split)
        found = _spark_schema(plan)
        if [(field.name, field.dataType) for field in schema] != [(field.name, field.dataType) for field in found]:
            msg = (
                f"the query's columns are {found.simpleString()}, not {schema.simpleString()}: give load() no other "
                "schema, and cast the columns afterwards"
            )
            raise ConfigurationError(msg)
        return _Reader(plan)

    def _given(self) -> dict[str, str]:
        """Return the options by their names in `OPTIONS`; raise for any other."""
        given = {name.lower(): value for name, value in dict(self.options).items()}
        found = {name: given.pop(name.lower()) for name in OPTIONS if name.lower() in given}
        given.pop("path", None)  # Spark's own
        if given:
            msg = f"the format industrydb has no options {list(given)}: it has {list(OPTIONS)}"
            raise ConfigurationError(msg)
        return found

    def _plan(self, given: Mapping[str, str], **split: Any) -> ReadPlan:  # noqa: ANN401, as plan_sql
        uri, query, table = given.get("uri"), given.get("query"), given.get("dbtable")
        if uri is None or (query is None) == (table is None):
            msg = "the format industrydb needs the option uri, and either query or dbtable"
            raise ConfigurationError(msg)
        if has_password(uri):
            msg = (
                "the option uri has a password, which Spark shows and sends to all workers: leave it out, and set "
                "PGPASSWORD, or what the database's client reads, in the environment of the driver and the workers"
            )
            raise ConfigurationError(msg)
        if table is not None and not TABLE.fullmatch(table):
            msg = f"dbtable={table!r} is no name of a table: use query for a SELECT"
            raise ConfigurationError(msg)
        return plan_sql(
            uri,
            query if query is not None else f"SELECT * FROM {table}",  # noqa: S608, a name ends no statement
            pre_execution_query=given.get("preExecutionQuery"),
            snapshot=given.get("snapshot") or True,
            timeout=_number(given, "timeout", float),
            **split,
        )


def _number(given: Mapping[str, str], name: str, kind: Callable[[str], Number]) -> Number | None:
    """Return the number that an option has, or `None` without the option."""
    try:
        return None if name not in given else kind(given[name])
    except ValueError:
        msg = f"the option {name} must be a number, not {given[name]!r}"
        raise ConfigurationError(msg) from None


class _Task(InputPartition):
    """One partition of the plan."""

    def __init__(self, part: Part) -> None:
        self.part = part


class _Reader(DataSourceReader):
    """Reads the partitions of a plan."""

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan

    def partitions(self) -> Sequence[InputPartition]:
        """Return a task for each partition."""
        return [_Task(part) for part in parts(self._plan)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition as Arrow batches in Spark's types."""
        assert isinstance(partition, _Task)  # noqa: S101, made above
        for batch in partition.part.batches():
            yield batch.cast(_spark_types(batch.schema))


def _spark_schema(plan: ReadPlan) -> StructType:
    """Return the columns of a plan in Spark's types."""
    types: StructType = from_arrow_schema(_spark_types(arrow_schema(plan)))
    return types


def _spark_types(schema: pa.Schema) -> pa.Schema:
    """Return the types that Spark takes; each one holds all values of the given type."""
    return pa.schema([pa.field(field.name, _spark_type(field.type)) for field in schema])


# Unsigned integers, which Spark has not, and types with 64-bit offsets.
WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.large_string(): pa.string(),
    pa.large_binary(): pa.binary(),
}


def _spark_type(kind: Any) -> pa.DataType:  # noqa: ANN401, a type of pyarrow; one for each kind
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)  # the cast raises for nanoseconds that are no microseconds
    if pa.types.is_duration(kind):
        return pa.duration("us")
    if pa.types.is_time(kind) or pa.types.is_dictionary(kind):
        return pa.string()  # Spark collects its own type of times, and cannot count or filter their rows
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_spark_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _spark_type(field.type)) for field in kind])
    return WIDER.get(kind, kind)
