"""``industrydb.dask``: a query as a Dask DataFrame, a partition of the query for each of its partitions.

Examples
--------
>>> import industrydb.dask
>>> ddf = industrydb.dask.read_sql(  # doctest: +SKIP
...     uri, "SELECT * FROM lineitem", partition_on="l_orderkey", partitions=32
... )
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd

from industrydb._engines.errors import keep_attributes
from industrydb._engines.parts import narrowed
from industrydb._plan import plan_sql
from industrydb._read.return_type import converter

if TYPE_CHECKING:
    import pandas as pd

    from industrydb._plan import ReadPlan
    from industrydb._read.return_type import DtypeBackend
    from industrydb._text.address import Address

__all__ = ["read_sql"]

keep_attributes()


def read_sql(uri: Address, query: str, *, dtype_backend: DtypeBackend = "pyarrow", **arguments: Any) -> dd.DataFrame:  # noqa: ANN401, as plan_sql
    """
    Read a query into a Dask DataFrame, partition by partition as Dask asks.

    Parameters
    ----------
    uri, query
        As for `plan_sql`. Workers find the password in their own environment,
        such as ``PGPASSWORD``: no task contains it.
    dtype_backend
        The dtypes of the pandas frames, as for `read_sql`.
    **arguments
        The other arguments of `plan_sql`: `partition_on`, `partitions`,
        `schema_overrides`, `snapshot` and so on. With a `HeldSnapshot`, all
        partitions see one moment; otherwise, each sees the moment at which it
        is read.

    Returns
    -------
    dask.dataframe.DataFrame
        A frame with a partition for each partition of the plan. Only the
        columns that Dask needs are read.

    Raises
    ------
    IndustryDbError
        As for `plan_sql`; a task raises the errors of `ReadPlan.read`.

    Examples
    --------
    >>> import industrydb.dask
    >>> query = "SELECT * FROM lineitem"
    >>> ddf = industrydb.dask.read_sql(  # doctest: +SKIP
    ...     uri, query, partition_on="l_orderkey", partitions=32
    ... )
    >>> sums = ddf.groupby("l_returnflag").sum().compute()  # doctest: +SKIP
    """
    plan = plan_sql(uri, query, **arguments)
    read = _Read(plan, dtype_backend)
    meta = read(None)
    # Dask would make texts of all columns of objects: of decimals, lists, times and bytes.
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_map(read, list(range(len(plan))), meta=meta, label="industrydb", enforce_metadata=True)


class _Read:
    """Reads one partition into a pandas frame."""

    def __init__(self, plan: ReadPlan, dtype_backend: DtypeBackend) -> None:
        self._plan = plan
        self._backend = dtype_backend

    def __call__(self, index: int | None, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a partition, or no rows."""
        plan = self._plan if columns is None else narrowed(self._plan, columns or list(self._plan.schema)[:1], None)
        frame = plan.schema.to_frame() if index is None else plan.read(index)
        made: pd.DataFrame = converter("pandas", self._backend)(frame.get_columns(), frame.height)
        return made if columns is None else made[columns]
