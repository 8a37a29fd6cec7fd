"""``industrydb.ray``: a query as a Ray dataset, a read task for each partition of the query.

Examples
--------
>>> import industrydb.ray
>>> ds = industrydb.ray.read_sql(  # doctest: +SKIP
...     uri, "SELECT * FROM lineitem", partition_on="l_orderkey", partitions=32
... )
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray.data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask
from ray.data.expressions import BinaryExpr, ColumnExpr, Expr, LiteralExpr, Operation, UnaryExpr

from industrydb._engines.errors import keep_attributes
from industrydb._engines.filters import MIRRORED, all_of, any_of, compared, contained, null
from industrydb._engines.parts import arrow_schema, parts, reject_unknown
from industrydb._plan import plan_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from ray.data.context import DataContext

    from industrydb._engines.parts import Part
    from industrydb._plan import ReadPlan
    from industrydb._text.address import Address

__all__ = ["SqlDatasource", "read_sql"]

COMPARISONS = {
    Operation.EQ: "=",
    Operation.NE: "<>",
    Operation.LT: "<",
    Operation.LE: "<=",
    Operation.GT: ">",
    Operation.GE: ">=",
}
keep_attributes()

# Ray's own name for the column of a block that has rows and no columns.
STUB = "__bsp_stub"


def read_sql(
    uri: Address,
    query: str,
    *,
    concurrency: int | None = None,
    ray_remote_args: dict[str, Any] | None = None,
    **arguments: Any,  # noqa: ANN401, as plan_sql
) -> ray.data.Dataset:
    """
    Read a query into a Ray dataset, whose blocks are read by Ray's workers.

    Parameters
    ----------
    uri, query
        As for `plan_sql`. Workers find the password in their own environment,
        such as ``PGPASSWORD``: no task contains it.
    concurrency
        The largest number of tasks that read at the same time, each with one
        session.
    ray_remote_args
        The resources of a read task, as for ``ray.remote``.
    **arguments
        The other arguments of `plan_sql`: `partition_on`, `partitions`,
        `schema_overrides`, `snapshot` and so on. With a `HeldSnapshot`, all
        tasks see one moment; otherwise, each sees the moment at which it runs.

    Returns
    -------
    ray.data.Dataset
        A dataset with a read task for each partition of the plan. Columns that
        Ray does not need are not read; filters that the database evaluates as
        Ray does are part of the statement.

    Raises
    ------
    IndustryDbError
        As for `plan_sql`; a task raises the errors of `ReadPlan.batches`.

    Examples
    --------
    >>> import industrydb.ray
    >>> ds = industrydb.ray.read_sql(  # doctest: +SKIP
    ...     uri, "SELECT * FROM lineitem", partitions=32, concurrency=8
    ... )
    >>> ds.count()  # doctest: +SKIP
    6001215
    """
    plan = plan_sql(uri, query, **arguments)
    return ray.data.read_datasource(
        SqlDatasource(plan),
        concurrency=concurrency,
        ray_remote_args=ray_remote_args,
        override_num_blocks=len(plan),
    )


class SqlDatasource(Datasource):
    """
    The partitions of a plan as Ray's read tasks.

    Parameters
    ----------
    plan
        The plan, which is made once: Ray asks for the tasks several times.
    """

    def __init__(self, plan: ReadPlan) -> None:
        super().__init__()
        self._plan = plan
        self._projection_map: dict[str, str] | None = None

    def get_name(self) -> str:
        """Return the name of the read tasks."""
        return "industrydb"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return the size of the dataset in bytes, by the estimated rows; `None` if they are unknown."""
        sizes = [self._size(rows) for rows in self._plan.estimated_rows]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002, the plan has its own number
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,  # noqa: ARG002, Ray's method
    ) -> list[ReadTask]:
        """Return a task for each partition, whatever `parallelism` is."""
        columns = self._columns()
        predicate = self._predicate_expr
        pushed = None if predicate is None else translated(predicate, self._plan.schema)
        needed = columns if columns is None or predicate is None else [*columns, *_more(predicate, columns)]
        schema = _chosen(arrow_schema(self._plan), columns)
        tasks = []
        for part, rows in zip(parts(self._plan, needed, pushed), self._plan.estimated_rows, strict=True):
            size = BlockMetadata(num_rows=None, size_bytes=self._size(rows), input_files=None, exec_stats=None)
            tasks.append(ReadTask(_Blocks(part, columns, predicate), size, schema, per_task_row_limit))
        return tasks

    def supports_projection_pushdown(self) -> bool:
        """Tell that only the needed columns are read."""
        return True

    def supports_predicate_pushdown(self) -> bool:
        """Tell that filters may be applied while reading."""
        return True

    def apply_predicate(self, predicate_expr: Expr) -> SqlDatasource:
        """Return a source that applies a filter; itself if the database has no part in it, and Ray then filters."""
        if translated(predicate_expr, self._plan.schema) is None:
            return self
        clone = copy.copy(self)
        before = self._predicate_expr
        clone._predicate_expr = predicate_expr if before is None else before & predicate_expr  # noqa: SLF001, its own
        return clone

    def _columns(self) -> list[str] | None:
        """Return the columns that Ray needs; `None` for all."""
        columns: list[str] | None = self._get_data_columns()
        reject_unknown(self._plan, columns or ())
        return columns

    def _size(self, rows: int | None) -> int | None:
        """Return the size in bytes of some rows, by their types alone; texts count as 32 bytes."""
        columns = self._columns()
        types = [field.type for field in _chosen(arrow_schema(self._plan), columns)]
        width = sum(kind.bit_width / 8 if _has_width(kind) else 32 for kind in types)
        return None if rows is None else round(rows * width)


class _Blocks:
    """Reads one partition into blocks, with the rows that match Ray's own filter."""

    def __init__(self, part: Part, columns: list[str] | None, predicate: Expr | None) -> None:
        self._part = part
        self._columns = columns
        self._predicate = predicate

    def __call__(self) -> Iterator[pa.Table]:
        """Yield the blocks, at least one, so that an empty partition has its types too."""
        exact = None if self._predicate is None else self._predicate.to_pyarrow()
        empty = True
        for batch in self._part.batches():
            table = pa.Table.from_batches([batch])
            empty = False
            yield self._finished(table if exact is None else table.filter(exact), batch.num_rows)
        if empty:
            yield self._finished(arrow_schema(self._part.plan).empty_table(), 0)

    def _finished(self, table: pa.Table, rows: int) -> pa.Table:
        if self._columns is None:
            return table
        if not self._columns:  # Ray counts rows
            count = table.num_rows if self._predicate is not None else rows
            return pa.table({STUB: pa.nulls(count)})
        return table.select(self._columns)


def translated(expression: Expr, schema: pl.Schema) -> pl.Expr | None:
    """Return a Polars expression for at least the rows that a filter keeps; `None` if it would be all rows."""
    if isinstance(expression, BinaryExpr):
        if expression.op is Operation.AND:
            return all_of([translated(expression.left, schema), translated(expression.right, schema)])
        if expression.op is Operation.OR:
            return any_of([translated(expression.left, schema), translated(expression.right, schema)])
        return _compared(expression, schema)
    if isinstance(expression, UnaryExpr) and isinstance(expression.operand, ColumnExpr):
        found = null(schema, expression.operand.name)
        if expression.op is Operation.IS_NULL:
            return found
        if expression.op is Operation.IS_NOT_NULL and found is not None:
            return ~found
    return None


def _compared(expression: BinaryExpr, schema: pl.Schema) -> pl.Expr | None:
    left, right, name = expression.left, expression.right, COMPARISONS.get(expression.op)
    if isinstance(left, ColumnExpr) and isinstance(right, LiteralExpr):
        if name is not None:
            return compared(schema, left.name, name, right.value)
        if expression.op is Operation.IN and isinstance(right.value, (list, tuple, set, frozenset)):
            return contained(schema, left.name, right.value)
    if isinstance(left, LiteralExpr) and isinstance(right, ColumnExpr) and name is not None:
        return compared(schema, right.name, MIRRORED[name], left.value)
    return None


def _more(expression: Expr, columns: list[str]) -> list[str]:
    """Return the columns of a filter that are not read anyway."""
    if isinstance(expression, ColumnExpr):
        return [] if expression.name in columns else [expression.name]
    children = [getattr(expression, name, None) for name in ("left", "right", "operand", "expr")]
    found = [name for child in children if isinstance(child, Expr) for name in _more(child, columns)]
    return list(dict.fromkeys(found))


def _chosen(schema: pa.Schema, columns: list[str] | None) -> pa.Schema:
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _has_width(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))
