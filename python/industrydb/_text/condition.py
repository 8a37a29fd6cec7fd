"""The arguments that choose rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from industrydb._text.arguments import text, whole
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
    where: Where | None, params: Parameters | None, *, all_rows: bool = False, selects: bool = False
) -> tuple[list[tuple[str, object]] | None, str | None]:
    """Check a condition and return it: as columns and values, as the text of an expression, or as neither.

    Only a condition that `selects` may be left out without `all_rows`.
    """
    if where is not None and not isinstance(where, (str, Mapping)):
        msg = f"where must be a mapping or a str, not {type(where).__name__}"
        raise ConfigurationError(msg)
    if where is not None and all_rows:
        msg = "all_rows=True and a where contradict one another"
        raise ConfigurationError(msg)
    if isinstance(where, Mapping) and not where:
        msg = f"where names no column: leave it out{'' if selects else ', and pass all_rows=True,'} for all rows"
        raise ConfigurationError(msg)
    if isinstance(where, str) and not where.strip():
        msg = f"where is an empty text: leave it out{'' if selects else ', and pass all_rows=True,'} for all rows"
        raise ConfigurationError(msg)
    if where is None and all_rows is not True and not selects:
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


def clamped(name: str, number: int | None) -> int | None:
    """Check a limit or offset, and return one that every database accepts: at most the largest 64-bit integer."""
    if number is None:
        return None
    if whole(name, number) < 0:
        msg = f"{name} must not be below 0, but is {number}"
        raise ConfigurationError(msg)
    return min(number, 2**63 - 1)


def ordered(order_by: str | Sequence[str], descending: bool | Sequence[bool]) -> list[tuple[str, bool]]:  # noqa: FBT001
    """Return the columns to sort by, each with whether it falls."""
    order = [order_by] if isinstance(order_by, str) else list(order_by)
    falls = [descending] * len(order) if isinstance(descending, bool) else list(descending)
    if len(falls) != len(order):
        msg = f"descending has {len(falls)} value(s), and order_by {len(order)}"
        raise ConfigurationError(msg)
    return list(zip(order, falls, strict=True))


def _listed(value: object) -> object:
    """Return an iterable of values as a list, and a single value (a text or bytes, too) as it is."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        return list(value)
    return value
