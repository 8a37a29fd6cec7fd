"""The arguments that choose rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from industrydb._text.arguments import text
from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from industrydb._text.statement import Parameters

# A condition on rows: a mapping of columns to the values to match, or an SQL expression.
Where: TypeAlias = Mapping[str, object] | str


def check_names(table: str, **names: str | Sequence[str]) -> None:
    """Raise if the name of a table, or of columns, is no text."""
    text("table", table, "the name of a table, a str")
    for argument, given in names.items():
        what = "the name of a column, or a list of names"
        if not isinstance(given, str) and not isinstance(given, Iterable):
            text(argument, given, what)
        for name in (given,) if isinstance(given, str) else given:
            text(argument, name, what)


def condition(
    where: Where | None, params: Parameters | None, *, all_rows: bool
) -> tuple[list[tuple[str, object]] | None, str | None]:
    """Check a condition and return it: as columns and values, as the text of an expression, or as neither."""
    if where is not None and not isinstance(where, (str, Mapping)):
        msg = f"where must be a mapping or a str, not {type(where).__name__}"
        raise ConfigurationError(msg)
    if where is not None and all_rows:
        msg = "all_rows=True and a where contradict one another"
        raise ConfigurationError(msg)
    if where is None and all_rows is not True:
        msg = "there is no where, which would concern all rows: pass all_rows=True if that is meant"
        raise ConfigurationError(msg)
    if params is not None and not isinstance(where, str):
        msg = "params are the values of a where that is an expression, and there is none"
        raise ConfigurationError(msg)
    if where is None:
        return None, None
    if isinstance(where, str):
        return None, where
    return [(name, _listed(value)) for name, value in where.items()], None


def clamped(number: int | None) -> int | None:
    """Return a limit or offset that every database accepts: at most the largest 64-bit integer."""
    return None if number is None else min(number, 2**63 - 1)


def _listed(value: object) -> object:
    """Return an iterable of values as a list, and a single value (a text or bytes, too) as it is."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        return list(value)
    return value
