"""``plan_sql``: the partitions of a read, to inspect or to read in other processes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from industrydb._read.batches import BATCH_SIZE, BatchReader, checked_size
from industrydb._request import Request, Snapshot, request
from industrydb._text.arguments import explained, folded, whole
from industrydb._text.html import table
from industrydb._text.overrides import SchemaOverrides, base, finished
from industrydb.industrydb import ConfigurationError, DatabaseConfig, without_password
from industrydb.industrydb import plan_sql as _plan_sql
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from industrydb._text.address import Address
    from industrydb._text.statement import Parameters, Query


@dataclass(frozen=True, repr=False)
class ReadPlan:
    """
    The partitions of a read, each with its own query.

    Made by `plan_sql`. A plan can be pickled, and read in other processes
    or on other machines. Together, the partitions' queries return every row
    of the whole query exactly once, as long as the keys of the rows do not
    change.

    Attributes
    ----------
    sql : tuple of str
        The query of each partition, in the order of the result.
    estimated_rows : tuple of (int or None)
        Row count of each partition, estimated from the sample that placed
        the cuts; `None` if nothing was sampled: for a single partition, a
        list of queries, or a `partition_range`.
    schema : polars.Schema
        The columns of every read of the plan. A column whose type depends
        on its values, such as PostgreSQL's ``numeric`` without precision or
        an SQLite expression, has the type that fits all its values at
        planning time.
    note : str or None
        The reason for a single partition where more were asked for;
        otherwise `None`.
    way : str or None
        How the first partition is read, on databases with several ways:
        SQLite decodes a table's pages, or else steps through the rows, and
        `way` says why. Otherwise `None`.

    Examples
    --------
    >>> import industrydb
    >>> query = "SELECT id, name FROM person"
    >>> plan = industrydb.plan_sql(
    ...     uri, query, partition_on="id", partitions=2
    ... )
    >>> len(plan)
    2
    >>> plan.read(1).rows()
    [(3, None)]
    >>> print(plan.explain())
    2 partitions, about 3 rows
    stepping through the rows: the file is small
    partition 1, read(0), about 2 rows:
      SELECT * FROM (
      SELECT id, name FROM person
      ) AS q WHERE q."id" < 3 OR q."id" IS NULL
    partition 2, read(1), about 1 row:
      SELECT * FROM (
      SELECT id, name FROM person
      ) AS q WHERE q."id" >= 3
    """

    sql: tuple[str, ...]
    estimated_rows: tuple[int | None, ...]
    schema: pl.Schema
    note: str | None
    way: str | None
    _request: Request
    _include_secrets: bool
    # The column that divides the query, and whether a range placed the cuts: `_request` is of the partitions.
    _column: str | None = None
    _has_range: bool = False

    def __len__(self) -> int:
        """Return the number of partitions."""
        return len(self.sql)

    def __getitem__(self, index: int | slice) -> ReadPlan:
        """Return the plan of one partition, or of some of them."""
        chosen = index if isinstance(index, slice) else slice(number := self._number(index), number + 1)
        return replace(self, sql=self.sql[chosen], estimated_rows=self.estimated_rows[chosen])

    def __iter__(self) -> Iterator[ReadPlan]:
        """Return an iterator over the plans of single partitions."""
        return (self[number] for number in range(len(self)))

    def __hash__(self) -> int:
        """Return a hash of the partitions' queries."""
        return hash(self.sql)

    def __repr__(self) -> str:
        """Return the first line of `explain`, without the URI."""
        return f"<ReadPlan: {self._summary()}>"

    def _repr_html_(self) -> str:
        """Return the partitions as a table for a notebook, without the URI and the values of `params`."""
        parts = zip(self.sql, self.estimated_rows, strict=True)
        rows = [(number, "" if rows is None else f"{rows:,}", sql) for number, (sql, rows) in enumerate(parts, 1)]
        return table(f"ReadPlan: {self._summary()}", ("partition", "rows, about", "SQL"), rows)

    @explained
    def read(self, index: int | None = None) -> pl.DataFrame:
        """
        Read one partition, or all of them in parallel.

        Parameters
        ----------
        index
            The partition's number, from 0, or from the end if negative; all
            partitions if not given. Each call sees the state of the
            database at the time of the call.

        Returns
        -------
        polars.DataFrame
            The partition's rows, or the rows of all partitions in order.
            The frame's schema is always `schema`, even without rows.

        Raises
        ------
        IndexError
            There is no such partition.
        TypeConversionError
            A value does not fit its column's type in `schema`: the value is
            newer than the plan, is not of the type that the database
            declares, or the column's type was changed.
        IndustryDbError
            As for `read_sql`.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT id, name FROM person"
        >>> plan = industrydb.plan_sql(uri, query, partitions=2)
        >>> plan.read(0).rows()
        [(1, 'Ada'), (2, 'Grace')]
        >>> plan.read().height
        3
        """
        plan = self if index is None else self[index]
        if not plan.sql:
            return pl.DataFrame(schema=self.schema)
        frame = _read_sql(replace(self._request, queries=plan.sql), settled=self._read_types())
        return finished(frame, self._request.dtypes)

    @explained
    def batches(self, index: int | None = None, *, batch_size: int = BATCH_SIZE) -> BatchReader:
        """
        Read one partition, or all of them in order, batch by batch.

        Parameters
        ----------
        index
            The partition's number, as for `read`.
        batch_size
            The number of rows of a batch, as for `read_sql_batches`.

        Returns
        -------
        BatchReader
            An iterator over frames with the columns of `schema`, in the
            memory of two batches per worker. It is also an Arrow C stream.

        Raises
        ------
        IndexError
            There is no such partition.
        ConfigurationError
            `batch_size` is not at least 1.
        IndustryDbError
            As for `read`, here or in place of a batch.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT id, name FROM person"
        >>> plan = industrydb.plan_sql(uri, query, partitions=2)
        >>> with plan.batches(0, batch_size=1) as batches:
        ...     print([batch.rows() for batch in batches])
        [[(1, 'Ada')], [(2, 'Grace')]]
        """
        plan = self if index is None else self[index]
        _reject_empty(plan)
        call = replace(self._request, queries=plan.sql)
        return BatchReader(call, batch_size=checked_size(batch_size), ordered=True, settled=self._read_types())

    @explained
    def profile(self, *, show_plot: bool = False) -> tuple[pl.DataFrame, pl.DataFrame]:
        """
        Read all partitions in parallel, and measure what each one does.

        All times are seconds since the moment at which the first partition
        could start. The sessions that describe the queries and share a
        snapshot are open by then.

        Parameters
        ----------
        show_plot
            Whether to show the profile as a chart, too, with a lane for
            each worker: in the notebook, if the call runs in one, or else
            in a browser.

        Returns
        -------
        tuple of (polars.DataFrame, polars.DataFrame)
            The frame that `read` returns, and the profile. The profile has
            a row for each partition and these columns: ``partition`` and
            ``worker``, numbered from 1; ``start_s``, when the worker took
            the partition; ``connected_s``, when the worker had a session;
            ``first_rows_s``, when the first rows had arrived, null if there
            are none; ``end_s``, when the last row had arrived; ``wait_s``,
            the time spent waiting for the database; ``decode_s``, the rest
            of the time since ``connected_s``; ``rows``; ``bytes``, the
            number of received bytes; ``estimated_rows``, as in the plan;
            ``rows_per_s`` since ``connected_s``; ``way``, how the rows were
            read, on databases with several ways, such as SQLite. Only
            PostgreSQL distinguishes waiting from decoding, and counts
            bytes: for the others, ``wait_s`` and ``bytes`` are null, and
            ``decode_s`` is the whole time.

        Raises
        ------
        IndustryDbError
            As for `read_sql`.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT id, name FROM person"
        >>> plan = industrydb.plan_sql(uri, query, partitions=2)
        >>> df, profile = plan.profile()
        >>> profile.select("partition", "rows", "estimated_rows").rows()
        [(1, 2, 2), (2, 1, 1)]
        """
        # Imported late: few calls need it, and the import takes time.
        from industrydb._watch.advice import Division  # noqa: PLC0415
        from industrydb._watch.page import Facts, chart  # noqa: PLC0415
        from industrydb._watch.profile import profiled, show  # noqa: PLC0415

        _reject_empty(self)
        frame, profile = profiled(replace(self._request, queries=self.sql), settled=self._read_types())
        profile = profile.with_columns(pl.Series("estimated_rows", self.estimated_rows, pl.Int64))
        if show_plot:
            database = DatabaseConfig.from_uri(self._request.uri).to_uri()
            division = Division(self._column, has_range=self._has_range)
            show(chart(profile, Facts(";\n".join(self._request.queries), database, division=division)))
        return frame, profile

    def explain(self) -> str:
        """
        Return the estimated row count and the query of each partition.

        Returns
        -------
        str
            Several lines, without the values of `params` and without the
            URI.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT id FROM person WHERE id > 1"
        >>> print(industrydb.plan_sql(uri, query).explain())
        1 partition
        stepping through the rows: the file is small
        partition 1, read(0):
          SELECT id FROM person WHERE id > 1
        """
        lines = [self._summary()]
        if self.note is not None:
            lines.append(self.note)
        if self.way is not None:
            lines.append(self.way)
        for number, (sql, rows) in enumerate(zip(self.sql, self.estimated_rows, strict=True)):
            lines.append(f"partition {number + 1}, read({number}){_about(rows)}:")
            lines.extend(f"  {line}" for line in sql.splitlines())
        return "\n".join(lines)

    def _number(self, index: int) -> int:
        """Return the number of a partition, which may be given from the end."""
        try:
            return range(len(self))[whole("index", index)]
        except IndexError:
            last = len(self.sql) - 1
            parts = f"{len(self)} partition{'s'[: len(self) != 1]}"
            msg = f"the plan has {parts}, from 0 to {last}, and no partition {index}"
            raise IndexError(msg) from None

    def _read_types(self) -> list[tuple[str, pl.DataType]]:
        """Return the types to decode the columns as; casts then make those of `schema` from them."""
        asked = self._request.dtypes
        return [(name, base(dtype) if name in asked else dtype) for name, dtype in self.schema.items()]

    def _summary(self) -> str:
        known = [rows for rows in self.estimated_rows if rows is not None]
        total = sum(known) if known and len(known) == len(self.sql) else None
        return f"{len(self.sql)} partition{'s'[: len(self.sql) != 1]}{_about(total)}"

    def __copy__(self) -> ReadPlan:
        """Return the plan itself, which cannot be changed."""
        return self

    def __deepcopy__(self, _memo: object) -> ReadPlan:
        """Return the plan itself, which cannot be changed."""
        return self

    def __getstate__(self) -> dict[str, object]:
        """Return the state to pickle, with the password only if asked for."""
        state = dict(self.__dict__)
        if self._request.password is not None:
            msg = (
                "the plan's password is asked from a function, which no pickle has: whoever reads the plan finds the "
                "password as for a URI without one, in PGPASSWORD for example"
            )
            if self._include_secrets:
                raise ConfigurationError(msg)
            warnings.warn(msg, stacklevel=2)
            state["_request"] = replace(self._request, password=None)
            return state
        if not self._include_secrets:
            state["_request"] = replace(self._request, uri=without_password(self._request.uri))
        return state


folded(ReadPlan.__init__)


def _reject_empty(plan: ReadPlan) -> None:
    if not plan.sql:
        msg = "the plan has no partitions: it is an empty slice of another one"
        raise ConfigurationError(msg)


def _about(rows: int | None) -> str:
    return "" if rows is None else f", about {rows:,} row{'s'[: rows != 1]}"


@explained
def plan_sql(  # noqa: PLR0913, as for read_sql
    uri: Address,
    query: Query,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    include_secrets: bool = False,
) -> ReadPlan:
    """
    Divide a query into partitions as `read_sql` does, without reading them.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range,
    schema_overrides
        As for `read_sql`.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`.
    timeout
        As for `read_sql`; it limits the planning, and each `ReadPlan.read`.
    include_secrets
        Whether a pickle of the plan contains the password of `uri`. If not,
        the process that reads the plan finds the password as for any URI
        without one, in ``PGPASSWORD`` for example. The pickle always
        contains `params` and `pre_execution_query`, and never a function
        that is asked for the password: pickling such a plan warns, or
        raises with `include_secrets`.

    Returns
    -------
    ReadPlan
        The partitions. There are fewer than asked for if there are fewer
        keys. All have one schema. To find it, columns whose type depends on
        their values, such as PostgreSQL's ``numeric`` without precision or
        SQLite's expressions, are read once, by themselves;
        `schema_overrides` saves that read. A value that later does not fit
        raises a `TypeConversionError`.

    Raises
    ------
    ConfigurationError, DatabaseConnectionError, QueryExecutionError,
    QueryTimeoutError, TypeConversionError
        As for `read_sql`.

    Examples
    --------
    Read the partitions in separate processes, and concatenate them:

    >>> from concurrent.futures import ProcessPoolExecutor
    >>> sql = "SELECT * FROM lineitem"
    >>> plan = industrydb.plan_sql(uri, sql, partitions=8)  # doctest: +SKIP
    >>> with ProcessPoolExecutor() as pool:  # doctest: +SKIP
    ...     df = pl.concat(pool.map(plan.read, range(len(plan))))
    """
    call = request(
        uri,
        query,
        params=params,
        partition_on=partition_on,
        partitions=partitions,
        partition_range=partition_range,
        schema_overrides=schema_overrides,
        pre_execution_query=pre_execution_query,
        snapshot=snapshot,
        max_connections=max_connections,
        timeout=timeout,
        not_open="a plan is read by other sessions, and a Connection is only one: pass the URI of its database",
    )
    return planned(call, include_secrets=include_secrets)


def planned(call: Request, *, include_secrets: bool = False, settle: bool = True) -> ReadPlan:
    """Make a plan of a call; only a plan made with `settle`, which fixes all column types, can be read."""
    frame, parts, note, way = _plan_sql(call, settle=settle)
    return ReadPlan(
        sql=tuple(sql for sql, _ in parts),
        estimated_rows=tuple(None if rows is None else round(rows) for _, rows in parts),
        schema=finished(frame, call.dtypes).schema,
        note=note,
        way=way,
        _request=replace(call, partition_on=None, partitions=None, cuts=None),
        _include_secrets=include_secrets,
        _column=call.partition_on,
        _has_range=call.cuts is not None,
    )
