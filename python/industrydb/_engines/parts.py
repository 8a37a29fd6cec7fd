"""The partitions of a plan as the tasks of an engine: each is pickled, sent to a worker, and read there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from industrydb._text.predicate import translated
from industrydb.industrydb import ConfigurationError, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from industrydb._plan import ReadPlan

# The number of rows of a batch: an engine's worker holds two batches of a partition.
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Part:
    """One partition of a plan. A pickle of it has no password: the worker finds it in its own environment."""

    plan: ReadPlan
    columns: tuple[str, ...]
    """The columns of the batches; none for a worker that only counts rows, whose plan then has one column."""
    limit: int | None = None
    """The number of rows that are enough; `None` for all rows."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the partition's rows, in the memory of two batches."""
        left = self.limit
        if left == 0:
            return
        size = BATCH_ROWS if left is None else min(left, BATCH_ROWS)
        with self.plan.batches(batch_size=size) as batches:
            for batch in batches:
                for made in arrow(batch if left is None else batch.head(left)).to_batches():
                    yield made.select(list(self.columns))
                left = None if left is None else left - batch.height
                if left is not None and left <= 0:
                    return


def parts(
    plan: ReadPlan,
    columns: Sequence[str] | None = None,
    predicate: pl.Expr | None = None,
    limit: int | None = None,
) -> list[Part]:
    """Return the partitions of a plan, with some of its columns, and at least the rows that match the predicate.

    Each has at most `limit` of these rows.
    """
    wanted = tuple(plan.schema) if columns is None else tuple(columns)
    return [Part(part, wanted, limit) for part in narrowed(plan, wanted or tuple(plan.schema)[:1], predicate)]


def reject_unknown(plan: ReadPlan, columns: Sequence[str]) -> None:
    """Raise if the plan's query does not have all of the columns."""
    unknown = [name for name in columns if name not in plan.schema]
    if unknown:
        msg = f"the query has no columns {unknown}: it has {list(plan.schema)}"
        raise ConfigurationError(msg)


def narrowed(plan: ReadPlan, columns: Sequence[str], predicate: pl.Expr | None) -> ReadPlan:
    """Return the plan of some columns, and of at least the rows that match the predicate."""
    reject_unknown(plan, columns)
    tree = None if predicate is None else translated(predicate, plan.schema)
    request = plan._request  # noqa: SLF001, of the same package
    if tree is None and list(columns) == list(plan.schema):
        return plan
    schema = pl.Schema({name: plan.schema[name] for name in columns})
    return replace(plan, schema=schema, _request=replace(request, narrowing=(list(columns), tree, None, False)))


def arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as an Arrow table, with the types of Arrow's first versions: no views, 64-bit offsets."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def arrow_schema(plan: ReadPlan) -> pa.Schema:
    """Return the types of a plan's columns in Arrow."""
    return arrow(pl.DataFrame(schema=plan.schema)).schema


def has_password(uri: str) -> bool:
    """Tell whether a URI contains a password."""
    return without_password(uri) != uri
