"""Read the type tables of the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def type_table(page: str) -> list[tuple[str, str]]:
    """Return a page's type table as pairs of a type name (or the cell's prose if it names no type) and a dtype."""
    text = (ROOT / "docs" / "databases" / page).read_text()
    table = re.search(r"^## Types\n.*?\n(\|.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert table, "the page has a type table"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()[2:]]
    return [
        (name, dtype.strip("`")) for types, dtype, *_ in rows for name in re.findall(r"`([^`]+)`", types) or [types]
    ]


def shown_dtype(dtype: object) -> str:
    """Return a dtype in the spelling of the tables."""
    text = re.sub(r"(precision|scale|time_unit|time_zone)=|, time_zone=None|, None", "", str(dtype))
    return text.replace("'", '"')


# Examples for table rows that name no type: the SQL that creates the type, its name, and its dtype.
PROSE = {
    "an enum": ("CREATE TYPE documented AS ENUM ('a')", "documented", "String"),
    "a domain": ("CREATE DOMAIN documented AS numeric(10, 2)", "documented", "Decimal(10, 2)"),
    "a composite type, a table's row": ("CREATE TYPE documented AS (a int)", "documented", 'Struct({"a": Int32})'),
    "none, or any other": ("", "JSON", "Null"),
}
