"""Read the documentation: its code blocks, its links and headings, and its type tables."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
# A block of code, the comment above that excuses it from being run, and the text that it prints, below.
FENCED = re.compile(
    r"(<!-- not run: .*? -->\n)?^```(\w+)\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A block of code on a page, and the text that it prints."""

    language: str
    text: str
    output: str
    line: int
    runs: bool


def blocks(path: Path) -> list[Block]:
    """Return a page's blocks of Python and of a console. One with a `…` shows the form of a call, and is not run."""
    page = path.read_text(encoding="utf-8")
    return [
        Block(
            language,
            text,
            output or "",
            page.count("\n", 0, match.start(3)) + 1,
            runs=not excuse and "…" not in text,
        )
        for match in FENCED.finditer(page)
        for excuse, language, text, output in [match.groups()]
        if language in ("python", "pycon", "console")
    ]


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console, which a backslash continues on the next line, and what each one prints."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command = re.sub(r"(?<!\\)\n.*", "", part, flags=re.DOTALL)
        found.append((command, part[len(command) + 1 :]))
    return found


def prose(path: Path) -> str:
    """Return a page without its blocks and its pieces of code."""
    page = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", "(").replace("]", ")"), page)


def links(path: Path) -> list[str]:
    """Return the targets of a page's links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


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
