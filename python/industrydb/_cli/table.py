"""A frame as a table of text that fits the terminal."""

from __future__ import annotations

import codecs
import shutil
import sys
from typing import Any

import polars as pl

from industrydb import ConfigurationError
from industrydb._text.letters import is_ascii_only

# The width where standard output is no terminal, as of Polars' own tables.
USUAL_WIDTH = 100

# The width of a column with a single letter.
NARROWEST = 4

# The number of rows that Polars prints if nothing is asked for.
USUAL_ROWS = 10

# The number of columns that Polars prints if nothing is asked for.
USUAL_COLUMNS = 8


def as_table(frame: pl.DataFrame, rows: int | None, columns: int | None, width: int | None) -> str:
    """Return a frame as text: of its columns as many as fit, so that no value is broken into lines."""
    for option, number in (("--rows", rows), ("--columns", columns), ("--width", width)):
        if number is not None and number < -1:
            msg = f"{option} must be a number from 0, or -1 for all, not {number}"
            raise ConfigurationError(msg)
    wide = shutil.get_terminal_size((USUAL_WIDTH, 0)).columns if width is None else width
    most = frame.width if columns == -1 else min(frame.width, USUAL_COLUMNS if columns is None else columns)
    if wide != -1:
        most = min(most, wide // NARROWEST)
    is_ascii = is_ascii_only(sys.stdout)
    shape = f"shape: ({frame.height:_}, {frame.width:_})"
    shown = _encodable(frame.clear() if rows == 0 else frame, USUAL_ROWS if rows is None else rows)
    with pl.Config(ascii_tables=is_ascii, tbl_width_chars=-1):
        if rows is not None:
            pl.Config.set_tbl_rows(rows)
        for count in range(most, 1, -1):
            text = _table(shown, count)
            if wide == -1 or _width(text) <= wide:
                break
        else:  # a single column, of which texts are broken if they do not fit either
            if shown.width and _is_breakable(shown.dtypes[0]):
                pl.Config.set_tbl_width_chars(wide)
            text = _table(shown, min(most, 1))
    lines = text.partition("\n")[2]  # below the shape of what is shown
    return f"{shape}\n{lines.replace('[μs', '[us') if is_ascii else lines}"


def _is_breakable(dtype: pl.DataType) -> bool:
    return dtype.is_nested() or isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Binary))


def _encodable(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Return the rows that a table shows, with escapes for the letters that the encoding of the output lacks.

    An escape is wider than its letter, and would move the table's border if it were made later.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if codecs.lookup(encoding).name == "utf-8":
        return frame
    if 0 <= rows < frame.height:  # the middle is shown as dots
        half = rows // 2 + 1
        frame = frame if 2 * half >= frame.height else pl.concat([frame.head(half), frame.tail(half)])

    def escaped(value: Any) -> Any:  # noqa: ANN401, a value of any type
        match value:
            case str():
                return value.encode(encoding, "backslashreplace").decode(encoding)
            case list():
                return [escaped(one) for one in value]
            case dict():
                return {name: escaped(one) for name, one in value.items()}
        return value

    columns = []
    for column in frame.iter_columns():
        texts = column.cast(pl.String) if isinstance(column.dtype, (pl.Categorical, pl.Enum)) else column
        is_text = texts.dtype == pl.String or texts.dtype.is_nested()
        made = pl.Series(texts.name, escaped(texts.to_list()), texts.dtype) if is_text else texts
        columns.append(made.rename(escaped(column.name)))
    return pl.DataFrame(columns)


def _width(table: str) -> int:
    """Return the width of a table at a terminal, where some letters are two columns wide: that of its borders."""
    return max(len(line) for line in table.splitlines() if line.startswith(("┌", "+")))


def _table(frame: pl.DataFrame, columns: int) -> str:
    with pl.Config(tbl_cols=columns):
        return str(frame)
