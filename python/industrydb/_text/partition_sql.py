"""Check that a partition's statement, as a manifest keeps it, reads the call's own query and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# The tokens of SQL that stands around a query to select a range of its rows, in any database. Values, the types that
# PostgreSQL casts them to, and the collations that MySQL compares them by, are matched but ignored; quoted names, words
# and signs are compared. An opening quote or comment mark without an end matches as a sign. So does the quote of a text
# with a backslash before a quote: whether the text ends there is for the database to say. MySQL's texts are hexadecimal
# digits, and PostgreSQL's say E.
TOKENS = re.compile(
    r"""(?P<type>::\s*(?:"(?:[^"]|"")*"|\w+)(?:\.(?:"(?:[^"]|"")*"|\w+))?|\b(?i:collate|using)\s+\w+)"""
    r"""|(?P<value>[eE]'(?:[^'\\]|\\.|'')*'|[nNxX]?'(?:[^'\\]|\\(?!')|'')*'|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<token>"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|`(?:[^`]|``)*`|\w+|--|/\*|<=|>=|::|\S)""",
    re.DOTALL,
)

# The tokens that every such range may have: comparisons, casts of its ends, and the common table expression with the
# range's rows.
RANGE = set(
    re.findall(
        r"\S+",
        """
    with select from where as q and or is null operator pg_catalog cast * ( ) . , < >= + - =
    tinyint smallint int bigint decimal numeric money smallmoney real float bit
    date time timestamp datetime datetime2 smalldatetime datetimeoffset uniqueidentifier
    char varchar nchar nvarchar binary varbinary max
    _utf8mb4 convert concat uuid inet4 inet6
        """,
    )
)

# The literal that replaces a function such as `now()` in a statement: digits and the signs between them, which cannot
# call anything.
TIME = re.compile(r"'(?=\d+[-:])[-+:.T \d]*'")
NO_TIME = "'\0'"  # no statement has a NUL


def is_of(kept: str, queries: Sequence[str], planned: Sequence[str], keys: Sequence[str]) -> bool:
    """
    Tell whether a statement is one that a plan of the call can contain.

    Parameters
    ----------
    kept
        The statement.
    queries
        The queries of the call.
    planned
        The statements of a plan that is made now. The number and the values of its cuts may differ from those of
        `kept`, and so may the time, if the queries ask for it.
    keys
        The columns that may divide the query.
    """
    if kept in queries or kept in planned:
        return True
    own = {time for query in queries for time in TIME.findall(query)}
    kept, *planned = (TIME.sub(lambda time: time[0] if time[0] in own else NO_TIME, sql) for sql in (kept, *planned))
    if kept in planned:
        return True
    if len(queries) != 1:
        return False
    # The query inside a partition's statement may differ from the call's: it may lack the comment at its end, or the
    # schema of its table.
    inner = [queries[0], *(planned if len(planned) == 1 else [])]
    inner += [text[1] for sql in planned if (text := re.search(r"\(\n(.*)\n\)", sql, re.DOTALL))]
    names = {f"{start}{key.replace(end, 2 * end)}{end}".lower() for key in keys for start, end in ('""', "[]", "``")}
    for query in inner:
        around = [part for sql in planned if query in sql for part in _around(sql, query)]
        allowed = RANGE | names | {token for part in around for token in _tokens(part)}
        if query in kept and all(_tokens(part) <= allowed for part in _around(kept, query)):
            return True
    return False


def _around(sql: str, query: str) -> tuple[str, str]:
    before, _, behind = sql.partition(query)
    return before, behind


def _tokens(sql: str) -> set[str]:
    """Return the tokens of a part of a statement, without values and the types that these are cast to."""
    return {token["token"].lower() for token in TOKENS.finditer(sql) if token["token"] is not None}
