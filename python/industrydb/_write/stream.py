"""Data that arrive batch by batch, as frames of types that databases have, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from industrydb._read.batches import BatchReader
from industrydb._write.frame import frame, reject_column
from industrydb.industrydb import ArrowBatches, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from industrydb._write.frame import Data

# A frame is written once it has this many rows or bytes; memory holds the frame and the batch that comes next.
ROWS = 131_072
BYTES = 64 << 20


@dataclass
class _Batch:
    """A batch as an Arrow stream of its own."""

    capsule: object

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream in its own schema."""
        del requested_schema
        return self.capsule


# An empty frame with the columns of the data, and the data.
Frames: TypeAlias = "tuple[pl.DataFrame, Iterator[pl.DataFrame]]"


def frames(data: Data) -> Frames:
    """Return an empty frame with the columns of the data, and the data as frames: one, or many if they are streamed."""
    if isinstance(data, pl.LazyFrame) and hasattr(data, "collect_batches"):
        empty = pl.DataFrame(schema=data.collect_schema())
        return frame(empty), _gathered(map(frame, data.collect_batches(chunk_size=ROWS, lazy=True)))
    if isinstance(data, BatchReader):
        batches = data._frames()  # noqa: SLF001, whatever type its batches are converted to
        return frame(pl.DataFrame(schema=data.schema)), _gathered(map(frame, batches))
    reject_column(data)
    if _is_stream(data):
        stream: Any = data
        with _told():
            arrow = ArrowBatches(stream.__arrow_c_stream__())
        return frame(_Batch(arrow.empty())), _gathered(map(frame, _batches(arrow)))
    whole = frame(data)
    return whole.clear(), iter([whole])


def _batches(arrow: ArrowBatches) -> Iterator[_Batch]:
    """Yield the batches of an Arrow stream."""
    while True:
        with _told():
            batch = next(arrow, None)
        if batch is None:
            return
        yield _Batch(batch)


@contextmanager
def _told() -> Iterator[None]:
    """Raise an error of the stream as one of the data."""
    try:
        yield
    except ValueError as error:
        msg = f"the data's stream has failed: {error}"
        raise ConfigurationError(msg) from error


def _is_stream(data: object) -> bool:
    """Tell whether data come as an Arrow stream; pandas' frames are converted whole, with types of their own."""
    is_pandas = type(data).__module__.partition(".")[0] == "pandas"
    is_frame = isinstance(data, (pl.DataFrame, pl.LazyFrame, Mapping))
    return hasattr(data, "__arrow_c_stream__") and not is_pandas and not is_frame


def _gathered(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the rows of batches as frames of about `ROWS` rows or `BYTES` bytes."""
    for first in batches:
        parts, rows, size = [first], first.height, first.estimated_size()
        while rows < ROWS and size < BYTES and (following := list(islice(batches, 1))):
            parts += following
            rows += following[0].height
            size += following[0].estimated_size()
        yield pl.concat(parts, rechunk=False)
