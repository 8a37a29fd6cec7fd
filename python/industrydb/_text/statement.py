"""A statement of SQLAlchemy, compiled for a database: its text, and the values that it binds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from industrydb.industrydb import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Statement(Protocol):
    """A ``sqlalchemy.text()``, a select, or another statement of SQLAlchemy."""

    def compile(self, bind: Any = ..., dialect: Any = ..., **options: Any) -> Any:  # noqa: ANN401, as in SQLAlchemy
        """Return the statement in the SQL of a dialect."""


Query: TypeAlias = str | Statement | Sequence[str]
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

# The parts of a T-SQL statement in which a question mark is no parameter, and a question mark that is one.
_MARK = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|--[^\n]*|/\*.*?\*/)|\?""", re.DOTALL)


def _numbered(sql: str) -> str:
    """Return a statement with ``@p1``, ``@p2``, … in place of its question marks."""
    count = 0

    def mark(found: re.Match[str]) -> str:
        nonlocal count
        if found[1] is not None:
            return found[1]
        count += 1
        return f"@p{count}"

    return _MARK.sub(mark, sql)


# The dialect of SQLAlchemy for each kind of database, its style of parameters, and how the text is finished. asyncpg's
# dialect tells PostgreSQL the types of its parameters; no driver is imported.
_DIALECTS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "postgresql": ("postgresql+asyncpg", "numeric_dollar", str),
    "sqlite": ("sqlite", "qmark", str),
    "mssql": ("mssql+pyodbc", "qmark", _numbered),
    "mysql": ("mysql+pymysql", "qmark", str),
}


def is_statement(query: object) -> bool:
    """Tell whether a query is a statement of SQLAlchemy."""
    return not isinstance(query, str) and hasattr(query, "compile") and hasattr(query, "__visit_name__")


def compiled(query: Any, params: Parameters | None, kind: str) -> tuple[str, tuple[object, ...]]:  # noqa: ANN401
    """
    Compile a statement of SQLAlchemy for a kind of database.

    Parameters
    ----------
    query
        The statement.
    params
        Values by the names of the statement's parameters, in addition to those that it has.
    kind
        The kind of database, such as ``"postgresql"``.

    Returns
    -------
    tuple of (str, tuple of object)
        The text, and the value of each parameter, as SQLAlchemy's types prepare it for a driver.

    Raises
    ------
    ConfigurationError
        The statement cannot be compiled, or a parameter has no value.
    """
    # Imported late: whoever has such a statement has imported SQLAlchemy.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
    from sqlalchemy.types import TupleType  # noqa: PLC0415

    if params is not None and not isinstance(params, Mapping):
        msg = f"params of a statement of SQLAlchemy must be a dict of its parameters, not {type(params).__name__}"
        raise ConfigurationError(msg)
    if kind not in _DIALECTS:
        msg = f"statements of SQLAlchemy are not compiled for {kind}: pass the text of the query"
        raise ConfigurationError(msg)
    driver, style, finish = _DIALECTS[kind]
    try:
        make: Any = make_url(f"{driver}://").get_dialect()
        dialect = make(paramstyle=style)
        statement = query.compile(dialect=dialect)
        _reject_unknown(params or {}, statement)
        state = statement.construct_expanded_state(dict(params or {}), escape_names=False)
        # SQLAlchemy's types, such as a TypeDecorator, JSON or an Enum, prepare the values.
        prepare = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect)
            for bound, name in statement.bind_names.items()
            if not isinstance(bound.type, TupleType)  # its elements' processors are in the state
        } | dict(state.processors)
        names = state.positiontup or ()
        values = [
            state.parameters[name] if prepare.get(name) is None else prepare[name](state.parameters[name])
            for name in names
        ]
    except (SQLAlchemyError, LookupError, TypeError, ValueError) as error:  # the latter ones of a value's type
        msg = f"the statement of SQLAlchemy cannot be compiled for {kind}: {error}"
        raise ConfigurationError(msg) from error
    return finish(state.statement), tuple(values)


def _reject_unknown(params: Mapping[str, object], statement: Any) -> None:  # noqa: ANN401
    unknown = params.keys() - set(statement.bind_names.values())
    if unknown:
        there = ", ".join(map(repr, statement.bind_names.values())) or "none"
        msg = f"the statement has no parameter {', '.join(map(repr, sorted(unknown)))}: it has {there}"
        raise ConfigurationError(msg)
