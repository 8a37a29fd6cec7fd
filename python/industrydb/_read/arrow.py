"""Conversion of a Polars frame's columns to pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from industrydb.industrydb import arrow_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import pyarrow as pa


def table(columns: list[pl.Series], height: int) -> pa.Table:
    """Return the columns as a table; the list of columns is emptied, so that each is released after its conversion."""
    import pyarrow as pa  # noqa: PLC0415

    if not columns:
        return pa.table({"": pa.nulls(height)}).select([])
    columns.reverse()
    parts = []
    while columns:
        parts.append(pa.table(_Column(columns.pop())))
    schema = pa.schema([part.schema.field(0) for part in parts])
    return pa.Table.from_arrays([part.column(0) for part in parts], schema=schema)


def chunks(column: pl.Series) -> pa.ChunkedArray:
    """Return a column as a chunked array."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(_Column(column)).column(0)


class _Column:
    """A column as an Arrow C stream, which hands over one chunk after another and releases each."""

    def __init__(self, column: pl.Series) -> None:
        self._empty = column.clear().to_frame()
        self._chunks = column.get_chunks()  # Polars' own conversion would merge them into one

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream."""
        return arrow_stream(self._frames(), self._empty, requested_schema)

    def _frames(self) -> Iterator[pl.DataFrame]:
        self._chunks.reverse()
        while self._chunks:
            yield self._chunks.pop().to_frame()
