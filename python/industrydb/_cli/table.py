"""A frame as a table of text that fits the terminal."""

from __future__ import annotations

import shutil
import sys

import polars as pl

from industrydb import ConfigurationError
from industrydb._text.letters import is_ascii_only

# The width where standard output is no terminal, as of Polars' own tables.
USUAL_WIDTH = 100

# The width of a column with a single letter.
NARROWEST = 4

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
    with pl.Config(ascii_tables=is_ascii, tbl_width_chars=-1):
        if rows is not None:
            pl.Config.set_tbl_rows(rows)
        for count in range(most, 1, -1):
            text = _table(frame, count)
            if wide == -1 or _width(text) <= wide:
                break
        else:  # a single column, whose values are broken if they do not fit either
            pl.Config.set_tbl_width_chars(wide)
            text = _table(frame, min(most, 1))
    return text.replace("[μs", "[us") if is_ascii else text


def _width(table: str) -> int:
    """Return the width of a table at a terminal, where some letters are two columns wide: that of its borders."""
    return max(len(line) for line in table.splitlines() if line.startswith(("┌", "+")))


def _table(frame: pl.DataFrame, columns: int) -> str:
    with pl.Config(tbl_cols=columns):
        return str(frame)
