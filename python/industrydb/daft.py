"""``industrydb.daft``: a query as a Daft DataFrame, a task for each partition of the query.

Examples
--------
>>> import industrydb.daft
>>> df = industrydb.daft.read_sql(  # doctest: +SKIP
...     uri, "SELECT * FROM lineitem", partition_on="l_orderkey", partitions=32
... )
"""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any

from daft import Schema
from daft.expressions.visitor import ExpressionVisitor
from daft.io.source import DataSource, DataSourceTask
from daft.recordbatch import RecordBatch

from industrydb._engines.filters import MIRRORED, all_of, any_of, compared, contained, null
from industrydb._engines.parts import arrow_schema, parts
from industrydb._plan import plan_sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import daft
    import polars as pl
    from daft.expressions import Expression
    from daft.io.pushdowns import Pushdowns

    from industrydb._engines.parts import Part
    from industrydb._plan import ReadPlan
    from industrydb._text.address import Address

__all__ = ["SqlDataSource", "read_sql"]

COMPARISONS = {
    "equal": "=",
    "not_equal": "<>",
    "less_than": "<",
    "less_than_or_equal": "<=",
    "greater_than": ">",
    "greater_than_or_equal": ">=",
}


def read_sql(uri: Address, query: str, **arguments: Any) -> daft.DataFrame:  # noqa: ANN401, as plan_sql
    """
    Read a query into a Daft DataFrame, whose tasks read where Daft runs them.

    Parameters
    ----------
    uri, query
        As for `plan_sql`. Workers find the password in their own environment,
        such as ``PGPASSWORD``: no task contains it.
    **arguments
        The other arguments of `plan_sql`: `partition_on`, `partitions`,
        `schema_overrides`, `snapshot` and so on. With a `HeldSnapshot`, all
        tasks see one moment; otherwise, each sees the moment at which it runs.

    Returns
    -------
    daft.DataFrame
        A lazy frame with a task for each partition of the plan. Columns that
        Daft does not need are not read, and filters that the database can
        evaluate are part of the statement; Daft evaluates all filters once
        more. A limit without a filter ends each task's query.

    Raises
    ------
    IndustryDbError
        As for `plan_sql`; a task raises the errors of `ReadPlan.batches`.

    Examples
    --------
    >>> import industrydb.daft
    >>> df = industrydb.daft.read_sql(  # doctest: +SKIP
    ...     uri, "SELECT * FROM lineitem", partitions=32
    ... )
    >>> df.where(df["l_quantity"] > 45).count_rows()  # doctest: +SKIP
    """
    return SqlDataSource(plan_sql(uri, query, **arguments)).read()


class SqlDataSource(DataSource):
    """
    The partitions of a plan as Daft's tasks.

    Parameters
    ----------
    plan
        The plan, which is made once.
    """

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan

    @property
    def name(self) -> str:
        """Return the name of the source."""
        return "industrydb"

    @property
    def schema(self) -> Schema:
        """Return the columns of the query in Daft's types."""
        return Schema.from_pyarrow_schema(arrow_schema(self._plan))

    async def get_tasks(self, pushdowns: Pushdowns) -> AsyncIterator[DataSourceTask]:
        """Yield a task for each partition, with the columns and filters that Daft asks for."""
        predicate = None
        if pushdowns.filters is not None:
            predicate = _Translation(self._plan.schema).condition(pushdowns.filters)
        # Daft counts the limit's rows after its filters, which may keep fewer rows than arrive here.
        limit = pushdowns.limit if pushdowns.filters is None else None
        for part in parts(self._plan, self._needed(pushdowns), predicate, limit):
            yield _Task(part)

    def _needed(self, pushdowns: Pushdowns) -> list[str] | None:
        """Return the columns that Daft needs, in the order of the query; `None` for all.

        Daft's operators find a column by its position among the needed columns of the source's schema, whatever the
        order in which they were asked for. Its filter on what arrives finds columns by their names.
        """
        tested = set() if pushdowns.filters is None else _tested(pushdowns.filters)
        if pushdowns.columns is None or tested is None:
            return None
        wanted = {*pushdowns.columns, *tested}
        return [name for name in self._plan.schema if name in wanted]


class _Task(DataSourceTask):
    """Reads one partition."""

    def __init__(self, part: Part) -> None:
        self._part = part

    @property
    def schema(self) -> Schema:
        """Return the columns of the task in Daft's types."""
        return Schema.from_pyarrow_schema(arrow_schema(self._part.plan))

    async def read(self) -> AsyncIterator[RecordBatch]:
        """Yield the rows of the partition."""
        batches = self._part.batches()
        # All tasks of a process share one event loop: a thread waits for the database, and the others go on.
        while (batch := await to_thread(next, batches, None)) is not None:
            yield RecordBatch.from_arrow_record_batches([batch], batch.schema)


class _Columns(ExpressionVisitor[set[str]]):
    """Collects the columns of an expression; Daft's own visitor takes no list, which ``is_in`` has as its argument."""

    def visit_col(self, name: str) -> set[str]:
        return {name}

    def visit_lit(self, value: Any) -> set[str]:  # noqa: ANN401, ARG002, any value
        return set()

    def visit_alias(self, expr: Expression, alias: str) -> set[str]:
        return self.visit_function(alias, [expr])

    def visit_cast(self, expr: Expression, dtype: Any) -> set[str]:  # noqa: ANN401, ARG002, Daft's method
        return self.visit_function("cast", [expr])

    def visit_coalesce(self, args: list[Expression]) -> set[str]:
        return self.visit_function("coalesce", args)

    def visit_function(self, name: str, args: list[Any]) -> set[str]:
        found: set[str] = set()
        for arg in args:
            found |= self.visit_function(name, arg) if isinstance(arg, list) else self.visit(arg)
        return found


def _tested(filters: Expression) -> set[str] | None:
    """Return the columns of a filter, or `None` if Daft shows no visitor what the filter has."""
    try:
        return _Columns().visit_function("filter", [filters])
    except ValueError:  # such as the field of a struct
        return None


class _Translation(ExpressionVisitor[Any]):
    """Translates a filter into a Polars expression for at least its rows; `None` for all rows.

    Operands are pairs: ``("column", name)`` and ``("value", value)``.
    """

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema

    def visit_col(self, name: str) -> tuple[str, Any]:
        return ("column", name)

    def visit_lit(self, value: Any) -> tuple[str, Any]:  # noqa: ANN401, any value
        return ("value", value)

    def visit_alias(self, expr: Expression, alias: str) -> Any:  # noqa: ANN401, ARG002, Daft's method
        return self.visit(expr)

    def visit_cast(self, expr: Expression, dtype: Any) -> None:  # noqa: ANN401, Daft's method
        """Leave a cast to Daft."""

    def visit_coalesce(self, args: list[Expression]) -> None:
        """Leave a coalesce to Daft."""

    def visit_function(self, name: str, args: list[Expression]) -> Any:  # noqa: ANN401, PLR0911, one for each form
        if name in ("and", "or"):
            sides = [self.condition(side) for side in args]
            return all_of(sides) if name == "and" else any_of(sides)
        if name in COMPARISONS:
            return self._compared(COMPARISONS[name], *(self.visit(side) for side in args))
        column = self.visit(args[0]) if args else None
        if not isinstance(column, tuple) or column[0] != "column":
            return None
        if name == "is_null":
            return null(self._schema, column[1])
        if name == "not_null":
            found = null(self._schema, column[1])
            return None if found is None else ~found
        if name == "is_in":
            items = args[1] if len(args) == 2 and isinstance(args[1], list) else args[1:]  # noqa: PLR2004, two
            values = [self.visit(item) for item in items]
            if all(isinstance(value, tuple) and value[0] == "value" for value in values):
                return contained(self._schema, column[1], [value for _, value in values])
        return None

    def condition(self, expression: Expression) -> pl.Expr | None:
        """Translate a condition; `None` for an operand too, and for what Daft shows no visitor."""
        try:
            found = self.visit(expression)
        except ValueError:
            return None
        return None if isinstance(found, tuple) else found

    def _compared(self, comparison: str, left: Any, right: Any) -> pl.Expr | None:  # noqa: ANN401, operands
        if not (isinstance(left, tuple) and isinstance(right, tuple)):
            return None
        if left[0] == "column" and right[0] == "value":
            return compared(self._schema, left[1], comparison, right[1])
        if left[0] == "value" and right[0] == "column":
            return compared(self._schema, right[1], MIRRORED[comparison], left[1])
        return None
