"""Tables for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The number of rows that a table shows; further ones are counted.
MOST_ROWS = 10


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in HTML, with all texts escaped, of at most `MOST_ROWS` rows and a line about the others."""
    shown = [[_cell("td", cell) for cell in row] for row in rows]
    left = len(shown) - MOST_ROWS
    lines = ["".join(_cell("th", name) for name in head), *map("".join, shown[:MOST_ROWS])]
    if left > 0:
        lines.append(f'<td colspan="{len(head)}">… and {left:,} more</td>')
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>"


def _cell(tag: str, content: object) -> str:
    # Without this, Jupyter would align SQL to the right, and take two dollar signs for a formula.
    text = escape(str(content)).replace("$", "&#36;").replace("\n", "<br>")
    return f'<{tag} style="text-align: left">{text}</{tag}>'
