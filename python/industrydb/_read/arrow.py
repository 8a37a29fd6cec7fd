"""Conversion of a Polars frame's columns to pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from industrydb.industrydb import arrow_stream, return_free_memory

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
    memory = Freed()
    while columns:
        size = columns[-1].estimated_size()
        parts.append(pa.table(_Column(columns.pop())))
        memory.add(size)
    schema = pa.schema([part.schema.field(0) for part in parts])
    return pa.Table.from_arrays([part.column(0) for part in parts], schema=schema)


def chunks(column: pl.Series) -> pa.ChunkedArray:
    """Return a column as a chunked array."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(_Column(column)).column(0)


class Freed:
    """Memory of the columns of one frame that were freed: returned to the system in portions larger than a batch."""

    _PORTION_BYTES = 32 << 20

    def __init__(self) -> None:
        self._bytes = 0.0

    def add(self, size: float) -> None:
        """Note that a column of so many bytes was freed."""
        self._bytes += size
        if self._bytes >= self._PORTION_BYTES:
            self._bytes = 0.0
            return_free_memory()


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
