"""Errors about arguments that say which one is wrong, and what to pass instead."""

from __future__ import annotations

import inspect
import operator
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")

# The arguments of other libraries: what they are called here, or what to do without them. Of several names, the first
# one that the function has counts.
_BATCHES = "read_sql_batches(…, batch_size=…) reads in batches"
OTHERS: dict[str, tuple[str, ...] | str] = {
    **dict.fromkeys(
        ("con", "conn", "connection", "connection_uri", "connection_string", "engine_url"), ("uri", "config")
    ),
    **dict.fromkeys(("sql", "queries", "statement"), ("query", "sql")),
    **dict.fromkeys(("partition_num", "num_partitions", "partition_count", "n_partitions"), ("partitions",)),
    **dict.fromkeys(("partition_column", "partition_key"), ("partition_on",)),
    **dict.fromkeys(("dtype", "dtypes", "schema"), ("schema_overrides",)),
    **dict.fromkeys(("chunksize", "chunk_size"), ("batch_size",)),
    **dict.fromkeys(("parameters", "args", "execute_options"), ("params",)),
    **dict.fromkeys(("name", "table_name"), ("table",)),
    **dict.fromkeys(("df", "frame", "rows"), ("data",)),
    **dict.fromkeys(("path", "output", "folder", "directory"), ("target",)),
    "pre_execution_queries": ("pre_execution_query",),
    "if_table_exists": ("if_exists",),
    "protocol": "leave it out: the fastest protocol is always used",
    "index_col": "leave it out: a Polars DataFrame has no index",
    "parse_dates": "leave it out: dates have their own types; schema_overrides asks for others",
    "coerce_float": "leave it out: decimals stay exact; schema_overrides can ask for pl.Float64",
    "engine": "leave it out: there is one engine",
    "strategy": "leave it out: partition_on and partitions divide the query",
    "iter_batches": _BATCHES,
    "infer_schema_length": "leave it out: the types come from the database",
}

# The length of a signature that `help` shows on one line, without the function's name.
SHORT = 60

# Other words for the values of arguments.
WORDS = {
    **dict.fromkeys(("overwrite", "truncate", "update", "upsert"), "replace"),
    **dict.fromkeys(("skip", "nothing"), "ignore"),
    **dict.fromkeys(("insert", "add"), "append"),
    **dict.fromkeys(("feather", "arrow"), "ipc"),
    **dict.fromkeys(("pyarrow", "arrow2"), "arrow"),
}


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function name the argument that is meant by one that it does not have."""
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters]
    positional = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= set(names):
            unknown = next(name for name in kwargs if name not in names)
            msg = f"{function.__name__}() has no argument {unknown!r}{_meant(unknown, names)}"
            raise TypeError(msg)
        if len(args) > len(positional):
            msg = (
                f"{function.__name__}() takes {', '.join(positional)} by their place, and all other arguments by name, "
                f"such as {names[len(positional)]}=…"
            )
            raise TypeError(msg)
        return function(*args, **kwargs)

    return folded(checked)


class _Folded(inspect.Signature):
    """A signature that is shown with each argument on a line of its own if it is long."""

    def __str__(self) -> str:
        """Return the signature for `help`."""
        shown = super().__str__()
        if len(shown) <= SHORT:
            return shown
        parts, kinds = [], inspect.Parameter
        previous = None
        for parameter in self.parameters.values():
            if parameter.kind is kinds.KEYWORD_ONLY and previous not in {kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL}:
                parts.append("*")
            parts.append(str(parameter))
            previous = parameter.kind
        returned = shown[shown.rindex(") -> ") :] if ") -> " in shown else ")"
        return "(\n    " + ",\n    ".join(parts) + f",\n{returned}"


def folded(function: Callable[P, R]) -> Callable[P, R]:
    """Let `help` show a function's arguments one below the other."""
    shown = inspect.signature(function)
    own = _Folded(list(shown.parameters.values()), return_annotation=shown.return_annotation)
    function.__signature__ = own  # type: ignore[attr-defined]
    return function


def _meant(name: str, names: list[str]) -> str:
    """Return the end of a message: the argument that may be meant."""
    other = OTHERS.get(name, ())
    if isinstance(other, str):
        return f": {other}"
    known = next((known for known in other if known in names), None)
    if known is not None:
        return f": it is called {known} here"
    if other == ("batch_size",):
        return f": {_BATCHES}"
    return near(name, names)


def near(name: object, known: Iterable[str]) -> str:
    """Return the end of a message: the known name that is nearest to an unknown one, in upper or lower case."""
    name = str(name)
    # Imported late: it is needed for messages only.
    from difflib import get_close_matches  # noqa: PLC0415

    by_lower = {other.lower(): other for other in known}
    found = get_close_matches(WORDS.get(name, name).lower(), by_lower, n=1, cutoff=0.7)
    return f", did you mean {by_lower[found[0]]!r}?" if found else ""


def whole(name: str, value: object) -> int:
    """Return an argument that must be a whole number."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        msg = f"{name} must be an int, not {type(value).__name__}"
        raise TypeError(msg) from None


def flag(name: str, value: object) -> bool:
    """Return an argument that must be true or false; a text such as "no" would be true."""
    if isinstance(value, (str, bytes)):
        msg = f"{name} must be True or False, not {type(value).__name__}"
        raise TypeError(msg)
    return bool(value)


def text(name: str, value: object, what: str = "a str") -> str:
    """Return an argument that must be a text."""
    if not isinstance(value, str):
        msg = f"{name} must be {what}, not {type(value).__name__}"
        raise TypeError(msg)
    return value
